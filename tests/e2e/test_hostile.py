"""Receivers that hang, lie and break: each fails with the right words and harms nobody else."""

import re

import pytest
from conftest import QUICK_RETRIES
from harness import behaviours
from harness.client import attempts_of
from harness.wait import wait_until

TIMEOUT_MS = 1000


@pytest.fixture
def hasty(make_server):
    """A company on a server whose attempts end after a second and are retried once a minute."""
    server = make_server("--deliver-timeout-ms", str(TIMEOUT_MS), "--retry-schedule", "60,60")
    return server.start().add_company()


def words(attempt):
    """What the delivery log says about a failed attempt for people, in lower case."""
    assert attempt["error"] and attempt["reason"], attempt
    return attempt["reason"].lower()


TIME_OUT = r"time-?\s?out|timed out|deadline"

STAGES = [
    ("silent", TIME_OUT),
    ("mute", TIME_OUT),
]

HOSTILE = [
    ("hang", behaviours.hang, TIME_OUT),
    ("drip", behaviours.drip_head, TIME_OUT),
    ("reset", behaviours.reset, r"reset|ended|closed"),
    ("close", behaviours.close, r"reset|ended|closed"),
    ("garbage", behaviours.garbage, r"malformed|not valid|http"),
    ("two lengths", behaviours.two_lengths, r"malformed|not valid|length"),
    ("endless 1xx", behaviours.endless_informational, r"malformed|many|too large|1xx|not valid"),
    ("huge head", behaviours.huge_head, r"too large|64"),
]

CERTIFICATES = [
    ("wrong_name", r"name|host|mismatch"),
    ("expired", r"expired|validity"),
    ("future", r"not yet valid|validity"),
    ("self_signed", r"self-?\s?signed|trust"),
    ("other_ca", r"issuer|trust|unable to get"),
]

ANSWERS = [301, 302, 307, 308, 400, 401, 404, 429, 500, 503]


def fails(company, receiver, pattern, healthy):
    """Posts five events: the receiver's attempts fail with the words, the healthy one gets all."""
    webhook = company.subscribe(receiver, "/hook")
    company.subscribe(healthy, "/healthy")
    ids = [company.post_event(data={"id": n}) for n in range(5)]
    healthy.wait_for(5, "/healthy")
    assert healthy.ids("/healthy") == set(ids)
    attempt = company.wait_attempt(webhook, ids[0])[0]
    assert attempt["status"] is None and attempt["counted"] is True, attempt
    assert re.search(pattern, words(attempt)), attempt
    company.wait_status(webhook, failures=5)
    more = company.post_event(data={"id": 9})
    wait_until(lambda: more in healthy.ids("/healthy"), 5)
    return attempt


@pytest.mark.parametrize("behave, pattern", [row[1:] for row in HOSTILE],
                         ids=[row[0] for row in HOSTILE])
def test_hostile_answer(hasty, make_receiver, behave, pattern):
    receiver = make_receiver().on("/hook", behave)
    fails(hasty, receiver, pattern, make_receiver())


@pytest.mark.parametrize("stage, pattern", STAGES)
def test_hanging_before_http(hasty, make_receiver, stage, pattern):
    fails(hasty, make_receiver(stage=stage), pattern, make_receiver())


@pytest.mark.parametrize("kind, pattern", CERTIFICATES)
def test_bad_certificate(hasty, make_receiver, kind, pattern):
    receiver = make_receiver(cert=kind)
    fails(hasty, receiver, pattern, make_receiver())
    assert receiver.requests == [], "nothing was sent to an unproven receiver"


def test_refused_connection(hasty, make_receiver):
    receiver = make_receiver()
    receiver.stop()
    fails(hasty, receiver, r"refused", make_receiver())


def test_unknown_host(hasty, make_receiver):
    healthy = make_receiver()
    hasty.subscribe(healthy, "/healthy")
    webhook = hasty.create_webhook("https://no-such-host.invalid/")
    event = hasty.post_event()
    healthy.wait_for(1, "/healthy")
    attempt = hasty.wait_attempt(webhook, event)[0]
    assert re.search(r"resol|host|dns|time-?out|name", words(attempt)), attempt


@pytest.mark.parametrize("code", ANSWERS)
def test_other_statuses_are_failures(hasty, receiver, code):
    receiver.on("/hook", behaviours.status(code, b"no", [("Location", receiver.url("/elsewhere"))]))
    webhook = hasty.subscribe(receiver)
    event = hasty.post_event()
    attempt = hasty.wait_attempt(webhook, event)[0]
    assert attempt["status"] == code
    hasty.wait_status(webhook, failures=1)
    assert receiver.of("/elsewhere") == [], "redirects are not followed"


@pytest.mark.parametrize("behave", [
    behaviours.endless_body(), behaviours.bad_chunking(), behaviours.informational(8),
], ids=["endless body", "bad chunking", "eight 1xx"])
def test_the_verdict_falls_at_the_head(hasty, receiver, behave):
    """What comes after a 200 head never changes the verdict."""
    receiver.on("/hook", behave)
    webhook = hasty.subscribe(receiver)
    events = [hasty.post_event(data={"id": n}) for n in range(3)]
    for event in events:
        wait_until(lambda: (hasty.delivery_of(webhook, event) or {}).get("status") == "delivered",
                   10)
    assert len(receiver.of("/hook")) == 3 and hasty.status(webhook)["failures"] == 0


def test_an_endless_failed_body_is_cut(hasty, receiver):
    receiver.on("/hook", behaviours.endless_body(500))
    webhook = hasty.subscribe(receiver)
    event = hasty.post_event()
    attempt = hasty.wait_attempt(webhook, event)[0]
    assert attempt["status"] == 500
    assert attempt["response_body"] == "e" * 1024
    wait_until(lambda: receiver.open_connections == 0, 10, "the connection was let go")


def test_memory_stays_bounded_under_endless_bodies(hasty, make_receiver):
    receiver = make_receiver().on("/hook", behaviours.endless_body(500))
    hasty.subscribe(receiver)
    hasty.post_event()
    receiver.wait_for(1)
    before = hasty.server.memory_bytes()
    hasty.post_events([{"event": "call.created", "data": {"id": n}} for n in range(8)])
    receiver.wait_for(9, timeout=20)
    wait_until(lambda: receiver.open_connections == 0, 10)
    assert hasty.server.memory_bytes() - before < 32 << 20


def test_a_crowd_of_hanging_receivers_stops_nobody(make_server, make_receiver):
    company = make_server("--deliver-timeout-ms", "3000", *QUICK_RETRIES).start().add_company()
    crowd = [make_receiver(stage=stage) for stage in ("silent", "mute") for _ in range(8)]
    for receiver in crowd:
        company.create_webhook(receiver.url())
    healthy = make_receiver()
    company.subscribe(healthy)
    for n in range(30):
        company.post_event(data={"id": n})
        healthy.wait_for(n + 1, timeout=3)


def test_a_hanging_path_beside_a_good_one_on_the_same_host(make_server, receiver):
    company = make_server("--deliver-timeout-ms", "3000", *QUICK_RETRIES).start().add_company()
    receiver.on("/hang", behaviours.hang)
    company.subscribe(receiver, "/hang")
    company.subscribe(receiver, "/good")
    for n in range(30):
        company.post_event(data={"id": n})
        receiver.wait_for(n + 1, "/good", timeout=3)


def test_the_deadline_is_one_for_all_phases(hasty, make_receiver):
    """Connect, handshake and head share it: a drip never lives longer than the deadline."""
    receiver = make_receiver().on("/hook", behaviours.drip_head)
    webhook = hasty.subscribe(receiver)
    event = hasty.post_event()
    attempt = hasty.wait_attempt(webhook, event)[0]
    total = attempt["timings"]["total"]
    # The loop's timers are whole milliseconds, the timings are not.
    assert TIMEOUT_MS * 1000 - 1000 <= total < TIMEOUT_MS * 1000 + 2_000_000


# -- the egress guard at connect time

def test_guard_refuses_at_connect_time(make_server, receiver):
    """Registered while the range was open; the guard is shut at the next start."""
    server = make_server(*QUICK_RETRIES).start()
    company = server.add_company()
    webhooks = [company.subscribe(receiver, "/literal"),
                company.subscribe(receiver, "/name", host="localhost")]
    company.post_event()
    receiver.wait_for(1, "/literal")
    receiver.wait_for(1, "/name")
    server.stop()
    server.allow = []
    server.start()
    event = company.post_event()
    for webhook in webhooks:
        attempt = company.wait_attempt(webhook, event)[0]
        assert re.search(r"private|reserved|refused|not allowed|public", words(attempt)), attempt
        wait_until(lambda: company.status(webhook)["failures"] >= 1, 10)
    assert event not in receiver.ids("/literal") | receiver.ids("/name")


def test_trust_is_read_anew_at_every_start(make_server, receiver):
    """A receiver that --ca-file vouched for is refused once the file is no longer given."""
    server = make_server(*QUICK_RETRIES).start()
    company = server.add_company()
    webhook = company.subscribe(receiver)
    company.post_event()
    receiver.wait_for(1)
    server.stop()
    server.ca_file = None
    server.start()
    event = company.post_event()
    attempt = company.wait_attempt(webhook, event)[0]
    assert re.search(r"certificate|trust|issuer", words(attempt)), attempt
    assert event not in receiver.ids("/hook")


def test_attempts_of_a_hostile_receiver_are_all_logged(make_server, receiver):
    company = make_server("--retry-schedule", "1,1", "--deliver-timeout-ms", "500").start() \
        .add_company()
    receiver.on("/hook", behaviours.reset)
    webhook = company.subscribe(receiver)
    event = company.post_event()
    company.wait_attempt(webhook, event, 3, timeout=20)
    assert len(attempts_of(company.delivery_of(webhook, event))) == 3
