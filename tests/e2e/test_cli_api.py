"""webhooks, events and deliveries: the commands that call the API, piped and on a terminal."""

import json
import os
import pty
import re
import select
import subprocess
import termios
import time

import pytest
from harness import behaviours
from harness.server import binary, clean_environment
from harness.wait import SCALE, wait_until


def environment(company, **extra):
    variables = {"HOOKSWITCH_URL": company.server.url, "HOOKSWITCH_API_ID": company.api_id,
                 "HOOKSWITCH_API_TOKEN": company.api_token, **extra}
    return clean_environment({name: value for name, value in variables.items()
                              if value is not None})


def run(company, *arguments, stdin=None, **extra):
    """The command with its output in a pipe."""
    return subprocess.run(
        [binary(), *map(str, arguments)], input=stdin, capture_output=True, text=True,
        env=environment(company, **extra), timeout=60 * SCALE)


def run_json(company, *arguments, **options):
    done = run(company, *arguments, **options)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def on_terminal(company, *arguments, columns=80, **extra):
    """(exit status, what a terminal of so many columns was sent)."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, columns))
    process = subprocess.Popen(
        [binary(), *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=theirs,
        stderr=subprocess.PIPE, env=environment(company, **extra))
    os.close(theirs)
    sent, limit = b"", time.monotonic() + 60 * SCALE
    try:
        while time.monotonic() < limit:
            if not select.select([ours], [], [], 1)[0]:
                continue
            try:
                more = os.read(ours, 65536)
            except OSError:  # how Linux says that the other side is closed
                break
            if not more:
                break
            sent += more
        process.wait(10)
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
        os.close(ours)
    return process.returncode, sent.decode().replace("\r\n", "\n")


def text_of(company, *arguments, **options):
    code, text = on_terminal(company, *arguments, **options)
    assert code == 0, text
    return text


def create(company, url="https://127.0.0.1/hook", *arguments):
    return run_json(company, "webhooks", "create", url, *arguments)["webhook"]


# ---- webhooks ------------------------------------------------------------------------------


def test_create_sends_url_name_and_events(company):
    made = create(company, "https://127.0.0.1/a?b=c", "--name", "Zürich", "--event", "call.ended",
                  "--event", "call.created")
    assert made == company.webhook(made)
    assert made["url"] == "https://127.0.0.1/a?b=c" and made["custom_name"] == "Zürich"
    assert made["events"] == ["call.created", "call.ended"]


def test_create_without_events_listens_to_all(company):
    types = run_json(company, "events", "types")["event_types"]
    assert create(company)["events"] == [one["name"] for one in types]


def test_list_in_a_pipe_is_the_servers_json(company):
    create(company)
    expected = company.get("/v1/webhooks?page=1&per_page=50").json()
    assert run_json(company, "webhooks", "list") == expected


def test_list_on_a_terminal_is_a_table_that_fits(company):
    create(company, "https://127.0.0.1/" + "long/" * 40, "--name", "CRM", "--event", "call.ended")
    lines = text_of(company, "webhooks", "list").splitlines()
    assert re.fullmatch(r"id +active +name +events +url", lines[0])
    assert re.fullmatch(r"\d+ +yes +CRM +1 +https://127\.0\.0\.1/long/.*\.\.\.", lines[1])
    assert all(len(line) <= 80 for line in lines)


def test_list_uses_the_width_of_the_terminal(company):
    create(company, "https://127.0.0.1/" + "long/" * 20)
    assert "long/\n" in text_of(company, "webhooks", "list", columns=200)


def test_json_and_table_override_the_terminal(company):
    create(company)
    assert json.loads(text_of(company, "webhooks", "list", "--json"))["webhooks"]
    assert run(company, "webhooks", "list", "--table").stdout.startswith("id  active")


def test_list_follows_all_pages(company):
    made = [company.create_webhook(f"https://127.0.0.1/{i}", ["call.ended"])["id"]
            for i in range(51)]
    listed = run_json(company, "webhooks", "list")
    assert [one["id"] for one in listed["webhooks"]] == made
    assert listed["meta"]["count"] == listed["meta"]["total"] == 51
    assert listed["meta"]["next_page_link"] is None


def test_an_empty_list_says_how_to_begin(company):
    assert "webhooks create" in text_of(company, "webhooks", "list")


@pytest.mark.parametrize("field", ["id", "webhook_id"])
def test_show_takes_either_id_and_adds_the_status(company, field):
    made = create(company)
    shown = run_json(company, "webhooks", "show", made[field])
    assert shown == {"webhook": made, "status": company.status(made)}


def test_show_on_a_terminal_has_the_ledger_and_no_secrets(company):
    made = create(company)
    text = text_of(company, "webhooks", "show", made["id"])
    assert "ledger     " in text and made["url"] in text
    assert made["token"] not in text and "whsec_" not in text


def test_show_secret(company):
    made = create(company)
    secret = company.secret(made)
    assert run_json(company, "webhooks", "show", made["id"], "--secret")["secret"] == secret
    text = text_of(company, "webhooks", "show", made["id"], "--secret")
    assert secret in text and made["token"] in text


@pytest.mark.parametrize("arguments", [(), ("--event", "call.ended")], ids=["all", "one"])
def test_pause_and_enable_change_nothing_but_active(company, arguments):
    made = create(company, "https://127.0.0.1/x", "--name", "CRM", *arguments)
    paused = run_json(company, "webhooks", "pause", made["id"])["webhook"]
    assert paused == {**made, "active": False}
    assert company.status(made)["paused"] is True
    assert run_json(company, "webhooks", "enable", made["webhook_id"])["webhook"] == made


def test_pause_on_a_terminal_says_how_to_go_on(company):
    made = create(company)
    assert f"webhooks enable {made['id']}" in text_of(company, "webhooks", "pause", made["id"])
    assert "paused by hand" in text_of(company, "webhooks", "show", made["id"])
    assert "is active" in text_of(company, "webhooks", "enable", made["id"])


def test_delete(company):
    made = create(company)
    done = run(company, "webhooks", "delete", made["id"])
    assert done.returncode == 0 and done.stdout == ""
    assert company.get(f"/v1/webhooks/{made['id']}").status_code == 404
    again = run(company, "webhooks", "delete", made["id"])
    assert again.returncode == 1 and str(made["id"]) in again.stderr


# ---- events --------------------------------------------------------------------------------


def test_posted_data_arrives_byte_for_byte(company, tmp_path):
    data = '{"n": 123456789012345678901234567890, "s":"\\u0000\\u00fc"}'
    (tmp_path / "data.json").write_text(data)
    for value, stdin in ((data, None), (f"@{tmp_path}/data.json", None), ("-", data)):
        posted = run_json(company, "events", "post", "call.created", "--data", value, stdin=stdin)
        done = run(company, "events", "show", posted["events"][0]["id"])
        assert done.returncode == 0 and f'"data":{data}' in done.stdout, done


def test_post_without_data_sends_an_empty_object(company):
    posted = run_json(company, "events", "post", "call.created")
    assert company.event(posted["events"][0]["id"])["data"] == {}


def test_the_same_key_posts_once(company):
    first = run_json(company, "events", "post", "call.created", "--key", "k1")
    assert run_json(company, "events", "post", "call.created", "--key", "k1") == first
    other = run(company, "events", "post", "call.ended", "--key", "k1")
    assert other.returncode == 1 and "key" in other.stderr.lower()


@pytest.mark.parametrize("data", ["", "[]", '{"a":1', '{},"timestamp":1', "nonsense", "@/none"])
def test_what_is_no_object_is_a_wrong_command_line(company, data):
    done = run(company, "events", "post", "call.created", "--data", data)
    assert done.returncode == 2 and done.stdout == "", done


def test_an_unknown_event_is_the_servers_refusal(company):
    done = run(company, "events", "post", "call.creatd")
    assert done.returncode == 1 and "did you mean 'call.created'" in done.stderr


def test_an_event_on_a_terminal_shows_who_gets_it_and_its_data(company):
    made = create(company, "https://127.0.0.1:1/x", "--event", "call.created")
    run(company, "webhooks", "pause", made["id"])
    body = '{"event":"call.created","data":{"id":812,"evil":"\x9b2J"}}'
    event = company.post_raw(body.encode()).json()["events"][0]["id"]
    text = text_of(company, "events", "show", event)
    assert "1 webhook\n" in text and '"id": 812' in text
    assert re.search(rf"dlv_{event[4:]}-{made['id']} +held +0\n", text)
    assert '"evil": "?2J"' in text


def test_types_on_a_terminal(company):
    lines = text_of(company, "events", "types").splitlines()
    assert any(line.startswith("call.created ") for line in lines)
    assert all(len(line) <= 80 for line in lines)


# ---- deliveries ----------------------------------------------------------------------------


@pytest.fixture
def failed(company, make_receiver):
    """(webhook, event id) of an event that a hostile receiver refused once."""
    receiver = make_receiver()
    receiver.on("/hook", behaviours.status(503, b"gone\x1b[2J\r\nfishing\xc2\x9b"))
    webhook = company.subscribe(receiver, events=["call.created"])
    event = company.post_event("call.created")
    company.wait_attempt(webhook, event)
    return webhook, event


def test_deliveries_list_is_the_servers_json(company, failed):
    webhook, _ = failed
    listed = run_json(company, "deliveries", "list", webhook["id"])
    assert listed == company.get(f"/v1/webhooks/{webhook['id']}/deliveries").json()


def test_deliveries_list_filters_and_pages(company):
    webhook = company.create_webhook("https://127.0.0.1:1/x", ["call.created", "call.ended"],
                                     active=False)
    ids = company.post_events([{"event": name, "data": {}}
                               for name in ("call.created", "call.ended", "call.created")])
    listed = run_json(company, "deliveries", "list", webhook["id"], "--event", "call.created",
                      "--status", "held", "--limit", "1")
    assert [one["event_id"] for one in listed["deliveries"]] == [ids[2]]
    text = text_of(company, "deliveries", "list", webhook["id"], "--limit", "1")
    more = re.search(r"older ones: hookswitch (.*)\n", text)[1].split()
    assert more[:5] == ["deliveries", "list", str(webhook["id"]), "--limit", "1"]
    assert [one["event_id"] for one in run_json(company, *more)["deliveries"]] == [ids[1]]


def test_deliveries_list_on_a_terminal_fits(company, failed):
    webhook, event = failed
    lines = text_of(company, "deliveries", "list", webhook["id"]).splitlines()
    assert lines[0].split() == ["delivery", "created", "UTC", "status", "try", "event"]
    assert lines[1].startswith(f"dlv_{event[4:]}-{webhook['id']} ")
    assert all(len(line) <= 80 for line in lines)


def test_a_delivery_on_a_terminal_shows_its_attempt(company, failed):
    webhook, event = failed
    delivery = f"dlv_{event[4:]}-{webhook['id']}"
    text = text_of(company, "deliveries", "show", delivery)
    assert re.search(r"attempt 1 +\S+ \S+ UTC +HTTP 503\n", text)
    for phase in ("connect", "tls", "first byte", "total"):
        assert re.search(rf"  {phase} +[\d.]+ (us|ms|s)  \[\.*#+\.*\]\n", text), text
    assert "    | gone?[2J\n    | fishing?\n" in text
    assert "webhook-signature" not in text
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "    > webhook-signature: v1," in text_of(company, "deliveries", "show", delivery,
                                                     "--request")


def test_deliveries_retry_sends_it_again(company, receiver):
    webhook = company.subscribe(receiver, "/once-more")
    event = company.post_event()
    delivery = f"dlv_{event[4:]}-{webhook['id']}"
    company.wait_attempt(webhook, event)
    assert run_json(company, "deliveries", "retry", delivery) == {"id": delivery,
                                                                  "status": "retrying"}
    wait_until(lambda: len(receiver.of("/once-more")) == 2, 10)
    company.wait_attempt(webhook, event, 2)
    assert "due now" in text_of(company, "deliveries", "retry", delivery)
    done = run(company, "deliveries", "retry", "dlv_nonsense")
    assert done.returncode == 1 and "dlv_nonsense" in done.stderr


def test_json_on_a_terminal_is_harmless_and_the_same(company, failed):
    webhook, event = failed
    delivery = f"dlv_{event[4:]}-{webhook['id']}"
    text = text_of(company, "deliveries", "show", delivery, "--json")
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", text)
    assert json.loads(text)["attempt_log"][0]["response_body"] == "gone\x1b[2J\r\nfishing\x9b"


# ---- whom it calls -------------------------------------------------------------------------


def test_without_a_token_it_is_a_wrong_command_line(company):
    done = run(company, "webhooks", "list", HOOKSWITCH_API_TOKEN=None)
    assert done.returncode == 2 and "HOOKSWITCH_API_TOKEN" in done.stderr


def test_the_token_alone_is_enough(company):
    assert run_json(company, "webhooks", "list", HOOKSWITCH_API_ID=None)["webhooks"] == []


def test_the_token_is_no_flag(company):
    done = run(company, "webhooks", "list", "--api-token", company.api_token)
    assert done.returncode == 2 and company.api_token not in done.stderr


def test_wrong_credentials_say_what_to_check(company):
    done = run(company, "webhooks", "list", HOOKSWITCH_API_TOKEN="0" * 32)
    assert done.returncode == 1 and "HOOKSWITCH_API_ID" in done.stderr


def test_flags_win_over_the_environment(company):
    done = run(company, "webhooks", "list", "--url", company.server.url + "/v1/", "--api-id",
               company.api_id, HOOKSWITCH_URL="http://127.0.0.1:1", HOOKSWITCH_API_ID="x")
    assert done.returncode == 0, done.stderr


def test_a_proxy_never_stands_before_this_machine(company):
    done = run(company, "webhooks", "list", http_proxy="http://127.0.0.1:1", no_proxy="", NO_PROXY="")
    assert done.returncode == 0, done.stderr


def test_nobody_there_says_what_to_check(company):
    done = run(company, "webhooks", "list", "--url", "http://127.0.0.1:1")
    assert done.returncode == 1 and done.stdout == ""
    assert "127.0.0.1:1" in done.stderr and "check that the server runs" in done.stderr


@pytest.mark.parametrize("id", ["..", ".", "a/b", "1?x=y", "9999", "%2e%2e"])
def test_an_id_stays_an_id(company, id):
    done = run(company, "webhooks", "show", id)
    assert done.returncode == 1 and "there is no webhook" in done.stderr


def test_https_with_a_private_authority(make_server, ca):
    cert, key = ca.leaf("good")
    server = make_server("--tls-cert", cert, "--tls-key", key).start()
    done = server.cli("company", "add", "Acme", "--json")
    made = json.loads(done.stdout)
    variables = clean_environment({
        "HOOKSWITCH_URL": server.url, "HOOKSWITCH_API_ID": made["api_id"],
        "HOOKSWITCH_API_TOKEN": made["api_token"]})

    def call(*arguments, **extra):
        return subprocess.run([binary(), "webhooks", "list", *arguments], capture_output=True,
                              text=True, env={**variables, **extra}, timeout=60 * SCALE)

    assert call("--ca-file", str(ca.ca_file)).returncode == 0
    assert call(HOOKSWITCH_CA_FILE=str(ca.ca_file)).returncode == 0
    refused = call()
    assert refused.returncode == 1 and "--ca-file" in refused.stderr
    assert call("--ca-file", "/none.pem").returncode == 2


@pytest.mark.parametrize("kind", ["wrong_name", "expired", "self_signed", "other_ca"])
def test_a_wrong_certificate_gets_no_request(company, make_receiver, ca, kind):
    receiver = make_receiver(cert=kind)
    done = run(company, "webhooks", "list", "--url", f"https://127.0.0.1:{receiver.port}",
               "--ca-file", ca.ca_file)
    assert done.returncode == 1 and "not trusted" in done.stderr
    assert receiver.requests == []


def test_a_redirect_is_not_followed(company, make_receiver, ca):
    receiver = make_receiver()
    receiver.default = behaviours.status(
        302, fields=[("Location", receiver.url("/elsewhere"))])
    done = run(company, "webhooks", "list", "--url", receiver.url("").rstrip("/"), "--ca-file",
               ca.ca_file)
    assert done.returncode == 1 and "redirect" in done.stderr
    assert receiver.of("/elsewhere") == []


@pytest.mark.parametrize("body", [b"ok", b"<html>", b"", b"[1]"])
@pytest.mark.parametrize("form", ["--json", "--table"])
def test_a_stranger_that_answers_200_is_found_out(company, make_receiver, ca, body, form):
    receiver = make_receiver()
    receiver.default = behaviours.status(200, body)
    done = run(company, "webhooks", "list", form, "--url", receiver.url(""), "--ca-file",
               ca.ca_file)
    assert done.returncode == 1 and "Hookswitch server" in done.stderr and done.stdout == ""


def test_a_refusal_of_a_stranger_cannot_paint_the_terminal(company, make_receiver, ca):
    receiver = make_receiver()
    receiver.default = behaviours.status(
        500, json.dumps({"troubleshoot": "a\x1b[2Jb\x9bc"}).encode())
    done = run(company, "webhooks", "list", "--url", receiver.url(""), "--ca-file", ca.ca_file)
    assert done.returncode == 1 and "a?[2Jb?c" in done.stderr


@pytest.mark.parametrize("command", ["webhooks", "events", "deliveries"])
def test_help_needs_no_server(command):
    done = subprocess.run([binary(), command, "--help"], capture_output=True, text=True,
                          env=clean_environment(), timeout=20 * SCALE)
    assert done.returncode == 0 and "HOOKSWITCH_API_TOKEN" in done.stdout
    assert all(len(line) <= 100 for line in done.stdout.splitlines())
