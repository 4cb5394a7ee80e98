"""The binary under test as a child process: start, wait for its ready line, stop, kill, restart.

Everything is addressed by the child's pid. The log (stderr) is collected line by line.
"""

import json
import os
import pathlib
import signal
import subprocess
import threading
import uuid

from .wait import SCALE, wait_until

ROOT = pathlib.Path(__file__).resolve().parents[3]


def binary():
    """The path of the binary; HOOKSWITCH_BIN, else build/hookswitch of this tree."""
    path = pathlib.Path(os.environ.get("HOOKSWITCH_BIN", ROOT / "build" / "hookswitch"))
    path = path if path.is_absolute() else ROOT / path
    assert path.is_file(), f"there is no binary at {path}: run script/build"
    return str(path)


def clean_environment(extra=None):
    """This process's environment without HOOKSWITCH_ settings, plus `extra`."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("HOOKSWITCH_")}
    env.update(extra or {})
    return env


def run_cli(*arguments, data=None, env=None, timeout=20, cwd=None):
    """Runs one local command to its end; returns the CompletedProcess with text streams."""
    command = [binary(), *map(str, arguments)]
    if data is not None:
        command += ["--data", str(data)]
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=cwd,
        env=clean_environment(env), timeout=timeout * SCALE)


class Server:
    """One data directory and the server processes that come and go on it."""

    def __init__(self, data, ca_file=None, args=(), allow=("127.0.0.0/8",), env=None,
                 listen="127.0.0.1:0", cwd=None):
        self.data = pathlib.Path(data)
        self.ca_file, self.args, self.allow = ca_file, list(args), list(allow)
        self.env, self.listen, self.cwd = env, listen, cwd
        self.process = None
        self.url = None
        self.stdout, self.stderr = [], []
        self.starts = 0

    def command(self):
        command = [binary(), "serve", "--data", str(self.data)]
        if self.listen:
            command += ["--listen", self.listen]
        for cidr in self.allow:
            command += ["--allow-cidr", cidr]
        if self.ca_file:
            command += ["--ca-file", str(self.ca_file)]
        return command + [str(arg) for arg in self.args]

    def start(self, wait=True, timeout=20):
        assert not self.running(), "the server runs already"
        self.url, self.stdout = None, []
        self.starts += 1
        self.stderr.append(f"--- start {self.starts}")
        self.process = subprocess.Popen(
            self.command(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, cwd=self.cwd, env=clean_environment(self.env))
        self._readers = [
            threading.Thread(target=self._collect, args=(self.process.stdout, self.stdout)),
            threading.Thread(target=self._collect, args=(self.process.stderr, self.stderr))]
        for reader in self._readers:
            reader.daemon = True
            reader.start()
        if wait:
            self.wait_ready(timeout)
        return self

    def wait_ready(self, timeout=20):
        wait_until(lambda: self.stdout or self.process.poll() is not None, timeout,
                   lambda: "no ready line; log:\n" + self.tail(), pause=0.002)
        assert self.stdout, f"exit {self.process.returncode} before ready; log:\n{self.tail()}"
        ready = json.loads(self.stdout[0])
        assert ready["ready"] is True and ready["pid"] == self.process.pid, ready
        self.url = ready["url"]

    def running(self):
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self):
        return self.process.pid

    def stop(self, timeout=20):
        """SIGTERM, and the exit status; a sanitizer's finding makes it other than 0."""
        if self.running():
            self.process.send_signal(signal.SIGTERM)
        return self.wait(timeout)

    def kill(self):
        """SIGKILL, and waits until the process is gone."""
        if self.running():
            self.process.kill()
        return self.wait(20)

    def wait(self, timeout=20):
        try:
            code = self.process.wait(timeout * SCALE)
        except subprocess.TimeoutExpired as expired:
            self.process.kill()
            self.process.wait(10)
            raise AssertionError(f"no exit within {timeout} s; log:\n{self.tail()}") from expired
        for reader in self._readers:
            reader.join(5)
        return code

    def restart(self):
        """Stops it politely (or finds it dead) and starts it on the same data."""
        if self.running():
            assert self.stop() == 0, self.tail()
        return self.start()

    def tail(self, lines=40):
        return "\n".join(self.stderr[-lines:])

    def memory_bytes(self, field="RssAnon"):
        """A memory figure of /proc/PID/status."""
        for line in pathlib.Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
        raise AssertionError(f"no {field} in /proc/{self.pid}/status")

    def cli(self, *arguments, **options):
        """A local command on this server's data directory."""
        return run_cli(*arguments, data=self.data, **options)

    def add_company(self, name=None):
        """`company add NAME --json` -> Company that talks to this server. Names are unique."""
        from .client import Company
        name = name or f"Acme {uuid.uuid4()}"
        done = self.cli("company", "add", name, "--json")
        assert done.returncode == 0, done.stderr
        made = json.loads(done.stdout)
        return Company(self, made["company_id"], made["api_id"], made["api_token"])

    @staticmethod
    def _collect(stream, lines):
        for raw in iter(stream.readline, b""):
            lines.append(raw.decode("utf-8", "replace").rstrip("\n"))
        stream.close()
