"""What arrives at a receiver: bytes, headers, signature, order, connections."""

import json
import re
import time

import pytest
from conftest import QUICK_RETRIES
from harness import behaviours
from harness.wait import wait_until

# Producer's bytes that a parser would change: they must arrive as they are.
DATA = [
    b'{"id":1}',
    b"{}",
    b'{ "id" : 1 ,\t"b":[ 1, 2 ] }',
    b'{"n":1.0e3,"m":-0.0,"big":123456789012345678901234567890,"e":1E+2}',
    b'{"t":"\\u00e9\\/\\u0000\\ud83d\\ude00"}',
    '{"t":"Zoë — 東京 ☎ 😀"}'.encode(),
    b'{"b":1,"a":2,"b":3}',
    b'{\n  "pretty": true\n}',
    b'{"token":"mine","resource":"x","data":{"data":{}}}',
]


@pytest.mark.parametrize("data", DATA, ids=lambda data: ascii(data)[2:40])
def test_body_has_five_fields_in_order_and_the_producers_bytes(company, receiver, data):
    webhook = company.subscribe(receiver)
    company.post_raw(b'{"event":"call.created","timestamp":1700000000,"data":' + data + b"}")
    body = receiver.wait_for(1)[0].body
    assert body == (b'{"resource":"call","event":"call.created","timestamp":1700000000,"token":"'
                    + webhook["token"].encode() + b'","data":' + data + b"}")


def test_bytes_survive_in_a_batch_too(company, receiver):
    company.subscribe(receiver)
    batch = b",".join(b'{"data":%s ,"event":"call.created"}' % data for data in DATA)
    assert company.post_raw(b'{"events":[' + batch + b"]}").status_code == 202
    got = {request.body.partition(b'"data":')[2][:-1] for request in receiver.wait_for(len(DATA))}
    assert got == set(DATA)


def test_a_megabyte_arrives_whole(company, receiver):
    company.subscribe(receiver)
    data = {"x": "a" * 1000000}
    company.post_event(data=data)
    assert receiver.wait_for(1)[0].json["data"] == data
    assert receiver.unsigned() == []


def test_headers(company, receiver):
    company.subscribe(receiver, "/path/x?query=a%20b&c")
    event = company.post_event()
    request = receiver.wait_for(1, "/path/x")[0]
    headers = request.headers
    assert request.method == "POST" and request.target == "/path/x?query=a%20b&c"
    assert headers["host"] == f"127.0.0.1:{receiver.port}"
    assert headers["content-type"] == "application/json"
    assert int(headers["content-length"]) == len(request.body)
    assert re.fullmatch(r"hookswitch/\d+\.\d+\.\d+", headers["user-agent"])
    assert headers["aircall-origin"] == "webhooks"
    assert headers["webhook-id"] == event
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 30
    assert headers["hookswitch-sequence"] == "1" and headers["hookswitch-attempt"] == "1"
    assert headers["webhook-signature"].startswith("v1,")


def test_signature_verifies(company, receiver):
    company.subscribe(receiver)
    company.post_events([{"event": "call.created", "data": {"id": n}} for n in range(20)])
    requests = receiver.wait_for(20)
    assert all(request.signed for request in requests)


def test_secret_has_the_standard_form(company, receiver):
    secret = company.secret(company.create_webhook(receiver.url()))
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{32,86}={0,2}", secret)


def test_each_webhook_gets_its_own_token_and_sequence(company, receiver):
    one = company.subscribe(receiver, "/one")
    company.post_event()
    two = company.subscribe(receiver, "/two")
    event = company.post_event()
    first = receiver.wait_for(2, "/one")
    second = receiver.wait_for(1, "/two")
    assert [request.json["token"] for request in first] == [one["token"]] * 2
    assert second[0].json["token"] == two["token"]
    assert [request.sequence for request in first] == [1, 2] and second[0].sequence == 1
    assert second[0].id == first[1].id == event


def test_only_subscribed_events_arrive(company, receiver):
    company.subscribe(receiver, events=["call.ended", "contact.created"])
    company.post_event("call.created")
    wanted = [company.post_event("call.ended"), company.post_event("contact.created")]
    receiver.wait_for(2)
    assert receiver.ids("/hook") == set(wanted)
    assert {request.json["resource"] for request in receiver.of("/hook")} == {"call", "contact"}


def test_events_before_the_webhook_are_not_owed(company, receiver):
    company.post_event()
    company.subscribe(receiver)
    event = company.post_event()
    receiver.wait_for(1)
    assert receiver.ids("/hook") == {event}


def test_nothing_arrives_after_a_deletion(company, receiver):
    webhook = company.subscribe(receiver, "/gone")
    company.subscribe(receiver, "/here")
    company.delete_webhook(webhook)
    event = company.post_event()
    receiver.wait_for(1, "/here")
    assert receiver.ids("/here") == {event} and receiver.of("/gone") == []


def test_an_edited_url_is_used_from_then_on(make_receiver, company):
    old, new = make_receiver(), make_receiver()
    webhook = company.subscribe(old)
    company.post_event()
    old.wait_for(1)
    company.update_webhook(webhook, url=new.url("/new"))
    event = company.post_event()
    new.wait_for(1, "/new")
    assert new.ids("/new") == {event} and event not in old.ids("/hook")


def test_localhost_is_resolved(company, receiver):
    company.subscribe(receiver, host="localhost")
    company.post_event()
    assert receiver.wait_for(1)[0].headers["host"] == f"localhost:{receiver.port}"


@pytest.mark.parametrize("code", [200, 201, 202, 204, 299])
def test_every_2xx_is_success(company, receiver, code):
    receiver.on("/hook", behaviours.status(code))
    webhook = company.subscribe(receiver)
    event = company.post_event()
    wait_until(lambda: (company.delivery_of(webhook, event) or {}).get("status") == "delivered", 10)


def test_connections_are_kept(company, receiver):
    company.subscribe(receiver)
    for n in range(20):
        company.post_event(data={"id": n})
        receiver.wait_for(n + 1)
    assert receiver.connections < 20


@pytest.mark.parametrize("behave", [behaviours.stale, behaviours.close_idle],
                         ids=["race", "closed at once"])
def test_stale_keep_alive_is_retried_and_not_counted(acme, receiver, behave):
    receiver.on("/hook", behave)
    webhook = acme.subscribe(receiver)
    events = []
    for n in range(8):
        events.append(acme.post_event(data={"id": n}))
        wait_until(lambda: events[-1] in {r.id for r in receiver.of("/hook") if r.answered}, 5)
    answered = [request for request in receiver.of("/hook") if request.answered]
    assert [request.id for request in answered] == events
    assert {request.attempt for request in receiver.of("/hook")} == {1}
    assert acme.status(webhook)["failures"] == 0


def test_retry_has_the_same_id_and_the_next_attempt_number(acme, receiver):
    receiver.on("/hook", behaviours.fail_first(2))
    acme.subscribe(receiver)
    event = acme.post_event()
    requests = receiver.wait_for(3, timeout=20)
    assert [request.id for request in requests] == [event] * 3
    assert [request.attempt for request in requests] == [1, 2, 3]
    assert [request.sequence for request in requests] == [1, 1, 1]
    assert len({request.body for request in requests}) == 1
    assert receiver.unsigned() == []


def test_a_retry_is_signed_anew(acme, receiver):
    receiver.on("/hook", behaviours.fail_first(1))
    acme.subscribe(receiver)
    acme.post_event()
    first, second = receiver.wait_for(2, timeout=20)
    assert int(second.headers["webhook-timestamp"]) >= int(first.headers["webhook-timestamp"])
    assert first.signed and second.signed


def test_an_exhausted_schedule_is_failed(make_server, receiver):
    company = make_server("--retry-schedule", "1,1", "--failure-threshold", "0").start() \
        .add_company()
    receiver.on("/hook", behaviours.status(500))
    webhook = company.subscribe(receiver)
    event = company.post_event()
    wait_until(lambda: (company.delivery_of(webhook, event) or {}).get("status") == "failed", 20)
    assert [request.attempt for request in receiver.of("/hook")] == [1, 2, 3]
    assert company.webhook(webhook)["active"] is True


# -- order

def in_order(requests, key=lambda request: request.json["data"]["id"]):
    """Whether first attempts of each key came in the order of their sequence."""
    seen = {}
    for request in requests:
        if request.attempt == 1 and request.id not in seen.setdefault(key(request), {}):
            seen[key(request)][request.id] = request.sequence
    return all(list(one.values()) == sorted(one.values()) for one in seen.values())


def calls(count, keys, start=0):
    return [{"event": "call.created", "data": {"id": n % keys, "n": n}}
            for n in range(start, start + count)]


def test_one_resource_is_never_in_flight_twice(acme, receiver):
    highest = {}

    async def watch(exchange):
        key = exchange.request.json["data"]["id"]
        now[key] = now.get(key, 0) + 1
        highest[key] = max(highest.get(key, 0), now[key])
        try:
            return await behaviours.slow(0.02)(exchange)
        finally:
            now[key] -= 1

    now = {}
    receiver.on("/hook", watch)
    acme.subscribe(receiver)
    acme.post_events(calls(120, 4))
    requests = receiver.wait_for(120, timeout=30)
    assert set(highest.values()) == {1}
    assert in_order(requests)


def test_other_resources_flow_in_parallel(acme, receiver):
    receiver.on("/hook", behaviours.slow(0.3))
    acme.subscribe(receiver)
    acme.post_events(calls(10, 10))
    wait_until(lambda: receiver.in_flight >= 2, 10, "two requests at once")


def test_string_ids_are_order_keys_too(acme, receiver):
    receiver.on("/hook", behaviours.slow(0.02))
    acme.subscribe(receiver)
    acme.post_events([{"event": "message.received", "data": {"id": f"m{n % 3}"}}
                      for n in range(60)])
    assert in_order(receiver.wait_for(60, timeout=30))


def test_a_waiting_retry_does_not_block_the_next(make_server, receiver):
    company = make_server("--retry-schedule", "60").start().add_company()
    receiver.on("/hook", behaviours.fail_first(1))
    company.subscribe(receiver)
    events = company.post_events(calls(3, 1))
    requests = receiver.wait_for(3)
    assert [request.id for request in requests] == events


def test_order_holds_across_a_kill(make_server, receiver):
    server = make_server(*QUICK_RETRIES).start()
    company = server.add_company()
    receiver.on("/hook", behaviours.slow(0.02))
    company.subscribe(receiver)
    events = company.post_events(calls(400, 7))
    receiver.wait_for(50, timeout=30)
    server.kill()
    server.start()
    wait_until(lambda: receiver.ids("/hook") == set(events), 40)
    assert in_order(receiver.of("/hook"))
    assert sorted({r.sequence for r in receiver.of("/hook")}) == list(range(1, 401))


def test_shutdown_and_start_repeat_nothing(make_server, receiver):
    server = make_server().start()
    company = server.add_company()
    company.subscribe(receiver)
    company.post_events(calls(300, 300))
    receiver.wait_for(300, timeout=30)
    assert server.stop() == 0
    server.start()
    event = company.post_event()
    wait_until(lambda: event in receiver.ids("/hook"), 10)
    assert len(receiver.of("/hook")) == 301


def test_json_stays_json(company, receiver):
    company.subscribe(receiver)
    company.post_event(data={"text": '"}{\\', "nested": {"a": [None, True, 1.5]}})
    assert json.loads(receiver.wait_for(1)[0].body)["data"]["nested"] == {"a": [None, True, 1.5]}
