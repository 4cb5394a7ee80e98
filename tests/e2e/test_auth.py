"""Authentication, errors of routing, isolation of companies, limits on calls."""

import time

import pytest
from harness.client import assert_refusal

ROUTES = [("GET", "/v1/webhooks"), ("POST", "/v1/webhooks"), ("GET", "/v1/ping"),
          ("POST", "/v1/events"), ("GET", "/v1/event_types")]


def test_ping(company):
    answer = company.get("/v1/ping")
    assert answer.status_code == 200 and answer.json() == {"ping": "pong"}
    assert answer.headers["Content-Type"].startswith("application/json")


@pytest.mark.parametrize("method, path", ROUTES)
def test_no_credentials_is_401(company, method, path):
    answer = company.call(method, path, auth=False)
    assert answer.status_code == 401 and answer.json() == {"message": "Unauthorized"}


@pytest.mark.parametrize("header", [
    "Basic !!!notbase64",
    "Basic ",
    "Basic bm9jb2xvbg==",  # "nocolon"
    "Basic YTpi",  # "a:b"
    "Bearer nonsense",
    "Bearer ",
    "Digest username=x",
    "nonsense",
])
def test_wrong_credentials_are_403(company, header):
    answer = company.get("/v1/ping", auth=False, headers={"Authorization": header})
    assert answer.status_code == 403 and answer.json() == {"message": "Forbidden"}


def test_right_id_with_wrong_token_is_403(company):
    answer = company.get("/v1/ping", auth=(company.api_id, company.api_token + "x"))
    assert answer.status_code == 403


def test_token_of_one_company_with_id_of_another_is_403(shared, company):
    other = shared.add_company()
    assert company.get("/v1/ping", auth=(company.api_id, other.api_token)).status_code == 403


def test_api_token_alone_works_as_bearer(company):
    answer = company.get("/v1/webhooks", auth=False,
                         headers={"Authorization": f"Bearer {company.api_token}"})
    assert answer.status_code == 200


def test_scheme_is_case_insensitive(company):
    answer = company.get("/v1/ping", auth=False,
                         headers={"Authorization": f"bearer {company.api_token}"})
    assert answer.status_code == 200


@pytest.mark.parametrize("path", ["/v1/nothing", "/v2/webhooks", "/v1", "/v1/webhooks/a/b/c",
                                  "/v1/webhooksx", "/v1/events/x/y"])
def test_unknown_path_is_404(company, path):
    for auth in (True, False):
        answer = company.get(path, auth=auth)
        assert answer.status_code == 404 and answer.json() == {"message": "Not Found"}


@pytest.mark.parametrize("path", [
    "/v1/webhooks/00000000-0000-4000-8000-000000000000",
    "/v1/webhooks/12345",
    "/v1/webhooks/99999999999999999999999999",
    "/v1/webhooks/-1",
    "/v1/webhooks/nonsense",
    "/v1/webhooks/00000000-0000-4000-8000-000000000000/status",
    "/v1/webhooks/00000000-0000-4000-8000-000000000000/secret",
    "/v1/webhooks/00000000-0000-4000-8000-000000000000/deliveries",
    "/v1/events/evt_nonsense",
    "/v1/events/evt_01ARZ3NDEKTSV4RRFFQ69G5FAV",
    "/v1/deliveries/nonsense",
])
def test_unknown_id_is_404(company, path):
    body = assert_refusal(company.get(path), 404)
    assert body["error"] == "Not Found"


@pytest.mark.parametrize("method, path", [
    ("DELETE", "/v1/webhooks"), ("PUT", "/v1/webhooks"), ("PATCH", "/v1/webhooks"),
    ("POST", "/v1/ping"), ("DELETE", "/v1/events"), ("POST", "/v1/event_types"),
])
def test_wrong_method_is_405(company, method, path):
    body = assert_refusal(company.call(method, path), 405)
    assert body["error"] == "Method Not Allowed"


def test_405_names_the_allowed_methods(company):
    allow = company.delete("/v1/webhooks").headers["Allow"]
    assert "GET" in allow and "POST" in allow


def test_companies_do_not_see_each_other(shared, company, receiver):
    other = shared.add_company()
    webhook = company.create_webhook(receiver.url())
    event = company.post_event()
    for form in (webhook["webhook_id"], webhook["id"]):
        for tail in ("", "/status", "/secret", "/deliveries"):
            assert_refusal(other.get(f"/v1/webhooks/{form}{tail}"), 404)
        assert_refusal(other.put(f"/v1/webhooks/{form}", json={"active": False}), 404)
        assert_refusal(other.delete(f"/v1/webhooks/{form}"), 404)
    assert_refusal(other.get(f"/v1/events/{event}"), 404)
    assert other.get("/v1/webhooks").json()["webhooks"] == []
    assert company.webhook(webhook)["active"] is True


def test_deliveries_of_another_company_are_404(shared, company, receiver):
    other = shared.add_company()
    webhook = company.subscribe(receiver)
    event = company.post_event()
    record = company.wait_attempt(webhook, event) and company.delivery_of(webhook, event)
    assert_refusal(other.get(f"/v1/deliveries/{record['id']}"), 404)


def test_events_of_one_company_do_not_reach_another(shared, company, receiver):
    other = shared.add_company()
    company.subscribe(receiver, "/mine")
    other.subscribe(receiver, "/theirs")
    event = company.post_event()
    theirs = other.post_event()
    receiver.wait_for(1, "/mine")
    receiver.wait_for(1, "/theirs")
    assert receiver.ids("/mine") == {event} and receiver.ids("/theirs") == {theirs}


# -- limits on calls

RATE = ("X-AircallApi-Limit", "X-AircallApi-Remaining", "X-AircallApi-Reset",
        "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")


def test_default_limit_is_120_and_counts_down(make_server):
    company = make_server("--api-rate-limit", "120").start().add_company()
    first, second = company.get("/v1/webhooks"), company.get("/v1/webhooks")
    for answer in (first, second):
        assert all(name in answer.headers for name in RATE), answer.headers
        assert answer.headers["X-AircallApi-Limit"] == "120"
        assert answer.headers["RateLimit-Limit"].split(",")[0] == "120"
        assert 0 <= int(answer.headers["X-AircallApi-Reset"]) - time.time() <= 62
        assert 0 <= int(answer.headers["RateLimit-Reset"]) <= 61
    assert int(first.headers["X-AircallApi-Remaining"]) <= 119
    assert int(second.headers["X-AircallApi-Remaining"]) == \
        int(first.headers["X-AircallApi-Remaining"]) - 1


@pytest.mark.parametrize("path, status", [("/v1/nothing", 404), ("/v1/webhooks/1", 404),
                                          ("/v1/webhooks?per_page=0", 400)])
def test_rate_headers_are_on_refusals_too(make_server, path, status):
    company = make_server("--api-rate-limit", "120").start().add_company()
    answer = company.get(path)
    assert answer.status_code == status and all(name in answer.headers for name in RATE)


def test_over_the_limit_is_429_with_retry_after(make_server):
    server = make_server("--api-rate-limit", "3").start()
    company, other = server.add_company("Acme"), server.add_company()
    codes = [company.get("/v1/webhooks").status_code for _ in range(3)]
    answer = company.get("/v1/webhooks")
    if codes != [200] * 3 or answer.status_code == 200:
        # The minute turned in between; the next four fall into one.
        codes = [company.get("/v1/webhooks").status_code for _ in range(4)]
        answer = company.get("/v1/webhooks")
    body = assert_refusal(answer, 429)
    assert body["error"] == "Too Many Requests"
    assert 1 <= int(answer.headers["Retry-After"]) <= 61
    assert answer.headers["X-AircallApi-Remaining"] == "0"
    assert other.get("/v1/webhooks").status_code == 200, "the limit is per company"


def test_events_do_not_count_against_the_management_limit(make_server):
    company = make_server("--api-rate-limit", "3").start().add_company()
    for _ in range(10):
        company.post_event()
    assert company.get("/v1/webhooks").status_code == 200


def test_ingest_limit(make_server):
    company = make_server("--ingest-rate-limit", "5").start().add_company()
    answers = [company.post("/v1/events", json={"event": "call.created", "data": {"id": n}})
               for n in range(40)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused and answers[0].status_code == 202
    assert_refusal(refused[0], 429)
    assert int(refused[0].headers["Retry-After"]) >= 1
