"""POST /v1/events: what is accepted, what is refused and how exactly; GET /v1/events/:id."""

import json
import re
import socket
import time

import pytest
from harness.client import assert_refusal
from harness.wait import SCALE, wait_until

ONE = b'{"event":"call.created","data":{"id":1}}'


def test_one_event_is_202_with_its_id(company):
    answer = company.post_raw(ONE)
    assert answer.status_code == 202
    body = answer.json()
    assert list(body) == ["events"] and len(body["events"]) == 1
    assert re.fullmatch(r"evt_[0-9A-Za-z]+", body["events"][0]["id"])


def test_batch_ids_come_in_order_and_ascend(company):
    ids = company.post_events([{"event": "call.created", "data": {"id": n}} for n in range(1000)])
    assert len(set(ids)) == 1000 and ids == sorted(ids)


def test_a_batch_of_one(company):
    assert len(company.post_events([{"event": "call.created", "data": {}}])) == 1


def test_bearer_may_post_events(company):
    answer = company.post("/v1/events", data=ONE, auth=False, headers={
        "Authorization": f"Bearer {company.api_token}", "Content-Type": "application/json"})
    assert answer.status_code == 202


def test_chunked_body_is_accepted(company):
    answer = company.post("/v1/events", data=iter([ONE[:10], ONE[10:]]),
                          headers={"Content-Type": "application/json"})
    assert answer.status_code == 202, answer.text


def offset_of(answer):
    """The byte offset that a refusal names."""
    errors = answer.json().get("errors")
    assert errors, answer.text
    assert all({"index", "offset", "message"} <= set(one) for one in errors), errors
    assert all(type(one["offset"]) is int and one["message"] for one in errors), errors
    return errors[0]["offset"]


NEST = b'{"event":"call.created","data":{"x":' + b"[" * 100 + b"]" * 100 + b"}}"

INVALID = [
    ("empty object", b"{}", None),
    ("no data", b'{"event":"call.created"}', None),
    ("no event", b'{"data":{}}', None),
    ("event is a number", b'{"event":5,"data":{}}', None),
    ("unknown event", b'{"event":"call.exploded","data":{}}', None),
    ("data is null", b'{"event":"call.created","data":null}', None),
    ("data is a list", b'{"event":"call.created","data":[]}', None),
    ("data is text", b'{"event":"call.created","data":"{}"}', None),
    ("timestamp is text", b'{"event":"call.created","data":{},"timestamp":"now"}', None),
    ("timestamp is a fraction", b'{"event":"call.created","data":{},"timestamp":1.5}', None),
    ("timestamp is negative", b'{"event":"call.created","data":{},"timestamp":-1}', None),
    ("timestamp is huge", b'{"event":"call.created","data":{},"timestamp":1e99}', None),
    ("not json", b"hello", 0),
    ("cut", b'{"event":"call.created","data":{', None),
    ("trailing word", ONE + b" x", len(ONE) + 1),
    ("trailing object", ONE + b"{}", len(ONE)),
    ("trailing comma", b'{"event":"call.created","data":{"a":1,}}', None),
    ("single quotes", b"{'event':'call.created'}", 1),
    ("comment", b'{"event":"call.created","data":{}/**/}', None),
    ("NaN", b'{"event":"call.created","data":{"a":NaN}}', None),
    ("leading zero", b'{"event":"call.created","data":{"a":01}}', None),
    ("control character", b'{"event":"call.created","data":{"a":"\x01"}}', None),
    ("bad escape", b'{"event":"call.created","data":{"a":"\\x41"}}', None),
    ("bare 0xff", b'{"event":"call.created","data":{"a":"\xff"}}', 37),
    ("overlong", b'{"event":"call.created","data":{"a":"\xc0\xaf"}}', 37),
    ("surrogate in utf-8", b'{"event":"call.created","data":{"a":"\xed\xa0\x80"}}', 37),
    ("utf-16", ONE.decode().encode("utf-16"), None),
    ("depth", NEST, None),
    ("top is a list", b"[" + ONE + b"]", None),
    ("empty body", b"", None),
    ("empty batch", b'{"events":[]}', None),
    ("batch is no list", b'{"events":{}}', None),
    ("both forms", b'{"event":"call.created","data":{},"events":[' + ONE + b"]}", None),
    ("event twice", b'{"event":"call.created","event":"call.ended","data":{}}', None),
]


@pytest.mark.parametrize("body, offset", [row[1:] for row in INVALID],
                         ids=[row[0] for row in INVALID])
def test_invalid_is_400(company, body, offset):
    answer = company.post_raw(body)
    assert_refusal(answer, 400)
    if offset is not None:
        assert offset_of(answer) == offset, answer.text


def test_the_byte_offset_is_named(company):
    """Every refusal for a place in the body names that place."""
    body = b'{"event":"call.created","data":[]}'
    answer = company.post_raw(body)
    assert 0 <= offset_of(answer) <= len(body)


def test_depth_of_64_and_less_is_fine(company):
    body = b'{"event":"call.created","data":{"x":' + b"[" * 50 + b"]" * 50 + b"}}"
    assert company.post_raw(body).status_code == 202


def test_unknown_event_is_named(company):
    assert_refusal(company.post_raw(b'{"event":"call.exploded","data":{}}'), 400, "call.exploded")


def test_a_batch_is_refused_whole_with_every_fault(company, receiver):
    company.subscribe(receiver)
    batch = {"events": [{"event": "call.created", "data": {"id": 1}},
                        {"event": "call.exploded", "data": {}},
                        {"event": "call.created", "data": {"id": 2}},
                        {"event": "call.created", "data": []}]}
    body = json.dumps(batch).encode()
    answer = company.post_raw(body)
    assert_refusal(answer, 400)
    errors = answer.json()["errors"]
    assert [one["index"] for one in errors] == [1, 3], errors
    for one in errors:
        assert set(one) == {"index", "offset", "message"}
        assert type(one["offset"]) is int and 0 <= one["offset"] < len(body) and one["message"]
    assert errors[0]["offset"] < errors[1]["offset"]
    assert "call.exploded" in errors[0]["message"]
    good = company.post_event()
    receiver.wait_for(1)
    assert receiver.ids("/hook") == {good}, "nothing of a refused batch is delivered"


def test_1001_events_are_refused(company):
    batch = {"events": [{"event": "call.created", "data": {}}] * 1001}
    assert_refusal(company.post("/v1/events", json=batch), 400, "1000")


def big_event(size):
    frame = b'{"event":"call.created","data":{"x":"%s"}}'
    return frame % (b"a" * (size - len(frame) + 2))


def test_an_event_just_under_the_limit_is_accepted(company):
    assert company.post_raw(big_event(1024 * 1024 - 64)).status_code == 202


def test_an_event_over_1_mib_is_413(company):
    assert_refusal(company.post_raw(big_event(1024 * 1024 + 4096)), 413)


def test_a_request_over_8_mib_is_413_by_its_length(company):
    body = b'{"events":[' + b",".join([big_event(1000 * 1000)] * 9) + b"]}"
    assert_refusal(company.post_raw(body), 413)
    assert company.get("/v1/ping").status_code == 200


def test_a_request_over_8_mib_is_413_when_chunked(company):
    def chunks():
        yield b'{"events":['
        for _ in range(9):
            yield big_event(1000 * 1000) + b","
        yield ONE + b"]}"

    answer = company.post("/v1/events", data=chunks(), headers={"Content-Type": "application/json"})
    assert_refusal(answer, 413)


def test_a_management_request_over_the_limit_is_413(company):
    body = json.dumps({"url": "https://example.com/", "x": "a" * (9 << 20)})
    assert_refusal(company.post_raw(body.encode(), "/v1/webhooks"), 413)


def head(company, length, extra=""):
    import base64
    pair = base64.b64encode(f"{company.api_id}:{company.api_token}".encode()).decode()
    return (f"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {pair}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {length}\r\n{extra}\r\n").encode()


def connect(company):
    host, port = company.server.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=20 * SCALE)


def test_a_too_long_request_is_refused_at_its_head(company):
    """The answer comes although not a byte of the body was sent."""
    with connect(company) as link:
        link.sendall(head(company, 1 << 30, "Expect: 100-continue\r\n"))
        assert link.recv(65536).startswith(b"HTTP/1.1 413 ")


def test_all_waiting_bodies_together_are_limited(make_server):
    """13 uploads of 8 MiB, each but for its last MiB: 91 MiB wait. Those beyond the 64 are told so
    when they are complete; what they sent was not kept."""
    server = make_server().start()
    company = server.add_company()
    links, answers = [], []
    try:
        for _ in range(13):
            link = connect(company)
            links.append(link)
            link.sendall(head(company, 8 << 20))
            link.sendall(b" " * (7 << 20))
        for link in links:
            link.settimeout(10)
            link.sendall(b" " * (1 << 20))
            answers.append(link.recv(65536).split(b"\r\n")[0])
    finally:
        for link in links:
            link.close()
    refused = [answer for answer in answers if answer.startswith(b"HTTP/1.1 429 ")]
    assert 3 <= len(refused) <= 12, answers
    wait_until(lambda: company.post_raw(ONE).status_code == 202, 10, "room again")


def test_a_client_that_goes_away_costs_nothing(company):
    for _ in range(50):
        with connect(company) as link:
            link.sendall(head(company, 1000) + b'{"event"')
    assert company.post_raw(ONE).status_code == 202


@pytest.mark.parametrize("text", [
    b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00", b"POST /v1/events HTTP/1.1\r\n\r\n",
    b"GET /" + b"a" * 200000 + b" HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20000 + b"\r\n",
    b"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
    b"POST /v1/events HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
], ids=["version", "tls hello", "no host", "long target", "many fields", "negative", "bad chunk"])
def test_malformed_http_does_not_hurt(company, text):
    with connect(company) as link:
        try:
            link.sendall(text)
            link.shutdown(socket.SHUT_WR)
            link.recv(65536)
        except OSError:
            pass
    assert company.post_raw(ONE).status_code == 202


# -- GET /v1/events/:id

def test_event_that_reaches_nobody_says_so(company):
    event = company.post_event()
    body = company.event(event)
    assert body["owed_to"] == 0 and body["deliveries"] == []


def test_event_object(company):
    event = company.post_event("call.ended", {"id": 7, "n": 1.5}, timestamp=1700000000)
    body = company.event(event)
    assert body["id"] == event and body["timestamp"] == 1700000000
    assert body["event"] == "call.ended" and body["data"] == {"id": 7, "n": 1.5}


def test_event_names_each_webhook_that_it_is_owed_to(company, receiver):
    there = company.subscribe(receiver, "/a", ["call.created"])
    paused = company.subscribe(receiver, "/b", ["call.created"])
    company.update_webhook(paused, active=False, events=["call.created"])
    company.subscribe(receiver, "/c", ["call.ended"])
    event = company.post_event("call.created")
    receiver.wait_for(1, "/a")
    wanted = {there["webhook_id"]: "delivered", paused["webhook_id"]: "held"}

    def states():
        body = company.event(event)
        assert body["owed_to"] == 2
        return {one["webhook_id"]: one["status"] for one in body["deliveries"]}

    wait_until(lambda: states() == wanted, 10, lambda: states())


def test_default_timestamp_is_the_time_of_acceptance(company, receiver):
    company.subscribe(receiver)
    before = int(time.time())
    company.post_event()
    stamp = receiver.wait_for(1)[0].json["timestamp"]
    assert type(stamp) is int and before - 1 <= stamp <= time.time() + 1


# -- Idempotency-Key

def keyed(company, key, body=ONE):
    return company.post_raw(body, Idempotency_Key=key)


def test_same_key_same_body_same_answer(company, receiver):
    company.subscribe(receiver)
    first, second = keyed(company, "k1"), keyed(company, "k1")
    assert first.status_code == second.status_code == 202
    assert first.json() == second.json()
    marker = company.post_event()
    wait_until(lambda: marker in receiver.ids("/hook"), 10)
    assert len(receiver.ids("/hook")) == 2 == len(receiver.of("/hook"))


def test_same_key_other_body_is_409(company):
    assert keyed(company, "k1").status_code == 202
    assert_refusal(keyed(company, "k1", ONE.replace(b"1", b"2")), 409, "idempotency")
    assert keyed(company, "k2", ONE.replace(b"1", b"2")).status_code == 202


def test_keys_of_companies_are_apart(shared, company):
    other = shared.add_company("Other")
    assert keyed(company, "k").json() != keyed(other, "k").json()


def test_a_refused_request_does_not_use_its_key_up(company):
    assert keyed(company, "k", b"{}").status_code == 400
    assert keyed(company, "k").status_code == 202


def test_a_batch_has_one_key(company):
    events = [{"event": "call.created", "data": {"id": n}} for n in range(50)]
    assert company.post_events(events, "batch") == company.post_events(events, "batch")


@pytest.mark.parametrize("way", ["kill", "stop"])
def test_keys_survive(make_server, way):
    server = make_server().start()
    company = server.add_company()
    first = keyed(company, "k").json()
    getattr(server, way)()
    server.start()
    assert keyed(company, "k").json() == first
    assert keyed(company, "k", ONE.replace(b"1", b"2")).status_code == 409


def test_concurrent_repeats_get_one_answer(company):
    import threading
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(keyed(company, "same")))
               for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.text for answer in answers}) == 1
