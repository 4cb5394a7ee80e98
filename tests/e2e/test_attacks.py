"""Clients and receivers that mean harm: nothing grows, hangs, leaks, or stops the others."""

import base64
import json
import os
import pathlib
import socket
import subprocess
import tempfile
import threading
import time

import pytest
from harness import behaviours
from harness.client import assert_refusal
from harness.server import Server, binary, run_cli
from harness.wait import SCALE, wait_until

ONE = b'{"event":"call.created","data":{"id":1}}'


def connect(server):
    host, _, port = server.url.partition("://")[2].partition(":")
    return socket.create_connection((host, int(port)), timeout=30 * SCALE)


def credentials(company):
    pair = f"{company.api_id}:{company.api_token}".encode()
    return b"Authorization: Basic " + base64.b64encode(pair) + b"\r\n"


def read_all(link):
    """What comes until the server closes."""
    got = b""
    try:
        while part := link.recv(65536):
            got += part
    except ConnectionError:
        pass
    return got


def metric(server, name):
    """Read over a connection of its own, without credentials."""
    with connect(server) as link:
        link.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        text = read_all(link).decode()
    return next(float(line.split()[1]) for line in text.splitlines() if line.startswith(name + " "))


# -- heads that two servers read in two ways

CHUNKED = b"%x\r\n%s\r\n0\r\n\r\n" % (len(ONE), ONE)
ODD_HEADS = {
    "space behind a length": (b"Content-Length : %d\r\n" % len(ONE), ONE),
    "space behind an encoding": (b"Transfer-Encoding : chunked\r\n", CHUNKED),
    "folded length": (b"Content-Length: 1\r\n 0\r\n", b"0123456789"),
    "folded encoding": (b"Transfer-Encoding:\r\n chunked\r\n", CHUNKED),
    "encoding in a fold": (b"X: a\r\n Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", b"{} "),
    "encoding behind a bare CR":
        (b"X: a\rTransfer-Encoding: chunked\r\nContent-Length: 3\r\n", b"{} "),
    "length and encoding": (b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", CHUNKED),
    "two lengths": (b"Content-Length: 3\r\nContent-Length: 3\r\n", b"{} "),
    "list of lengths": (b"Content-Length: 3, 3\r\n", b"{} "),
    "signed length": (b"Content-Length: +3\r\n", b"{} "),
    "two encodings": (b"Transfer-Encoding: gzip, chunked\r\n", CHUNKED),
    "unknown encoding": (b"Transfer-Encoding: xchunked\r\n", CHUNKED),
    "two hosts": (b"Host: y\r\nContent-Length: 3\r\n", b"{} "),
}


@pytest.mark.parametrize("fields, body", ODD_HEADS.values(), ids=ODD_HEADS.keys())
def test_no_request_hides_in_another(company, fields, body):
    """One 400, and the end of the connection: what follows is never read as a request."""
    hidden = b"GET /v1/ping HTTP/1.1\r\nHost: x\r\n" + credentials(company) + b"\r\n"
    with connect(company.server) as link:
        link.sendall(b"POST /v1/events HTTP/1.1\r\nHost: x\r\n" + credentials(company) + fields
                     + b"\r\n" + body + hidden)
        got = read_all(link)
    assert got.startswith(b"HTTP/1.1 400 "), got[:300]
    assert b"pong" not in got and b" 202 " not in got and b" 405 " not in got, got


# -- who takes their time

@pytest.fixture
def hasty(make_server):
    return make_server("--inbound-head-s", "1", "--inbound-transfer-s", "2",
                       "--max-connections", "16", "--max-waiting-bytes", "1MiB",
                       "--max-request-bytes", "512KiB", "--max-event-bytes", "512KiB").start()


def test_slow_heads_keep_nobody_out(hasty):
    company = hasty.add_company()
    crowd = [connect(hasty) for _ in range(40)]
    for link in crowd:
        link.sendall(b"GET / HTTP/1.1\r\nX-Slow: ")
    assert company.get("/v1/ping").status_code == 200
    for link in crowd:
        assert read_all(link) == b""
        link.close()
    assert metric(hasty, "hookswitch_http_timeouts_total") >= 40


def test_a_body_that_trickles_ends(hasty):
    company = hasty.add_company()
    with connect(hasty) as link:
        link.sendall(b"POST /v1/events HTTP/1.1\r\nHost: x\r\n" + credentials(company)
                     + b"Content-Length: 100000\r\n\r\n")
        got, until = b"", time.monotonic() + 30 * SCALE
        link.settimeout(0.1)
        while not got and time.monotonic() < until:
            try:
                link.sendall(b" ")
                got = link.recv(65536)
            except socket.timeout:
                pass
            except ConnectionError:
                break  # the answer may be lost when the next byte meets a closed socket
        else:
            assert got.startswith(b"HTTP/1.1 408 "), got
    wait_until(lambda: metric(hasty, "hookswitch_http_waiting_bytes") == 0, 10)


def test_one_company_cannot_take_the_room_of_all(hasty):
    greedy, modest = hasty.add_company(), hasty.add_company()
    links = [connect(hasty) for _ in range(12)]
    for link in links:
        link.sendall(b"POST /v1/events HTTP/1.1\r\nHost: x\r\n" + credentials(greedy)
                     + b"Content-Length: 200000\r\n\r\n" + b" " * 199999)
    wait_until(lambda: metric(hasty, "hookswitch_http_waiting_bytes") > 400000, 10, pause=0.01)
    assert modest.post_raw(ONE).status_code == 202
    for link in links:
        link.close()


def test_one_company_cannot_take_the_commit_queue_of_all(make_server):
    server = make_server("--commit-queue-events", "100").start()
    greedy, modest = server.add_company(), server.add_company()
    batch = [{"event": "call.created", "data": {"id": n}} for n in range(10)]
    stop, answers = threading.Event(), []

    def flood():
        while not stop.is_set():
            answers.append(greedy.post("/v1/events", json={"events": batch}).status_code)

    crowd = [threading.Thread(target=flood) for _ in range(16)]
    for thread in crowd:
        thread.start()
    try:
        wait_until(lambda: len(answers) > 32, 20)
        assert {modest.post_raw(ONE).status_code for _ in range(60)} == {202}
    finally:
        stop.set()
        for thread in crowd:
            thread.join()
    assert set(answers) <= {202, 429}


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", "/metrics"])
def test_open_routes_keep_no_body(hasty, path):
    with connect(hasty) as link:
        link.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n".encode()
                     + b"a" * 199999)
        # The next connection is served behind the bytes above or beside them: both show zero.
        assert metric(hasty, "hookswitch_http_waiting_bytes") == 0
        link.sendall(b"a")
        assert link.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_connections_leave_files_for_the_store(make_server, receiver):
    class Poor(Server):
        def command(self):
            return ["prlimit", "--nofile=160:160", *super().command()]

    server = make_server()
    server.__class__ = Poor
    server.start()
    company = server.add_company()
    company.subscribe(receiver)
    crowd = [connect(server) for _ in range(300)]
    # It goes on for who is connected already, for local commands and for deliveries.
    event = company.post_event()
    wait_until(lambda: event in receiver.ids("/hook"), 10)
    assert server.cli("company", "list").returncode == 0
    for link in crowd:
        link.close()
    assert server.running()


# -- the neighbour

def test_another_companys_things_do_not_exist(shared, receiver):
    mine, other = shared.add_company(), shared.add_company()
    webhook = mine.subscribe(receiver)
    event = mine.post_event()
    receiver.wait_for(1)
    delivery = wait_until(lambda: mine.deliveries(webhook), 10)[0]["id"]
    ids = (webhook["webhook_id"], webhook["id"])
    paths = [f"/v1/events/{event}", f"/v1/deliveries/{delivery}"]
    paths += [f"/v1/webhooks/{one}{rest}" for one in ids
              for rest in ("", "/secret", "/status", "/deliveries",
                           "/deliveries?before=s0000000000000002")]
    for path in paths:
        assert mine.get(path).status_code == 200, path
        assert_refusal(other.get(path), 404)
    for one in ids:
        assert_refusal(other.put(f"/v1/webhooks/{one}", json={"active": False}), 404)
        assert_refusal(other.post(f"/v1/webhooks/{one}", json={"active": False}), 404)
        assert_refusal(other.delete(f"/v1/webhooks/{one}"), 404)
    assert other.get("/v1/webhooks").json()["meta"]["total"] == 0
    # An idempotency key is each company's own.
    for company in (mine, other):
        answer = company.post_raw(ONE, Idempotency_Key="same")
        assert answer.status_code == 202 and "Idempotency-Replayed" not in answer.headers
    assert mine.webhook(webhook)["active"] is True


def test_answers_are_for_no_browser_and_no_cache(company):
    for answer in (company.get("/v1/webhooks"), company.get("/nowhere"),
                   company.get("/v1/ping", auth=False), company.get("/metrics", auth=False)):
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
        assert "html" not in answer.headers["Content-Type"]


def test_secrets_and_control_characters_stay_out_of_the_log(make_server):
    server = make_server().start()
    company = server.add_company("Sésame")
    wrong = ("nobody", company.api_token[::-1])
    company.get("/v1/webhooks/%0d%0a%1b[31m", auth=wrong)
    with connect(server) as link:
        link.sendall(b'GET /v1/webhooks/\xff\x1b[31m"\\ HTTP/1.1\r\nHost: x\r\n'
                     b"Connection: close\r\n\r\n")
        assert read_all(link).startswith(b"HTTP/1.1 401 ")
    company.post_event(data={"id": "a\nb", "secret": "data-of-a-company"})
    assert server.stop() == 0
    log = "\n".join(server.stderr[1:])
    for line in server.stderr[1:]:
        assert isinstance(json.loads(line), dict)
    assert "\x1b" not in log and "data-of-a-company" not in log
    stored = b"".join(path.read_bytes() for path in server.data.iterdir() if path.is_file())
    for secret in (company.api_token, wrong[1]):
        assert secret not in log and secret.encode() not in stored


# -- receivers

def raw(*parts, keep=False):
    async def behave(exchange):
        for part in parts:
            exchange.writer.write(part)
        await exchange.writer.drain()
        if keep:
            await exchange.gone()
        return not keep

    return behave


NASTY = b"\x1b[31m\x00\xff\xfe\"\\</script>\r\nHTTP/1.1 200 OK\r\n\r\n{}"


def test_what_a_receiver_says_stays_text(make_server, receiver):
    company = make_server("--retry-schedule", "60").start().add_company()
    receiver.on("/hook", behaviours.status(500, NASTY, [("Content-Encoding", "gzip")]))
    webhook = company.subscribe(receiver)
    attempt = company.wait_attempt(webhook, company.post_event())[0]
    assert attempt["response_body"] == NASTY.decode("utf-8", "replace")


CONFUSING = {
    "two answers": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 500 No\r\n\r\n",
    "length and encoding": (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"
                            b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "more than its length": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more",
}


@pytest.mark.parametrize("answer", CONFUSING.values(), ids=CONFUSING.keys())
def test_a_confusing_answer_ends_its_connection(make_server, receiver, answer):
    """What is left of it must not be taken for the answer to the next request."""
    company = make_server("--retry-schedule", "60").start().add_company()
    receiver.on("/hook", raw(answer))
    webhook = company.subscribe(receiver)
    for n in range(3):
        event = company.post_event(data={"id": n})
        assert company.wait_attempt(webhook, event)[0]["status"] == 200
    assert {request.nth for request in receiver.of("/hook")} == {0}


@pytest.mark.parametrize("value", ["99999999999999999999999", "-5", "1e9", "\x1b[31m",
                                   "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_retry_after_cannot_postpone_for_ever(make_server, receiver, value):
    company = make_server("--retry-schedule", "60").start().add_company()
    receiver.on("/hook", behaviours.status(503, b"", [("Retry-After", value)]))
    webhook = company.subscribe(receiver)
    company.wait_attempt(webhook, company.post_event())
    due = company.deliveries(webhook)[0]["next_attempt_at"]
    assert due < time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 2 * 3600))


# -- the same machine

def test_files_are_closed_even_in_an_open_directory(make_server, tmp_path):
    data = tmp_path / "open"
    data.mkdir(mode=0o755)
    before = os.umask(0)
    try:
        server = make_server(data=data).start()
        server.add_company().post_event()
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in data.iterdir()}
    assert set(modes.values()) == {0o600}, modes
    assert any("chmod 700" in line for line in server.stderr)


def test_a_lock_that_is_a_link_is_not_followed(tmp_path):
    data, victim = tmp_path / "data", tmp_path / "victim"
    data.mkdir(mode=0o700)
    victim.write_text("precious")
    (data / "lock").symlink_to(victim)
    done = run_cli("company", "add", "Acme", data=data)
    assert done.returncode == 1 and "lock" in done.stderr
    assert victim.read_text() == "precious"


@pytest.mark.skipif(os.geteuid() != 0 or not pathlib.Path("/usr/bin/setpriv").exists(),
                    reason="only root can be somebody else")
def test_the_directory_of_another_user_is_refused():
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)  # unlike tmp_path's parents, which are pytest's own
        refuses_the_directory(pathlib.Path(folder))


def refuses_the_directory(folder):
    program = folder / "hookswitch"
    program.write_bytes(pathlib.Path(binary()).read_bytes())
    program.chmod(0o755)
    data = folder / "data"
    data.mkdir()
    data.chmod(0o777)
    done = subprocess.run(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", str(program), "company",
         "list", "--data", str(data)], capture_output=True, text=True, timeout=20 * SCALE)
    assert done.returncode == 1 and "another user" in done.stderr, done.stderr
    assert list(data.iterdir()) == []


@pytest.mark.parametrize("name", ["\x1b[31mred", "\x9b31m", "a\nb", "\x7f"])
def test_names_give_terminals_no_orders(tmp_path, name):
    data = tmp_path / "data"
    done = run_cli("company", "add", name, data=data)
    assert done.returncode != 0
    shown = run_cli("credential", "list", name, data=data)
    assert shown.returncode != 0
    for text in (done.stderr, shown.stderr):
        assert not any(ord(c) < 0x20 and c != "\n" or 0x7F <= ord(c) < 0xA0 for c in text), text


def test_commands_survive_a_kill(tmp_path):
    """Whatever moment it is killed at, the next one works, and what is there can be used."""
    data = tmp_path / "data"
    for n in range(15):
        process = subprocess.Popen([binary(), "company", "add", f"C{n}", "--data", str(data)],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.003 * n)
        process.kill()
        process.wait(10)
    assert run_cli("company", "add", "Last", data=data).returncode == 0
    done = run_cli("company", "list", "--json", data=data)
    assert done.returncode == 0, done.stderr
    names = [company["name"] for company in json.loads(done.stdout)["companies"]]
    assert names[-1] == "Last" and len(set(names)) == len(names)
    for name in names:
        # A token that was never shown is of no use; a company is given another one.
        made = run_cli("credential", "add", name, "--json", data=data)
        assert made.returncode == 0 and json.loads(made.stdout)["api_token"], made.stderr


# -- a data directory that lost a part

@pytest.mark.parametrize("empty", [False, True], ids=["missing", "empty"])
def test_logs_without_config_are_refused(make_server, empty):
    """Companies would be numbered anew and read each other's events."""
    server = make_server().start()
    server.add_company().post_event()
    server.stop()
    config = pathlib.Path(server.data) / "config.db"
    config.unlink()
    for rest in pathlib.Path(server.data).glob("config.db-*"):
        rest.unlink()
    if empty:
        config.touch()
    done = subprocess.run([binary(), "serve", "--data", str(server.data), "--listen", "127.0.0.1:0"],
                          capture_output=True, text=True, timeout=30 * SCALE)
    assert done.returncode == 1
    assert "config.db" in done.stderr and "backup" in done.stderr, done.stderr


def test_an_endless_order_key_is_refused(make_server):
    company = make_server().start().add_company()
    body = json.dumps({"event": "call.created", "data": {"id": "x" * 600}}).encode()
    assert_refusal(company.post_raw(body), 400, "id", "512")
    body = json.dumps({"event": "call.created", "data": {"id": "x" * 500}}).encode()
    assert company.post_raw(body).status_code == 202
