"""One webhook's receiver costs the others nothing, and one that cannot be reached is found again."""

import pytest
from conftest import QUICK_RETRIES
from harness import behaviours
from harness.wait import wait_until

WEBHOOKS = 10
SLOTS = 64


def events(count):
    return [{"event": "call.created", "data": {"id": n}} for n in range(count)]


def gauge(company, name):
    """The value of a metric without labels."""
    for line in company.get("/metrics", auth=False).text.splitlines():
        if line.startswith(f"hookswitch_{name} "):
            return float(line.split()[1])
    raise AssertionError(f"no metric {name}")


def test_webhooks_that_hang_leave_the_others_their_flow(make_server, make_receiver):
    """Ten that hang could take all of 64 slots; a quarter is what they get."""
    company = make_server("--courier-slots", str(SLOTS), "--couriers", "1", "--deliver-timeout-ms",
                          "60000", "--failure-threshold", "0").start().add_company()
    well, hanging = make_receiver(), make_receiver()
    hanging.default = behaviours.hang
    paths = [f"/{n}" for n in range(WEBHOOKS)]
    for path in paths:
        company.subscribe(well, path)
    company.post_events(events(1))
    for path in paths:
        well.wait_for(1, path)
    for path in paths:
        company.subscribe(hanging, path)
    most = 0
    for turn in range(1, 16):
        company.post_events(events(20))
        for path in paths:
            well.wait_for(1 + 20 * turn, path)
        most = max(most, hanging.in_flight)
    assert 0 < most <= SLOTS // 4
    assert hanging.in_flight == most and len(hanging.requests) == most, "they hang still"


class Crowd:
    """Hangs, and counts how many do at once."""

    def __init__(self):
        self.now = self.most = 0

    async def __call__(self, exchange):
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await behaviours.hang(exchange)
        finally:
            self.now -= 1


def test_time_outs_of_some_webhooks_leave_the_host_to_the_others(make_server, receiver):
    """All at one host that takes eight connections. Those that time out get two of them."""
    company = make_server("--host-connections", "8", "--deliver-timeout-ms", "1000", "--couriers",
                          "1", "--failure-threshold", "0", "--breaker-first-s", "0",
                          *QUICK_RETRIES).start().add_company()
    slow, well, crowd = [f"/slow{n}" for n in range(4)], ["/well0", "/well1"], Crowd()
    for path in slow:
        receiver.on(path, crowd)
        company.subscribe(receiver, path)
    company.post_events(events(30))
    for path in slow:
        receiver.wait_for(6, path, timeout=40)  # five are the most at once: it timed out by now
    for path in well:
        company.subscribe(receiver, path)
    crowd.most = 0
    for turn in range(1, 11):
        company.post_events(events(20))
        for path in well:
            receiver.wait_for(20 * turn, path)
    assert crowd.most <= 4, "two, and two whose end was not seen yet"


def test_a_full_host_takes_everybody_in_turn(make_server, receiver):
    """A webhook with a long backlog fills its host's connections for ten seconds. One that is new
    and one that timed out get theirs meanwhile."""
    company = make_server("--host-connections", "4", "--deliver-timeout-ms", "1000", "--couriers",
                          "1", *QUICK_RETRIES).start().add_company()
    receiver.on("/slow", behaviours.hang)
    slow = company.subscribe(receiver, "/slow", ["call.answered"])
    company.subscribe(receiver, "/busy", ["call.created"])
    company.post_event("call.answered")
    company.wait_status(slow, failures=1)
    receiver.on("/slow", behaviours.ok).on("/busy", behaviours.slow(0.03))
    company.post_events(events(1000))
    company.post_events(events(400))
    receiver.wait_for(20, "/busy")
    company.subscribe(receiver, "/new", ["call.ended"])
    for _ in range(3):
        company.post_event("call.ended")
    receiver.wait_for(3, "/new")
    company.wait_status(slow, delivered=1)
    assert len(receiver.of("/busy")) < 1400


@pytest.mark.parametrize("trouble", [behaviours.reset, behaviours.close], ids=["reset", "close"])
def test_a_dead_receiver_is_probed_and_found_again(make_server, receiver, trouble):
    """Never switched off, it is left alone but for one request now and then, which does not use
    up the retries of what waits; once it answers, all is delivered."""
    company = make_server("--failure-threshold", "0", "--breaker-first-s", "1", "--breaker-max-s",
                          "1", "--retry-schedule", "1,1,1,1").start().add_company()
    receiver.on("/hook", trouble)
    webhook = company.subscribe(receiver)
    ids = company.post_events(events(40))
    wait_until(lambda: gauge(company, "lanes_dead") == 1, 10, "a dead lane")
    tries = len(receiver.of("/hook"))
    assert 11 <= tries <= 20, "three failed cohorts, what was in flight, and perhaps a probe"
    receiver.wait_for(tries + 3)  # probes
    assert company.status(webhook)["active"] is True
    receiver.on("/hook", behaviours.ok)
    wait_until(lambda: company.status(webhook)["delivered"] == len(ids), 30,
               lambda: company.status(webhook))
    assert company.status(webhook)["failed"] == 0
    wait_until(lambda: gauge(company, "lanes_dead") == 0, 10, "no dead lane")


def test_enabling_a_dead_webhook_tries_it_at_once(make_server, receiver):
    company = make_server("--failure-threshold", "0", "--breaker-first-s", "3600",
                          *QUICK_RETRIES).start().add_company()
    receiver.on("/hook", behaviours.reset)
    webhook = company.subscribe(receiver)
    ids = company.post_events(events(30))
    wait_until(lambda: gauge(company, "lanes_dead") == 1, 10, "a dead lane")
    receiver.on("/hook", behaviours.ok)
    company.update_webhook(webhook, url=receiver.url(), active=True)
    wait_until(lambda: company.status(webhook)["delivered"] == len(ids), 20,
               lambda: company.status(webhook))
