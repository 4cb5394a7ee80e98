"""Runs the senders of the benchmark in interleaved rounds and prints medians and ratios.

usage: measure_client.py FOLDER_OF_THE_PROGRAMS ROUNDS

CPU time is that of the sending process alone; both sides share the machine, so absolute figures
move with its load. Ratios are of the medians, with the spread of the rounds' own ratios beside.
"""

import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

HOSTS = (1, 100, 5000)
SENDERS = ("bare", "client_room", "libcurl_multi")
# libcurl at 5,000 hosts takes a third of a millisecond per request.
COUNT = {("libcurl_multi", 5000): 6000}
DEFAULT_COUNT = 20000
IDLE_CONNECTIONS = 2000


def run(folder, sender, scratch, *arguments):
    """The JSON line that a sender prints."""
    command = [folder / f"bench_{sender}", "--ca", scratch / "ca.pem",
               "--targets", scratch / "targets", *map(str, arguments)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def measure(folder, scratch, rounds):
    """{(sender, hosts): [microseconds of CPU per delivery, one per round]}"""
    times = {(sender, hosts): [] for sender in SENDERS for hosts in HOSTS}
    for number in range(rounds):
        for hosts in HOSTS:
            # Who goes first changes, so that a drift of the machine favours nobody.
            for sender in SENDERS if number % 2 == 0 else reversed(SENDERS):
                result = run(folder, sender, scratch, "--hosts", hosts, "--count",
                             COUNT.get((sender, hosts), DEFAULT_COUNT))
                times[sender, hosts].append(result["cpu_us_per_delivery"])
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
    return times


def ratio(times, above, below, hosts):
    """Ratio of the medians, and the lowest and highest of the single rounds."""
    each = [a / b for a, b in zip(times[above, hosts], times[below, hosts])]
    value = statistics.median(times[above, hosts]) / statistics.median(times[below, hosts])
    return value, min(each), max(each)


def report(times, idle_kb):
    print("\nCPU of the sender per TLS keep-alive delivery (1,500 byte body), median, us")
    print(f"{'hosts':>7} {'bare loop':>10} {'hookswitch':>11} {'libcurl':>9}"
          f" {'ours/bare':>22} {'libcurl/ours':>24}")
    for hosts in HOSTS:
        medians = [statistics.median(times[sender, hosts]) for sender in SENDERS]
        ours = "%.2f (%.2f to %.2f)" % ratio(times, "client_room", "bare", hosts)
        curl = "%.1f (%.1f to %.1f)" % ratio(times, "libcurl_multi", "client_room", hosts)
        print(f"{hosts:>7,} {medians[0]:>10.1f} {medians[1]:>11.1f} {medians[2]:>9.1f}"
              f" {ours:>22} {curl:>24}")
    print(f"memory per idle TLS connection of the client: {idle_kb:.1f} KB "
          f"(median, {IDLE_CONNECTIONS:,} connections)\n")
    checks = {
        "ours/bare at most 2.0 at every number of hosts":
            all(ratio(times, "client_room", "bare", hosts)[0] <= 2.0 for hosts in HOSTS),
        "libcurl/ours at least 2 at 100 hosts":
            ratio(times, "libcurl_multi", "client_room", 100)[0] >= 2,
        "libcurl/ours at least 10 at 5,000 hosts":
            ratio(times, "libcurl_multi", "client_room", 5000)[0] >= 10,
        "under 40 KB per idle TLS connection": idle_kb < 40,
    }
    for sentence, holds in checks.items():
        print(f"{'met   ' if holds else 'MISSED'} {sentence}")
    print(json.dumps({
        "cpu_us": {f"{sender}@{hosts}": round(statistics.median(values), 3)
                   for (sender, hosts), values in times.items()},
        "idle_connection_kb": round(idle_kb, 2),
        "targets": checks}))


def main():
    folder, rounds = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    with tempfile.TemporaryDirectory(prefix="hookswitch-bench-") as scratch:
        scratch = pathlib.Path(scratch)
        receiver = subprocess.Popen([folder / "bench_receiver", scratch, str(max(HOSTS))],
                                    stdout=subprocess.PIPE, text=True)
        try:
            if receiver.stdout.readline().strip() != "ready":
                sys.exit("bench: the receiver did not start (it needs 20,000 descriptors)")
            times = measure(folder, scratch, rounds)
            idle = [run(folder, "client_room", scratch, "--hosts", IDLE_CONNECTIONS,
                        "--idle-memory")["bytes_per_connection"] / 1024 for _ in range(3)]
        finally:
            receiver.kill()
            receiver.wait()
    report(times, statistics.median(idle))


if __name__ == "__main__":
    main()
