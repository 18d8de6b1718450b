#!/usr/bin/env python3
"""The figures of docs/reliability.md, measured on the lab: `make figures`.

Each row says what was measured, its floor, and whether that is met. Writes reliability.json and reliability.md (the table).
Exit code 0: all that was measured is met; 1: not so; 77: the engines are not installed (with MUSTER_REQUIRE_TOOLS=1 that is 1).
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

HERE = pathlib.Path(__file__).resolve().parent
# Behind this directory, whose run.py and members.py are others.
sys.path += [str(HERE.parent / "chaos"), str(HERE.parent / "process")]

import losses  # noqa: E402
import tiers  # noqa: E402

ENGINES = ("etcd", "mariadbd", "redis-server", "mariadb-binlog")
ENGINES_PATH = "/usr/bin:/usr/sbin:/usr/local/bin:/usr/local/sbin"
WRITES_BACK_S, PAUSE_S = 3.0, 0.5
LOSSES = [f"loss-{kind}" for kind in losses.LOSSES]
TIERS = ["crossing", "redis", "store", "hits"]
PARTS = [*LOSSES, "switchover", "simulation", *TIERS]


class Report:
    """The rows, printed as they come and kept in `out` after each."""

    def __init__(self, out: pathlib.Path, terms: dict):
        self.out, self.terms, self.rows = out, terms, []

    def add(self, figure: str, what: str, value: float, floor: float, unit: str, detail: dict, at_most=True, how=""):
        """`at_most`: the figure may not be above its floor; else it has to reach it."""
        met = value <= floor if at_most else value >= floor
        self.rows.append({"figure": figure, "what": what, "value": round(value, 3), "unit": unit, "floor": floor,
                          "at_most": at_most, "met": met, "how": how, "detail": detail})
        print(f"  {figure:<28} {value:>8.2f} {unit:<5} {'at most' if at_most else 'at least'} {floor:<5g} {'met' if met else 'MISSED'}", flush=True)
        (self.out / "reliability.json").write_text(json.dumps({**self.terms, "rows": self.rows}, indent=1) + "\n")
        (self.out / "reliability.md").write_text(self.table())

    def table(self) -> str:
        lines = ["| Figure | Seen | Floor | Met | How |", "|---|---|---|---|---|"]
        for row in self.rows:
            unit = "" if row["unit"] in ("", "x") else " " + row["unit"]
            lines.append(f"| {row['what']} | {row['value']:g}{unit} | {'at most' if row['at_most'] else 'at least'} {row['floor']:g}{unit} | "
                         f"{'yes' if row['met'] else '**no**'} | {row['how']} |")
        return "\n".join(lines) + "\n"


def center_losses(report, work, kind, times):
    found = losses.loss(work, kind, times)
    what = losses.LOSSES[kind][0]
    writes, reads = found["acknowledged_writes"], found["reads"]
    name = f"loss_{kind}"
    report.add(f"{name}_lost", f"{what}: acknowledged writes lost", found["lost"], 0, "", found, how=f"{times} times; {writes} writes read back "
               "from both centers and from each database")
    report.add(f"{name}_failed_reads", f"{what}: failed reads in B", found["failed_reads"], 0, "", found,
               how=f"reads of {losses.CALLERS} callers, with a deadline of {losses.READ_DEADLINE_MS / 1000:g} s, from the fault until "
               f"{losses.HOLD_S:g} s after writes are back; the longest took {found['longest_read_s']:.2f} s")
    report.add(f"{name}_writes_back", f"{what}: writes acknowledged in B again", max(found["writes_back_s"]), WRITES_BACK_S, "s", found,
               how=f"worst of {times}, median {found['writes_back_median_s']:.2f} s; from before the fault is ordered")
    stale(report, name, what, found)


def stale(report, name, what, found):
    report.add(f"{name}_stale", f"{what}: stale reads, or what the checker finds else", found["stale"] + found["other"], 0, "", found,
               how=f"{found['reads']} reads against {found['acknowledged_writes']} acknowledged versions (tests/chaos/checker.py)")


def switchovers(report, work, times):
    found = losses.switchovers(work, times)
    what = "planned switchover"
    report.add("switchover_paused", f"{what}: writes paused", max(found["paused_s"]), PAUSE_S, "s", found,
               how=f"worst of {found['times']}, forth and back, median {found['paused_median_s']:.2f} s; {found['usual_median_s']:.2f} s go by "
               "between two acknowledgements in a second without one")
    report.add("switchover_lost", f"{what}: acknowledged writes lost", found["lost"], 0, "", found, how=f"{found['acknowledged_writes']} writes")
    stale(report, "switchover", what, found)


def simulation(report, build, seeds):
    """`muster_sim_centers` fails at the first violation, and prints the seed."""
    began = time.monotonic()
    done = subprocess.run([build / "sim/muster_sim_centers", "--seeds", str(seeds)], capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stdout[-2000:] + done.stderr[-2000:])
    report.add("simulated_stale", f"{seeds} simulated histories: with a violation", 0 if done.returncode == 0 else 1, 0, "",
               {"seeds": seeds, "seconds": round(time.monotonic() - began), "output": done.stdout[-500:]},
               how="sim/muster_sim_centers: two centers, seeded faults; stale, lost, two writers, identities held twice")


def paired(detail) -> str:
    return (f"median of {detail['pairs']} pairs of slices ({detail['ratio_min']:.2f} to {detail['ratio_max']:.2f}); {detail['ours_per_second']} a second "
            f"against {detail['reference_per_second']}")


def engines(report, build, work, wanted, pairs, members):
    """Rows of reads and writes at the engines, all on one lab; the hit rate last, since it takes Redis its memory."""
    with tiers.Tiers(build, work / "tiers", members) as lab:
        if "crossing" in wanted:
            value, detail = tiers.crossing(lab, pairs)
            report.add("write_crossing", f"write in both centers, {tiers.DELAY_MS} ms each way: p50 in round trips of {tiers.ROUND_TRIP_MS} ms", value, 2.5,
                       "x", detail, how=f"one at a time; {detail['p50_ms']} ms, {detail['p50_without_delay_ms']} ms without the delay, so "
                       f"{detail['round_trips_added']} round trips are the delay's; {pairs} pairs of {tiers.WRITES_A_SLICE} writes")
        if "redis" in wanted:
            value, detail = tiers.redis_reads(lab, pairs)
            report.add("read_redis", "HTTP read served from Redis against `redis-benchmark -P 1` GET", value, 0.9, "x", detail, at_most=False,
                       how=f"{tiers.CONNECTIONS} connections, values of {detail['value_bytes']} bytes, the process's own near cache off; {paired(detail)}")
        if "store" in wanted:
            for name, (value, detail) in tiers.store_reads(lab, pairs).items():
                report.add(f"read_store_{name}", f"HTTP read from MariaDB against sysbench point select, {name}", value, 2 if name == "coalesced" else 0.85,
                           "x", detail, at_most=False, how=f"{tiers.CONNECTIONS} callers, {detail['reads_a_batch']} reads a "
                           f"statement; sysbench with {tiers.SYSBENCH_THREADS} threads, rows of {detail['row_bytes']} bytes; {paired(detail)}")
        if "hits" in wanted:
            value, detail = tiers.hit_rate(lab)
            report.add("hit_rate", f"hit rate of a Redis with room for a tenth of the members, Zipf {tiers.ZIPF}", value, 0.9, "", detail, at_most=False,
                       how=f"{detail['members']} members, {detail['kept']} kept in the end, {detail['asked']} reads; no cache of a tenth can have more than "
                       f"{detail['best_possible']}, of a million members {detail['best_possible_of_a_million']}")


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--times", type=int, default=20, help="how often each loss and each switchover is tried")
    parser.add_argument("--seeds", type=int, default=10_000, help="simulated histories")
    parser.add_argument("--pairs", type=int, default=15, help="slices of each figure that has a reference")
    parser.add_argument("--members", type=int, default=20_000, help="in the lab of the figures of engines")
    parser.add_argument("--only", nargs="*", default=PARTS, choices=PARTS, help="what to measure")
    return parser.parse_args()


def main() -> int:
    arguments = parse()
    missing = [program for program in ENGINES if not shutil.which(program, path=ENGINES_PATH)]
    if missing:
        print(f"{', '.join(missing)} is not installed (make engines)", file=sys.stderr)
        return 1 if os.environ.get("MUSTER_REQUIRE_TOOLS") == "1" else 77
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # so that the lab goes down
    build = arguments.build.resolve()
    os.environ["MUSTER_BINARY"] = str(build / "muster")
    arguments.out.mkdir(parents=True, exist_ok=True)
    report = Report(arguments.out, {"date": time.strftime("%Y-%m-%d"), "times": arguments.times, "processors": len(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory(prefix="muster-figures-", dir=os.environ.get("TMPDIR")) as scratch:
        work = pathlib.Path(scratch)
        for part in arguments.only:
            print(part, flush=True)
            if part in LOSSES:
                center_losses(report, work, part.removeprefix("loss-"), arguments.times)
            elif part == "switchover":
                switchovers(report, work, arguments.times)
            elif part == "simulation":
                simulation(report, build, arguments.seeds)
        wanted = [part for part in arguments.only if part in TIERS]
        if wanted:
            engines(report, build, work, wanted, arguments.pairs, arguments.members)
    print("\n" + report.table())
    return 0 if all(row["met"] for row in report.rows) else 1


if __name__ == "__main__":
    sys.exit(main())
