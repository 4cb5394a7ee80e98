"""The server under the demo: started, killed and started again on the same data directory."""

import json
import os
import re
import selectors
import signal
import subprocess
import time


class Server:
    """Addressed by the pid of the child that this object started, never by name."""

    def __init__(self, binary, folder):
        self._binary = binary
        self.data = folder / "data"
        self._log = folder / "server.log"
        self._authority = None
        self._process = None
        self._port = 0
        self.url = None

    def trust(self, authority):
        self._authority = authority

    def command(self, port):
        # The rate limit of management calls is off because the demo polls states while it waits.
        return [self._binary, "serve", "--data", str(self.data), "--listen", f"127.0.0.1:{port}",
                "--ca-file", str(self._authority), "--allow-cidr", "127.0.0.0/8",
                "--api-rate-limit", "0"]

    def _environment(self):
        # Somebody's own HOOKSWITCH_ settings would change what is shown.
        return {k: v for k, v in os.environ.items() if not k.startswith("HOOKSWITCH_")}

    def start(self, timeout_s=20):
        """Starts it and waits for its ready line; returns how long that took, in seconds."""
        began = time.monotonic()
        try:
            self._launch(self._port, timeout_s)
        except RuntimeError:
            if self._port == 0:
                raise
            # Somebody took the port while nobody listened: any other will do.
            self._launch(0, timeout_s)
        self._port = int(re.search(r":(\d+)/?$", self.url)[1])
        return time.monotonic() - began

    def _launch(self, port, timeout_s):
        with open(self._log, "ab") as log:
            # A session of its own, so that Ctrl-C reaches it only through stop().
            self._process = subprocess.Popen(
                self.command(port), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
                env=self._environment(), start_new_session=True)
        line = self._first_line(time.monotonic() + timeout_s)
        if not line:
            time.sleep(0.05)  # an end of output comes a moment before the end of the process
        try:
            self.url = json.loads(line)["url"]
        except (ValueError, KeyError, TypeError):
            ended = self._process.poll()
            self.kill()
            raise RuntimeError(f"the server did not say that it is ready; it wrote {line!r} and "
                               + (f"waited for {timeout_s} s" if ended is None
                                  else f"ended with status {ended}")) from None

    def _first_line(self, deadline):
        pipe, line = self._process.stdout, b""
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            while not line.endswith(b"\n") and time.monotonic() < deadline:
                if selector.select(max(0, deadline - time.monotonic())):
                    some = os.read(pipe.fileno(), 4096)
                    if not some:
                        break
                    line += some
        return line.decode("utf-8", "replace")

    @property
    def pid(self):
        return self._process.pid

    def alive(self):
        return self._process is not None and self._process.poll() is None

    def kill(self):
        """SIGKILL: no handler runs, nothing is flushed."""
        if self.alive():
            self._process.send_signal(signal.SIGKILL)
        self._reap(10)

    def stop(self):
        """SIGTERM, and the exit status; SIGKILL when it does not end in its own 10 s."""
        if self.alive():
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._reap(15)
        except subprocess.TimeoutExpired:
            self.kill()
            return None

    def _reap(self, timeout_s):
        if self._process is None:
            return None
        status = self._process.wait(timeout_s)
        self._process.stdout.close()
        return status

    def company_add(self, name):
        """The credentials that the local command prints; it speaks to the running server."""
        done = subprocess.run(
            [self._binary, "company", "add", name, "--json", "--data", str(self.data)],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20,
            env=self._environment())
        if done.returncode:
            raise RuntimeError(f"company add: {done.stderr.strip()}")
        made = json.loads(done.stdout)
        return made["api_id"], made["api_token"]

    def log_tail(self, lines=20):
        try:
            text = self._log.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""
        return "the last lines of the server's log:\n" + "\n".join(text.splitlines()[-lines:])
