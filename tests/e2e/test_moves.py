"""Webhooks that move between hosts, and hosts that fail together, while everything is under load.

A URL edit moves a lane to the courier that owns the new host and port, with whatever it has in
flight, waiting and held; nothing may be lost, doubled, reordered or forgotten on the way.
"""

import asyncio
import collections
import itertools
import os
import random
import re
import threading

import pytest
from conftest import QUICK_RETRIES
from harness import behaviours
from harness.wait import wait_until

KEYS = 12
BATCH = 40
MOVES = 240


class Traveller:
    """A webhook and what it is owed, by sequence."""

    def __init__(self, number, webhook):
        self.path, self.webhook, self.number = f"/w{number}", webhook, number
        self.owed = []
        self.alive = True


class Fair:
    """Several receivers, webhooks that wander between them, one producer, one mover."""

    def __init__(self, company, receivers, travellers, seed):
        self.company, self.receivers = company, receivers
        self.random = random.Random(seed)
        self.posted = 0
        self.wandered = threading.Event()
        self.failed = []
        self.travellers = []
        for number in range(travellers):
            webhook = company.create_webhook(self.somewhere(f"/w{number}"))
            self.travellers.append(Traveller(number, webhook))
            secret = company.secret(webhook)
            for receiver in receivers:
                receiver.secrets[f"/w{number}"] = secret

    def somewhere(self, path):
        return self.random.choice(self.receivers).url(path)

    def alive(self):
        return [one for one in self.travellers if one.alive]

    def arrived(self):
        return sum(len(receiver.requests) for receiver in self.receivers)

    def requests(self, traveller):
        """Everything that arrived for a webhook, wherever, in the order of arrival."""
        everywhere = [receiver.of(traveller.path) for receiver in self.receivers]
        return sorted(itertools.chain(*everywhere), key=lambda request: request.at)

    def produce(self):
        # Enough in advance that lanes lag and wait, not so much that they never come to rest.
        while not self.wandered.is_set():
            events = [{"event": "call.created", "data": {"id": (self.posted + n) % KEYS,
                                                         "n": self.posted + n}}
                      for n in range(BATCH)]
            ids = self.company.post_events(events)
            for traveller in self.travellers:
                traveller.owed += ids
            self.posted += BATCH
            wait_until(lambda: (self.arrived() >= 4 * self.posted - 3000 or
                                self.wandered.is_set()), 60,
                       lambda: f"{self.arrived()} arrived of {self.posted} events")

    def move(self, traveller):
        self.company.update_webhook(traveller.webhook, url=self.somewhere(traveller.path))

    def wander(self):
        for step in range(MOVES):
            traveller = self.random.choice(self.alive())
            if step % 60 == 59 and len(self.alive()) > 5:
                traveller.alive = False
                self.company.delete_webhook(traveller.webhook)
            elif step % 7 == 6:
                self.company.update_webhook(traveller.webhook, active=False)
                self.move(traveller)
                self.company.update_webhook(traveller.webhook, active=True)
            else:
                self.move(traveller)
            seen = self.arrived()
            wait_until(lambda: self.arrived() >= seen + 8 or self.failed, 60,
                       "deliveries between two moves")

    def run(self):
        def guarded(work):
            try:
                work()
            except BaseException as error:  # shown by the test's thread
                self.failed.append(error)
            finally:
                if work == self.wander or self.failed:
                    self.wandered.set()

        threads = [threading.Thread(target=guarded, args=(work,))
                   for work in (self.produce, self.wander)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self.failed:
            raise self.failed[0]


def metric(company, name):
    text = company.get("/metrics", auth=False).text
    return float(re.search(rf"^hookswitch_{name} (\S+)$", text, re.M).group(1))


def check(fair, traveller):
    requests = fair.requests(traveller)
    for request in requests:
        assert traveller.owed[request.sequence - 1] == request.id, (traveller.path,
                                                                   request.sequence)
    attempts = collections.Counter((request.sequence, request.attempt) for request in requests)
    assert [one for one, times in attempts.items() if times > 1] == []
    if traveller.alive:
        reached = {request.sequence for request in requests}
        assert reached == set(range(1, len(traveller.owed) + 1))
    latest = collections.defaultdict(int)
    for request in requests:
        if request.attempt == 1:
            key = request.json["data"]["id"]
            assert request.sequence > latest[key], (traveller.path, key, request.sequence)
            latest[key] = request.sequence


@pytest.mark.parametrize("seed", [1, 2])
def test_webhooks_move_between_hosts_under_load(make_server, make_receiver, seed):
    seed = int(os.environ.get("HOOKSWITCH_SEED", seed))
    server = make_server(*QUICK_RETRIES, "--couriers", "4", "--deliver-timeout-ms",
                         "60000").start()
    company = server.add_company()
    receivers = [make_receiver() for _ in range(6)]
    for number, receiver in enumerate(receivers):
        receiver.default = behaviours.slow(0.004 * number)
    fair = Fair(company, receivers, 8, seed)
    fair.run()
    print(f"{fair.posted} events, {fair.arrived()} requests")
    for traveller in fair.alive():
        wait_until(lambda: {r.id for r in fair.requests(traveller)} >= set(traveller.owed), 60,
                   lambda: f"{traveller.path}: {len(fair.requests(traveller))} of "
                           f"{len(traveller.owed)}; {company.status(traveller.webhook)}",
                   pause=0.1)
        status = company.wait_status(traveller.webhook, active=True, held=0, oldest_owed_at=None)
        assert status["failures"] == 0
    assert server.stop() == 0, server.tail()
    for traveller in fair.travellers:
        check(fair, traveller)
    assert [one for receiver in receivers for one in receiver.unsigned()] == []
    # What the restarted server believes is what happened: nothing is sent again.
    before = fair.arrived()
    server.start()
    for traveller in fair.alive():
        company.wait_status(traveller.webhook, active=True, held=0, oldest_owed_at=None)
    assert fair.arrived() == before


def test_a_hanging_host_with_many_webhooks_is_its_own_trouble(make_server, make_receiver):
    """300 webhooks at four hosts; one host hangs, with its share of connections used up."""
    server = make_server("--retry-schedule", "1", "--couriers", "1", "--courier-slots", "80",
                         "--max-webhooks", "400", "--failure-threshold", "0",
                         "--deliver-timeout-ms", "60000").start()
    company = server.add_company()
    hosts = [make_receiver() for _ in range(4)]
    hanging, healthy = hosts[0], hosts[1:]
    released = threading.Event()

    async def hang_until_released(exchange):
        while not released.is_set():
            await asyncio.sleep(0.05)
        return False

    hanging.default = hang_until_released
    paths = collections.defaultdict(list)
    for number in range(300):
        host = hosts[number % 4]
        company.create_webhook(host.url(f"/w{number}"))
        paths[host].append(f"/w{number}")
    ids = company.post_events([{"event": "call.created", "data": {"id": n}} for n in range(20)])
    ids += company.post_events([{"event": "call.ended", "data": {"id": n}} for n in range(20)])

    def complete(hosts_meant):
        return sum(len(host.ids(path) & set(ids)) for host in hosts_meant for path in paths[host])

    expected = len(healthy) * 75 * len(ids)
    wait_until(lambda: complete(healthy) == expected, 90,
               lambda: f"{complete(healthy)} of {expected}", pause=0.2)
    # A quarter of its ceiling: none of its webhooks is proven.
    assert hanging.in_flight == len(hanging.requests) == 16
    wait_until(lambda: metric(company, "deliveries_in_flight") == 16, 15)
    # It recovers: everyone there gets a turn, though none of its first attempts ended well.
    hanging.default = behaviours.ok
    released.set()
    wait_until(lambda: complete([hanging]) == 75 * len(ids), 90,
               lambda: f"{complete([hanging])} of {75 * len(ids)}", pause=0.2)
    assert len(healthy[0].requests) == 75 * len(ids)


def test_when_most_hosts_fail_together_the_receivers_are_not_blamed(make_server, make_receiver):
    """24 hosts, so that no courier alone has the 20 that it takes to judge."""
    server = make_server("--retry-schedule", "1,1,1,1,1,1,1,1,1,1", "--couriers", "4",
                         "--failure-threshold", "3").start()
    company = server.add_company()
    receivers = [make_receiver() for _ in range(24)]
    webhooks = [company.create_webhook(receiver.url()) for receiver in receivers]
    company.post_event(data={"id": 0})
    for receiver in receivers:
        receiver.wait_for(1)
    for receiver in receivers:
        receiver.stop()
    company.post_event(data={"id": 1})
    wait_until(lambda: any("the fault is probably ours" in line for line in server.stderr), 30,
               "the alarm")
    for n in range(2, 6):
        company.post_event(data={"id": n})
    for webhook in webhooks:
        wait_until(lambda: company.status(webhook)["oldest_owed_at"] is not None, 30)
    # Attempts that failed by a trouble of the server's own.
    wait_until(lambda: metric(company, "attempts_local_total") >= 24, 30)
    for webhook in webhooks:
        status = company.status(webhook)
        assert status["active"] is True and status["failures"] <= 1, status
