"""What a chaos run is made of, without a lab: outcomes, schedules, the table; and that the history's records fit both checkers."""
import json
import os
import shutil
import subprocess

import pytest

import aftermath
import faults
import load
import registers
import report

MS = report.NS_PER_MS


@pytest.mark.parametrize("status, code, outcome", [
    (200, "", "ok"), (201, "", "ok"), (412, "VERSION_MISMATCH", "refused"), (503, "WRITES_UNAVAILABLE", "refused"),
    (504, "DEADLINE_EXCEEDED", "refused"), (0, "unreachable", "refused"), (503, "OUTCOME_UNKNOWN", "unclear"), (500, "INTERNAL", "unclear"),
    (0, "TimeoutError", "unclear"), (0, "RemoteDisconnected", "unclear"), (409, "IDEMPOTENCY_IN_PROGRESS", "unclear")])
def test_only_what_certainly_was_not_done_is_refused(status, code, outcome):
    assert load.outcome_of(status, code) == outcome


def test_a_seed_gives_one_schedule():
    def names(seed):
        return [fault.name for fault in faults.choose(["none", "kill-center"], 5, seed)]
    assert names(7) == names(7) and names(7)[:2] == ["none", "kill-center"] and len(names(7)) == 7
    assert names(7) != names(8)
    for name in names(7)[2:]:
        first, second = name.split(" + ")
        assert first != second and {first, second} <= set(faults.PAIRABLE)
    with pytest.raises(ValueError, match="no fault is called explode"):
        faults.choose(["explode"], 0, 1)


def test_a_pair_stops_nothing_twice():
    def fault(*names):
        return faults.Fault("+".join(names), "", lambda _: [faults.Step(lambda: None, what=frozenset([name])) for name in names])
    both = faults.pair(fault("a", "b"), fault("b", "c")).steps(None)
    assert [set(step.what) for step in both] == [{"a"}, {"b"}, {"c"}]


def test_links_are_healed_and_voters_started_first():
    done = []

    def fails():
        done.append("fails")
        raise RuntimeError("refused")
    steps = [faults.Step(print, lambda: done.append("database")), faults.Step(print, lambda: done.append("voter"), 1),
             faults.Step(print, fails, 0), faults.Step(print)]
    with pytest.raises(RuntimeError, match="refused"):
        faults.undo(steps)
    assert done == ["fails", "voter", "database"]


def window(fault, begin, end, **more):
    return {"look": "window", "fault": fault, "promise": "it goes on", "seed": 1, "begin": begin * MS, "end": end * MS, "gone": [], "recovered_s": 1.5,
            "recovered_by": "", **more}


def answered(op, center, *ends):
    return [{"op": op, "center": center, "begin": (end - 1) * MS, "end": end * MS, "outcome": "ok"} for end in ends]


def test_unavailable_is_the_longest_time_without_an_answer():
    refused = {"op": "get", "center": "A", "begin": 300 * MS, "end": 310 * MS, "outcome": "refused"}
    events = [window("kill", 0, 1000), *answered("get", "A", 100, 200, 900), refused, *answered("update", "A", 500), *answered("get", "B", 50),
              *answered("bind", "B", 999)]
    row, = report.rows(events, [])
    assert row["gaps_ms"] == {"A": {"reads": 700, "writes": 500}, "B": {"reads": 950, "writes": 999}}
    gone, = report.rows([window("kill", 0, 1000, gone=["A"])], [])
    assert gone["gaps_ms"]["A"] is None and "| gone | 1000 | gone | 1000 |" in report.table([gone])


def test_what_is_found_counts_to_the_fault_before_it():
    events = [window("first", 10, 20), window("second", 30, 40, recovered_s=None, recovered_by="mariadb-a1 is ended")]
    found = [{"kind": kind, "at": at * MS, "text": ""} for kind, at in (("lost", 1), ("stale", 25), ("two", 35), ("not linearizable", 99))]
    first, second = report.rows(events, found)
    assert [one["kind"] for one in first["violations"]] == ["lost", "stale"]
    assert [one["kind"] for one in second["violations"]] == ["two", "not linearizable"]
    assert not report.is_good(first) and not report.is_good(second)
    assert report.is_good({**first, "violations": []}) and not report.is_good({**second, "violations": []})
    lines = report.table([first, second]).splitlines()
    assert lines[2].endswith("| 1 | 1 | 0 | 1.5 | nothing to do | it goes on |") and lines[3].endswith("| 0 | 0 | 2 | never | mariadb-a1 is ended | it goes on |")


def test_transactions_are_told_in_stretches():
    assert aftermath.runs([(1, 5), (2, 5), (3, 7), (5, 7), (4, 7), (6, 5)]) == [[5, 1, 2], [7, 3, 5], [5, 6, 6]]


def is_required():
    return os.environ.get("MUSTER_REQUIRE_TOOLS") == "1"


def test_registers_are_checked(tmp_path):
    """By the tool that is built as tools/get-tool does it; its own tests are in Go."""
    history = tmp_path / "history.jsonl"
    born = {"op": "register", "begin": 0, "end": 1, "outcome": "ok", "status": 201, "member": "1", "number": "a", "version": 1, "value": "a"}
    read = {"op": "get", "begin": 5, "end": 6, "outcome": "ok", "status": 200, "member": "1", "version": 1, "value": "a", "source": "primary",
            "age_ms": 0}

    def check(*events):
        history.write_text("".join(json.dumps(event) + "\n" for event in events))
        try:
            return registers.check(history, 10)
        except registers.NoTool as why:
            pytest.skip(f"{why}")
    found, counts = check(born, {"look": "topology"}, read)
    assert found == [] and counts == {"members": 1, "identities": 0, "operations": 2, "bad": 0}
    found, counts = check(born, {**read, "value": "b"})
    assert [(one["kind"], one["at"]) for one in found] == [("not linearizable", 5)] and counts["bad"] == 1
    assert "get of 1" in found[0]["text"]


def test_the_registers_own_tests_pass():
    if not shutil.which("go") and not is_required():
        pytest.skip("go is not installed")
    done = subprocess.run(["go", "test", "./..."], cwd=registers.ROOT / "tests" / "chaos" / "linearizable", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
