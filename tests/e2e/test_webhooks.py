"""/v1/webhooks: the object, its life, lists and everything that is refused."""

import re
import uuid

import pytest
from harness.client import assert_refusal

FIELDS = {"webhook_id", "id", "direct_link", "created_at", "url", "active", "token",
          "custom_name", "events"}
URL = "https://example.com/hook"


def all_events(company):
    types = company.get("/v1/event_types").json()["event_types"]
    return {one["name"] for one in types}


def check_object(webhook):
    assert set(webhook) == FIELDS
    assert uuid.UUID(webhook["webhook_id"]).version == 4
    assert webhook["webhook_id"] == webhook["webhook_id"].lower()
    assert type(webhook["id"]) is int and 0 < webhook["id"] < 2**31
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", webhook["created_at"])
    assert webhook["active"] in (True, False)
    assert re.fullmatch(r"[0-9a-f]{32}", webhook["token"])
    assert isinstance(webhook["custom_name"], str)
    assert webhook["direct_link"].endswith("/v1/webhooks/" + webhook["webhook_id"])
    assert webhook["events"] and all(isinstance(name, str) for name in webhook["events"])


def test_create_answers_201_and_the_nine_fields(company):
    answer = company.post("/v1/webhooks", json={"url": URL, "events": ["call.created"]})
    assert answer.status_code == 201
    assert list(answer.json()) == ["webhook"]
    assert answer.headers["Content-Type"].split(";")[0] == "application/json"
    webhook = answer.json()["webhook"]
    check_object(webhook)
    assert webhook["url"] == URL and webhook["active"] is True
    assert webhook["events"] == ["call.created"]


def test_custom_name_defaults_to_webhook(company):
    assert company.create_webhook(URL)["custom_name"] == "Webhook"


def test_custom_name_is_kept(company):
    made = company.create_webhook(URL, custom_name='Zoë "東京" ☎')
    assert made["custom_name"] == 'Zoë "東京" ☎' == company.webhook(made)["custom_name"]


@pytest.mark.parametrize("events", [None, []], ids=["missing", "empty"])
def test_events_default_to_all(company, events):
    made = company.create_webhook(URL, events)
    assert set(made["events"]) == all_events(company) and len(all_events(company)) >= 67


def test_fields_that_clients_send_in_vain_are_ignored(company):
    made = company.create_webhook(URL, token="chosen", webhook_id="x", id=7, something=[1])
    check_object(made)
    assert made["token"] != "chosen"


def test_tokens_ids_and_secrets_are_unique(company):
    made = [company.create_webhook(URL) for _ in range(10)]
    for name in ("token", "webhook_id", "id"):
        assert len({one[name] for one in made}) == 10
    assert len({company.secret(one) for one in made}) == 10


@pytest.mark.parametrize("name", ["webhook_id", "id"])
def test_retrieve_by_either_id(company, name):
    made = company.create_webhook(URL)
    answer = company.get(f"/v1/webhooks/{made[name]}")
    assert answer.status_code == 200 and answer.json() == {"webhook": made}


def test_retrieve_by_uuid_in_capitals(company):
    made = company.create_webhook(URL)
    assert company.get(f"/v1/webhooks/{made['webhook_id'].upper()}").status_code == 200


def test_direct_link_leads_to_the_webhook(company):
    made = company.create_webhook(URL)
    assert company.get(made["direct_link"]).json()["webhook"] == made


def test_public_url_is_in_the_links(make_server):
    server = make_server("--public-url", "https://hooks.example.com/base").start()
    company = server.add_company()
    made = company.create_webhook(URL)
    company.create_webhook(URL)
    base = "https://hooks.example.com/base/v1/webhooks"
    assert made["direct_link"] == f"{base}/{made['webhook_id']}"
    meta = company.get("/v1/webhooks?per_page=1").json()["meta"]
    assert meta["next_page_link"].startswith(base + "?")


@pytest.mark.parametrize("name", ["webhook_id", "id"])
@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_update_by_put_and_by_post(company, method, name):
    made = company.create_webhook(URL)
    answer = company.call(method, f"/v1/webhooks/{made[name]}", json={
        "url": URL + "/2", "events": ["call.ended"], "custom_name": "New"})
    assert answer.status_code == 200
    wanted = {**made, "url": URL + "/2", "events": ["call.ended"], "custom_name": "New"}
    assert answer.json() == {"webhook": wanted}
    assert company.webhook(made) == wanted


def test_put_without_events_subscribes_to_all(company):
    made = company.create_webhook(URL, ["call.created"])
    updated = company.update_webhook(made, url=URL)
    assert set(updated["events"]) == all_events(company)


@pytest.mark.parametrize("active", [False, True])
def test_put_of_active_alone(company, active):
    made = company.create_webhook(URL, ["call.created"], custom_name="Mine")
    updated = company.update_webhook(made, active=active)
    assert updated["active"] is active and updated["url"] == URL
    assert updated["custom_name"] == "Mine" and updated["token"] == made["token"]
    assert set(updated["events"]) == all_events(company), "as documented"


def test_put_without_a_body_is_refused(company):
    """It would subscribe to all events, which nobody means who sends nothing."""
    made = company.create_webhook(URL, ["call.created"])
    assert_refusal(company.put(f"/v1/webhooks/{made['webhook_id']}"), 400)
    assert company.webhook(made) == made


def test_active_false_at_creation_holds_from_the_start(company):
    assert company.create_webhook(URL, active=False)["active"] is False


@pytest.mark.parametrize("action, events, wanted", [
    ("add", ["call.ended", "call.created"], {"call.created", "call.answered", "call.ended"}),
    ("remove", ["call.created", "call.tagged"], {"call.answered"}),
    ("add", [], {"call.created", "call.answered"}),
    ("remove", [], {"call.created", "call.answered"}),
    ("add", None, {"call.created", "call.answered"}),
])
def test_events_action(company, action, events, wanted):
    made = company.create_webhook(URL, ["call.created", "call.answered"])
    body = {} if events is None else {"events": events}
    answer = company.put(f"/v1/webhooks/{made['webhook_id']}?events_action={action}", json=body)
    assert answer.status_code == 200, answer.text
    assert set(answer.json()["webhook"]["events"]) == wanted
    assert set(company.webhook(made)["events"]) == wanted


def test_unknown_events_action_is_refused(company):
    made = company.create_webhook(URL, ["call.created"])
    path = f"/v1/webhooks/{made['webhook_id']}?events_action=replace"
    assert_refusal(company.put(path, json={"events": ["call.ended"]}), 400, "events_action")
    assert company.webhook(made) == made


@pytest.mark.parametrize("options", [
    {}, {"headers": {"Content-Type": "application/json"}},
    {"data": b"[]", "headers": {"Content-Type": "application/json"}},
], ids=["no body", "type without body", "php body"])
def test_delete_is_204_without_a_body(company, options):
    made = company.create_webhook(URL)
    answer = company.delete(f"/v1/webhooks/{made['webhook_id']}", **options)
    assert answer.status_code == 204 and answer.content == b""
    assert_refusal(company.get(f"/v1/webhooks/{made['webhook_id']}"), 404)
    assert_refusal(company.delete(f"/v1/webhooks/{made['webhook_id']}"), 404)


def test_webhooks_survive_a_kill(make_server):
    server = make_server().start()
    company = server.add_company()
    made = [company.create_webhook(URL, ["call.created"]) for _ in range(3)]
    company.delete_webhook(made.pop())
    made[0] = company.update_webhook(made[0], active=False, events=["call.ended"])
    server.kill()
    server.start()
    listed = company.get("/v1/webhooks").json()["webhooks"]
    without_link = [{k: v for k, v in one.items() if k != "direct_link"} for one in listed]
    assert without_link == [{k: v for k, v in one.items() if k != "direct_link"} for one in made]


def test_the_101st_webhook_is_refused(company):
    for _ in range(100):
        last = company.create_webhook(URL, ["call.created"])
    assert_refusal(company.post("/v1/webhooks", json={"url": URL}), 400, "100")
    company.delete_webhook(last)
    company.create_webhook(URL)


# -- lists

def create_five(company):
    return [company.create_webhook(f"{URL}/{n}", ["call.created"]) for n in range(5)]


def test_empty_list(company):
    assert company.get("/v1/webhooks").json() == {
        "meta": {"count": 0, "total": 0, "current_page": 1, "per_page": 20,
                 "next_page_link": None, "previous_page_link": None},
        "webhooks": []}


def test_list_has_whole_objects_in_order_of_creation(company):
    made = create_five(company)
    body = company.get("/v1/webhooks").json()
    assert body["webhooks"] == made
    assert body["meta"] == {"count": 5, "total": 5, "current_page": 1, "per_page": 20,
                            "next_page_link": None, "previous_page_link": None}


def test_order_desc(company):
    made = create_five(company)
    assert company.get("/v1/webhooks?order=desc").json()["webhooks"] == made[::-1]
    assert company.get("/v1/webhooks?order=asc").json()["webhooks"] == made


def test_links_lead_through_all_pages_and_back(company):
    made = create_five(company)
    seen, path, metas = [], "/v1/webhooks?per_page=2&order=desc", []
    while path:
        body = company.get(path).json()
        seen += body["webhooks"]
        metas.append(body["meta"])
        path = body["meta"]["next_page_link"]
    assert seen == made[::-1]
    assert [meta["count"] for meta in metas] == [2, 2, 1]
    assert [meta["current_page"] for meta in metas] == [1, 2, 3]
    assert all(meta["total"] == 5 and meta["per_page"] == 2 for meta in metas)
    assert metas[0]["previous_page_link"] is None
    back = company.get(metas[2]["previous_page_link"]).json()
    assert back["meta"]["current_page"] == 2


def test_a_page_beyond_the_end_is_empty(company):
    create_five(company)
    body = company.get("/v1/webhooks?page=9&per_page=2").json()
    assert body["webhooks"] == [] and body["meta"]["count"] == 0 and body["meta"]["total"] == 5
    assert body["meta"]["next_page_link"] is None


@pytest.mark.parametrize("query", [
    "per_page=0", "per_page=51", "per_page=-1", "per_page=many", "per_page=1.5", "per_page=",
    "page=0", "page=-1", "page=one", "page=99999999999999999999", "order=sideways"])
def test_bad_paging_is_400(company, query):
    assert_refusal(company.get("/v1/webhooks?" + query), 400, query.split("=")[0])


@pytest.mark.parametrize("per_page", [1, 50])
def test_ends_of_per_page(company, per_page):
    create_five(company)
    body = company.get(f"/v1/webhooks?per_page={per_page}").json()
    assert len(body["webhooks"]) == min(5, per_page)


def test_from_and_to_are_accepted(company):
    assert company.get("/v1/webhooks?from=1600000000&to=1600000001").status_code == 200


# -- refusals

@pytest.mark.parametrize("body, word", [
    ({}, "url"),
    ({"events": ["call.created"]}, "url"),
    ({"url": None}, "url"),
    ({"url": 5}, "url"),
    ({"url": ""}, "url"),
    ({"url": [URL]}, "url"),
    ({"url": URL, "events": "call.created"}, "events"),
    ({"url": URL, "events": {"call.created": True}}, "events"),
    ({"url": URL, "events": [5]}, "events"),
    ({"url": URL, "events": ["call.created", "call.exploded"]}, "call.exploded"),
    ({"url": URL, "events": ["user.updated", "tag.created"]}, "tag.created"),
    ({"url": URL, "events": ["CALL.CREATED"]}, "CALL.CREATED"),
    ({"url": URL, "custom_name": 5}, "custom_name"),
    ({"url": URL, "custom_name": "x" * 5000}, "custom_name"),
    ({"url": URL, "active": "yes"}, "active"),
    ([], "object"),
    ("text", "object"),
    (5, "object"),
])
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_invalid_fields_are_400(company, body, word, method):
    path = "/v1/webhooks"
    if method == "PUT":
        if isinstance(body, dict) and body.get("url") is None:
            pytest.skip("url is optional in an update")
        made = company.create_webhook(URL, ["call.created"])
        path += "/" + made["webhook_id"]
    assert_refusal(company.call(method, path, json=body), 400, word)
    if method == "PUT":
        assert company.webhook(made) == made, "a refused update changes nothing"
    else:
        assert company.get("/v1/webhooks").json()["meta"]["total"] == 0


@pytest.mark.parametrize("body", [
    b"{", b'{"url":"https://example.com/"} x', b'{"url":"https://example.com/\xff"}', b"\x00",
    b'{"url":"https://example.com/",}', b"{'url':'https://example.com/'}", b"[" * 100000],
    ids=["open", "trailing", "utf-8", "nul", "comma", "quotes", "deep"])
def test_invalid_json_is_400(company, body):
    assert_refusal(company.post_raw(body, "/v1/webhooks"), 400)


def test_no_body_needs_no_type(company):
    assert_refusal(company.post("/v1/webhooks"), 400, "url")


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain",
                                  "multipart/form-data; boundary=x"])
@pytest.mark.parametrize("path", ["/v1/webhooks", "/v1/events"])
def test_a_body_that_is_not_json_is_415(company, kind, path):
    body = b"url=https%3A%2F%2Fexample.com%2F"
    assert_refusal(company.post_raw(body, path, kind), 415, "application/json")


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "Application/JSON"])
def test_json_types_are_accepted(company, kind):
    answer = company.post_raw(b'{"url":"https://example.com/"}', "/v1/webhooks", kind)
    assert answer.status_code == 201, answer.text


def test_event_types_is_the_catalogue(company):
    types = company.get("/v1/event_types").json()["event_types"]
    assert all(set(one) == {"name", "resource", "description"} for one in types)
    by_name = {one["name"]: one["resource"] for one in types}
    assert len(by_name) == len(types)
    for name, resource in [
            ("call.created", "call"), ("call.comm_assets_generated", "call"),
            ("user.wut_end.v2", "user"), ("number.closed", "number"),
            ("contact.updated", "contact"), ("message.received", "message"),
            ("integration.deleted", "integration"),
            ("transcription.created", "conversation_intelligence"),
            ("realtime_transcription.utterances_received", "conversation_intelligence"),
            ("ai_voice_agent.summary", None), ("analytics.report_failed", None),
            ("group_message.sent", None), ("outbound_campaign.outcome_recorded", None)]:
        assert name in by_name, name
        assert resource is None or by_name[name] == resource, name
    assert all(one["description"] for one in types)
