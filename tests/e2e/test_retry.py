"""POST /v1/deliveries/:id/retry: one delivery once more, whatever became of it."""

import pytest
from harness import behaviours
from harness.client import assert_refusal
from harness.wait import wait_until


@pytest.fixture
def slow_retries(make_server):
    """Retries come after an hour, and ten failures switch nothing off."""
    return make_server("--retry-schedule", "3600", "--failure-threshold", "0").start().add_company()


def retry(company, record):
    return company.post(f"/v1/deliveries/{record['id']}/retry")


def delivered(company, webhook, event):
    record = company.delivery_of(webhook, event)
    return record if record and record["status"] == "delivered" else None


def test_a_waiting_retry_goes_at_once(slow_retries, receiver):
    company = slow_retries
    webhook = company.subscribe(receiver.on("/hook", behaviours.status(500)), "/hook")
    event = company.post_event()
    company.wait_attempt(webhook, event)
    receiver.on("/hook", behaviours.ok)
    answer = retry(company, company.delivery_of(webhook, event))
    assert answer.status_code == 202 and answer.json()["status"] == "retrying"
    record = wait_until(lambda: delivered(company, webhook, event), 10)
    assert [one["attempt"] for one in record["attempt_log"]] == [1, 2]
    assert receiver.ids("/hook") == {event}


def test_a_delivered_one_comes_again_with_the_same_id(slow_retries, receiver):
    company = slow_retries
    webhook = company.subscribe(receiver, "/again")
    event = company.post_event()
    record = wait_until(lambda: delivered(company, webhook, event), 10)
    for attempt in (2, 3):
        assert retry(company, record).status_code == 202
        wait_until(lambda: len(receiver.of("/again")) == attempt, 10)
        company.wait_attempt(webhook, event, attempt)
    requests = receiver.of("/again")
    assert {one.id for one in requests} == {event}
    assert [one.attempt for one in requests] == [1, 2, 3]
    assert len({one.headers["hookswitch-sequence"] for one in requests}) == 1


def test_a_failed_one_is_opened_again(make_server, receiver):
    company = make_server("--retry-schedule", "1", "--failure-threshold", "0").start().add_company()
    webhook = company.subscribe(receiver.on("/fails", behaviours.status(500)), "/fails")
    event = company.post_event()
    company.wait_attempt(webhook, event, 2)
    record = wait_until(lambda: (r := company.delivery_of(webhook, event))["status"] == "failed"
                        and r, 10)
    receiver.on("/fails", behaviours.ok)
    assert retry(company, record).status_code == 202
    wait_until(lambda: delivered(company, webhook, event), 10)
    assert company.status(webhook)["owed"] == 0


def test_a_retry_survives_a_kill(make_server, receiver):
    server = make_server("--retry-schedule", "3600", "--failure-threshold", "0").start()
    company = server.add_company()
    webhook = company.subscribe(receiver, "/kill")
    event = company.post_event()
    record = wait_until(lambda: delivered(company, webhook, event), 10)
    receiver.on("/kill", behaviours.hang)
    assert retry(company, record).status_code == 202
    wait_until(lambda: len(receiver.of("/kill")) == 2, 10)
    server.kill()
    receiver.on("/kill", behaviours.ok)
    server.start()
    wait_until(lambda: len(receiver.of("/kill")) == 3, 10)
    wait_until(lambda: delivered(company, webhook, event), 10)


def test_an_inactive_webhook_wants_to_be_enabled_first(slow_retries, receiver):
    company = slow_retries
    webhook = company.subscribe(receiver, "/off")
    event = company.post_event()
    record = wait_until(lambda: delivered(company, webhook, event), 10)
    company.update_webhook(webhook, active=False)
    assert_refusal(retry(company, record), 409, "inactive", "active:true")


def test_others_cannot_retry(slow_retries, receiver):
    company = slow_retries
    webhook = company.subscribe(receiver, "/mine")
    event = company.post_event()
    record = wait_until(lambda: delivered(company, webhook, event), 10)
    other = company.server.add_company()
    assert_refusal(retry(other, record), 404, record["id"])
    assert len(receiver.of("/mine")) == 1


def test_a_retry_of_a_deleted_webhook_is_404(slow_retries, receiver):
    company = slow_retries
    webhook = company.subscribe(receiver, "/gone")
    event = company.post_event()
    record = wait_until(lambda: delivered(company, webhook, event), 10)
    company.delete(f"/v1/webhooks/{webhook['webhook_id']}")
    assert retry(company, record).status_code == 404
