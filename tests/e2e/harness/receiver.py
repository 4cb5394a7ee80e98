"""A TLS receiver: records every request, checks its signature, behaves as told per path.

One asyncio loop in one thread per receiver, on a free port of 127.0.0.1. `requests` only grows and
is read from other threads without a lock (list.append is atomic); everything else of the loop is
private to it.
"""

import asyncio
import collections
import json
import threading
import time

from . import behaviours
from .signature import verify
from .wait import wait_until


class Request:
    """One request as it arrived. `at` is monotonic, taken when its last byte was read."""

    __slots__ = ("at", "method", "target", "head", "headers", "body", "connection", "nth",
                 "answered", "signed")

    def __init__(self, head, body, connection, nth):
        self.at = time.monotonic()
        lines = head.decode("latin-1").split("\r\n")
        self.method, self.target, _ = lines[0].split(" ", 2)
        self.head, self.body = head, body
        self.headers = {}
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            if colon:
                self.headers[name.lower()] = value.strip()
        self.connection, self.nth = connection, nth
        self.answered = None  # the status sent
        self.signed = None  # True or False once checked; None when the secret is not known

    @property
    def path(self):
        return self.target.partition("?")[0]

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def id(self):
        return self.headers.get("webhook-id")

    @property
    def attempt(self):
        return int(self.headers["hookswitch-attempt"])

    @property
    def sequence(self):
        return int(self.headers["hookswitch-sequence"])


class Exchange:
    """What a behaviour gets to see."""

    def __init__(self, receiver, request, reader, writer, nth):
        self.receiver, self.request, self.nth = receiver, request, nth
        self.reader, self.writer = reader, writer

    async def gone(self):
        """Returns when the other side has ended the connection."""
        try:
            while await self.reader.read(65536):
                pass
        except (ConnectionError, OSError):
            pass


class Receiver:
    """Use as a context manager, or start() and stop().

    cert   a kind of certs.py
    stage  "http" (default) answers; "silent" accepts and never speaks TLS; "mute" shakes hands and
           never reads
    """

    def __init__(self, authority, cert="good", stage="http", host="127.0.0.1"):
        self._authority, self._cert, self._stage, self._host = authority, cert, stage, host
        self._behaviours = {}
        self.default = behaviours.ok
        self.secrets = {}  # path -> whsec_...
        self.requests = []
        self.by_path = collections.defaultdict(list)
        self.in_flight = 0  # requests read and not yet answered
        self.connections = 0  # accepted so far
        self.open_connections = 0
        self.port = None
        self._tasks = set()
        self._thread = None

    # -- set-up, from the test's thread

    def start(self):
        ready = threading.Event()
        self._thread = threading.Thread(target=self._main, args=(ready,), daemon=True)
        self._thread.start()
        assert ready.wait(10), "the receiver did not start"
        return self

    def stop(self):
        if self._thread and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(10)
            assert not self._thread.is_alive(), "the receiver did not stop"

    __enter__ = start

    def __exit__(self, *_):
        self.stop()

    def on(self, path, behaviour):
        """From now on requests for the path are treated so; takes effect at once."""
        self._behaviours[path] = behaviour
        return self

    def url(self, path="/hook", host=None):
        return f"https://{host or self._host}:{self.port}{path}"

    # -- what arrived

    def of(self, path):
        """Requests of a path in the order of arrival."""
        return list(self.by_path.get(path, ()))

    def ids(self, path):
        return {request.id for request in self.of(path)}

    def wait_for(self, count, path="/hook", timeout=10.0):
        """The requests of the path once there are at least `count`."""
        wait_until(
            lambda: len(self.by_path.get(path, ())) >= count, timeout,
            lambda: f"{count} requests for {path}, there are {len(self.by_path.get(path, ()))}")
        return self.of(path)

    def unsigned(self):
        """Requests whose signature was checked and is wrong."""
        return [request for request in self.requests if request.signed is False]

    # -- the loop's thread

    def _main(self, ready):
        asyncio.run(self._serve(ready))

    async def _serve(self, ready):
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(lambda *_: None)  # broken pipes are this class's trade
        self._stopping = asyncio.Event()
        context = None if self._stage == "silent" else self._authority.context(self._cert)
        server = await asyncio.start_server(
            self._accept, self._host, 0, ssl=context, backlog=1024, limit=1 << 20)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        await self._stopping.wait()
        server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader, writer):
        self._tasks.add(asyncio.current_task())
        self.connections += 1
        self.open_connections += 1
        try:
            if self._stage == "http":
                await self._converse(reader, writer, self.connections)
            else:
                await asyncio.Event().wait()
        except (ConnectionError, asyncio.IncompleteReadError, OSError, asyncio.LimitOverrunError):
            pass
        except asyncio.CancelledError:
            pass
        finally:
            self.open_connections -= 1
            self._tasks.discard(asyncio.current_task())
            try:
                writer.close()
            except Exception:  # the transport may be gone in any way
                pass

    async def _converse(self, reader, writer, connection):
        nth = 0
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            request = await self._read(reader, head, connection, nth)
            self.requests.append(request)
            self.by_path[request.path].append(request)
            self.in_flight += 1
            try:
                behave = self._behaviours.get(request.path, self.default)
                keep = await behave(Exchange(self, request, reader, writer, nth))
            finally:
                self.in_flight -= 1
            if not keep:
                return
            nth += 1

    async def _read(self, reader, head, connection, nth):
        request = Request(head, b"", connection, nth)
        length = int(request.headers.get("content-length", "0"))
        request.body = await reader.readexactly(length)
        request.at = time.monotonic()
        secret = self.secrets.get(request.path)
        if secret:
            try:
                request.signed = verify(secret, request.headers, request.body)
            except (KeyError, ValueError):
                request.signed = False
        return request
