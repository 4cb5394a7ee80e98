"""A sample receiver: an HTTPS server that checks what it gets, and that can break on demand.

This is what an integrator would write, in the order that docs/receiving.md recommends: read the
body, verify signature and token, note the event by its webhook-id, answer 200.
"""

import base64
import hashlib
import hmac
import http.server
import json
import ssl
import sys
import threading
import time

TOLERANCE_S = 300


def verify(secret, headers, body):
    """True when the Standard Webhooks signature is right and the request is recent."""
    message_id, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not stamp.isdecimal() or abs(time.time() - int(stamp)) > TOLERANCE_S:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{message_id}.{stamp}.".encode() + body
    wanted = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    given = headers.get("webhook-signature", "").split()
    return any(hmac.compare_digest(one, wanted) for one in given)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 120  # of a kept connection; the sender closes its idle ones earlier

    def do_POST(self):
        receiver = self.server.receiver
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        answer = receiver.take(self.headers, body)
        if answer is None:
            # Hangs, as a process that waits for a dead database does; the sender gives up first.
            receiver.repaired.wait(30)
            self.close_connection = True
            return
        self.send_response(answer)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Listener(http.server.ThreadingHTTPServer):
    request_queue_size = 128
    receiver = None

    def handle_error(self, request, client_address):
        # A killed sender resets its connections; everything else is a mistake of the demo.
        if not isinstance(sys.exc_info()[1], (OSError, ssl.SSLError)):
            super().handle_error(request, client_address)


class Receiver:
    """name, colour: on the screen. events: the subscription; None = all. books: where it notes."""

    def __init__(self, name, colour, purpose, events, cert, key, books):
        self.name, self.colour, self.purpose = name, colour, purpose
        self.events, self._books = events, books
        self.webhook_id = self.token = self.secret = None  # known once registered
        self.repaired = threading.Event()
        self.repaired.set()
        self._broken_lock = threading.Lock()
        self._refusals_left = 0
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        self._listener = Listener(("127.0.0.1", 0), Handler)
        self._listener.receiver = self
        # Without the handshake on accept, one slow client cannot hold up the others.
        self._listener.socket = context.wrap_socket(
            self._listener.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"https://127.0.0.1:{self._listener.server_port}/hooks/{name}"
        self._thread = threading.Thread(target=self._listener.serve_forever, args=(0.05,))

    def start(self):
        self._thread.start()

    def stop(self):
        self.repaired.set()
        if self._thread.is_alive():
            self._listener.shutdown()
            self._thread.join(5)
        self._listener.server_close()

    def wants(self, event):
        return self.events is None or event in self.events

    def break_down(self, refusals):
        """From now on: 503 for so many requests, then silence."""
        with self._broken_lock:
            self._refusals_left = refusals
            self.repaired.clear()

    def repair(self):
        self.repaired.set()

    def take(self, headers, body):
        """One request: the status to answer, or None to hang."""
        document = json.loads(body)
        signed = verify(self.secret, headers, body)
        known = hmac.compare_digest(document["token"], self.token)
        answer = 200 if signed and known else 401
        with self._broken_lock:
            if not self.repaired.is_set():
                answer = 503 if self._refusals_left > 0 else None
                self._refusals_left -= 1
        seal = "signed" if signed and known else "BADSIG" if known else "BADTOK"
        self._books.arrived(self, headers, document, answer, seal)
        return answer
