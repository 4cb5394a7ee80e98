"""JavaScript's side: the tutorial's script against our API, the npm library on our deliveries."""

import json
import os
import pathlib
import shutil
import subprocess

import pytest
from harness.server import clean_environment
from harness.wait import SCALE

HERE = pathlib.Path(__file__).resolve().parent


def tool(name):
    """The path of node or npm; in CI their absence is a failure, elsewhere a skip."""
    found = shutil.which(name)
    if not found:
        assert not os.environ.get("CI"), f"{name} is missing"
        pytest.skip(f"{name} is missing: apt install nodejs npm")
    return found


def run(command, **options):
    done = subprocess.run(command, capture_output=True, text=True, timeout=120 * SCALE,
                          stdin=subprocess.DEVNULL, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_tutorials_script(make_server, receiver, ca):
    node = tool("node")
    cert, key = ca.leaf("good")
    server = make_server("--tls-cert", cert, "--tls-key", key).start()
    company = server.add_company()
    company.session.verify = str(ca.ca_file)
    out = run([node, str(HERE / "node" / "register.js"), server.url.rsplit(":", 1)[1],
               company.api_token, receiver.url("/hook?from=node")],
              env=clean_environment({"NODE_EXTRA_CA_CERTS": str(ca.ca_file)}))
    answer = json.loads(out)
    assert answer["status"] == 201, answer
    webhook = answer["body"]["webhook"]
    types = company.get("/v1/event_types").json()["event_types"]
    assert set(webhook["events"]) == {one["name"] for one in types}
    assert webhook["custom_name"] == "My first webhook" and webhook["active"] is True
    names = ["call.created", "user.opened", "contact.updated", "number.closed"]
    company.post_events([{"event": name, "data": {"id": 1}} for name in names])
    requests = receiver.wait_for(len(names))
    assert {request.json["event"] for request in requests} == set(names)
    assert {request.json["token"] for request in requests} == {webhook["token"]}


def test_the_npm_library_verifies_a_delivery(make_server, receiver, tmp_path):
    npm, node = tool("npm"), tool("node")
    folder = tmp_path / "npm"
    shutil.copytree(HERE.parent / "npm", folder, ignore=shutil.ignore_patterns("node_modules"))
    run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder)
    company = make_server().start().add_company()
    webhook = company.subscribe(receiver)
    company.post_event("call.ended", {"id": 7, "name": "Zoë — 東京 ☎"})
    request = receiver.wait_for(1)[0]
    delivered = folder / "delivered.json"
    delivered.write_text(json.dumps({
        "secret": company.secret(webhook), "headers": request.headers,
        "body": request.body.decode()}))
    out = json.loads(run([node, "verify.js", str(delivered)], cwd=folder))
    assert out == {"verified": True, "event": "call.ended"}
