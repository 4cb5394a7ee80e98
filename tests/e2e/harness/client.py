"""A user of the public API: one company's credentials and the calls that the tests make."""

import json
import threading

import requests

from .wait import SCALE, wait_until


class Company:
    """Speaks Basic api_id:api_token to whatever port the server has just now."""

    def __init__(self, server, company_id, api_id, api_token):
        self.server = server
        self.id, self.api_id, self.api_token = company_id, api_id, api_token
        self._local = threading.local()

    @property
    def session(self):
        # requests.Session is not meant for several threads at once.
        if not hasattr(self._local, "session"):
            self._local.session = requests.Session()
            self._local.session.trust_env = False
        return self._local.session

    def call(self, method, path, auth=True, **options):
        """One request; `path` may be a whole URL (the links of a list)."""
        url = path if path.startswith("http") else self.server.url + path
        if auth is True:
            auth = (self.api_id, self.api_token)
        options.setdefault("timeout", 20 * SCALE)
        options.setdefault("allow_redirects", False)
        return self.session.request(method, url, auth=auth or None, **options)

    def get(self, path, **options):
        return self.call("GET", path, **options)

    def post(self, path, **options):
        return self.call("POST", path, **options)

    def put(self, path, **options):
        return self.call("PUT", path, **options)

    def delete(self, path, **options):
        return self.call("DELETE", path, **options)

    # -- webhooks

    def create_webhook(self, url, events=None, **fields):
        """The created webhook object; with a receiver's secret learnt by learn_secret()."""
        body = {"url": url, **fields}
        if events is not None:
            body["events"] = events
        answer = self.post("/v1/webhooks", json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()["webhook"]

    def webhook(self, webhook):
        answer = self.get(f"/v1/webhooks/{webhook['webhook_id']}")
        assert answer.status_code == 200, answer.text
        return answer.json()["webhook"]

    def update_webhook(self, webhook, **fields):
        answer = self.put(f"/v1/webhooks/{webhook['webhook_id']}", json=fields)
        assert answer.status_code == 200, answer.text
        return answer.json()["webhook"]

    def delete_webhook(self, webhook):
        answer = self.delete(f"/v1/webhooks/{webhook['webhook_id']}")
        assert answer.status_code == 204, answer.text

    def secret(self, webhook):
        answer = self.get(f"/v1/webhooks/{webhook['webhook_id']}/secret")
        assert answer.status_code == 200, answer.text
        return answer.json()["secret"]

    def status(self, webhook):
        answer = self.get(f"/v1/webhooks/{webhook['webhook_id']}/status")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def subscribe(self, receiver, path="/hook", events=None, host=None, **fields):
        """A webhook at the receiver, whose signatures the receiver then checks."""
        webhook = self.create_webhook(receiver.url(path, host), events, **fields)
        receiver.secrets[path.partition("?")[0]] = self.secret(webhook)
        return webhook

    # -- events

    def post_event(self, event="call.created", data=None, **fields):
        """Posts one event and returns its id."""
        body = {"event": event, "data": {"id": 1} if data is None else data, **fields}
        answer = self.post("/v1/events", json=body)
        assert answer.status_code == 202, answer.text
        return answer.json()["events"][0]["id"]

    def post_events(self, events, key=None):
        """Posts a batch of {"event","data"} and returns their ids in order."""
        headers = {"Idempotency-Key": key} if key else None
        answer = self.post("/v1/events", json={"events": events}, headers=headers)
        assert answer.status_code == 202, answer.text
        return [one["id"] for one in answer.json()["events"]]

    def post_raw(self, body, path="/v1/events", content_type="application/json", **headers):
        """Posts bytes as they are."""
        fields = {"Content-Type": content_type} if content_type else {}
        fields.update({name.replace("_", "-"): value for name, value in headers.items()})
        return self.post(path, data=body, headers=fields)

    def event(self, event_id):
        answer = self.get(f"/v1/events/{event_id}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    # -- the delivery log

    def deliveries(self, webhook, **query):
        answer = self.get(f"/v1/webhooks/{webhook['webhook_id']}/deliveries", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()["deliveries"]

    def delivery(self, delivery_id):
        answer = self.get(f"/v1/deliveries/{delivery_id}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def delivery_of(self, webhook, event_id):
        """The detailed record of the delivery of an event to a webhook."""
        for one in self.deliveries(webhook, limit=100):
            if one["event_id"] == event_id:
                return self.delivery(one["id"])
        return None

    def wait_attempt(self, webhook, event_id, count=1, timeout=15):
        """The attempts of a delivery once `count` of them are recorded."""

        def look():
            record = self.delivery_of(webhook, event_id)
            attempts = attempts_of(record) if record else []
            return attempts if len(attempts) >= count else None

        return wait_until(look, timeout, f"{count} attempts of {event_id}", pause=0.05)

    def wait_status(self, webhook, timeout=15, **wanted):
        """The status object once the given fields have the given values."""
        last = {}

        def look():
            last.clear()
            last.update(self.status(webhook))
            return all(last.get(name) == value for name, value in wanted.items())

        wait_until(look, timeout, lambda: f"wanted {wanted}, have {json.dumps(last)}", pause=0.05)
        return dict(last)


def attempts_of(record):
    """The attempts inside a detailed delivery, oldest first."""
    assert isinstance(record.get("attempt_log"), list), json.dumps(record)[:2000]
    assert record["attempts"] == len(record["attempt_log"]), json.dumps(record)[:2000]
    return record["attempt_log"]


def assert_refusal(answer, status, *words):
    """The three-field error body, with a sentence that contains each of the words."""
    assert answer.status_code == status, f"{answer.status_code}: {answer.text}"
    body = answer.json()
    assert body["success"] is False, body
    assert isinstance(body["error"], str) and body["error"], body
    assert isinstance(body["troubleshoot"], str) and len(body["troubleshoot"]) > 8, body
    for word in words:
        assert word.lower() in body["troubleshoot"].lower(), body
    return body
