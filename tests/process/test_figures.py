"""The program of `make figures` measures what it says, once: a switchover and the loss of a center. How fast they are is not judged here."""
import json
import os
import pathlib
import subprocess
import sys

import pytest

from muster_process import ROOT, binary
from test_lab import require_engines

DEADLINE_S = 500.0


@pytest.mark.parametrize("part, rows", [
    ("switchover", {"switchover_paused", "switchover_lost", "switchover_stale"}),
    ("loss-kill", {"loss_kill_lost", "loss_kill_failed_reads", "loss_kill_writes_back", "loss_kill_stale"})])
def test_a_figure_is_measured(tmp_path, part, rows):
    require_engines()
    done = subprocess.run([sys.executable, ROOT / "tests" / "figures" / "reliability.py", "--build", pathlib.Path(binary()).parent, "--out", tmp_path / "out",
                           "--times", "1", "--only", part], capture_output=True, text=True, check=False, timeout=DEADLINE_S,
                          env={**os.environ, "TMPDIR": str(tmp_path)})
    assert done.returncode in (0, 1), done.stderr
    report = json.loads((tmp_path / "out" / "reliability.json").read_text())
    found = {row["figure"]: row for row in report["rows"]}
    assert set(found) == rows, done.stdout + done.stderr
    for name, row in found.items():
        if name.endswith(("_paused", "_back")):
            assert 0 < row["value"] < 60, row
        elif not name.endswith("_reads"):  # on a machine with a lot to do a read may take longer than its deadline
            assert row["met"] and row["detail"]["acknowledged_writes"] > 10, row
    table = (tmp_path / "out" / "reliability.md").read_text()
    assert all(row["what"] in table for row in found.values()) and "**no**" not in table or done.returncode == 1
