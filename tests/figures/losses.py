"""What the loss of a center costs, and a planned switchover: the lab is broken under a load that is recorded, again and again.

Load, faults and judges are those of tests/chaos; here one thing is done many times, and timed.
"""
import collections
import dataclasses
import pathlib
import statistics
import time

import aftermath
import checker
import faults
import history
import load
from grounds import Grounds, topology_of
from muster_process import wait_for

# A center's callers that read, and as many that write; each begins a call as often when it is timed, and when the lab becomes whole again.
CALLERS, PAUSE_S, RESTING_PAUSE_S = 4, 0.04, 0.5
READ_DEADLINE_MS, WRITE_DEADLINE_MS = 1500, 700
LEAD_S, HOLD_S = 1.0, 1.0  # of load, before something is done and after writes are back
DEADLINE_S = 60.0
WHOLE_DEADLINE_S = 180.0
NS_PER_S = 1_000_000_000

LOSSES = {
    "kill": ("kill -9 of all of center A", lambda g: [faults.kill(g, "center:A")]),
    "freeze": ("SIGSTOP of all of center A", lambda g: [faults.freeze(g, "center:A")]),
    "partition": ("center A cut off from B and from the witness", lambda g: faults.cut_off(g, "A")),
}


class Caller(load.Caller):
    """Only updates, or only plain reads: each call is one try. A write that hangs is given up soon, so that the next one can tell."""

    @property
    def server_deadline_ms(self):
        return READ_DEADLINE_MS if self.is_reader else WRITE_DEADLINE_MS

    def step(self):
        member = self.load.choose(self.random)
        path = f"/v1/members/{member}"
        if self.is_reader:
            server, sent = self.doors[self.door][0], self.send("GET", path)
            self.record("get", sent, server=server, outcome="ok" if sent[2] == 200 else "refused", member=member)
        else:
            number = self.load.next_number()
            self.write("update", "PATCH", path + "?updateMask=displayName", {"displayName": number}, member=member, number=number)


@dataclasses.dataclass
class Window:
    """One thing done: from before it until writes have been back for HOLD_S. In ns of the monotonic clock."""

    begin: int
    end: int

    def calls(self, calls, centers, ops):
        return [call for call in calls if call["op"] in ops and call["center"] in centers and self.begin <= call["end"] <= self.end]

    def silence(self, calls):
        """(begin, end) of the longest time in which none of these was done."""
        ends = sorted(call["end"] for call in calls if call["outcome"] == "ok")
        marks = [self.begin, *ends, self.end]
        return max(zip(marks, marks[1:]), key=lambda pair: pair[1] - pair[0])


def await_whole(grounds, check=lambda: None):
    if not grounds.await_whole(WHOLE_DEADLINE_S, check):
        raise SystemExit(f"figures: the lab is not whole after {WHOLE_DEADLINE_S:.0f} s: {'; '.join(grounds.lacks())}")


def bring_back(grounds, check=lambda: None):
    """Until all is whole, and center A writes."""
    end = time.monotonic() + WHOLE_DEADLINE_S
    await_whole(grounds, check)
    while grounds.writing() != "A":
        done = grounds.command("failback")
        if time.monotonic() > end:
            raise SystemExit(f"figures: for {WHOLE_DEADLINE_S:.0f} s muster topology failback did not have A write: {done.stderr.strip()}")
        await_whole(grounds, check)


class Shaken:
    """A lab under load, for one kind of figure: its own, so that what was written before does not slow what is timed."""

    def __init__(self, work: pathlib.Path, name: str):
        out = work / name
        out.mkdir()
        self.grounds = Grounds(out / "lab")
        self.history = history.History(out / "history.jsonl")
        self.load = None

    def __enter__(self):
        self.grounds.up()
        try:
            bring_back(self.grounds)
            self.load = load.Load(self.history, self.grounds.doors(), self.grounds.key, 1, Caller, CALLERS)
            self.load.pause_s = RESTING_PAUSE_S
            self.load.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.load:
            self.load.is_over.set()
        self.grounds.down()
        self.history.close()

    def writes(self, center):
        """Whether a server of that center says so: those of the other one may be cut off."""
        admin = next(one["admin"] for one in self.grounds.components().values() if one["kind"] == "muster" and one["center"] == center)
        try:
            return topology_of(admin, self.grounds.key, deadline_s=2.0)["writer"] == center
        except OSError:
            return False

    def written(self, centers, since, least=3):
        """Until callers of each of these centers have been acknowledged as many writes that began after that."""
        def done():
            self.load.check()
            calls = self.history.calls()[-2000:]
            return all(sum(call["op"] == "update" and call["outcome"] == "ok" and call["center"] == center and call["begin"] > since
                           for call in calls) >= least for center in centers)
        wait_for(done, f"callers of {' and '.join(centers)} write", DEADLINE_S)

    def timed(self, do, writer, centers):
        """Does it under full load, and waits until `writer` writes and the callers of these centers do."""
        self.load.pause_s = PAUSE_S
        self.written(("A", "B"), time.monotonic_ns())
        self.load.is_over.wait(LEAD_S)
        usual = Window(time.monotonic_ns() - int(LEAD_S * NS_PER_S), time.monotonic_ns())
        begin = time.monotonic_ns()
        do()
        wait_for(lambda: self.writes(writer), f"center {writer} writes", DEADLINE_S)
        self.written(centers, time.monotonic_ns())
        self.load.is_over.wait(HOLD_S)
        window = Window(begin, time.monotonic_ns())
        self.load.pause_s = RESTING_PAUSE_S
        return usual, window

    def judge(self):
        """Counts of violations by kind, when all is over and everything is whole."""
        self.load.stop()
        aftermath.record(self.grounds, self.history)
        events = self.history.events
        found = [one for one in checker.check(events) if one["kind"] != "early"]
        for one in found[:10]:
            print(f"    {one['kind']}: {one['text']}")
        count = lambda *kinds: sum(one["kind"] in kinds for one in found)  # noqa: E731
        calls = [event for event in events if "op" in event]
        return {"acknowledged_writes": sum(call["op"] in history.WRITES and call["outcome"] == "ok" for call in calls),
                "reads": sum(call["op"] == "get" and call["outcome"] == "ok" for call in calls),
                "lost": count("lost"), "stale": count("stale", "backwards"), "other": len(found) - count("lost", "stale", "backwards")}


def loss(work, kind, times):
    """Of one kind of LOSSES, `times` times: figures of all."""
    waits, failed, longest_reads, helped = [], collections.Counter(), [], []
    with Shaken(work, f"loss-{kind}") as lab:
        for _ in range(times):
            lab.grounds.helped = []
            steps = LOSSES[kind][1](lab.grounds)
            _, window = lab.timed(lambda: [step.do() for step in steps], "B", "B")  # noqa: B023
            faults.undo(steps)
            bring_back(lab.grounds, lab.load.check)
            helped += lab.grounds.helped
            calls = lab.history.calls()
            silence = window.silence(window.calls(calls, "B", ["update"]))
            reads = window.calls(calls, "B", ["get"])
            waits.append((silence[1] - window.begin) / NS_PER_S)
            failed_now = collections.Counter(f"{call['status']} {call['code']}: {call.get('message', '')}" for call in reads if call["outcome"] != "ok")
            failed += failed_now
            longest_reads.append(max((call["end"] - call["begin"]) / NS_PER_S for call in reads))
            print(f"    {kind}: writes back after {waits[-1]:.2f} s, {failed_now.total()} of {len(reads)} reads failed", *failed_now, flush=True)
        judged = lab.judge()
    return {"times": times, "writes_back_s": [round(wait, 3) for wait in waits], "writes_back_median_s": round(statistics.median(waits), 3),
            "failed_reads": failed.total(), "failed_with": failed, "longest_read_s": round(max(longest_reads), 3), "helped": helped, **judged}


def switchovers(work, times):
    """A drain of A and the failback to it, `times` times: for how long no caller of a center was acknowledged a write."""
    pauses, usual = [], []
    with Shaken(work, "switchover") as lab:
        for _ in range(times):
            for words, writer in ((("drain", "A"), "B"), (("failback",), "A")):
                before, window = lab.timed(lambda: faults.ordered(lab.grounds, *words), writer, ("A", "B"))  # noqa: B023
                await_whole(lab.grounds, lab.load.check)
                calls = lab.history.calls()
                for pairs, seen in ((pauses, window), (usual, before)):
                    silences = [seen.silence(seen.calls(calls, center, ["update"])) for center in ("A", "B")]
                    pairs.append(max(end - begin for begin, end in silences) / NS_PER_S)
                print(f"    {' '.join(words)}: writes paused for {pauses[-1]:.2f} s", flush=True)
        judged = lab.judge()
    return {"times": len(pauses), "paused_s": [round(pause, 3) for pause in pauses], "paused_median_s": round(statistics.median(pauses), 3),
            "usual_median_s": round(statistics.median(usual), 3), **judged}
