"""Plays calls: several lines at once, each line one call after the other, posted as events.

A line posts like a careful producer: every event has an Idempotency-Key, and when nobody answers
the same request is sent again until there is a 202. The events of one call are posted in order.
"""

import http.client
import threading
import time
import uuid

from api import ApiError

GIVE_UP_S = 30


class Clock:
    """Wall time that runs `speed` times as fast as the real one, and may be made to run slower."""

    def __init__(self, start):
        self._lock = threading.Lock()
        self._wall, self._real, self._speed = start, time.monotonic(), 1

    def __call__(self):
        with self._lock:
            return self._wall + (time.monotonic() - self._real) * self._speed

    def run(self, speed):
        now = self()
        with self._lock:
            self._wall, self._real, self._speed = now, time.monotonic(), speed


class Player:
    """lines: simultaneous calls. speed: how many seconds of a call pass in one. pause_s: between
    two calls of a line. calls: how many in all; None = until finish()."""

    def __init__(self, centre, api, books, lines, speed, pause_s=0.0, calls=None):
        self._centre, self._api, self._books = centre, api, books
        self._speed, self._pause_s, self._left = speed, pause_s, calls
        self._lock = threading.Lock()
        self._finish = threading.Event()
        self._abort = threading.Event()
        self._threads = [threading.Thread(target=self._line, args=(number,))
                         for number in range(lines)]

    def start(self):
        for thread in self._threads:
            thread.start()
        return self

    def running(self):
        return any(thread.is_alive() for thread in self._threads)

    def finish(self):
        """No new calls; those that run come to their end without further pauses."""
        self._finish.set()

    def abort(self):
        """Ends as soon as possible, also when nobody answers; waits for it."""
        self._abort.set()
        self._finish.set()
        for thread in self._threads:
            if thread.ident:
                thread.join(15)

    def _next(self):
        with self._lock:
            if self._finish.is_set() or self._left == 0:
                return None
            if self._left:
                self._left -= 1
            return self._centre.next_call()

    def _line(self, number):
        try:
            self._finish.wait(number * 0.35)  # lines do not all begin in the same instant
            while (call := self._next()) is not None:
                self.play(call)
                self._finish.wait(self._pause_s)
        except (ApiError, OSError, http.client.HTTPException) as error:
            self._books.trouble(f"the call centre gave up: {error}")

    def play(self, steps):
        """One call, or any other series of steps, in this thread."""
        for pause, event, data in steps:
            if self._abort.is_set():
                return
            self._finish.wait(pause / self._speed)
            self.post(event, data)

    def post(self, event, data):
        """Until it is accepted; raises when that takes longer than GIVE_UP_S."""
        body = {"event": event, "data": data, "timestamp": self._centre.now()}
        key, began = str(uuid.uuid4()), time.monotonic()
        told = False
        while True:
            posted = time.monotonic()
            try:
                status, answer = self._api.call("POST", "/v1/events", body, Idempotency_Key=key)
            except (OSError, http.client.HTTPException):
                if self._abort.is_set() or time.monotonic() - began > GIVE_UP_S:
                    raise
                if not told:
                    self._books.unanswered(event, data)
                    told = True
                self._abort.wait(0.1)
                continue
            if status == 202:
                self._books.accepted(answer["events"][0]["id"], event, data, posted, again=told)
                return
            if status not in (429, 503, 507) or time.monotonic() - began > GIVE_UP_S:
                raise ApiError("POST", "/v1/events", status, str(answer))
            self._abort.wait(0.5)
