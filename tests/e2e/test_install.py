"""`meson install` and what the service manager sees."""

import os
import pathlib
import shutil
import socket
import subprocess

import pytest
from harness.server import binary, clean_environment
from harness.wait import SCALE


def build_folder():
    for folder in pathlib.Path(binary()).resolve().parents:
        if (folder / "build.ninja").exists():
            return folder
    return pytest.skip("the binary does not stand in a build folder")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The root of a staged installation."""
    root = tmp_path_factory.mktemp("root")
    subprocess.run(["meson", "install", "-C", str(build_folder()), "--no-rebuild", "--quiet",
                    "--destdir", str(root)], check=True, env=clean_environment(),
                   capture_output=True, timeout=120 * SCALE)
    return root / "usr" / "local"


def test_the_binary_is_installed_and_runs(installed):
    done = subprocess.run([installed / "bin" / "hookswitch", "--version"], capture_output=True,
                          text=True, env=clean_environment(), timeout=20 * SCALE)
    assert done.returncode == 0 and done.stdout.startswith("hookswitch ")


def test_nothing_else_is_installed_than_what_is_meant(installed):
    found = {str(file.relative_to(installed)) for file in installed.rglob("*") if file.is_file()}
    docs = {f"share/doc/hookswitch/{name}" for name in (
        "LICENSE", "README.md", "api.md", "cli.md", "operations.md", "receiving.md", "settings.md")}
    assert found == docs | {"bin/hookswitch", "lib/systemd/system/hookswitch.service"}


def test_the_unit_names_what_is_installed(installed):
    unit = (installed / "lib/systemd/system/hookswitch.service").read_text()
    assert "ExecStart=/usr/local/bin/hookswitch serve " in unit
    assert "Documentation=file:/usr/local/share/doc/hookswitch/operations.md" in unit
    assert "@" not in unit.replace("@system-service", "").replace("@privileged", "")


def test_the_unit_is_understood_by_systemd(installed, tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    unit = (installed / "lib/systemd/system/hookswitch.service").read_text()
    copy = tmp_path / "hookswitch.service"
    copy.write_text(unit.replace("/usr/local/", f"{installed}/"))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(copy)],
                          capture_output=True, text=True, timeout=20 * SCALE)
    about = [line for line in done.stderr.splitlines() if "hookswitch.service" in line]
    assert about == [], about


@pytest.mark.parametrize("abstract", [False, True], ids=["path", "abstract"])
def test_the_service_manager_is_told(make_server, tmp_path, abstract):
    name = f"\0hookswitch-{os.getpid()}" if abstract else str(tmp_path / "notify")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(name)
    listener.settimeout(20 * SCALE)
    server = make_server(env={"NOTIFY_SOCKET": name.replace("\0", "@")}).start()
    assert listener.recv(64) == b"READY=1"
    server.stop()
    assert listener.recv(64) == b"STOPPING=1"
    listener.close()


def test_a_service_manager_that_is_gone_is_no_reason_to_fail(make_server, tmp_path):
    server = make_server(env={"NOTIFY_SOCKET": str(tmp_path / "missing")}).start()
    assert any("could not be told" in line for line in server.stderr)
    assert server.stop() == 0
