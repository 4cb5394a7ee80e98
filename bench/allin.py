#!/usr/bin/python3
"""One measurement of the whole server: CPU per event, all in.

    allin.py HOOKSWITCH RECEIVER [--events N] [--batch N] [--bytes N] [--fanout N]

Starts RECEIVER (bench/receiver) and HOOKSWITCH (with a data directory beside it, so every 202 is
fsynced), registers FANOUT webhooks, posts N events in batches over one connection, and waits until
all deliveries have their result recorded. With --fanout 0 it measures ingest alone.
Prints one line of JSON: the CPU time of the server process (user + system, from /proc) per event,
and wall-clock rates. Only the CPU figures are worth comparing, and only within one run.
"""
import argparse
import base64
import http.client
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_us(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * 1_000_000 // TICKS


def written_bytes(pid):
    for line in pathlib.Path(f"/proc/{pid}/io").read_text().splitlines():
        if line.startswith("write_bytes:"):
            return int(line.split()[1])
    return 0


class Api:
    def __init__(self, port, key, token):
        self.link = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        secret = base64.b64encode(f"{key}:{token}".encode()).decode()
        self.fields = {"Authorization": f"Basic {secret}", "Content-Type": "application/json"}

    def call(self, method, path, body=None):
        self.link.request(method, path, body, self.fields)
        answer = self.link.getresponse()
        text = answer.read()
        if answer.status == 429:
            time.sleep(0.01)
            return self.call(method, path, body)
        if answer.status >= 300:
            sys.exit(f"{method} {path}: {answer.status} {text[:300]!r}")
        return text

    def delivered(self):
        for line in self.call("GET", "/metrics").decode().splitlines():
            if line.startswith("hookswitch_attempts_total") and 'outcome="delivered"' in line:
                return int(float(line.rsplit(" ", 1)[1]))
        sys.exit("/metrics shows no delivered attempts")


def batches(first, count, size, data_bytes):
    """Request bodies of `size` events of about data_bytes each."""
    for start in range(first, first + count, size):
        events = []
        for n in range(start, min(start + size, first + count)):
            data = {"id": n, "direction": "inbound", "status": "done", "raw_digits": "+33 1 76 36 06 95"}
            data["note"] = "x" * max(0, data_bytes - len(json.dumps(data)) - 12)
            events.append({"event": "call.ended", "data": data})
        yield json.dumps({"events": events}, separators=(",", ":")).encode()


def run(options, folder):
    receiver = subprocess.Popen([options.receiver, folder, str(max(1, options.fanout))],
                                stdout=subprocess.PIPE)
    server = None
    try:
        receiver.stdout.readline()
        targets = [line.split() for line in (pathlib.Path(folder) / "targets").read_text().splitlines()]
        data = os.path.join(folder, "data")
        server = subprocess.Popen(
            [options.hookswitch, "serve", "--data", data, "--listen", "127.0.0.1:0", "--ca-file",
             os.path.join(folder, "ca.pem"), "--allow-cidr", "127.0.0.0/8", "--log-level", "warn"],
            stdout=subprocess.PIPE)
        port = int(json.loads(server.stdout.readline())["url"].rsplit(":", 1)[1])
        made = json.loads(subprocess.check_output(
            [options.hookswitch, "company", "add", "Bench", "--json", "--data", data]))
        api = Api(port, made["api_id"], made["api_token"])
        for address, target_port in targets[:options.fanout]:
            api.call("POST", "/v1/webhooks",
                     json.dumps({"url": f"https://{address}:{target_port}/hook"}))
        measured = None
        for first, count in ((0, options.events // 10), (options.events, options.events)):
            bodies = list(batches(first, count, options.batch, options.bytes))
            owed = api.delivered() + count * options.fanout
            before, wrote, started = cpu_us(server.pid), written_bytes(server.pid), time.monotonic()
            for body in bodies:
                api.call("POST", "/v1/events", body)
            accepted = time.monotonic() - started
            while api.delivered() < owed:
                time.sleep(0.02)
            measured = {
                "events": count, "fanout": options.fanout, "batch": options.batch,
                "cpu_us_per_event": round((cpu_us(server.pid) - before) / count, 2),
                "bytes_written_per_event": (written_bytes(server.pid) - wrote) // count,
                "accepted_per_s": round(count / accepted),
                "events_per_s": round(count / (time.monotonic() - started)),
            }
        print(json.dumps(measured))
    finally:
        for child in (server, receiver):
            if child is not None:
                child.send_signal(signal.SIGTERM)
                child.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("hookswitch")
    parser.add_argument("receiver")
    parser.add_argument("--events", type=int, default=20000)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--bytes", type=int, default=1500)
    parser.add_argument("--fanout", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hookswitch-bench-") as folder:
        run(options, folder)


main()
