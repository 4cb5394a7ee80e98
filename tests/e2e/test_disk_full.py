"""A disk that fills up: events are refused, all else goes on, and all recovers when there is room.

Each test has a small file system (tmpfs) of its own. Mounting needs root: elsewhere the tests are
skipped, but never for root in continuous integration.
"""

import os
import re
import subprocess
import time

import pytest
from harness import behaviours
from harness.client import assert_refusal
from harness.wait import wait_until

MIB = 1 << 20
RESERVE = 16 * MIB
QUICK = ("--retry-schedule", ",".join(["1"] * 20), "--min-free-bytes", "16MiB")


class Disk:
    """A mounted tmpfs with the data directory and, to fill it, a file that is in the way."""

    def __init__(self, path):
        self.path, self.data, self.filler = path, path / "data", path / "filler"

    def free(self):
        found = os.statvfs(self.path)
        return found.f_bavail * found.f_frsize

    def fill(self, leave):
        """Fills it until only `leave` bytes are free; 0 = to the last one."""
        with open(self.filler, "ab", buffering=0) as file:
            while leave == 0 or self.free() > leave:
                step = 4096 if leave == 0 else min(MIB, max(4096, self.free() - leave))
                try:
                    file.write(b"\0" * step)
                except OSError:
                    return

    def empty(self):
        self.filler.unlink()


@pytest.fixture
def disk(tmp_path):
    path = tmp_path / "disk"
    path.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m,mode=700", "tmpfs", str(path)],
                          capture_output=True, text=True)
    if done.returncode != 0:
        assert not (os.geteuid() == 0 and os.environ.get("CI") == "true"), done.stderr
        pytest.skip("a small disk needs the right to mount (root): " + done.stderr.strip())
    yield Disk(path)
    subprocess.run(["umount", str(path)], check=True)


@pytest.fixture
def serve(disk, make_server):
    """serve(*args) -> a started server on the small disk, which is stopped before the unmount."""
    return lambda *args: make_server(*QUICK, *args, data=disk.data).start()


def metric(company, name):
    found = re.search(rf"^{re.escape(name)} (\S+)$", company.get("/metrics").text, re.M)
    return float(found[1]) if found else 0.0


def post(company, n=0, pad=0):
    return company.post("/v1/events", json={
        "event": "call.created", "data": {"id": n, "pad": "x" * pad}})


def wait_refused(company):
    """The reserve is measured once a second: some may still get in. Their ids, in order."""
    ids = []

    def refused():
        answer = post(company)
        if answer.status_code == 202:
            ids.append(answer.json()["events"][0]["id"])
            return None
        return [answer]  # a refusal itself counts as false

    return ids, wait_until(refused, 10, "a refusal", pause=0.05)[0]


def wait_accepted(company):
    def accepted():
        answer = post(company)
        return answer.json()["events"][0]["id"] if answer.status_code == 202 else None

    return wait_until(accepted, 20, "room", pause=0.05)


def wait_settled(receiver, path="/hook"):
    """The number of requests once none has arrived for a second."""
    last = [-1, 0.0]

    def settled():
        count = len(receiver.of(path))
        if count != last[0]:
            last[:] = count, time.monotonic()
        return time.monotonic() - last[1] > 1

    wait_until(settled, 30, "quiet", pause=0.05)
    return last[0]


def wait_log(server, words):
    wait_until(lambda: any(words in line for line in server.stderr), 20,
               lambda: f"no {words!r} in the log:\n{server.tail()}")


def check_delivered(receiver, ids, once=True):
    """All of them, in gapless sequence, and (without a restart) each once."""
    wait_until(lambda: set(ids) <= {r.id for r in receiver.of("/hook") if r.answered == 200}, 60,
               lambda: f"{len(set(ids) - receiver.ids('/hook'))} are missing")
    sequences = {r.id: r.sequence for r in receiver.of("/hook")}
    assert [sequences[one] for one in ids] == list(range(1, len(ids) + 1))
    assert set(sequences) == set(ids)
    if once:
        answered = [r.id for r in receiver.of("/hook") if r.answered == 200]
        assert len(answered) == len(set(answered))


def test_below_the_reserve_events_are_refused_and_all_else_goes_on(disk, serve, receiver):
    server = serve("--failure-threshold", "0")
    company = server.add_company()
    receiver.on("/hook", behaviours.status(500))
    webhook = company.subscribe(receiver)
    ids = company.post_events([{"event": "call.created", "data": {"id": n}} for n in range(8)])
    receiver.wait_for(4)
    disk.fill(leave=RESERVE - 4 * MIB)
    more, answer = wait_refused(company)
    ids += more
    assert_refusal(answer, 507, "disk is full", "make room")
    assert metric(company, 'hookswitch_ingest_refused_total{reason="disk_full"}') >= 1

    # A key of a refused request is free for the repetition that comes when there is room.
    keyed = {"json": {"event": "call.created", "data": {"id": 1}},
             "headers": {"Idempotency-Key": "again"}}
    assert company.post("/v1/events", **keyed).status_code == 507
    receiver.on("/hook", behaviours.ok)
    check_delivered(receiver, ids)
    company.wait_status(webhook, oldest_owed_at=None)
    assert len(company.wait_attempt(webhook, ids[0], 2)) >= 2
    assert company.event(ids[0])["id"] == ids[0]
    assert company.webhook(webhook)["active"] is True
    assert company.update_webhook(webhook, custom_name="renamed")["custom_name"] == "renamed"

    disk.empty()
    ids.append(wait_accepted(company))
    answer = company.post("/v1/events", **keyed)
    assert answer.status_code == 202
    ids.append(answer.json()["events"][0]["id"])
    check_delivered(receiver, ids)


def backlog(company, receiver, count=3000):
    """So many events that one slow webhook is owed; their ids."""
    receiver.on("/hook", behaviours.slow(0.5))
    webhook = company.subscribe(receiver)
    ids = []
    for first in range(0, count, 100):
        ids += company.post_events(
            [{"event": "call.created", "data": {"id": first + n, "pad": "x" * 1000}}
             for n in range(100)])
    return webhook, ids


def fill_wholly(server, company, disk, receiver):
    """To the last byte, and until the server has met it."""
    disk.fill(leave=0)
    receiver.on("/hook", behaviours.ok)
    more, answer = wait_refused(company)
    assert answer.status_code in (429, 507), answer.text
    wait_log(server, "disk full")
    return more


def test_a_full_disk_stops_deliveries_and_nothing_is_lost(disk, serve, receiver):
    server = serve("--result-slots", "64")
    company = server.add_company()
    webhook, ids = backlog(company, receiver)
    ids += fill_wholly(server, company, disk, receiver)
    stood = wait_settled(receiver)
    assert stood < len(ids), "results were not waited for"
    assert server.running()
    assert company.get("/healthz", auth=False).status_code == 200
    assert company.webhook(webhook)["active"] is True
    assert company.event(ids[-1])["id"] == ids[-1]
    assert company.get(f"/v1/webhooks/{webhook['webhook_id']}/deliveries").status_code == 200

    disk.empty()
    ids.append(wait_accepted(company))
    check_delivered(receiver, ids)
    company.wait_status(webhook, oldest_owed_at=None, timeout=30)
    print(f"{stood} of {len(ids)} were delivered when it stood still")


def test_a_full_disk_and_a_backlog_in_older_files(disk, serve, receiver):
    """Files that nobody has open can be read without writing anything beside them."""
    server = serve("--log-file-bytes", "1MiB", "--snapshot-bytes", "1MiB", "--hot-bytes", "1MiB")
    company = server.add_company()
    webhook, ids = backlog(company, receiver, 8000)
    wait_until(lambda: len(list(disk.data.glob("log-*.db"))) >= 6, 20, "files")
    ids += fill_wholly(server, company, disk, receiver)
    wait_settled(receiver)
    for one in ids[::500]:
        assert company.event(one)["id"] == one
    assert server.running()
    disk.empty()
    ids.append(wait_accepted(company))
    check_delivered(receiver, ids)
    company.wait_status(webhook, oldest_owed_at=None, timeout=30)


def test_a_change_that_finds_no_room_is_refused_and_works_later(disk, serve, receiver):
    server = serve()
    company = server.add_company()
    webhook = company.subscribe(receiver)
    disk.fill(leave=0)
    answers = []

    def refused():
        answers.append(company.put(f"/v1/webhooks/{webhook['webhook_id']}",
                                   json={"custom_name": "n" * 200 + str(len(answers))}))
        return answers[-1].status_code != 200

    wait_until(refused, 30, "a refusal", pause=0)
    assert_refusal(answers[-1], 507, "disk is full")
    assert company.webhook(webhook)["active"] is True
    disk.empty()
    assert company.update_webhook(webhook, custom_name="later")["custom_name"] == "later"


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_server_that_ends_on_a_full_disk_owes_all_after_the_next_start(disk, serve, receiver,
                                                                         end):
    server = serve("--result-slots", "64")
    company = server.add_company()
    webhook, ids = backlog(company, receiver)
    ids += fill_wholly(server, company, disk, receiver)
    wait_settled(receiver)
    assert getattr(server, end)() == (0 if end == "stop" else -9)
    # On a disk without a byte a start may fail, but says why, and harms nothing.
    server.start(wait=False)
    wait_until(lambda: server.stdout or not server.running(), 20, "a start or an end")
    if server.running():
        server.kill()
    else:
        assert "disk is full" in server.tail(5) or "No space" in server.tail(5), server.tail()
    disk.empty()
    server.start()
    ids.append(wait_accepted(company))
    check_delivered(receiver, ids, once=False)
    company.wait_status(webhook, oldest_owed_at=None, timeout=30)


def test_a_backup_to_a_full_disk_says_so_and_leaves_nothing(disk, make_server, receiver, tmp_path):
    server = make_server().start()
    company = server.add_company()
    company.post_events([{"event": "call.created", "data": {"id": n, "pad": "x" * 100000}}
                         for n in range(40)])
    disk.fill(leave=2 * MIB)
    done = server.cli("backup", disk.path / "copy")
    assert done.returncode == 1
    assert "disk is full" in done.stderr, done.stderr
    assert {file.name for file in disk.path.iterdir()} == {"filler"}
    assert server.running()
