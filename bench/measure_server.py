"""Runs the whole server against the bare loop in interleaved rounds; prints medians and ratios.

usage: measure_server.py HOOKSWITCH FOLDER_OF_THE_PROGRAMS ROUNDS

All in = one event accepted in a batch of 100 over HTTP, fsynced, delivered once over TLS and its
result recorded: the CPU time of the server process per event. The bare loop = the same delivery
and nothing else. Producer and receiver are other processes; their time does not count.
"""

import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

BARE_COUNT = 40000
EVENTS = 40000


def bare(folder):
    with tempfile.TemporaryDirectory(prefix="hookswitch-bench-") as scratch:
        receiver = subprocess.Popen([folder / "bench_receiver", scratch, "1"],
                                    stdout=subprocess.PIPE, text=True)
        try:
            receiver.stdout.readline()
            scratch = pathlib.Path(scratch)
            line = subprocess.run(
                [folder / "bench_bare", "--ca", scratch / "ca.pem", "--targets",
                 scratch / "targets", "--hosts", "1", "--count", str(BARE_COUNT)],
                check=True, capture_output=True, text=True).stdout
        finally:
            receiver.kill()
            receiver.wait()
    return json.loads(line)["cpu_us_per_delivery"]


def server(hookswitch, folder, fanout):
    command = [sys.executable, pathlib.Path(__file__).parent / "allin.py", hookswitch,
               folder / "bench_receiver", "--events", str(EVENTS), "--fanout", str(fanout)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main():
    hookswitch, folder, rounds = sys.argv[1], pathlib.Path(sys.argv[2]), int(sys.argv[3])
    runs = {"bare": [], "ingest": [], "all in": []}
    last = {}
    for number in range(rounds):
        order = ["bare", "ingest", "all in"]
        for name in order if number % 2 == 0 else reversed(order):
            if name == "bare":
                runs[name].append(bare(folder))
            else:
                last[name] = server(hookswitch, folder, 0 if name == "ingest" else 1)
                runs[name].append(last[name]["cpu_us_per_event"])
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
    medians = {name: statistics.median(values) for name, values in runs.items()}
    each = [a / b for a, b in zip(runs["all in"], runs["bare"])]
    ratio = medians["all in"] / medians["bare"]
    print("\nCPU of the server per event (1,500 bytes, batches of 100, fsync), median, us")
    print(f"  bare loop, one TLS delivery   {medians['bare']:8.1f}")
    print(f"  ingest alone                  {medians['ingest']:8.1f}   "
          f"{last['ingest']['accepted_per_s']:,} events/s in the last round")
    print(f"  all in, one TLS delivery      {medians['all in']:8.1f}   "
          f"{last['all in']['events_per_s']:,} events/s in the last round, "
          f"{last['all in']['bytes_written_per_event']:,} bytes written per event")
    print(f"  all in / bare                 {ratio:8.2f}   ({min(each):.2f} to {max(each):.2f})")
    print(f"{'met   ' if ratio <= 3.0 else 'MISSED'} all in at most 3.0 x the bare loop's delivery")
    print(json.dumps({"server_cpu_us": medians, "all_in_to_bare": round(ratio, 2)}))


if __name__ == "__main__":
    main()
