"""A client of the public API, as small as one needs: Basic credentials, JSON, kept connections."""

import base64
import http.client
import json
import threading
import urllib.parse


class ApiError(Exception):
    """The server answered, with something other than success."""

    def __init__(self, method, path, status, text):
        super().__init__(f"{method} {path} answered {status}: {text[:300]}")
        self.status = status


class Api:
    """One connection per thread; after an OSError or HTTPException the next call makes another."""

    def __init__(self, url, api_id, api_token):
        self.credentials = f"{api_id}:{api_token}"
        self._basic = "Basic " + base64.b64encode(self.credentials.encode()).decode()
        self._local = threading.local()
        self.move(url)

    def move(self, url):
        """The server answers somewhere else now (a restart on another port)."""
        self.url = url
        self._address = urllib.parse.urlsplit(url).netloc

    def call(self, method, path, body=None, **headers):
        """(status, parsed body or text); raises OSError or HTTPException when nobody answers."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        headers["Authorization"] = self._basic
        text = None
        if body is not None:
            text = json.dumps(body, ensure_ascii=False).encode()
            headers["Content-Type"] = "application/json"
        kept = getattr(self._local, "connection", None)
        connection = kept or http.client.HTTPConnection(self._address, timeout=10)
        self._local.connection = None
        try:
            connection.request(method, path, text, headers)
            answer = connection.getresponse()
            raw = answer.read()
        except BaseException:
            connection.close()
            raise
        if answer.will_close:
            connection.close()
        else:
            self._local.connection = connection
        kind = answer.getheader("Content-Type", "")
        return answer.status, json.loads(raw) if "json" in kind and raw else raw.decode()

    def wanted(self, status, method, path, body=None, **headers):
        """The body of an answer that must have this status. Not to be used while nobody answers,
        except that a connection that grew old is tried once more."""
        try:
            got, answer = self.call(method, path, body, **headers)
        except (OSError, http.client.HTTPException):
            got, answer = self.call(method, path, body, **headers)
        if got != status:
            raise ApiError(method, path, got, json.dumps(answer))
        return answer

    def create_webhook(self, url, name, events):
        body = {"custom_name": name, "url": url}
        if events is not None:
            body["events"] = sorted(events)
        return self.wanted(201, "POST", "/v1/webhooks", body)["webhook"]

    def secret(self, webhook_id):
        return self.wanted(200, "GET", f"/v1/webhooks/{webhook_id}/secret")["secret"]

    def status(self, webhook_id):
        return self.wanted(200, "GET", f"/v1/webhooks/{webhook_id}/status")

    def enable(self, webhook_id):
        return self.wanted(200, "PUT", f"/v1/webhooks/{webhook_id}", {"active": True})["webhook"]

    def event(self, event_id):
        return self.wanted(200, "GET", f"/v1/events/{event_id}")
