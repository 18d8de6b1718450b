#!/usr/bin/env python3
"""Breaks a two-center system of real engines, one fault after the other, under load, and judges what callers were told.

    tests/chaos/run.py --seed 7 --faults kill-center,partition --pairs 2 --seconds 120 --report chaos.md --json chaos.json

Exit code 0: nothing was lost, stale, held by two or written by two, all of it linearizable, and everything was whole again; 1: not
so; 2: a mistake in the arguments; 77: the engines are not installed (with MUSTER_REQUIRE_TOOLS=1 that is 1). What
was wrong, or --out, is kept with its history, so that checker.py and linearizable/ can judge it again.
"""
import argparse
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "process"))

import aftermath  # noqa: E402
import checker  # noqa: E402
import faults  # noqa: E402
import registers  # noqa: E402
import report  # noqa: E402
from grounds import Grounds, Watch  # noqa: E402
from history import History, read  # noqa: E402
from load import Load  # noqa: E402
from member_client import Client  # noqa: E402
from muster_process import binary, environment, wait_for  # noqa: E402

SHORTEST_HOLD_S, LONGEST_HOLD_S = 4.0, 15.0
# Of --seconds, about as much goes by for each fault beside its hold: done, undone, whole again, taken back.
OVERHEAD_S = 9.0
RECOVERY_DEADLINE_S = 180.0
BENCH_MEMBERS, BENCH_RATE = 20, 20
REGISTER_TIMEOUT_S = 20
ENGINES, ENGINES_PATH = ("etcd", "mariadbd", "redis-server", "mariadb-binlog"), "/usr/bin:/usr/sbin:/usr/local/bin:/usr/local/sbin"
VIOLATIONS_PRINTED = 20


def say(text):
    print(text, file=sys.stderr, flush=True)


class Background:
    """`muster bench` beside the load, on members of its own, at a server of the second center."""

    def __init__(self, grounds, out):
        self.path = out / "bench.json"
        address = grounds.doors()["B"][0][1]
        with Client(address, grounds.key) as client:
            members = [self.register(client, f"bench {n}") for n in range(BENCH_MEMBERS)]
        population = out / "bench-members.jsonl"
        population.write_text("".join(json.dumps({"id": member, "displayName": "bench"}) + "\n" for member in members))
        self._out = open(self.path, "w", encoding="utf-8")  # noqa: SIM115: for as long as it runs
        self._process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", binary(), "bench", "--rps", str(BENCH_RATE), "--duration", "5h", "--warmup", "1s",
             "--timeout", "2s", "--connections", "4", "--mix", "get=8,update=2", "--population", str(population),
             "--server", f"http://{address}", "--key-file", str(grounds.directory / "admin.key"), "-o", "json"],
            env=environment(), stdout=self._out, stderr=subprocess.DEVNULL)

    @staticmethod
    def register(client, name):
        """Its id; on a machine with a lot to do, a lease may just then have run out, or the server not listen yet."""
        def done():
            try:
                reply = client.register(displayName=name)
            except OSError:
                return None
            return reply.status == 201 and reply.json["id"]
        return wait_for(done, "a member of muster bench is registered")

    def stop(self):
        """SIGINT has it print what it has measured until then."""
        assert self._process.poll() is None, f"muster bench has ended with {self._process.returncode}"
        self._process.send_signal(signal.SIGINT)
        self._process.wait(60)
        self._out.close()
        return json.loads(self.path.read_text())


class Run:
    """One schedule on one lab."""

    def __init__(self, arguments, out):
        self.arguments, self.out = arguments, out
        self.grounds = Grounds(out / "lab")
        self.history = History(out / "history.jsonl")
        self.watches, self.load, self.first_writer = [], None, None

    def schedule(self):
        names = list(faults.BY_NAME) if self.arguments.faults == "all" else [n for n in self.arguments.faults.split(",") if n]
        return faults.choose(names, self.arguments.pairs, self.arguments.seed)

    def hold_s(self, count):
        """Each fault's share of --seconds, within what is long enough to be noticed and short enough to be worth it."""
        return min(LONGEST_HOLD_S, max(SHORTEST_HOLD_S, self.arguments.seconds / count - OVERHEAD_S))

    def do(self):
        schedule = self.schedule()
        say(f"seed {self.arguments.seed}: {', '.join(fault.name for fault in schedule)}")
        try:
            self.grounds.up()
            self.begin()
            is_whole = all(self.one(fault, self.hold_s(len(schedule))) for fault in schedule)
            if not is_whole:
                say("what is left of the schedule is not tried, and nobody is asked for what is there in the end")
            bench = self.end(is_whole)
        finally:
            for watch in self.watches:
                watch.is_over.set()
            if self.load:
                self.load.is_over.set()
            self.grounds.down()
        return bench, is_whole

    def begin(self):
        if not self.grounds.await_whole(RECOVERY_DEADLINE_S, lambda: None):
            raise RuntimeError(f"the lab is up and not whole: {'; '.join(self.grounds.lacks())}")
        self.first_writer = self.grounds.writing()
        self.background = Background(self.grounds, self.out)
        self.watches = [Watch(self.history, one["name"], one["admin"], self.grounds.key)
                        for one in self.grounds.components().values() if one["kind"] == "muster"]
        self.load = Load(self.history, self.grounds.doors(), self.grounds.key, self.arguments.seed)
        self.load.start()
        for watch in self.watches:
            watch.start()

    def one(self, fault, hold_s):
        """Injects, holds, undoes, waits. Whether all is whole again."""
        grounds = self.grounds
        self.load.renew()
        grounds.helped = []
        steps, gone = fault.steps(grounds), sorted(fault.gone(grounds))
        begin = time.monotonic_ns()
        for step in steps:
            step.do()
        self.load.is_over.wait(hold_s)
        undone = time.monotonic()
        faults.undo(steps)
        came_back = grounds.await_whole(RECOVERY_DEADLINE_S, self.load.check)
        recovered_s = time.monotonic() - undone if came_back else None
        by = ", ".join(grounds.helped)
        if recovered_s is None:
            by = "; ".join(grounds.lacks())
        self.history.add(look="window", fault=fault.name, promise=fault.promise, seed=self.arguments.seed, begin=begin,
                         end=time.monotonic_ns(), gone=gone, recovered_s=recovered_s, recovered_by=by)
        say(f"{fault.name}: {'never whole again' if recovered_s is None else f'whole again after {recovered_s:.1f} s'}{by and ', ' + by}")
        return recovered_s is not None and self.take_back()

    def take_back(self):
        """The next fault begins where the first one did: an order of an operator, as after each failover."""
        if self.grounds.writing() == self.first_writer:
            return True
        end = time.monotonic() + RECOVERY_DEADLINE_S
        while self.grounds.command("failback").returncode and self.grounds.writing() != self.first_writer:
            if time.monotonic() > end:
                say(f"muster topology failback to {self.first_writer} was refused for {RECOVERY_DEADLINE_S:.0f} s")
                return False
        return self.grounds.await_whole(RECOVERY_DEADLINE_S, self.load.check)

    def end(self, is_whole):
        """Records what is there when all is over, in both centers and in each database, if these can be asked."""
        bench = self.background.stop()
        self.load.stop()
        for watch in self.watches:
            watch.stop()
        if is_whole:
            aftermath.record(self.grounds, self.history)
        self.history.close()
        return bench


def judge(path, events):
    """Violations of all checkers, and what is said of those that could not run."""
    violations, note = checker.check(events), ""
    try:
        found, counts = registers.check(path, REGISTER_TIMEOUT_S)
        violations += found
        note = f"porcupine: {counts['operations']} operations on {counts['members']} members and {counts['identities']} identities"
    except registers.NoTool as why:
        note = f"skipped: {why}"
    return sorted(violations, key=lambda one: one["at"]), note


def write_report(arguments, path, bench, is_whole):
    events = read(path)
    violations, note = judge(path, events)
    rows = list(report.rows(events, violations))
    calls = sum("op" in event for event in events)
    text, wrong = report.table(rows), report.faults(violations)
    summary = (f"seed {arguments.seed}; {calls} calls recorded; {bench['requests']['succeeded']} of {bench['requests']['sent']} of muster "
               f"bench succeeded; {len(wrong)} violations; {len(violations) - len(wrong)} reads before all knew of what nobody had "
               f"acknowledged; {note}")
    print(text + "\n" + summary)
    for found in wrong[:VIOLATIONS_PRINTED]:
        print(f"{found['kind']}: {found['text']}")
    if arguments.report:
        pathlib.Path(arguments.report).write_text(text + "\n" + summary + "\n")
    if arguments.json:
        document = {"seed": arguments.seed, "rows": rows, "violations": violations, "bench": bench, "calls": calls, "note": note}
        pathlib.Path(arguments.json).write_text(json.dumps(document, indent=1) + "\n")
    return is_whole and bool(rows) and not wrong and all(report.is_good(row) for row in rows)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1, help="of the load and of the pairs")
    parser.add_argument("--faults", default="all", help=f"all, or names with commas: {', '.join(faults.BY_NAME)}")
    parser.add_argument("--pairs", type=int, default=0, help="random pairs of faults after them")
    parser.add_argument("--seconds", type=float, default=0, help="about how long in all; each fault lasts 4 s at least")
    parser.add_argument("--report", help="write the table there, as Markdown")
    parser.add_argument("--json", help="write all of it there")
    parser.add_argument("--out", help="keep history, lab and figures in this directory, which must not be there yet")
    arguments = parser.parse_args()
    try:
        faults.choose([] if arguments.faults == "all" else [n for n in arguments.faults.split(",") if n], 0, 0)
    except ValueError as error:
        parser.error(str(error))
    return arguments


def main():
    arguments = parse()
    missing = [program for program in ENGINES if not shutil.which(program, path=ENGINES_PATH)]
    if missing:
        say(f"{', '.join(missing)} is not installed (make engines)")
        return 1 if os.environ.get("MUSTER_REQUIRE_TOOLS") == "1" else 77
    out = pathlib.Path(arguments.out or tempfile.mkdtemp(prefix="muster-chaos-"))
    out.mkdir(parents=True, exist_ok=not arguments.out)
    bench, is_whole = Run(arguments, out).do()
    if write_report(arguments, out / "history.jsonl", bench, is_whole):
        if not arguments.out:
            shutil.rmtree(out)
        return 0
    say(f"history, logs and data are kept in {out}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
