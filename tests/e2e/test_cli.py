"""company and credential, with and without a running server."""

import json
import pathlib

import pytest
from harness.client import Company
from harness.server import run_cli


@pytest.fixture(params=["running", "stopped"])
def host(request, make_server):
    """A server that is up or down while the command runs; use(host) makes sure that it is up."""
    server = make_server()
    if request.param == "running":
        server.start()
    return server


def use(server):
    return server if server.running() else server.start()


def company_of(server, made):
    return Company(use(server), made["company_id"], made["api_id"], made["api_token"])


def run_json(server, *arguments):
    done = server.cli(*arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_company_add_json_has_exactly_three_fields(host):
    made = run_json(host, "company", "add", "Acme", "--json")
    assert set(made) == {"company_id", "api_id", "api_token"}
    assert all(made[name] for name in made)


def test_company_add_is_in_force_when_it_returns(host):
    made = run_json(host, "company", "add", "Acme", "--json")
    assert company_of(host, made).get("/v1/ping").status_code == 200


def test_company_add_without_json_shows_id_and_token(host):
    done = host.cli("company", "add", "Acme")
    assert done.returncode == 0 and "Acme" in done.stdout


def test_company_list_names_companies(host):
    host.cli("company", "add", "Acme")
    host.cli("company", "add", "Zürich AG")
    done = host.cli("company", "list")
    assert done.returncode == 0
    assert "Acme" in done.stdout and "Zürich AG" in done.stdout


def test_credential_add_gives_a_second_pair(host):
    first = run_json(host, "company", "add", "Acme", "--json")
    second = run_json(host, "credential", "add", "Acme", "--json")
    assert second["api_id"] != first["api_id"] and second["api_token"] != first["api_token"]
    assert company_of(host, first).get("/v1/ping").status_code == 200
    assert company_of(host, {**first, **second}).get("/v1/ping").status_code == 200


def test_credential_add_takes_the_company_id_too(host):
    first = run_json(host, "company", "add", "Acme", "--json")
    second = run_json(host, "credential", "add", first["company_id"], "--json")
    assert second["api_id"] != first["api_id"]


def test_credential_list_shows_ids_and_no_token(host):
    made = run_json(host, "company", "add", "Acme", "--json")
    done = host.cli("credential", "list", "Acme")
    assert done.returncode == 0
    assert made["api_id"] in done.stdout and made["api_token"] not in done.stdout


def test_revoked_credential_is_dead_when_the_command_returns(host):
    first = run_json(host, "company", "add", "Acme", "--json")
    second = run_json(host, "credential", "add", "Acme", "--json")
    if host.running():
        assert company_of(host, first).get("/v1/ping").status_code == 200
    done = host.cli("credential", "revoke", "Acme", first["api_id"])
    assert done.returncode == 0, done.stderr
    assert company_of(host, first).get("/v1/ping").status_code == 403
    assert company_of(host, {**first, **second}).get("/v1/ping").status_code == 200


@pytest.mark.parametrize("arguments", [
    ("credential", "add", "Nobody"),
    ("credential", "list", "Nobody"),
    ("credential", "revoke", "Nobody", "abc"),
], ids=" ".join)
def test_unknown_company_is_an_error_that_names_it(host, arguments):
    host.cli("company", "add", "Acme")
    done = host.cli(*arguments)
    assert done.returncode == 1, done.stderr
    assert "Nobody" in done.stderr


def test_unknown_credential_is_an_error(host):
    host.cli("company", "add", "Acme")
    done = host.cli("credential", "revoke", "Acme", "nosuchcredential")
    assert done.returncode == 1 and "nosuchcredential" in done.stderr


def test_credentials_survive_a_restart(make_server):
    server = make_server().start()
    company = server.add_company()
    server.kill()
    server.start()
    assert company.get("/v1/ping").status_code == 200


def test_token_is_nowhere_in_the_data_directory(make_server):
    server = make_server().start()
    company = server.add_company()
    assert company.get("/v1/ping").status_code == 200
    server.stop()
    token = company.api_token.encode()
    for path in pathlib.Path(server.data).rglob("*"):
        if path.is_file():
            assert token not in path.read_bytes(), path


def test_token_is_nowhere_in_the_log(make_server):
    server = make_server("--log-level", "debug").start()
    company = server.add_company()
    company.get("/v1/ping")
    server.stop()
    assert company.api_token not in "\n".join(server.stderr)


@pytest.mark.parametrize("arguments", [
    ("company", "list"),
    ("credential", "list", "Acme"),
    ("credential", "add", "Acme"),
], ids=" ".join)
def test_a_mistaken_directory_is_named_and_not_made(tmp_path, arguments):
    done = run_cli(*arguments, data=tmp_path / "mistaken")
    assert done.returncode == 1 and "mistaken" in done.stderr and "--data" in done.stderr
    assert not (tmp_path / "mistaken").exists()


def test_local_command_without_a_server_makes_the_directory_private(tmp_path):
    done = run_cli("company", "add", "Acme", data=tmp_path / "fresh")
    assert done.returncode == 0
    assert (tmp_path / "fresh").stat().st_mode & 0o777 == 0o700
