"""Fixtures of the end-to-end tests. Everything that a test starts is stopped at its end, by pid."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from harness.certs import Authority  # noqa: E402
from harness.receiver import Receiver  # noqa: E402
from harness.server import Server  # noqa: E402

# The short schedule of tests that wait for retries; the policy itself is simulated elsewhere.
QUICK_RETRIES = ("--retry-schedule", "1,1,1,1,1,1,1,1,1,1")


def pytest_configure(config):
    config.addinivalue_line("markers", "load: heavy on CPU or time; left out under sanitizers")


@pytest.fixture(scope="session")
def ca(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


def _finish(server):
    if server.process is None:
        return
    if server.running():
        code = server.stop()
        assert code == 0, f"exit {code}; log:\n{server.tail(200)}"
    for line in server.stderr:
        print(line)  # pytest shows it beside a failed test


@pytest.fixture(scope="module")
def shared(tmp_path_factory, ca):
    """A server for the tests of a module that only talk to the API."""
    server = Server(tmp_path_factory.mktemp("shared") / "data", ca.ca_file,
                    args=("--api-rate-limit", "0"))
    server.start()
    yield server
    _finish(server)


@pytest.fixture
def company(shared, request):
    """A fresh company on the shared server."""
    return shared.add_company(request.node.name)


@pytest.fixture
def make_server(tmp_path, ca):
    """make_server(*args, **options of Server) -> not started; its data is this test's alone."""
    made = []

    def make(*args, **options):
        options.setdefault("ca_file", ca.ca_file)
        if "--api-rate-limit" not in args:
            args = ("--api-rate-limit", "0", *args)
        server = Server(options.pop("data", tmp_path / f"data{len(made)}"), args=args, **options)
        made.append(server)
        return server

    yield make
    for server in made:
        _finish(server)


@pytest.fixture
def server(make_server):
    """A started server of this test alone, with one-second retries."""
    return make_server(*QUICK_RETRIES).start()


@pytest.fixture
def acme(server):
    """A company on `server`."""
    return server.add_company("Acme")


@pytest.fixture
def make_receiver(ca):
    """make_receiver(cert=..., stage=...) -> started Receiver."""
    made = []

    def make(**options):
        receiver = Receiver(ca, **options).start()
        made.append(receiver)
        return receiver

    yield make
    for receiver in made:
        receiver.stop()


@pytest.fixture
def receiver(make_receiver):
    return make_receiver()
