"""backup and restore: under load, with and without a server, and what they refuse."""

import json
import os
import pty
import shutil
import signal
import sqlite3
import subprocess
import threading
import time

import pytest
from harness import behaviours
from harness.client import Company
from harness.server import Server, binary, clean_environment, run_cli
from harness.wait import SCALE, wait_until

QUICK = ("--retry-schedule", ",".join(["1"] * 20))
# So small that files roll, and snapshots are made, while they are copied.
SMALL_FILES = ("--log-file-bytes", "1MiB", "--snapshot-bytes", "1MiB")


class Producer(threading.Thread):
    """Posts batches until it is ended; `ids` are those that got a 202, in order."""

    def __init__(self, company, size=25):
        super().__init__(daemon=True)
        self.company, self.size = company, size
        self.ids, self.trouble = [], None
        self.ending = threading.Event()

    def run(self):
        try:
            number = 0
            while not self.ending.is_set():
                self.ids += self.company.post_events(
                    [{"event": "call.created",
                      "data": {"id": (number + n) % 40, "n": number + n, "pad": "x" * 1500}}
                     for n in range(self.size)])
                number += self.size
        except BaseException as trouble:  # shown by the test's thread
            self.trouble = trouble

    def end(self):
        self.ending.set()
        self.join(30)
        assert not self.is_alive() and self.trouble is None, self.trouble


def back_up(server, folder):
    done = server.cli("backup", folder, "--json", timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def restore(folder, data):
    done = run_cli("restore", folder, "--json", data=data, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def move(company, server):
    """The same company on another server."""
    return Company(server, company.id, company.api_id, company.api_token)


def check_files(folder):
    files = sorted(folder.glob("*.db"))
    assert files
    for file in files:
        link = sqlite3.connect(file)
        assert link.execute("PRAGMA integrity_check").fetchall() == [("ok",)], file
        link.close()


def check_private(folder):
    assert folder.stat().st_mode & 0o777 == 0o700
    for file in folder.iterdir():
        assert file.stat().st_mode & 0o777 == 0o600, file


@pytest.fixture
def filled(server, acme, receiver):
    """A server with two delivered events; (server, company, webhook, ids)."""
    webhook = acme.subscribe(receiver)
    ids = acme.post_events([{"event": "call.created", "data": {"id": n}} for n in range(2)])
    receiver.wait_for(2)
    acme.wait_status(webhook, oldest_owed_at=None)
    return server, acme, webhook, ids


@pytest.fixture
def copy(filled, tmp_path):
    """A backup of the filled server."""
    back_up(filled[0], tmp_path / "copy")
    return tmp_path / "copy"


@pytest.mark.load
def test_a_backup_under_load_loses_nothing(make_server, receiver, tmp_path):
    server = make_server(*QUICK, *SMALL_FILES).start()
    company = server.add_company()
    receiver.on("/quick", behaviours.ok)
    receiver.on("/slow", behaviours.slow(0.2))
    quick = company.subscribe(receiver, "/quick")
    slow = company.subscribe(receiver, "/slow")
    producer = Producer(company)
    producer.start()
    wait_until(lambda: len(list(server.data.glob("log-*.db"))) >= 3, 60, "three log files")
    before, files = len(producer.ids), sorted(server.data.glob("log-*.db"))
    said = back_up(server, tmp_path / "copy")
    during = len(producer.ids) - before
    assert producer.trouble is None
    wait_until(lambda: len(producer.ids) > before + during, 20, "events behind the backup")
    server.kill()
    producer.ending.set()
    producer.join(30)
    shutil.rmtree(server.data)

    accepted = producer.ids[:before]
    check_private(tmp_path / "copy")
    check_files(tmp_path / "copy")
    assert said["last_event"] >= before
    assert len(list((tmp_path / "copy").glob("log-*.db"))) >= len(files)
    restore(tmp_path / "copy", tmp_path / "new")
    check_private(tmp_path / "new")
    check_files(tmp_path / "new")
    receiver.on("/slow", behaviours.ok)
    again = make_server(*QUICK, *SMALL_FILES, data=tmp_path / "new").start()
    company = move(company, again)
    for path, webhook in ("/quick", quick), ("/slow", slow):
        wait_until(lambda at=path: set(accepted) <= receiver.ids(at), 60, f"all at {path}")
        company.wait_status(webhook, held=0, oldest_owed_at=None, timeout=60)
    marker = company.post_event()
    wait_until(lambda: marker in receiver.ids("/quick") and marker in receiver.ids("/slow"), 20)
    for path in "/quick", "/slow":
        sequences = {r.id: r.sequence for r in receiver.of(path)}
        assert [sequences[one] for one in accepted] == list(range(1, len(accepted) + 1))
    owed = {one: company.event(one) for one in accepted[:3] + accepted[-3:]}
    assert all(event["owed_to"] == 2 for event in owed.values())
    assert not receiver.unsigned()
    print(f"{before} events before, {during} during the backup; {said}")


@pytest.mark.load
def test_backups_while_files_roll(make_server, receiver, tmp_path):
    """Each of them can be restored, and knows at least what was accepted before it began."""
    server = make_server(*QUICK, "--log-file-bytes", "1MiB", "--snapshot-bytes", "1MiB").start()
    company = server.add_company()
    company.subscribe(receiver)
    producer = Producer(company)
    producer.start()
    wait_until(lambda: len(producer.ids) >= 200, 30, "events")
    for number in range(6):
        accepted = len(producer.ids)
        said = back_up(server, tmp_path / f"copy{number}")
        assert said["last_event"] >= accepted
        assert restore(tmp_path / f"copy{number}", tmp_path / f"new{number}")["last_event"] == \
            said["last_event"]
    producer.end()


def test_what_webhooks_and_companies_are_comes_back(filled, make_server, tmp_path, copy):
    server, company, webhook, ids = filled
    secret = company.secret(webhook)
    server.stop()
    restore(copy, tmp_path / "new")
    again = make_server(data=tmp_path / "new").start()
    company = move(company, again)
    del webhook["direct_link"]  # of another port
    assert webhook.items() <= company.webhook(webhook).items()
    assert company.secret(webhook) == secret
    assert [company.event(one)["id"] for one in ids] == ids
    assert len(company.deliveries(webhook)) == 2


def test_a_restored_server_goes_on_where_the_sequence_was(filled, make_server, receiver, tmp_path,
                                                          copy):
    server, company, _, _ = filled
    server.stop()
    restore(copy, tmp_path / "new")
    again = make_server(data=tmp_path / "new").start()
    marker = move(company, again).post_event()
    receiver.wait_for(3)
    assert {r.id: r.sequence for r in receiver.of("/hook")}[marker] == 3


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_backup_without_a_server(filled, make_server, receiver, tmp_path, end):
    server, company, webhook, _ = filled
    receiver.on("/hook", behaviours.status(500))
    owed = company.post_event()
    getattr(server, end)()
    said = back_up(server, tmp_path / "copy")
    assert said["last_event"] == 3 and said["files"] == 2
    restore(tmp_path / "copy", tmp_path / "new")
    receiver.on("/hook", behaviours.ok)
    again = make_server(*QUICK, data=tmp_path / "new").start()
    wait_until(lambda: any(r.id == owed and r.answered == 200 for r in receiver.of("/hook")), 20)
    move(company, again).wait_status(webhook, oldest_owed_at=None)


def test_backup_leaves_a_stopped_directory_as_it_is(filled, tmp_path):
    server = filled[0]
    server.stop()
    before = {file.name: file.read_bytes() for file in server.data.iterdir()}
    back_up(server, tmp_path / "copy")
    assert {file.name: file.read_bytes() for file in server.data.iterdir()} == before


def test_backup_is_one_private_file_each_and_can_be_read_where_nothing_can_be_written(copy):
    names = {file.name for file in copy.iterdir()}
    assert names == {"config.db", "log-00000000000000000001.db"}
    check_private(copy)
    link = sqlite3.connect(f"file:{copy}/config.db?mode=ro", uri=True)
    assert link.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    link.close()


def test_backup_says_what_it_did(filled, tmp_path):
    done = filled[0].cli("backup", tmp_path / "copy")
    assert done.returncode == 0 and done.stderr == ""
    assert f'backed up to "{tmp_path}/copy": 2 files' in done.stdout
    assert "up to event 2" in done.stdout and "secrets" in done.stdout


def test_backup_takes_an_empty_directory(filled, tmp_path):
    (tmp_path / "copy").mkdir(mode=0o755)
    back_up(filled[0], f"{tmp_path}/copy/")
    check_private(tmp_path / "copy")


def test_backup_refuses_a_directory_with_something_in_it(filled, tmp_path):
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "mine").write_text("keep")
    done = filled[0].cli("backup", tmp_path / "copy")
    assert done.returncode == 1 and "not empty" in done.stderr
    assert [file.name for file in (tmp_path / "copy").iterdir()] == ["mine"]
    assert not (tmp_path / "copy.partial").exists()


def test_backup_takes_over_what_a_killed_one_left(filled, tmp_path):
    partial = tmp_path / "copy.partial"
    partial.mkdir(mode=0o700)
    (partial / "config.db.partial").write_text("half")
    (partial / "log-00000000000000000001.db").write_text("half")
    (partial / "log-00000000000000000099.db").write_text("half")
    back_up(filled[0], tmp_path / "copy")
    assert not partial.exists()
    assert len(list((tmp_path / "copy").iterdir())) == 2
    restore(tmp_path / "copy", tmp_path / "new")


def test_backup_of_no_data_directory_says_so(tmp_path):
    for data in tmp_path, tmp_path / "missing":
        done = run_cli("backup", tmp_path / "copy", data=data)
        assert done.returncode == 1 and "no data of hookswitch" in done.stderr, done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [("backup",), ("restore",), ("backup", "a", "b"),
                                       ("restore", "a", "b"), ("backup", "")], ids=str)
def test_a_wrong_command_line_is_a_usage_error(tmp_path, arguments):
    done = run_cli(*arguments, data=tmp_path / "data", cwd=tmp_path)
    assert done.returncode == 2 and f"hookswitch help {arguments[0]}" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_restore_refuses_the_directory_of_a_running_server(filled, copy):
    server, company, _, _ = filled
    done = run_cli("restore", copy, data=server.data)
    assert done.returncode == 1 and f"pid {server.pid}" in done.stderr, done.stderr
    assert company.get("/v1/ping").status_code == 200


def test_restore_refuses_a_directory_with_data(filled, copy):
    server = filled[0]
    server.stop()
    before = {file.name: file.read_bytes() for file in server.data.iterdir() if
              file.name != "lock"}
    done = run_cli("restore", copy, data=server.data)
    assert done.returncode == 1 and "not empty" in done.stderr
    assert {file.name: file.read_bytes() for file in server.data.iterdir() if
            file.name != "lock"} == before


def test_restore_of_something_else_says_so_and_leaves_nothing(tmp_path):
    (tmp_path / "other").mkdir()
    done = run_cli("restore", tmp_path / "other", data=tmp_path / "new")
    assert done.returncode == 1 and "no data of hookswitch" in done.stderr
    assert not (tmp_path / "new").exists()


def test_restore_refuses_a_damaged_backup(copy, tmp_path):
    file = copy / "log-00000000000000000001.db"
    bytes_ = bytearray(file.read_bytes())
    for page in range(2, len(bytes_) // 4096):
        bytes_[page * 4096:page * 4096 + 64] = b"\xff" * 64
    file.write_bytes(bytes_)
    done = run_cli("restore", copy, data=tmp_path / "new")
    assert done.returncode == 1, done.stdout
    assert "damaged" in done.stderr or "malformed" in done.stderr, done.stderr
    assert not (tmp_path / "new").exists()


def test_restore_refuses_a_backup_with_a_gap(make_server, receiver, tmp_path):
    server = make_server(*SMALL_FILES).start()
    producer = Producer(server.add_company())
    producer.start()
    wait_until(lambda: len(list(server.data.glob("log-*.db"))) >= 4, 60, "four log files")
    producer.end()
    back_up(server, tmp_path / "copy")
    sorted((tmp_path / "copy").glob("log-*.db"))[1].unlink()
    done = run_cli("restore", tmp_path / "copy", data=tmp_path / "new")
    assert done.returncode == 1 and "does not follow" in done.stderr
    assert not (tmp_path / "new").exists()


def test_restore_refuses_a_newer_format(copy, tmp_path):
    link = sqlite3.connect(copy / "config.db")
    link.execute("PRAGMA user_version=99")
    link.commit()
    link.close()
    done = run_cli("restore", copy, data=tmp_path / "new")
    assert done.returncode == 1 and "newer" in done.stderr
    assert not (tmp_path / "new").exists()


def test_a_restore_that_was_cut_short_cannot_be_served(copy, tmp_path):
    """config.db comes last; without it nobody starts on half of a log."""
    shutil.copytree(copy, tmp_path / "half")
    (tmp_path / "half" / "config.db").rename(tmp_path / "half" / "config.db.partial")
    server = Server(tmp_path / "half")
    server.start(wait=False)
    assert server.wait() == 1
    assert "config.db" in server.tail()


def test_a_bad_index_is_left_out(make_server, receiver, tmp_path):
    server = make_server(*SMALL_FILES).start()
    company = server.add_company()
    webhook = company.subscribe(receiver)
    producer = Producer(company)
    producer.start()
    wait_until(lambda: len(list(server.data.glob("log-*.db"))) >= 4, 60, "four log files")
    producer.end()
    company.wait_status(webhook, oldest_owed_at=None, timeout=60)
    server.stop()
    back_up(server, tmp_path / "copy")
    index = sorted((tmp_path / "copy").glob("index-*.db"))[0]
    index.write_bytes(index.read_bytes()[:4096] + b"\xff" * 8192)
    restore(tmp_path / "copy", tmp_path / "new")
    assert not (tmp_path / "new" / index.name).exists()
    again = move(company, make_server(*SMALL_FILES, data=tmp_path / "new").start())
    assert again.event(producer.ids[0])["id"] == producer.ids[0]
    assert len(again.deliveries(webhook, limit=100)) == 100


def test_a_signal_ends_a_backup_and_leaves_nothing(make_server, tmp_path):
    """The copy is stopped at its first look: the target is a pipe's worth of work away."""
    server = make_server().start()
    server.add_company()
    command = [binary(), "backup", str(tmp_path / "copy"), "--data", str(server.data)]
    # Blocked in the parent and sent before the exec, so that it is pending from the first moment.
    child = subprocess.Popen(
        command, stderr=subprocess.PIPE, env=clean_environment(), text=True,
        preexec_fn=lambda: (signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT]),
                            os.kill(os.getpid(), signal.SIGINT)))
    _, said = child.communicate(timeout=20 * SCALE)
    assert child.returncode == 1 and "interrupted" in said
    assert not (tmp_path / "copy").exists() and not (tmp_path / "copy.partial").exists()


def test_a_terminal_sees_how_far_it_is(filled, tmp_path):
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [binary(), "backup", str(tmp_path / "copy"), "--data", str(filled[0].data)],
        stdout=subprocess.PIPE, stderr=theirs, env=clean_environment(), timeout=20 * SCALE)
    os.close(theirs)
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    assert done.returncode == 0
    assert "backing up [" in shown and shown.endswith("\r\x1b[K")


def test_a_backup_does_not_stop_the_server(make_server, receiver, tmp_path):
    """A reader that stays (here: a backup that was suspended) delays commits by moments only."""
    server = make_server("--snapshot-bytes", "1GiB").start()
    company = server.add_company()
    log = server.data / "log-00000000000000000001.db"
    link = sqlite3.connect(f"file:{log}?mode=ro", uri=True)
    link.execute("BEGIN")
    link.execute("SELECT count(*) FROM block").fetchone()
    wal = server.data / (log.name + "-wal")
    data = {"id": 1, "pad": "x" * 900000}
    begin = time.monotonic()
    while wal.stat().st_size < 100 << 20:
        company.post_events([{"event": "call.created", "data": data}] * 4)
        # A commit that waits for the reader waits for ever, or until a limit of SQLite's.
        assert time.monotonic() - begin < 60 * SCALE, "commits wait for a reader"
    link.close()
