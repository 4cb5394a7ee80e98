"""The harness itself, checked with Python's own TLS and HTTP client; needs no binary."""

import http.client
import json
import pathlib
import socket
import ssl
import time

import pytest
from harness import behaviours
from harness.signature import sign, verify
from harness.wait import wait_until

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def connect(receiver, ca, timeout=5, host="127.0.0.1"):
    context = ssl.create_default_context(cafile=ca.ca_file)
    return http.client.HTTPSConnection(host, receiver.port, context=context, timeout=timeout)


def post(connection, path="/hook", body=b"{}", **headers):
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request("POST", path, body, fields)
    answer = connection.getresponse()
    return answer.status, answer.read()


def test_signature_matches_the_published_vector():
    body = b'{"test": 2432232314}'
    assert sign(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body) == \
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_changed_body_does_not_verify():
    headers = {"webhook-id": "a", "webhook-timestamp": "1",
               "webhook-signature": sign(SECRET, "a", 1, b"x")}
    assert verify(SECRET, headers, b"x") and not verify(SECRET, headers, b"y")


def test_records_head_body_and_signature(receiver, ca):
    receiver.secrets["/hook"] = SECRET
    connection = connect(receiver, ca)
    fields = {"webhook_id": "evt_1", "webhook_timestamp": "5",
              "webhook_signature": sign(SECRET, "evt_1", 5, b'{"a":1}')}
    assert post(connection, "/hook?t=1", b'{"a":1}', **fields) == (200, b"ok")
    assert post(connection, "/hook", b'{"a":2}', **fields) == (200, b"ok")
    first, second = receiver.wait_for(2)
    assert first.signed and first.json == {"a": 1} and first.target == "/hook?t=1"
    assert b"webhook-id: evt_1\r\n" in first.head.lower() and first.head.endswith(b"\r\n\r\n")
    assert second.nth == 1 and second.connection == first.connection
    assert receiver.unsigned() == [second]


@pytest.mark.parametrize("kind", ["wrong_name", "expired", "future", "self_signed", "other_ca"])
def test_bad_certificates_are_refused_by_a_strict_client(make_receiver, ca, kind):
    receiver = make_receiver(cert=kind)
    with pytest.raises(ssl.SSLCertVerificationError):
        post(connect(receiver, ca))
    assert receiver.requests == []


def test_good_certificate_is_good_for_localhost(receiver, ca):
    assert post(connect(receiver, ca, host="localhost"))[0] == 200


@pytest.mark.parametrize("code", [204, 302, 410, 429, 500, 503])
def test_status_answers(receiver, ca, code):
    receiver.on("/hook", behaviours.status(code, b"", [("Retry-After", "7")]))
    connection = connect(receiver, ca)
    assert post(connection)[0] == code
    assert post(connection)[0] == code, "the connection is kept"


@pytest.mark.parametrize("behave, error", [
    (behaviours.hang, TimeoutError),
    (behaviours.reset, ConnectionResetError),
    (behaviours.close, http.client.RemoteDisconnected),
    (behaviours.garbage, http.client.BadStatusLine),
    (behaviours.huge_head, http.client.HTTPException),
    (behaviours.bad_chunking(), http.client.IncompleteRead),
], ids=["hang", "reset", "close", "garbage", "huge_head", "bad_chunking"])
def test_hostile_answers(receiver, ca, behave, error):
    receiver.on("/hook", behave)
    with pytest.raises(error):
        post(connect(receiver, ca, timeout=0.3))


def test_endless_informational_heads(receiver, ca):
    receiver.on("/hook", behaviours.endless_informational)
    connection = connect(receiver, ca)
    connection.request("POST", "/hook", b"{}")
    got = b""
    while got.count(b"HTTP/1.1 103 ") < 50:
        got += connection.sock.recv(65536)
    assert b"HTTP/1.1 2" not in got


def test_drip_head_outlasts_a_deadline(receiver, ca):
    receiver.on("/hook", behaviours.drip_head)
    connection = connect(receiver, ca)
    connection.request("POST", "/hook", b"{}")
    time.sleep(0.3)
    connection.sock.settimeout(0.2)
    got = connection.sock.recv(1 << 16)
    assert got.startswith(b"H") and b"\r\n\r\n" not in got


def test_endless_body_keeps_coming(receiver, ca):
    receiver.on("/hook", behaviours.endless_body())
    connection = connect(receiver, ca)
    connection.request("POST", "/hook", b"{}")
    answer = connection.getresponse()
    assert answer.status == 200 and len(answer.read(200000)) == 200000
    connection.close()


@pytest.mark.parametrize("stage", ["silent", "mute"])
def test_hanging_stages(make_receiver, ca, stage):
    receiver = make_receiver(stage=stage)
    with pytest.raises((TimeoutError, socket.timeout)):
        post(connect(receiver, ca, timeout=0.3))
    assert receiver.connections == 1


def test_fail_first_then_ok(receiver, ca):
    receiver.on("/hook", behaviours.fail_first(2))
    connection = connect(receiver, ca)
    assert [post(connection)[0] for _ in range(3)] == [500, 500, 200]


def test_stale_connection_ends_on_its_second_request(receiver, ca):
    receiver.on("/hook", behaviours.stale)
    connection = connect(receiver, ca)
    assert post(connection)[0] == 200
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        post(connection)
    assert [request.answered for request in receiver.requests] == [200, None]


def test_close_idle_closes_after_the_answer(receiver, ca):
    receiver.on("/hook", behaviours.close_idle)
    connection = connect(receiver, ca)
    connection.request("POST", "/hook", b"{}")
    answer = connection.getresponse()
    assert answer.status == 200 and answer.read() == b"ok" and not answer.will_close
    assert connection.sock.recv(1) == b""


def test_slow_requests_are_in_flight(receiver, ca):
    receiver.on("/hook", behaviours.slow(0.2))
    connection = connect(receiver, ca)
    connection.request("POST", "/hook", b"{}")
    wait_until(lambda: receiver.in_flight == 1, 2)
    assert connection.getresponse().status == 200
    wait_until(lambda: receiver.in_flight == 0, 2)


def test_published_signature_vectors():
    """The harness signs as the Standard Webhooks libraries do."""
    vectors = json.loads((pathlib.Path(__file__).parent / "signature-vectors.json").read_text())
    assert len(vectors) == 8
    for vector in vectors:
        assert sign(vector["secret"], vector["id"], vector["timestamp"],
                    vector["body_utf8"].encode()) == vector["signature"], vector["name"]
