"""The delivery log: lists with cursors, attempts with timings, what was sent and answered."""

import pytest
from harness import behaviours
from harness.client import assert_refusal, attempts_of
from harness.wait import wait_until

SUMMARY = {"id", "event_id", "event", "status", "attempts", "next_attempt_at", "created_at"}
PHASES = ("dns", "connect", "tls", "first_byte", "total")


def delivered(company, webhook, count):
    wait_until(lambda: len(company.deliveries(webhook, status="delivered", limit=100)) == count, 15)


def timings(attempt):
    return {name: attempt["timings"][name] for name in PHASES}


def test_summary_fields(company, receiver):
    webhook = company.subscribe(receiver)
    event = company.post_event("call.ended")
    delivered(company, webhook, 1)
    answer = company.get(f"/v1/webhooks/{webhook['webhook_id']}/deliveries").json()
    assert set(answer) == {"deliveries", "next"} and answer["next"] is None
    one = answer["deliveries"][0]
    assert set(one) == SUMMARY
    assert one["event_id"] == event and one["event"] == "call.ended"
    assert one["status"] == "delivered" and one["attempts"] == 1
    assert one["next_attempt_at"] is None and one["created_at"]


def test_integer_id_works_here_too(company, receiver):
    webhook = company.subscribe(receiver)
    for tail in ("deliveries", "status", "secret"):
        assert company.get(f"/v1/webhooks/{webhook['id']}/{tail}").status_code == 200


def test_cursor_leads_through_everything_once(company, receiver):
    webhook = company.subscribe(receiver)
    ids = company.post_events([{"event": "call.created", "data": {"id": n}} for n in range(7)])
    delivered(company, webhook, 7)
    seen, cursor, pages = [], None, 0
    while True:
        query = {"limit": 3, **({"before": cursor} if cursor else {})}
        body = company.get(f"/v1/webhooks/{webhook['webhook_id']}/deliveries",
                           params=query).json()
        seen += [one["event_id"] for one in body["deliveries"]]
        pages, cursor = pages + 1, body["next"]
        if cursor is None:
            break
    assert seen == ids[::-1], "newest first"
    assert pages == 3


def test_new_events_do_not_shift_the_cursor(company, receiver):
    webhook = company.subscribe(receiver)
    ids = company.post_events([{"event": "call.created", "data": {"id": n}} for n in range(4)])
    delivered(company, webhook, 4)
    path = f"/v1/webhooks/{webhook['webhook_id']}/deliveries"
    first = company.get(path, params={"limit": 2}).json()
    company.post_events([{"event": "call.created", "data": {"id": n}} for n in range(3)])
    second = company.get(path, params={"limit": 2, "before": first["next"]}).json()
    seen = [one["event_id"] for one in first["deliveries"] + second["deliveries"]]
    assert seen == ids[::-1]


def test_filter_by_event(company, receiver):
    webhook = company.subscribe(receiver)
    company.post_event("call.created")
    wanted = company.post_event("call.ended")
    delivered(company, webhook, 2)
    found = company.deliveries(webhook, event="call.ended")
    assert [one["event_id"] for one in found] == [wanted]


def test_filter_by_status(make_server, receiver):
    company = make_server("--retry-schedule", "600").start().add_company()
    receiver.on("/hook", behaviours.fail_first(1))
    webhook = company.subscribe(receiver)
    retrying = company.post_event(data={"id": 1})
    company.wait_attempt(webhook, retrying)
    good = company.post_event(data={"id": 2})
    delivered(company, webhook, 1)
    by_status = {status: [one["event_id"] for one in company.deliveries(webhook, status=status)]
                 for status in ("owed", "delivered", "retrying", "held", "failed", "expired")}
    assert by_status == {"owed": [], "delivered": [good], "retrying": [retrying], "held": [],
                         "failed": [], "expired": []}
    one = company.deliveries(webhook, status="retrying")[0]
    assert one["next_attempt_at"] is not None and one["attempts"] == 1


@pytest.mark.parametrize("query", ["status=lost", "limit=0", "limit=many", "limit=100000",
                                   "event=call.exploded", "before=nonsense"])
def test_bad_filters_are_400(company, receiver, query):
    webhook = company.subscribe(receiver)
    answer = company.get(f"/v1/webhooks/{webhook['webhook_id']}/deliveries?{query}")
    assert_refusal(answer, 400, query.split("=")[0])


def test_attempts_with_request_head_as_sent(company, receiver):
    webhook = company.subscribe(receiver, "/hook?a=b")
    event = company.post_event()
    company.wait_attempt(webhook, event)
    attempt = attempts_of(company.delivery_of(webhook, event))[0]
    assert attempt["request"] == receiver.of("/hook")[0].head.decode()


def test_a_good_attempt(company, receiver):
    webhook = company.subscribe(receiver)
    event = company.post_event()
    attempt = company.wait_attempt(webhook, event)[0]
    assert attempt["status"] == 200 and attempt["error"] is None and attempt["reason"] is None
    assert attempt["attempt"] == 1 and attempt["outcome"] == "delivered"


def test_timings_in_microseconds(company, receiver):
    receiver.on("/hook", behaviours.slow(0.2))
    webhook = company.subscribe(receiver, host="localhost")
    event = company.post_event()
    first = timings(company.wait_attempt(webhook, event)[0])
    assert all(type(value) is int and value >= 0 for value in first.values()), first
    assert first["connect"] > 0 and first["tls"] > 0
    assert 200_000 <= first["total"] < 5_500_000 and first["first_byte"] <= first["total"]


@pytest.mark.parametrize("behaviour, phase", [
    (behaviours.hang, "first_byte"), (behaviours.reset, "first_byte")], ids=["hang", "reset"])
def test_the_phase_that_failed_has_its_time(make_server, receiver, behaviour, phase):
    """The phases add up to the total, so one sees where the time went."""
    company = make_server("--deliver-timeout-ms", "300").start().add_company()
    webhook = company.subscribe(receiver.on("/hook", behaviour))
    spent = timings(company.wait_attempt(webhook, company.post_event())[0])
    total = spent.pop("total")
    assert spent[phase] > 0
    assert total * 0.8 - 5000 <= sum(spent.values()) <= total + 5000, spent


def test_the_address_that_was_reached(company, receiver):
    webhook = company.subscribe(receiver, "/peer", host="localhost")
    attempt = company.wait_attempt(webhook, company.post_event())[0]
    assert attempt["peer"] == "127.0.0.1"


def test_every_attempt_is_there(acme, receiver):
    receiver.on("/hook", behaviours.fail_first(2, 503))
    webhook = acme.subscribe(receiver)
    event = acme.post_event()
    attempts = acme.wait_attempt(webhook, event, 3, timeout=20)
    assert [attempt["status"] for attempt in attempts] == [503, 503, 200]
    assert acme.delivery_of(webhook, event)["status"] == "delivered"


def test_first_kilobyte_of_a_failed_answer(acme, receiver):
    text = b"It broke: " + b"x" * 3000
    receiver.on("/hook", behaviours.status(500, text))
    webhook = acme.subscribe(receiver)
    event = acme.post_event()
    attempt = acme.wait_attempt(webhook, event)[0]
    assert attempt["response_body"].encode() == text[:1024]
    assert attempt["reason"] and "500" in attempt["reason"]


def test_a_failed_answer_that_is_no_text_is_still_json(acme, receiver):
    receiver.on("/hook", behaviours.status(500, bytes(range(256))))
    webhook = acme.subscribe(receiver)
    event = acme.post_event()
    assert acme.wait_attempt(webhook, event)[0]["status"] == 500


def test_log_survives_a_kill(make_server, receiver):
    server = make_server("--retry-schedule", "600").start()
    company = server.add_company()
    receiver.on("/hook", behaviours.status(500, b"broken"))
    webhook = company.subscribe(receiver)
    event = company.post_event()
    company.wait_attempt(webhook, event)
    before = company.delivery_of(webhook, event)
    server.kill()
    server.start()
    assert company.delivery_of(webhook, event) == before


def test_status_of_a_fresh_webhook(company, receiver):
    webhook = company.create_webhook(receiver.url())
    status = company.status(webhook)
    assert set(status) >= {"active", "failures", "threshold", "held", "oldest_owed_at", "ledger"}
    assert (status["active"], status["failures"], status["threshold"], status["held"]) == \
        (True, 0, 10, 0)
    assert status["oldest_owed_at"] is None


# -- what a receiver missed

def test_events_behind_a_sequence_fill_a_gap(company, receiver):
    webhook = company.subscribe(receiver, "/gap")
    ids = company.post_events([{"event": "call.created", "data": {"id": n, "odd": 1.50e2}}
                               for n in range(5)])
    path = f"/v1/webhooks/{webhook['webhook_id']}/events"
    first = company.get(path, params={"limit": 3}).json()
    assert [one["sequence"] for one in first["events"]] == [1, 2, 3]
    assert [one["id"] for one in first["events"]] == ids[:3]
    assert first["last"] == 5 and first["next"] == 3
    rest = company.get(path, params={"after": first["next"]})
    assert [one["id"] for one in rest.json()["events"]] == ids[3:] and rest.json()["next"] is None
    assert company.get(path, params={"after": 5}).json()["events"] == []
    assert company.get(path, params={"after": 10 ** 18}).json()["events"] == []


@pytest.mark.parametrize("after", ["-1", "x", "1x", "1" * 30, ""])
def test_a_sequence_is_a_number(company, receiver, after):
    webhook = company.subscribe(receiver, "/gap2")
    answer = company.get(f"/v1/webhooks/{webhook['id']}/events", params={"after": after})
    assert_refusal(answer, 400, "after")
