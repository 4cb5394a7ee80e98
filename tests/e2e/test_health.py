"""/healthz, /readyz and /metrics."""

import re

import pytest
from harness import behaviours
from harness.wait import wait_until

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = rf'{NAME}="(?:[^"\\\n]|\\[\\"n])*"'
SAMPLE = re.compile(
    rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)?\}})? (-?[0-9.]+(?:[eE][-+]?\d+)?|[+-]Inf|NaN)")


def scrape(company):
    """{(name, labels): value} of /metrics, refusing whatever is not Prometheus text."""
    answer = company.get("/metrics", auth=False)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.text.endswith("\n")
    values, types, helped = {}, {}, set()
    for line in answer.text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in types and kind in ("counter", "gauge", "histogram", "summary")
            types[name] = kind
        elif line.startswith("# HELP "):
            helped.add(line.split(" ")[2])
        elif line and not line.startswith("#"):
            match = SAMPLE.fullmatch(line)
            assert match, f"no sample: {line}"
            key = (match[1], match[2] or "")
            assert key not in values, f"twice: {line}"
            values[key] = float(match[3].replace("Inf", "inf"))
            family = re.sub(r"_(bucket|sum|count)$", "", match[1])
            assert match[1] in types or family in types, f"no TYPE: {line}"
    assert set(types) <= helped
    return values, types


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_needs_no_credentials(company, path):
    assert company.get(path, auth=False).status_code == 200


def test_metrics_are_prometheus_text(company, receiver):
    receiver.on("/bad", behaviours.status(500))
    company.subscribe(receiver, "/good")
    company.subscribe(receiver, "/bad")
    company.post_event()
    receiver.wait_for(1, "/good")
    receiver.wait_for(1, "/bad")
    values, types = scrape(company)
    names = " ".join(types)
    for word in ("ingest|event", "commit", "fsync", "deliver", "lane", "held|hold", "connection",
                 "memory|rss|resident"):
        assert re.search(word, names), f"no metric about {word}: {names}"
    assert all(name.startswith(("hookswitch_", "process_")) for name in types), names


def test_histograms_are_cumulative(company, receiver):
    company.subscribe(receiver)
    company.post_event()
    receiver.wait_for(1)
    values, types = scrape(company)
    histograms = [name for name, kind in types.items() if kind == "histogram"]
    assert histograms
    for name in histograms:
        series = {}
        for (sample, labels), value in values.items():
            if sample == name + "_bucket":
                rest = ",".join(re.findall(rf'(?!le=){LABEL}', re.sub(r'le="[^"]*",?', "", labels)))
                edge = float(re.search(r'le="([^"]*)"', labels)[1].replace("Inf", "inf"))
                series.setdefault(rest, []).append((edge, value))
        for rest, buckets in series.items():
            edges = sorted(buckets)
            assert edges == buckets and edges[-1][0] == float("inf"), (name, rest)
            counts = [value for _, value in edges]
            assert counts == sorted(counts), (name, rest)
            assert values[(name + "_count", rest)] == counts[-1], (name, rest)


def test_counters_move(company, receiver):
    company.subscribe(receiver)
    before, types = scrape(company)

    def moved():
        after, _ = scrape(company)
        return {name for (name, labels), value in after.items()
                if types.get(name) == "counter" and value > before.get((name, labels), 0)}

    company.post_events([{"event": "call.created", "data": {"id": n}} for n in range(10)])
    receiver.wait_for(10)
    wait_until(lambda: any("deliver" in name or "attempt" in name for name in moved()), 10, moved)
    assert any("event" in name or "ingest" in name for name in moved())


def test_what_is_owed_and_held_is_a_gauge(make_server, receiver):
    server = make_server().start()
    company = server.add_company()
    webhook = company.subscribe(receiver)
    company.update_webhook(webhook, active=False)
    company.post_events([{"event": "call.created", "data": {"id": n}} for n in range(7)])

    def gauges():
        lines = company.get("/metrics").text.splitlines()
        return {line.split()[0]: float(line.split()[1]) for line in lines if "{" not in line
                and not line.startswith("#")}

    wait_until(lambda: gauges()["hookswitch_deliveries_held"] == 7, 10)
    assert gauges()["hookswitch_lanes_on_hold"] == 1 and gauges()["hookswitch_lanes"] == 1
    company.update_webhook(webhook, active=True)
    wait_until(lambda: gauges()["hookswitch_deliveries_owed"] == 0, 10)
    assert gauges()["hookswitch_deliveries_held"] == 0
