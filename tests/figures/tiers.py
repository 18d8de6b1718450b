"""What reads and writes cost at the engines of a lab, each against a reference on the same engine, in slices that take turns.

All of a lab runs beside what is measured, on the same processors, and beside the reference too.
"""
import json
import pathlib
import re
import statistics
import subprocess
import time

import members
from grounds import Grounds
from losses import bring_back
from member_client import Client
from muster_process import wait_for
from servers import Muster

SLICE_SECONDS = 1.0
CONNECTIONS, SYSBENCH_THREADS = 64, 16
FEW_MEMBERS = 2_000  # for figures of engines: all of them are where they are looked for
BATCH = 100
FILL_DEADLINE_S, IMPORT_DEADLINE_S = 120.0, 3600.0
MEMBER_KEYS = "muster:m{*"  # of members in Redis, and of nothing else
# Of the cache's hit rate: how the members are asked for, the part of them that fits, how long one load is, and how often it is repeated.
ZIPF, CACHED_PART, LOAD_SECONDS, LOADS_MAX = 0.99, 0.1, 5, 100
KEPT_TOLERANCE, ENTRY_OVERHEAD_BYTES = 0.1, 100
WARM_UP = 5  # requests for each member that fits, before it is measured
# A link's delay each way, and so what a round trip between the centers takes.
DELAY_MS, ROUND_TRIP_MS = 2, 4
WRITES_A_SLICE = 40
# For so long a member's last change is told to caches again by whoever writes it next (store/mariadb/touched_rows.h).
HEARD_OF_AFTER_S = 30.0
SYSBENCH_PASSWORD = "figures"  # of an account that sees one table of a lab


class Tiers:
    """A lab with members in it, and room for a server of our own beside those of a center."""

    def __init__(self, build: pathlib.Path, work: pathlib.Path, member_count=FEW_MEMBERS):
        self.build, self.work, self.member_count = build, work, member_count
        self.grounds = Grounds(work / "lab")

    def __enter__(self):
        self.work.mkdir()
        self.grounds.up()
        try:
            bring_back(self.grounds)
            lines = self.work / "members.jsonl"
            members.write(lines, self.member_count)
            began = time.monotonic()
            # One that is refused, where a lease has just run out, goes on where it was.
            wait_for(lambda: self.client("import", lines), "members are imported", IMPORT_DEADLINE_S)
            self.imported_at = time.monotonic()
            self.import_seconds = self.imported_at - began
        except BaseException:
            self.grounds.down()
            raise
        return self

    def __exit__(self, *_):
        self.grounds.down()

    @property
    def key_file(self):
        return self.grounds.directory / "admin.key"

    def client(self, *words):
        """Whether a client command of muster succeeds at a server of center A."""
        address = self.grounds.doors()["A"][0][1]
        return subprocess.run([self.build / "muster", *words, "--server", f"http://{address}", "--key-file", self.key_file], check=False,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0

    def server(self, name, threads=1, center="a", **options):
        """One more server of a center; `options` as MUSTER_ variables. It decides about no failover."""
        environment = {"MUSTER_FAILOVER__CONTROLS": "false", **{f"MUSTER_{key.upper()}": str(value) for key, value in options.items()}}
        return Muster(self.build / "muster", self.work / name, threads=threads, environment=environment,
                      config=self.grounds.directory / f"muster-{center}1" / "muster.toml", key_file=self.key_file)

    def reads(self, server, connections=CONNECTIONS) -> float:
        """Uniform GETs by id, answers a second."""
        done = subprocess.run([self.build / "src/bench/http_load", "--mode", "get", "--port", str(server.port), "--connections", str(connections),
                               "--members", str(self.member_count), "--key-file", self.key_file, "--seconds", str(SLICE_SECONDS)],
                              check=True, capture_output=True, text=True)
        result = json.loads(done.stdout)
        if result["errors"]:
            raise SystemExit(f"figures: {result['errors']} answers were not 2xx")
        return result["per_second"]

    def address(self, component):
        return self.grounds.components()[component]["address"].rsplit(":", 1)


def pairs(count, ours, reference):
    """Medians of ratios of alternating slices, and of each."""
    measured = [(ours(), reference()) for _ in range(count)]
    ratios = sorted(one / other for one, other in measured)
    return statistics.median(ratios), {
        "ratio_min": round(ratios[0], 3), "ratio_max": round(ratios[-1], 3), "pairs": count,
        "ours_per_second": round(statistics.median(one for one, _ in measured)),
        "reference_per_second": round(statistics.median(other for _, other in measured))}


def source_of(server, member) -> str:
    """Where a read is answered from; of one that is refused, by what."""
    with Client(f"127.0.0.1:{server.port}", server.key) as client:
        reply = client.get(member)
    return reply.source if reply.status == 200 else reply.json["code"]


def fill(server, count):
    """Each member is read once, and so is in the caches."""
    for first in range(1, count + 1, BATCH):
        server.post("/v1/members:batchGet", json.dumps({"ids": [str(one) for one in range(first, min(first + BATCH, count + 1))]}))


def redis_reads(tiers, count):
    """Members that are all in the center's Redis, the process's own near cache off; against redis-benchmark -P 1 of a real entry."""
    bring_back(tiers.grounds)  # on a machine that has a lot to do, A may have been lost meanwhile
    with tiers.server("redis", cache__redis__near_bytes=0) as server:
        fill(server, tiers.member_count)
        wait_for(lambda: source_of(server, tiers.member_count) == "redis", "members are in Redis", FILL_DEADLINE_S)
        fill(server, tiers.member_count)  # what was refused meanwhile
        before = server.metric("muster_store_reads_total")
        host, port = tiers.address("redis-a")
        size = entry_bytes(tiers)
        redis_cli(host, port, "SET", "figures:value", "x" * size)

        def reference():
            done = subprocess.run(["redis-benchmark", "-h", host, "-p", port, "-P", "1", "-c", str(CONNECTIONS), "-n", str(reference.requests), "--csv",
                                   "GET", "figures:value"], check=True, capture_output=True, text=True)
            rate = float(done.stdout.strip().splitlines()[-1].split('","')[1])
            reference.requests = max(1000, int(rate * SLICE_SECONDS))
            return rate
        reference.requests = 10_000
        ratio, detail = pairs(count, lambda: tiers.reads(server), reference)
        missed = server.metric("muster_store_reads_total") - before
    return ratio, {**detail, "value_bytes": size, "reads_of_the_store": missed}


def redis_cli(host, port, *words):
    return subprocess.run(["redis-cli", "-h", host, "-p", port, *words], check=True, capture_output=True, text=True).stdout.strip()


def entry_bytes(tiers):
    """The median length of a cached member."""
    host, port = tiers.address("redis-a")
    names = redis_cli(host, port, "--scan", "--pattern", MEMBER_KEYS).splitlines()[:100]
    return int(statistics.median(int(redis_cli(host, port, "STRLEN", name)) for name in names))


def make_rows(tiers):
    """A table of as many rows as there are members, each as long as a member's record; and sysbench's account."""
    size = int(float(tiers.grounds.ask("mariadb-a1", "SELECT AVG(LENGTH(record)) FROM muster.member")))
    tiers.grounds.ask(tiers.grounds.primary(), f"""CREATE DATABASE figures; USE figures; CREATE TABLE figures.sbtest1 (id INT PRIMARY KEY, k INT, c VARBINARY({size}), pad CHAR(60));
        INSERT INTO figures.sbtest1 SELECT seq, seq, REPEAT('x', {size}), '' FROM seq_1_to_{tiers.member_count};
        CREATE USER figures@'127.0.0.1' IDENTIFIED BY '{SYSBENCH_PASSWORD}'; GRANT SELECT ON figures.* TO figures@'127.0.0.1'""")
    return size


def point_selects(tiers) -> float:
    """sysbench's, a second, on a copy of center B."""
    host, port = tiers.address("mariadb-b1")
    done = subprocess.run(["sysbench", "oltp_point_select", f"--mysql-host={host}", f"--mysql-port={port}", "--mysql-user=figures",
                           f"--mysql-password={SYSBENCH_PASSWORD}", "--mysql-db=figures", "--tables=1", f"--table-size={tiers.member_count}",
                           f"--threads={SYSBENCH_THREADS}", f"--time={SLICE_SECONDS:g}", "run"], check=True, capture_output=True, text=True)
    return float(re.search(r"transactions:.*\((.*) per sec", done.stdout)[1])


def store_reads(tiers, count):
    """Reads of 64 callers that all go to the copies of center B: of a turn by shared statements, and each by its own."""
    bring_back(tiers.grounds)  # on a machine that has a lot to do, A may have been lost meanwhile
    size = make_rows(tiers)
    position = tiers.grounds.ask(tiers.grounds.primary(), "SELECT @@GLOBAL.gtid_binlog_pos").strip()
    if tiers.grounds.ask("mariadb-b1", f"SELECT MASTER_GTID_WAIT('{position}', {FILL_DEADLINE_S})").strip() != "0":
        raise SystemExit(f"figures: mariadb-b1 has not all rows of the primary within {FILL_DEADLINE_S:.0f} s")
    found = {}
    for name, shared in (("coalesced", {}), ("uncoalesced", {"store__mariadb__reads_per_turn": 1})):
        with tiers.server(name, center="b", routes__read="store", store__mariadb__readers=SYSBENCH_THREADS, **shared) as server:
            wait_for(lambda: source_of(server, 1) == "replica", "members of center B are read from its copies", FILL_DEADLINE_S)  # noqa: B023
            tiers.reads(server)  # connections and statements are made
            reads, turns = server.metric("muster_store_reads_total"), server.metric("muster_store_read_turns_total")
            ratio, detail = pairs(count, lambda: tiers.reads(server), lambda: point_selects(tiers))  # noqa: B023
            batch = (server.metric("muster_store_reads_total") - reads) / (server.metric("muster_store_read_turns_total") - turns)
        found[name] = ratio, {**detail, "reads_a_batch": round(batch, 2), "row_bytes": size}
    return found


def best_hit_rate(count) -> float:
    """Of any cache with room for that part, which always has those that are asked for most; Zipf's law, independent requests."""
    weights = [rank ** -ZIPF for rank in range(1, count + 1)]
    return sum(weights[:int(count * CACHED_PART)]) / sum(weights)


def hit_rate(tiers):
    """Of a center's Redis with as much memory as a tenth of the members take, under muster bench."""
    bring_back(tiers.grounds)  # on a machine that has a lot to do, A may have been lost meanwhile
    host, port = tiers.address("redis-a")
    fits = int(tiers.member_count * CACHED_PART)
    with tiers.server("hits", cache__redis__near_bytes=0) as server:
        wait_for(lambda: source_of(server, 1) == "redis", "members are kept in Redis", FILL_DEADLINE_S)
        fill(server, fits)
        each = entry_bytes(tiers) + ENTRY_OVERHEAD_BYTES
        limit = int(re.search(r"^used_memory:(\d+)", redis_cli(host, port, "INFO", "memory"), re.M)[1])
        asked, missed, warm, kept = 0, 0.0, 0, 0
        for _ in range(LOADS_MAX):
            redis_cli(host, port, "CONFIG", "SET", "maxmemory", str(limit))
            before = server.metric("muster_store_reads_total")
            sent = zipf_load(tiers, server)
            warm += sent
            kept = len(redis_cli(host, port, "--scan", "--pattern", MEMBER_KEYS).splitlines())
            if warm < WARM_UP * fits or abs(kept - fits) > KEPT_TOLERANCE * fits:
                limit += (fits - kept) * each  # Redis has other things in its memory, which vary
                asked, missed = 0, 0.0
                continue
            asked, missed = asked + sent, missed + server.metric("muster_store_reads_total") - before
            if asked >= WARM_UP * fits:
                break
    if asked < WARM_UP * fits:
        raise SystemExit(f"figures: in {LOADS_MAX} loads of {LOAD_SECONDS} s Redis did not settle at {fits} members: {kept} at last; take more --members")
    return 1 - missed / asked, {"members": tiers.member_count, "kept": kept, "asked": asked, "bytes_of_one": each,
                                "best_possible": round(best_hit_rate(tiers.member_count), 4),
                                "best_possible_of_a_million": round(best_hit_rate(1_000_000), 4)}


def zipf_load(tiers, server) -> int:
    """Requests that were answered."""
    done = subprocess.run([tiers.build / "muster", "bench", "--max", "--mix", "get=1", "--connections", "16", "--duration", f"{LOAD_SECONDS}s",
                           "--warmup", "0s", "--zipf", str(ZIPF), "--population", tiers.work / "members.jsonl", "--server", server.url,
                           "--key-file", tiers.key_file, "-o", "json"], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    requests = json.loads(done.stdout)["requests"]
    if requests["failed"]:
        raise SystemExit(f"figures: {requests['failed']} of {requests['sent']} requests of muster bench failed")
    return requests["succeeded"]


def crossing(tiers, count):
    """p50 of a write at the writing center, one at a time, with and without the delay between the centers, in ms.

    Each is to another member, which nobody has written lately.
    """
    bring_back(tiers.grounds)  # on a machine that has a lot to do, A may have been lost meanwhile
    if 2 * count * WRITES_A_SLICE > tiers.member_count:
        raise SystemExit(f"figures: {count} pairs of {WRITES_A_SLICE} writes need twice as many members")
    wait_for(lambda: time.monotonic() - tiers.imported_at > HEARD_OF_AFTER_S, "the import is some time ago", 2 * HEARD_OF_AFTER_S)
    members_left = iter(range(1, tiers.member_count + 1))
    grounds, slow, fast = tiers.grounds, [], []
    with Client(grounds.doors()["A"][0][1], grounds.key) as client:
        def p50():
            took = []
            for _ in range(WRITES_A_SLICE):
                member = next(members_left)
                began = time.monotonic()
                reply = client.patch(member, "city", {"city": f"c{time.monotonic_ns()}"})
                took.append((time.monotonic() - began) * 1000)
                if reply.status != 200:
                    raise SystemExit(f"figures: a write was answered {reply}")
            return statistics.median(took)
        for _ in range(count):
            fast.append(p50())
            grounds.lab("delay", "A", "B", f"{DELAY_MS}ms")
            slow.append(p50())
            grounds.lab("heal", "A", "B")
    added = statistics.median((one - other) / ROUND_TRIP_MS for one, other in zip(slow, fast))
    return statistics.median(slow) / ROUND_TRIP_MS, {
        "pairs": count, "p50_ms": round(statistics.median(slow), 2), "p50_without_delay_ms": round(statistics.median(fast), 2),
        "round_trips_added": round(added, 2)}
