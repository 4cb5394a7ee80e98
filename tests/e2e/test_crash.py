"""SIGKILL at random moments: nothing that got a 202 is lost, orders and keys hold.

A producer posts batches with idempotency keys over kept connections and repeats a batch until it
has an answer. One receiver is slow; a second webhook is broken and re-enabled now and then. The
server is killed 24 times: under load, while it recovers, and while it re-enables. The moments come
from a seeded generator: HOOKSWITCH_SEED repeats a run as far as the machine's timing allows.
"""

import os
import random
import shutil
import sqlite3
import threading
import time

import requests
from harness import behaviours
from harness.wait import wait_until

LOW, HIGH = 1150, 1700  # the backlog is kept between these; a kill needs 1,000
BURST = 1500  # so many more are posted before a kill under load, so that it hits commits too
BATCH = 25
KEYS = 40  # distinct resources
ROUNDS = (["load", "recovery", "load", "ready", "enable", "load"] * 4)


class Producer(threading.Thread):
    """Posts numbered batches until told to end; `batches` holds those that got a 202."""

    def __init__(self, company, arrived):
        super().__init__(daemon=True)
        self.company, self.arrived = company, arrived
        self.batches = []  # (key, events, ids)
        self.accepted = 0
        self.high = HIGH
        self.repeats = 0  # requests whose answer was lost
        self.trouble = None
        self._ending = threading.Event()

    def backlog(self):
        return self.accepted - len(self.arrived)

    def run(self):
        try:
            number = 0
            while not self._ending.is_set():
                if self.backlog() > self.high:
                    time.sleep(0.002)
                    continue
                self._post(number)
                number += 1
        except BaseException as trouble:  # shown by the test's thread
            self.trouble = trouble

    def _post(self, number):
        key = f"batch-{number}"
        events = []
        for n in range(number * BATCH, (number + 1) * BATCH):
            name = "call.ended" if n % 4 == 0 else "call.created"
            events.append({"event": name, "data": {"id": n // 4 % KEYS, "n": n}})
        while True:
            try:
                ids = self.company.post_events(events, key)
                break
            except (requests.RequestException, TypeError):
                # Killed, or not up again (no URL yet): the same batch under the same key.
                self.repeats += 1
                time.sleep(0.005)
        self.batches.append((key, events, ids))
        self.accepted += len(ids)

    def end(self):
        self._ending.set()
        self.join(60)
        assert not self.is_alive() and self.trouble is None, self.trouble


def recorded(arrived, behave):
    """The behaviour, noting the ids as they arrive."""

    async def noted(exchange):
        arrived.add(exchange.request.id)
        return await behave(exchange)

    return noted


class Crashes:
    """The rounds of kills; knows what must hold at each of them."""

    def __init__(self, server, company, receiver, fragile, producer, seed):
        self.server, self.company, self.receiver = server, company, receiver
        self.fragile, self.producer = fragile, producer
        self.random = random.Random(seed)
        self.kills = []

    def kill(self, kind, in_flight_needed=True):
        """Kills once the required load is there; the load is read again right before."""

        def loaded():
            assert self.producer.trouble is None, self.producer.trouble
            return self.producer.backlog() >= 1000 and \
                (self.receiver.in_flight > 0 or not in_flight_needed)

        wait_until(loaded, 30, lambda: f"backlog {self.producer.backlog()}", pause=0.001)
        row = (kind, self.producer.backlog(), self.receiver.in_flight)
        self.server.kill()
        self.kills.append(row)

    def up(self):
        if not self.server.running():
            self.server.start()
        wait_until(lambda: self.producer.backlog() >= LOW, 60,
                   lambda: f"backlog {self.producer.backlog()}", pause=0.002)

    def load(self):
        self.up()
        seen, wanted = len(self.producer.arrived), self.random.randint(30, 300)
        wait_until(lambda: len(self.producer.arrived) >= seen + wanted, 60,
                   lambda: f"{len(self.producer.arrived) - seen} of {wanted} arrivals")
        self.producer.high = self.producer.backlog() + BURST
        time.sleep(self.random.uniform(0, 0.4))
        self.kill("load")
        self.producer.high = HIGH

    def recovery(self):
        """Killed before it is ready."""
        self.server.start(wait=False)
        time.sleep(self.random.uniform(0.001, 0.05))
        self.kill("recovery", in_flight_needed=False)

    def ready(self):
        """Killed just after the ready line, while lanes are filling again."""
        self.server.start()
        time.sleep(self.random.uniform(0, 0.03))
        self.kill("just ready", in_flight_needed=False)

    def enable(self):
        """Killed around the PUT that re-enables a webhook with holds."""
        self.up()
        self.receiver.on("/fragile", behaviours.status(500))
        wait_until(lambda: self.company.webhook(self.fragile)["active"] is False, 30,
                   "switched off", pause=0.02)
        wait_until(lambda: self.company.status(self.fragile)["held"] >= 20, 30, "holds",
                   pause=0.02)
        self.receiver.on("/fragile", behaviours.slow(0.01))
        put = threading.Thread(target=self._put, daemon=True)
        put.start()
        time.sleep(self.random.uniform(0, 0.06))
        self.kill("re-enable")
        put.join(30)

    def _put(self):
        try:
            self.company.update_webhook(self.fragile, active=True, events=["call.ended"])
        except (requests.RequestException, AssertionError, TypeError):
            pass  # killed meanwhile: either outcome is fine


def first_arrivals(requests_):
    """The first arrival of each event whose first attempt was seen, per resource."""
    seen, order = set(), {}
    for request in requests_:
        if request.id not in seen:
            seen.add(request.id)
            if request.attempt == 1:
                order.setdefault(request.json["data"]["id"], []).append(request.sequence)
    return order


def check_receiver(receiver, path, wanted):
    """All of `wanted` (ids in order of acceptance) arrived, gaplessly numbered, in order."""
    got = receiver.of(path)
    assert {request.id for request in got} == set(wanted)
    numbers = {request.id: request.sequence for request in got}
    assert [numbers[one] for one in wanted] == list(range(1, len(wanted) + 1))
    assert {(request.id, request.sequence) for request in got} == set(numbers.items())
    for resource, order in first_arrivals(got).items():
        assert order == sorted(order), f"{path}, resource {resource}"


def check_databases(folder):
    found = sorted(folder.rglob("*.db"))
    assert found
    for path in found:
        link = sqlite3.connect(path)
        assert link.execute("PRAGMA integrity_check").fetchall() == [("ok",)], path
        link.close()


def test_kill_9_loses_nothing(make_server, receiver, tmp_path):
    seed = int(os.environ.get("HOOKSWITCH_SEED", "20261125"))
    # Small files and snapshots, so that kills hit rolling, snapshots and recovery over files too.
    server = make_server("--retry-schedule", "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1",
                         "--log-file-bytes", "1MiB", "--snapshot-bytes", "1MiB").start()
    company = server.add_company()
    arrived = set()
    receiver.on("/steady", recorded(arrived, behaviours.slow(0.03)))
    receiver.on("/fragile", behaviours.slow(0.01))
    company.subscribe(receiver, "/steady", ["call.created", "call.ended"])
    fragile = company.subscribe(receiver, "/fragile", ["call.ended"])
    producer = Producer(company, arrived)
    producer.start()
    crashes = Crashes(server, company, receiver, fragile, producer, seed)
    for kind in ROUNDS:
        getattr(crashes, kind)()
    shutil.copytree(server.data, tmp_path / "copy",
                    ignore=lambda folder, names: [n for n in names if not n.endswith(
                        (".db", ".db-wal"))
                        and not os.path.isdir(os.path.join(folder, n))])
    check_databases(tmp_path / "copy")

    server.start()
    producer.end()
    receiver.on("/steady", recorded(arrived, behaviours.ok))
    receiver.on("/fragile", behaviours.ok)
    company.update_webhook(fragile, active=True, events=["call.ended"])
    every = [one for _, _, ids in producer.batches for one in ids]
    wait_until(lambda: len(arrived) >= len(every), 60,
               lambda: f"{len(every) - len(arrived)} of {len(every)} are missing", pause=0.1)
    ended = [one for _, events, ids in producer.batches
             for event, one in zip(events, ids) if event["event"] == "call.ended"]
    wait_until(lambda: {r.id for r in receiver.of("/fragile") if r.answered == 200} == set(ended),
               60, "the fragile webhook's events", pause=0.25)
    company.wait_status(fragile, held=0, oldest_owed_at=None)

    for key, events, ids in producer.batches[::max(1, len(producer.batches) // 100)]:
        assert company.post_events(events, key) == ids
    marker = company.post_event("call.ended", {"id": "marker", "n": -1})
    wait_until(lambda: marker in arrived and marker in receiver.ids("/fragile"), 20)

    check_receiver(receiver, "/steady", every + [marker])
    check_receiver(receiver, "/fragile", ended + [marker])
    assert receiver.unsigned() == []
    numbers = {}
    for request in receiver.of("/steady"):
        numbers.setdefault(request.json["data"]["n"], set()).add(request.id)
    assert all(len(ids) == 1 for ids in numbers.values()), "a repeated batch was taken twice"

    assert len(crashes.kills) >= 20
    assert all(backlog >= 1000 for _, backlog, _ in crashes.kills)
    assert sum(1 for _, _, in_flight in crashes.kills if in_flight > 0) >= 12
    assert server.stop() == 0, server.tail()
    check_databases(server.data)
    total = len(receiver.of("/steady")) + len(receiver.of("/fragile"))
    once = len(every) + len(ended) + 2
    fragile_again = sum(1 for r in receiver.of("/fragile") if r.answered == 500)
    print(f"seed {seed}: {len(crashes.kills)} kills, {len(every)} events accepted, "
          f"{producer.repeats} requests without an answer, {total} arrivals of {once}: "
          f"{total - once - fragile_again} duplicates, {fragile_again} refused by the receiver")
    for kind, backlog, in_flight in crashes.kills:
        print(f"  {kind}: {backlog} undelivered, {in_flight} in flight")
