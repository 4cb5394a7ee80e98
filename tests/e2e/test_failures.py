"""Ten consecutive failures, holds, re-enabling, 410, Retry-After."""

import datetime
import os
import resource
import time

import pytest
from conftest import QUICK_RETRIES
from harness import behaviours
from harness.wait import wait_until

SANITIZED = os.environ.get("HOOKSWITCH_SANITIZED") == "1"


def events(count, start=0):
    return [{"event": "call.created", "data": {"id": n}} for n in range(start, start + count)]


def inactive(company, webhook):
    wait_until(lambda: company.webhook(webhook)["active"] is False, 20, "switched off",
               pause=0.05)


def break_it(company, receiver, count=12, path="/hook"):
    """A webhook that was switched off by ten failures, and the events that it holds."""
    receiver.on(path, behaviours.status(500, b"broken"))
    webhook = company.subscribe(receiver, path)
    ids = company.post_events(events(count))
    inactive(company, webhook)
    return webhook, ids


def test_ten_consecutive_failures_switch_it_off(acme, receiver):
    webhook, _ = break_it(acme, receiver)
    status = acme.wait_status(webhook, active=False)
    assert status["threshold"] == 10 and status["failures"] >= 10
    assert len(receiver.of("/hook")) >= 10


def test_nine_failures_do_not(make_server, receiver):
    company = make_server("--retry-schedule", "600").start().add_company()
    receiver.on("/hook", behaviours.status(500))
    webhook = company.subscribe(receiver)
    company.post_events(events(9))
    status = company.wait_status(webhook, failures=9)
    assert status["active"] is True and company.webhook(webhook)["active"] is True


def test_a_success_resets_the_count(make_server, receiver):
    company = make_server("--retry-schedule", "600").start().add_company()
    receiver.on("/hook", behaviours.status(500))
    webhook = company.subscribe(receiver)
    company.post_events(events(9))
    company.wait_status(webhook, failures=9)
    receiver.on("/hook", behaviours.ok)
    company.post_event()
    company.wait_status(webhook, failures=0)
    receiver.on("/hook", behaviours.status(500))
    company.post_events(events(9))
    assert company.wait_status(webhook, failures=9)["active"] is True


def test_the_ledger_says_why_in_plain_words(acme, receiver):
    webhook, _ = break_it(acme, receiver)
    ledger = acme.wait_status(webhook, active=False)["ledger"]
    assert isinstance(ledger, str) and "500" in ledger and "10" in ledger, ledger


def test_the_log_says_so_too(acme, receiver):
    webhook, _ = break_it(acme, receiver)
    wait_until(lambda: any(webhook["webhook_id"] in line for line in acme.server.stderr), 5,
               acme.server.tail)


def test_what_it_is_owed_is_held(acme, receiver):
    webhook, ids = break_it(acme, receiver)
    more = acme.post_events(events(5, 100))
    status = acme.wait_status(webhook, held=len(ids) + len(more))
    assert status["oldest_owed_at"] is not None
    assert {one["event_id"] for one in acme.deliveries(webhook, status="held", limit=100)} == \
        set(ids + more)


def test_nothing_is_sent_while_it_is_off(acme, receiver):
    webhook, _ = break_it(acme, receiver)
    wait_until(lambda: receiver.in_flight == 0, 5)
    before = len(receiver.of("/hook"))
    acme.post_events(events(5, 100))
    other = acme.subscribe(receiver, "/other")
    for n in range(5):
        acme.post_event(data={"id": n})
    receiver.wait_for(5, "/other")
    assert other["active"] and len(receiver.of("/hook")) == before


def test_put_re_enables_and_everything_arrives_in_order(acme, receiver):
    webhook, ids = break_it(acme, receiver)
    ids += acme.post_events(events(60, 100))
    acme.wait_status(webhook, held=len(ids))
    failed = len(receiver.of("/hook"))
    receiver.on("/hook", behaviours.ok)
    updated = acme.update_webhook(webhook, url=webhook["url"], events=["call.created"],
                                  active=True)
    assert updated["active"] is True
    wait_until(lambda: {r.id for r in receiver.of("/hook")[failed:]} == set(ids), 20)
    # The last results are on their way to the disk when the receiver has the requests.
    status = acme.wait_status(webhook, held=0, failures=0, oldest_owed_at=None)
    assert status["active"] is True


def test_attempt_numbers_go_on_after_a_re_enable(acme, receiver):
    webhook, ids = break_it(acme, receiver, 10)
    tried = {}
    wait_until(lambda: receiver.in_flight == 0, 5)
    for request in receiver.of("/hook"):
        tried[request.id] = max(tried.get(request.id, 0), request.attempt)
    receiver.on("/hook", behaviours.ok)
    acme.update_webhook(webhook, active=True)
    wait_until(lambda: {r.id for r in receiver.of("/hook") if r.answered == 200} == set(ids), 20)
    for request in receiver.of("/hook"):
        if request.answered == 200:
            assert request.attempt == tried[request.id] + 1


def test_the_deactivating_attempt_does_not_exhaust_its_delivery(make_server, receiver):
    company = make_server("--retry-schedule", "1", "--failure-threshold", "2").start() \
        .add_company()
    receiver.on("/hook", behaviours.status(500))
    webhook = company.subscribe(receiver)
    event = company.post_event()
    inactive(company, webhook)
    company.wait_status(webhook, held=1)
    receiver.on("/hook", behaviours.ok)
    company.update_webhook(webhook, active=True)
    wait_until(lambda: [r for r in receiver.of("/hook") if r.answered == 200], 10)
    assert receiver.ids("/hook") == {event}


def test_re_enable_resets_the_count(acme, receiver):
    webhook, ids = break_it(acme, receiver)
    receiver.on("/hook", behaviours.fail_first(5))
    acme.update_webhook(webhook, active=True)
    wait_until(lambda: {r.id for r in receiver.of("/hook") if r.answered == 200} == set(ids), 20)
    assert acme.webhook(webhook)["active"] is True


def test_a_second_breakdown_is_counted_anew(acme, receiver):
    webhook, _ = break_it(acme, receiver)
    acme.update_webhook(webhook, active=True)
    inactive(acme, webhook)


def test_threshold_0_never_switches_off(make_server, receiver):
    company = make_server("--failure-threshold", "0", "--retry-schedule", "600").start() \
        .add_company()
    receiver.on("/hook", behaviours.status(500))
    webhook = company.subscribe(receiver)
    company.post_events(events(30))
    receiver.wait_for(30, timeout=20)
    company.wait_status(webhook, failures=30)
    assert company.webhook(webhook)["active"] is True


def test_410_switches_off_at_once(acme, receiver):
    receiver.on("/hook", behaviours.status(410))
    webhook = acme.subscribe(receiver)
    acme.post_event()
    inactive(acme, webhook)
    assert len(receiver.of("/hook")) == 1
    status = acme.wait_status(webhook, active=False, held=1)
    assert "410" in status["ledger"]


def test_switched_off_by_hand_holds(acme, receiver):
    webhook = acme.subscribe(receiver, events=["call.created"])
    acme.update_webhook(webhook, active=False, events=["call.created"])
    ids = acme.post_events(events(20))
    assert acme.wait_status(webhook, held=20)["active"] is False
    assert receiver.of("/hook") == []
    acme.update_webhook(webhook, active=True, events=["call.created"])
    requests = receiver.wait_for(20)
    assert {request.id for request in requests} == set(ids)
    assert {request.attempt for request in requests} == {1}


@pytest.mark.parametrize("way", ["kill", "stop"])
def test_hold_and_count_survive(make_server, receiver, way):
    server = make_server(*QUICK_RETRIES).start()
    company = server.add_company()
    webhook, ids = break_it(company, receiver)
    ids += company.post_events(events(5, 100))
    before = company.wait_status(webhook, held=len(ids))
    getattr(server, way)()
    server.start()
    after = company.wait_status(webhook, held=len(ids))
    assert after["active"] is False and after["ledger"] == before["ledger"]
    receiver.on("/hook", behaviours.ok)
    company.update_webhook(webhook, active=True)
    wait_until(lambda: {r.id for r in receiver.of("/hook") if r.answered == 200} == set(ids), 20)


def test_failures_survive_a_kill_below_the_threshold(make_server, receiver):
    server = make_server("--retry-schedule", "600").start()
    company = server.add_company()
    receiver.on("/hook", behaviours.status(500))
    webhook = company.subscribe(receiver)
    company.post_events(events(6))
    company.wait_status(webhook, failures=6)
    server.kill()
    server.start()
    assert company.status(webhook)["failures"] == 6


@pytest.mark.load
def test_hold_drains_at_50_per_second_at_least(acme, receiver):
    webhook = acme.subscribe(receiver, events=["call.created"])
    acme.update_webhook(webhook, active=False, events=["call.created"])
    acme.post_events(events(500))
    acme.wait_status(webhook, held=500)
    started = time.monotonic()
    acme.update_webhook(webhook, active=True, events=["call.created"])
    requests = receiver.wait_for(500, timeout=30)
    rate = 500 / (time.monotonic() - started)
    print(f"drained {rate:.0f}/s")
    assert SANITIZED or rate >= 50
    # Oldest first through a window: nobody is overtaken by more than the window is wide.
    order = [request.sequence for request in requests]
    assert max(abs(place + 1 - sequence) for place, sequence in enumerate(order)) <= 128


def test_a_late_success_does_not_re_activate(make_server, receiver):
    company = make_server("--retry-schedule", "600").start().add_company()
    gate = {}

    async def late(exchange):
        import asyncio
        if exchange.request.json["data"]["id"] != 999:
            return await behaviours.status(500)(exchange)
        gate["loop"], gate["event"] = asyncio.get_running_loop(), asyncio.Event()
        await gate["event"].wait()
        return await behaviours.ok(exchange)

    receiver.on("/hook", late)
    webhook = company.subscribe(receiver)
    slow = company.post_event(data={"id": 999})
    wait_until(lambda: "event" in gate, 10)
    company.post_events(events(10))
    inactive(company, webhook)
    gate["loop"].call_soon_threadsafe(gate["event"].set)
    wait_until(lambda: (company.delivery_of(webhook, slow) or {}).get("status") == "delivered", 10)
    assert company.webhook(webhook)["active"] is False


def moment(value):
    """A time of the API (ISO 8601 or UNIX seconds) as UNIX seconds."""
    if isinstance(value, (int, float)):
        return value
    return datetime.datetime.fromisoformat(value.replace("Z", "+00:00")).timestamp()


@pytest.mark.parametrize("code", [429, 503])
@pytest.mark.parametrize("given, low, high", [
    ("120", 110, 150), ("100000", 3500, 4400), ("nonsense", 0, 10), ("-5", 0, 10)])
def test_retry_after(make_server, receiver, code, given, low, high):
    company = make_server("--retry-schedule", "5,5").start().add_company()
    receiver.on("/hook", behaviours.status(code, fields=[("Retry-After", given)]))
    webhook = company.subscribe(receiver)
    started = time.time()
    event = company.post_event()
    company.wait_attempt(webhook, event)
    record = company.delivery_of(webhook, event)
    assert record["status"] == "retrying"
    assert low - 1 <= moment(record["next_attempt_at"]) - started <= high + 10


def test_retry_after_is_not_heeded_on_500(make_server, receiver):
    company = make_server("--retry-schedule", "5,5").start().add_company()
    receiver.on("/hook", behaviours.status(500, fields=[("Retry-After", "3000")]))
    webhook = company.subscribe(receiver)
    started = time.time()
    event = company.post_event()
    company.wait_attempt(webhook, event)
    assert moment(company.delivery_of(webhook, event)["next_attempt_at"]) - started < 30


def test_our_own_trouble_is_not_counted(make_server, make_receiver, receiver):
    """A server without a descriptor to spare does not blame the receiver."""
    server = make_server("--retry-schedule", "1,1,1,1,1,1,1,1,1,1").start()
    company = server.add_company()
    company.subscribe(receiver)
    company.post_event()
    receiver.wait_for(1)
    unproven = make_receiver()
    other = company.subscribe(unproven)
    limits = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
    used = max(int(name) for name in os.listdir(f"/proc/{server.pid}/fd")) + 1
    # Kept connections (the API's, the first receiver's) go on; only new descriptors are impossible.
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (used, limits[1]))
    try:
        for n in range(12):
            company.post_event(data={"id": n})
            receiver.wait_for(2 + n)
        status = company.status(other)
    finally:
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, limits)
    assert status["active"] is True and status["failures"] == 0
    unproven.wait_for(12, timeout=40)
