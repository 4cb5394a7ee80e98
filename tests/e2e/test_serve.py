"""`hookswitch serve`: the ready line, the data directory, signals, one server per directory."""

import json
import os
import signal
import stat

import pytest
from harness import behaviours
from harness.server import run_cli
from harness.wait import wait_until


def test_ready_line_is_first_and_exact(make_server):
    server = make_server().start()
    ready = json.loads(server.stdout[0])
    assert set(ready) >= {"ready", "url", "pid"}
    assert ready["ready"] is True and ready["pid"] == server.pid
    assert ready["url"].startswith("http://127.0.0.1:") and int(ready["url"].rsplit(":", 1)[1]) > 0


def test_ready_line_comes_when_it_really_answers(make_server):
    server = make_server().start()
    company = server.add_company()
    assert company.get("/v1/ping").json() == {"ping": "pong"}


def test_log_is_json_lines_on_stderr(make_server):
    server = make_server().start()
    assert server.stop() == 0
    lines = [line for line in server.stderr if not line.startswith("---")]
    assert lines, "a server says at least that it started"
    for line in lines:
        assert isinstance(json.loads(line), dict), line


def test_data_directory_is_private(make_server):
    server = make_server().start()
    assert stat.S_IMODE(os.stat(server.data).st_mode) == 0o700


def test_default_data_directory(tmp_path):
    done = run_cli("company", "add", "Acme", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE(os.stat(tmp_path / "hookswitch-data").st_mode) == 0o700


def test_second_server_is_refused_with_the_pid_of_the_first(make_server):
    first = make_server().start()
    second = make_server(data=first.data)
    second.start(wait=False)
    assert second.wait() not in (0, 2)
    assert str(first.pid) in "\n".join(second.stderr)
    assert second.stdout == []
    assert first.running() and first.add_company().get("/v1/ping").status_code == 200


def test_stale_lock_of_a_killed_server_does_not_matter(make_server):
    server = make_server().start()
    server.kill()
    server.start()
    assert server.add_company().get("/v1/ping").status_code == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_it_with_0(make_server, number):
    server = make_server().start()
    server.process.send_signal(number)
    assert server.wait() == 0


def test_sigterm_with_attempts_in_flight(make_server, receiver):
    server = make_server("--deliver-timeout-ms", "30000").start()
    company = server.add_company()
    receiver.on("/hook", behaviours.hang)
    company.subscribe(receiver)
    company.post_events([{"event": "call.created", "data": {"id": n}} for n in range(5)])
    wait_until(lambda: receiver.in_flight >= 1, 10)
    assert server.stop(timeout=25) == 0, server.tail()


def test_sigterm_keeps_what_is_in_flight(make_server, receiver):
    server = make_server().start()
    company = server.add_company()
    receiver.on("/hook", behaviours.hang)
    company.subscribe(receiver)
    event = company.post_event()
    wait_until(lambda: receiver.in_flight == 1, 10)
    receiver.on("/hook", behaviours.ok)
    assert server.stop(timeout=25) == 0, server.tail()
    server.start()
    wait_until(lambda: [r for r in receiver.of("/hook") if r.answered == 200], 20)
    assert receiver.ids("/hook") == {event}


def test_idle_connections_do_not_delay_the_shutdown(make_server, receiver):
    server = make_server().start()
    company = server.add_company()
    company.subscribe(receiver)
    company.post_event()
    receiver.wait_for(1)
    assert server.stop(timeout=8) == 0


def test_plain_http_beyond_loopback_warns(make_server):
    server = make_server(listen="0.0.0.0:0").start()
    server.stop()
    assert any("http" in line.lower() and '"warn' in line.lower() for line in server.stderr), \
        server.tail()


def test_inbound_tls(make_server, ca):
    cert, key = ca.leaf("good")
    server = make_server("--tls-cert", cert, "--tls-key", key).start()
    assert server.url.startswith("https://127.0.0.1:")
    company = server.add_company()
    assert company.get("/v1/ping", verify=str(ca.ca_file)).status_code == 200


def test_unreadable_certificate_is_refused_before_ready(make_server, tmp_path):
    server = make_server("--tls-cert", tmp_path / "none.pem", "--tls-key", tmp_path / "none.key")
    server.start(wait=False)
    assert server.wait() != 0 and server.stdout == []
    assert "none.pem" in "\n".join(server.stderr)


def test_unreadable_ca_file_is_refused_before_ready(make_server, tmp_path):
    server = make_server(ca_file=tmp_path / "missing-ca.pem")
    server.start(wait=False)
    assert server.wait() != 0 and server.stdout == []
    assert "missing-ca.pem" in "\n".join(server.stderr)


def test_address_in_use_is_an_error(make_server):
    first = make_server().start()
    second = make_server(listen=first.url.removeprefix("http://"))
    second.start(wait=False)
    assert second.wait() not in (0, 2) and second.stdout == []
