"""Runs linearizable/ (Go, porcupine) over the file of a history: each member and each identity as a register."""
import json
import os
import subprocess

from muster_process import ROOT


class NoTool(Exception):
    """It cannot be had here; the text says why."""


def program():
    done = subprocess.run([ROOT / "tools" / "get-tool", "linearizable"], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return done.stdout.strip()
    if done.returncode == 3 and os.environ.get("MUSTER_REQUIRE_TOOLS") != "1":
        raise NoTool(done.stderr.strip())
    raise RuntimeError(done.stderr.strip())


def check(path, timeout_s):
    """Violations as checker.py has them, and the counts. What could not be decided in time is a violation too."""
    done = subprocess.run([program(), "-timeout", f"{timeout_s}s", str(path)], capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        raise RuntimeError(done.stderr.strip())
    *found, counts = [json.loads(line) for line in done.stdout.splitlines()]
    return [{"kind": "not linearizable", "at": one["at"], "text": f"{one['register']}, {one['operations']} operations, is {one['result']}: "
             f"{one['text']}"} for one in found], counts
