"""A backlog owed to one slow webhook costs disk, not memory, and nobody else's time.

HOOKSWITCH_BACKLOG sets the number of events. By default 2,000,000, which the product promises;
a run under sanitizers may take fewer. In the first fifth the store's caches (bounded) fill up.
"""

import os
import statistics
import time

import pytest
from harness import behaviours
from harness.wait import wait_until

COUNT = int(os.environ.get("HOOKSWITCH_BACKLOG", "2000000"))
BATCH = 1000
PROBES = 40


def probe(company, receiver):
    """The median time from posting an event to its arrival at the other webhook, in ms."""
    times = []
    for n in range(PROBES):
        before = len(receiver.of("/prompt"))
        started = time.monotonic()
        company.post_event("contact.created", {"id": n})
        wait_until(lambda: len(receiver.by_path["/prompt"]) > before, 10, pause=0.0005)
        times.append((receiver.by_path["/prompt"][-1].at - started) * 1000)
    return statistics.median(times)


@pytest.mark.load
def test_a_backlog_leaves_memory_flat_and_others_unmoved(make_server, make_receiver):
    # A small window of payloads in memory, full long before the first measurement.
    server = make_server("--hot-bytes", "4MiB").start()
    company = server.add_company()
    slow, prompt = make_receiver(), make_receiver()
    slow.on("/slow", behaviours.slow(0.25))
    lagging = company.subscribe(slow, "/slow", ["call.created"])
    company.subscribe(prompt, "/prompt", ["contact.created"])
    probe(company, prompt)  # warms connections and caches
    latency = {0: probe(company, prompt)}
    memory = {}
    started = time.monotonic()
    for first in range(0, COUNT, BATCH):
        company.post_events([{"event": "call.created", "data": {"id": n, "state": "x" * 40}}
                             for n in range(first, first + BATCH)])
        done = 100 * (first + BATCH) // COUNT
        if done in (20, 50, 100) and done not in memory:
            memory[done] = server.memory_bytes()
            latency[done] = probe(company, prompt)
    seconds = time.monotonic() - started
    growth = memory[100] - memory[20]
    print(f"{COUNT} events in {seconds:.0f} s, {len(slow.requests)} delivered meanwhile; "
          f"memory {({k: v >> 20 for k, v in memory.items()})} MiB "
          f"({growth / (0.8 * COUNT):.1f} bytes per event); "
          f"latency {({k: round(v, 2) for k, v in latency.items()})} ms")
    status = company.status(lagging)
    assert status["active"] is True and status["oldest_owed_at"] is not None
    assert growth <= max(24 << 20, memory[20] // 4), "memory follows the backlog"
    # Medians of one run, with room for a noisy machine.
    assert latency[100] <= 5 * latency[0] + 20, latency
    company.delete_webhook(lagging)


@pytest.mark.load
def test_a_restart_with_a_backlog_is_quick_and_complete(make_server, make_receiver):
    """The backlog comes back from disk; its end is delivered as well as its beginning."""
    count = 20000
    server = make_server().start()
    company = server.add_company()
    receiver = make_receiver()
    webhook = company.subscribe(receiver, events=["call.created"])
    company.update_webhook(webhook, active=False, events=["call.created"])
    ids = []
    for first in range(0, count, BATCH):
        ids += company.post_events([{"event": "call.created", "data": {"id": n}}
                                    for n in range(first, first + BATCH)])
    server.kill()
    server.start()
    company.wait_status(webhook, held=count)
    company.update_webhook(webhook, active=True, events=["call.created"])
    wait_until(lambda: len(receiver.by_path["/hook"]) >= count, 90,
               lambda: f"{len(receiver.by_path['/hook'])} of {count}", pause=0.1)
    assert receiver.ids("/hook") == set(ids)
    assert {r.sequence for r in receiver.of("/hook")} == set(range(1, count + 1))
