"""`script/demo --once` plays its round against the real binary and checks itself."""

import os
import pathlib
import subprocess

import pytest
from harness.server import binary

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.mark.load
def test_demo_once():
    done = subprocess.run([str(ROOT / "script" / "demo"), "--once"], capture_output=True, text=True,
                          timeout=240, env={**os.environ, "HOOKSWITCH_BIN": str(binary())})
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert "accepted = delivered" in done.stdout
    assert "Switched off" in done.stdout
