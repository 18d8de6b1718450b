#!/usr/bin/env python3
"""The figures of docs/figures.md, measured as ratios within one run: `make bench`.

Each server and its reference run pinned to the same core in turn, the load on the other core, in short alternating slices;
a figure is the median of the slices' ratios. Writes one JSON file a figure and prints a table.
"""
import argparse
import json
import os
import pathlib
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

import members
from servers import GrpcReference, Muster, Nginx, pin

# Short and many: what disturbs a machine lasts longer than a slice, and then disturbs a whole pair.
SLICES = 25
SLICE_SECONDS = 0.6
BATCH_KEYS = 100  # as http_load has them
MEMBERS = 1_000_000
SERVER_CORE, LOAD_CORE = 0, 1


class Bench:
    def __init__(self, build: pathlib.Path, out: pathlib.Path, work: pathlib.Path, member_count: int):
        self.build, self.out, self.work, self.member_count = build, out, work, member_count
        self.binary = build / "muster"
        self.rows = []

    def record(self, name: str, value: float, floor: float, detail: dict, below: bool = False, unit: str = "x"):
        """`below`: the figure must stay under `floor`; else reach it."""
        met = value < floor if below else value >= floor
        row = {"figure": name, "value": round(value, 3), "unit": unit, "floor": floor, "below": below, "met": met, **detail}
        self.rows.append(row)
        (self.out / f"{name}.json").write_text(json.dumps(row, indent=1) + "\n")
        print(f"  {name:<22} {value:>10.2f} {unit:<5} {'below' if below else 'floor'} {floor:<8} {'met' if met else 'MISSED'}",
              flush=True)

    def load(self, port: int, program="http_load", **flags) -> dict:
        command = [self.build / "src/bench" / program, "--port", port, "--seconds", SLICE_SECONDS]
        for name, value in flags.items():
            command += ["--" + name.replace("_", "-"), value]
        done = subprocess.run(pin(LOAD_CORE, command), check=True, capture_output=True, text=True)
        return json.loads(done.stdout)

    def pairs(self, ours, reference) -> tuple[float, dict]:
        """Median ratio of `SLICES` alternating measurements; each callable answers a rate."""
        measured = [(ours(), reference()) for _ in range(SLICES)]
        ratios = sorted(a / b for a, b in measured)
        return statistics.median(ratios), {
            "ratio_min": round(ratios[0], 3), "ratio_max": round(ratios[-1], 3),
            "ours_per_second": round(statistics.median(a for a, _ in measured)),
            "reference_per_second": round(statistics.median(b for _, b in measured)),
        }

    def checked_rate(self, result: dict) -> float:
        if result["errors"]:
            raise SystemExit(f"bench: {result['errors']} answers were not 2xx")
        return result["per_second"]


def reads(bench: Bench, data: pathlib.Path):
    large = {"MUSTER_CACHE__NEAR__BYTES": "3GiB"}
    with Muster(bench.binary, data, core=SERVER_CORE, threads=1, environment=large) as server:
        sample = server.get(f"/v1/members/{bench.member_count // 2}")
        fill_near_cache(bench, server)
        with Nginx(bench.work / "nginx", sample, core=SERVER_CORE) as nginx:
            for name, depth, floor in (("http_hit", 1, 1.0), ("http_hit_pipelined", 16, 3.0)):
                flags = {"mode": "get", "members": bench.member_count, "key_file": server.key_file, "connections": 64,
                         "pipeline": depth}
                ratio, detail = bench.pairs(lambda: bench.checked_rate(bench.load(server.port, **flags)),
                                            lambda: bench.checked_rate(bench.load(nginx.port, **flags)))
                near = server.near_cache()
                if near["entries"] < bench.member_count:
                    raise SystemExit(f"bench: only {near['entries']:.0f} members are in the near cache")
                bench.record(name, ratio, floor, {**detail, "body_bytes": len(sample), "near": near})
        flags = {"members": bench.member_count, "key_file": server.key_file}
        ratio, detail = bench.pairs(
            lambda: BATCH_KEYS * bench.checked_rate(bench.load(server.port, mode="batch-resolve", connections=16, **flags)),
            lambda: bench.checked_rate(bench.load(server.port, mode="resolve", connections=64, **flags)))
        bench.record("batch_resolve", ratio, 4.0, detail)
        grpc_hit(bench, server)
    without = {"MUSTER_CACHE__NEAR__ENABLED": "false"}
    with Muster(bench.binary, data, core=SERVER_CORE, threads=1, environment=without) as server:
        with Nginx(bench.work / "nginx", sample, core=SERVER_CORE) as nginx:
            flags = {"mode": "get", "members": bench.member_count, "key_file": server.key_file, "connections": 64}
            ratio, detail = bench.pairs(lambda: bench.checked_rate(bench.load(server.port, **flags)),
                                        lambda: bench.checked_rate(bench.load(nginx.port, **flags)))
            bench.record("http_miss", ratio, 0.45, {**detail, "body_bytes": len(sample)})



def grpc_hit(bench: Bench, server: Muster):
    import grpc  # python3-grpcio
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        get = channel.unary_unary("/muster.v1.MemberService/GetMember")
        message = get(b"\x08\x01", metadata=[("authorization", f"Bearer {server.key}")], timeout=60)
    flags = {"program": "grpc_load", "connections": 4, "streams": 16}
    with GrpcReference(bench.build / "src/bench/grpc_reference", bench.work / "grpc", message, core=SERVER_CORE) as reference:
        ratio, detail = bench.pairs(
            lambda: bench.checked_rate(bench.load(server.grpc_port, members=bench.member_count, key_file=server.key_file, **flags)),
            lambda: bench.checked_rate(bench.load(reference.port, **flags)))
    bench.record("grpc_hit", ratio, 3.0, {**detail, "message_bytes": len(message)})


def searches(bench: Bench, data: pathlib.Path):
    with Muster(bench.binary, data, core=SERVER_CORE, threads=1, environment={"MUSTER_CACHE__NEAR__BYTES": "3GiB"}) as server:
        server.wait_for_search()
        fill_near_cache(bench, server)
        flags = {"mode": "search", "connections": 16, "members": bench.member_count, "key_file": server.key_file}

        def reference() -> float:
            done = subprocess.run(pin(SERVER_CORE, [bench.build / "src/bench/sqlite_reference", "search", data, SLICE_SECONDS]),
                                  check=True, capture_output=True, text=True)
            return json.loads(done.stdout)["per_second"]

        ratio, detail = bench.pairs(lambda: bench.checked_rate(bench.load(server.port, **flags)), reference)
        bench.record("search", ratio, 0.6, detail)


def changes(bench: Bench, data: pathlib.Path):
    with Muster(bench.binary, data, core=SERVER_CORE, threads=1) as server:
        server.wait_for_search()

        def reference() -> float:
            done = subprocess.run(pin(SERVER_CORE, [bench.build / "src/bench/sqlite_reference", "changes", data, SLICE_SECONDS]),
                                  check=True, capture_output=True, text=True)
            return json.loads(done.stdout)["per_second"]

        os.sched_setaffinity(0, {LOAD_CORE})
        ratio, detail = bench.pairs(lambda: changes_per_second(server, bench.member_count), reference)
        os.sched_setaffinity(0, {SERVER_CORE, LOAD_CORE})
        bench.record("changes", ratio, 0.3, detail)


def changes_per_second(server: Muster, count: int) -> float:
    """Of one reader of the stream, from the beginning on; of `count` changes at most."""
    mark = b"\ndata: "
    request = f"GET /v1/changes?from=earliest HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {server.key}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(request.encode())
        began = time.monotonic()
        events, rest = 0, b""
        while events < count and time.monotonic() - began < SLICE_SECONDS:
            text = rest + connection.recv(1 << 18)
            events += text.count(mark)
            rest = text[-(len(mark) - 1):]
        seconds = time.monotonic() - began
    if not events:
        raise SystemExit("bench: no change was read")
    return events / seconds


def idle(bench: Bench):
    """Memory of a connection over which nothing goes any more."""
    count = 2000
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    # What a client sends at first: the preface of HTTP/2 and SETTINGS without any.
    greeting = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
    request = b"GET /livez HTTP/1.1\r\nHost: bench\r\n\r\n"
    for name, floor, sent in (("idle_http", 8, request), ("idle_grpc", 32, greeting)):
        with Muster(bench.binary, bench.work / name) as server:
            port = server.port if name == "idle_http" else server.grpc_port
            connections = []
            for number in range(count + 100):
                if number == 100:  # what is there once, is there
                    before = server.anonymous_mib()
                connection = socket.create_connection(("127.0.0.1", port), timeout=60)
                connection.sendall(sent)
                if not connection.recv(4096):
                    raise SystemExit("bench: a connection was refused")
                connections.append(connection)
            each = (server.anonymous_mib() - before) * 1024 / count
            for connection in connections:
                connection.close()
        bench.record(name, each, floor, {"connections": count}, below=True, unit="KiB")


def registers(bench: Bench):
    data, raw = bench.work / "register", bench.work / "raw"
    first_phone = 0
    with Muster(bench.binary, data) as server:

        def ours() -> float:
            nonlocal first_phone
            result = bench.load(server.port, mode="register", connections=64, key_file=server.key_file,
                                first_phone=first_phone)
            first_phone += result["requests"] + 64
            return bench.checked_rate(result)

        def reference() -> float:
            raw.mkdir()
            done = subprocess.run([bench.build / "src/bench/sqlite_reference", "single", raw, str(SLICE_SECONDS)],
                                  check=True, capture_output=True, text=True)
            shutil.rmtree(raw)
            return json.loads(done.stdout)["per_second"]

        ratio, detail = bench.pairs(ours, reference)
        bench.record("register", ratio, 3.0, detail)
    shutil.rmtree(data)


def imports(bench: Bench, data: pathlib.Path, lines: pathlib.Path):
    """Imports into `data`, which the read figures then use."""
    with Muster(bench.binary, data) as server:
        started = time.monotonic()
        subprocess.run([bench.binary, "import", lines, "--server", server.url, "--key-file", server.key_file], check=True,
                       stderr=subprocess.DEVNULL)
        seconds = time.monotonic() - started
        server.wait_for_search()
        indexed_seconds = time.monotonic() - started
        fill_near_cache(bench, server)
        anonymous = server.anonymous_mib()
        near = server.near_cache()
    target = bench.work / "copy"
    target.mkdir()
    done = subprocess.run([bench.build / "src/bench/sqlite_reference", "copy", data / "muster-0.db", target], check=True,
                          capture_output=True, text=True)
    shutil.rmtree(target)
    raw = json.loads(done.stdout)["per_second"]
    bench.record("import", bench.member_count / seconds / raw, 0.4,
                 {"ours_per_second": round(bench.member_count / seconds), "reference_per_second": round(raw),
                  "searchable_per_second": round(bench.member_count / indexed_seconds)})
    bench.record("memory", anonymous, 600, {"near": near}, below=True, unit="MiB")


def fill_near_cache(bench: Bench, server: Muster):
    for first in range(1, bench.member_count + 1, 1000):
        ids = [str(i) for i in range(first, min(first + 1000, bench.member_count + 1))]
        server.post("/v1/members:batchGet", json.dumps({"ids": ids}))


def start(bench: Bench, data: pathlib.Path):
    seconds = []
    for _ in range(5):
        began = time.monotonic()
        with Muster(bench.binary, data) as server:
            with urllib.request.urlopen(server.url + "/readyz", timeout=10) as answer:
                assert answer.status == 200
            seconds.append(time.monotonic() - began)
    bench.record("start", statistics.median(seconds), 1.0, {"all": [round(s, 3) for s in seconds]}, below=True, unit="s")


def json_writer(bench: Bench):
    done = subprocess.run(pin(SERVER_CORE, [bench.build / "src/domain/member_document_bench", "--benchmark_format=json",
                                            "--benchmark_repetitions=5", "--benchmark_report_aggregates_only=true"]),
                          check=True, capture_output=True, text=True)
    medians = {b["run_name"]: b["cpu_time"] for b in json.loads(done.stdout)["benchmarks"] if b["aggregate_name"] == "median"}
    ours, reference = medians["MemberToJson"], medians["MessageToJson"]
    bench.record("member_json", reference / ours, 25, {"ours_ns": round(ours), "reference_ns": round(reference)})


def build_time(bench: Bench, source: pathlib.Path):
    target = bench.work / "build"
    environment = {**os.environ, "CCACHE_DISABLE": "1"}
    began = time.monotonic()
    subprocess.run(["cmake", "--preset", "release", "-B", target], cwd=source, check=True, env=environment,
                   stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", target, "--target", "muster", "--parallel", str(os.cpu_count())], check=True,
                   env=environment, stdout=subprocess.DEVNULL)
    bench.record("build", (time.monotonic() - began) / 60, 6, {}, below=True, unit="min")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--members", type=int, default=MEMBERS)
    parser.add_argument("--only", nargs="*", default=[], help="figures to measure: json register idle import start search changes reads build")
    arguments = parser.parse_args()
    if len(os.sched_getaffinity(0)) < 2:
        raise SystemExit("bench: needs two cores, one for the servers and one for the load")
    arguments.out.mkdir(parents=True, exist_ok=True)
    wanted = lambda name: not arguments.only or name in arguments.only
    source = pathlib.Path(__file__).resolve().parents[2]
    with tempfile.TemporaryDirectory(prefix="muster-bench-", dir=os.environ.get("TMPDIR")) as work:
        bench = Bench(arguments.build.resolve(), arguments.out, pathlib.Path(work), arguments.members)
        print(f"figures ({arguments.members} members, medians of {SLICES} slices of {SLICE_SECONDS:g} s)", flush=True)
        if wanted("json"):
            json_writer(bench)
        if wanted("register"):
            registers(bench)
        if wanted("idle"):
            idle(bench)
        if any(map(wanted, ("import", "start", "reads", "search", "changes"))):
            lines, data = bench.work / "members.jsonl", bench.work / "data"
            members.write(lines, arguments.members)
            imports(bench, data, lines)
            lines.unlink()
            if wanted("start"):
                start(bench, data)
            if wanted("search"):
                searches(bench, data)
            if wanted("changes"):
                changes(bench, data)
            if wanted("reads"):
                reads(bench, data)
        if wanted("build"):
            build_time(bench, source)
    return 0 if all(row["met"] for row in bench.rows) else 1


if __name__ == "__main__":
    sys.exit(main())
