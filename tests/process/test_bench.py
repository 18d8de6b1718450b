"""muster bench: what it prints, counts, draws and how it ends. How exact it measures is tested beside its source."""
import csv
import io
import json
import os
import pty
import re
import signal
import socket
import subprocess
import time
import xml.etree.ElementTree as xml

import pytest

import people
from muster_process import DEADLINE_S, Server, binary, doctor, environment, run, wait_for

QUICK = ["--duration", "2s", "--warmup", "500ms", "--connections", "8"]
TIMES = {"count", "min", "mean", "p50", "p75", "p90", "p95", "p99", "p999", "p9999", "p99999", "max"}
COLUMNS = ["second", "length_s", "sent", "succeeded", "failed", "p50_ms", "p90_ms", "p99_ms", "p999_ms", "max_ms",
           "service_p99_ms", "own_lag_p99_ms", "busiest_thread", "generator_limited", "stalled_ms"]


@pytest.fixture(scope="module")
def filled(server):
    with server.client() as client:
        for n in range(200):
            identities = [people.phone_identity()] if n % 2 else []
            assert client.register(displayName=f"m{n}", city="Wuxi", identities=identities).status == 201
    return server


def bench(server, *arguments, code=0, **options):
    done = run("bench", *arguments, data=server.data, **options)
    assert done.returncode == code, done
    return done


def bench_json(server, *arguments, **options):
    return json.loads(bench(server, *arguments, "-o", "json", **options).stdout)


def assert_times(times):
    assert set(times) == TIMES, times
    ordered = [times[name] for name in ("min", "p50", "p75", "p90", "p95", "p99", "p999", "p9999", "p99999", "max")]
    assert ordered == sorted(ordered) and ordered[0] >= 0, times
    assert times["min"] <= times["mean"] <= times["max"]


def assert_document(report):
    """The fields that docs/benchmarking.md names, and what must hold between them."""
    assert {"target", "protocol", "mode", "warmupSeconds", "durationSeconds", "connections", "pipeline", "threads", "mix", "zipf",
            "seed", "population", "measuredSeconds", "interrupted", "throughput", "requests", "errors", "latencyMs",
            "serviceTimeMs", "operations", "limit", "limitReason", "generatorLimited", "generator", "seconds", "stalls"} <= set(report)
    assert report["mode"] in ("open", "max") and ("rate" in report) == (report["mode"] == "open")
    assert report["limit"] in ("none", "server", "generator")
    assert report["generatorLimited"] is (report["limit"] == "generator")
    assert bool(report["limitReason"]) is (report["limit"] != "none")
    for name in ("latencyMs", "serviceTimeMs"):
        assert_times(report[name])
        for operation in report["operations"].values():
            assert_times(operation[name])
    for name in ("ownLagMs", "sendDelayMs"):
        assert_times(report["generator"][name])
    assert 0 <= report["generator"]["busiestThread"] <= 1
    requests = report["requests"]
    assert requests["succeeded"] + requests["failed"] >= requests["sent"] or report["interrupted"]
    assert requests["succeeded"] == sum(o["succeeded"] for o in report["operations"].values())
    assert requests["failed"] == sum(o["failed"] for o in report["operations"].values()) == sum(report["errors"].values())
    assert set(report["operations"]) == set(report["mix"])
    assert [row["second"] for row in report["seconds"]] == list(range(len(report["seconds"])))


def test_a_rate_is_kept_and_everybody_is_asked_for(filled):
    report = bench_json(filled, "--rps", 200, *QUICK, "--mix", "get=6,resolve=2,update=1,batchGet=1", "--batch", 5)
    assert_document(report)
    requests = report["requests"]
    # At two seconds of 200 each is due at its time; how many of them are late is the machine's business.
    assert requests["succeeded"] + requests["failed"] == 400 and report["measuredSeconds"] == 2
    assert requests["succeeded"] >= 300, report["errors"]
    assert report["population"] == {"members": 200, "identities": 100, "isSample": False}
    assert report["mode"] == "open" and report["rate"] == 200 and report["protocol"] == "http"
    assert all(operation["succeeded"] > 0 for operation in report["operations"].values())
    assert len(report["seconds"]) == 2 and sum(row["sent"] for row in report["seconds"]) > 0


EVERY_VERB = "get=4,batchResolve=1,search=1,bind=1,unbind=1,merge=1,unmerge=1"


def test_what_is_bound_is_unbound_and_what_is_merged_parted(scratch):
    with Server(scratch / "data") as server:
        with server.client() as client:
            for n in range(40):
                assert client.register(displayName=f"m{n}", city="Wuxi", identities=[people.phone_identity()]).status == 201
        report = bench_json(server, "--rps", 200, *QUICK, "--mix", EVERY_VERB, "--batch", 10, "--threads", 2)
        assert_document(report)
        assert all(operation["succeeded"] > 0 for operation in report["operations"].values()), report["operations"]
        # Nothing is asked for that would be refused.
        assert set(report["errors"]) <= {"unsent", "unanswered", "timeout"}, report["errors"]
        members = [json.loads(line) for line in run("export", data=server.data).stdout.splitlines()]
        assert len(members) == 40
        phones = [i for m in members for i in m.get("identities", []) if i["kind"] == "phone"]
        assert len(phones) == 40
    assert doctor(scratch / "data")[0] == 0


def test_merges_need_members_of_their_own(scratch):
    with Server(scratch / "data") as server, server.client() as client:
        client.register(displayName="one")
        assert "merge" in bench(server, "--rps", 1, *QUICK, "--mix", "merge=1", code=6).stderr


def test_updates_write_a_city_and_nothing_else(filled):
    before = {m["id"]: m for m in map(json.loads, run("export", data=filled.data).stdout.splitlines())}
    bench(filled, "--rps", 100, *QUICK, "--mix", "update=1", "--zipf", 0)
    after = {m["id"]: m for m in map(json.loads, run("export", data=filled.data).stdout.splitlines())}
    assert set(before) == set(after)
    changed = [member_id for member_id in after if after[member_id] != before[member_id]]
    assert len(changed) > 20
    for member_id in changed:
        same = {key: value for key, value in after[member_id].items() if key not in ("city", "version", "updateTime")}
        assert all(before[member_id].get(key) == value for key, value in same.items())


def test_registered_members_stay(scratch):
    with Server(scratch / "data") as server:
        with server.client() as client:
            client.register(displayName="first")
        report = bench_json(server, "--rps", 50, *QUICK, "--mix", "register=1")
        assert report["errors"] == {} or report["requests"]["succeeded"] > 0, report
        exported = run("export", data=server.data).stdout.splitlines()
        assert len(exported) > report["requests"]["succeeded"]


def test_registrations_need_nobody(scratch):
    with Server(scratch / "data") as server:
        done = bench(server, "--rps", 50, *QUICK, "--mix", "register=1")
        assert "new" in done.stdout and run("export", data=server.data).stdout != ""
        # Nor a key that may export.
        (scratch / "key").write_text(server.new_caller("bench", "members.write"))
        report = bench_json(server, "--rps", 50, *QUICK, "--mix", "register=1",
                            extra_environment={"MUSTER_KEY_FILE": str(scratch / "key")})
        assert_document(report)
        assert report["population"]["members"] == 0 and report["requests"]["succeeded"] > 0, report


def test_as_many_as_possible(filled):
    report = bench_json(filled, "--max", *QUICK, "--mix", "get=1", "--pipeline", 4, "--threads", 2)
    assert_document(report)
    assert report["mode"] == "max" and report["limit"] in ("server", "generator")
    assert report["throughput"] > 100 and report["requests"]["unsent"] == 0
    # Each request counts from when it was sent.
    assert report["generator"]["sendDelayMs"]["max"] == 0


def test_csv_has_a_line_a_second(filled):
    done = bench(filled, "--rps", 100, *QUICK, "-o", "csv")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert list(rows[0]) == COLUMNS and [row["second"] for row in rows] == ["0", "1"]
    for row in rows:
        assert row["generator_limited"] in ("0", "1")
        assert float(row["p50_ms"]) <= float(row["p99_ms"]) <= float(row["max_ms"])
    # One line a second on standard error where there is no terminal, the warm-up first.
    lines = re.findall(r"^ *(-?\d+) s  ", done.stderr, re.M)
    assert lines == ["-1", "1", "2"] and "\r" not in done.stderr and "warm-up" in done.stderr


def test_the_table_says_what_was_the_limit(filled):
    done = bench(filled, "--rps", 50, *QUICK)
    for part in ("50 requests/s", "Zipf 0.99 over 200 members", "limit", "own lag", "get", "all, from sent", "p99.9"):
        assert part in done.stdout
    assert ("generator-limited" in done.stderr) >= ("limit       generator" in done.stdout)


def test_the_plot_is_a_picture(filled, scratch):
    bench(filled, "--rps", 100, *QUICK, "--plot", scratch / "plot.svg")
    root = xml.parse(scratch / "plot.svg").getroot()
    namespace = "{http://www.w3.org/2000/svg}"
    assert root.tag == namespace + "svg" and root.get("viewBox")
    texts = [element.text for element in root.iter(namespace + "text")]
    for part in ("p50", "p99", "p99.9", "max", "succeeded", "from due", "99 %"):
        assert part in texts
    assert any("limit" in text for text in texts)
    lines = [element.get("points").split() for element in root.iter(namespace + "polyline")]
    assert len(lines) == 8
    for x, y in (map(float, point.split(",")) for line in lines for point in line):
        assert 0 <= x <= 960 and 0 <= y <= 280
    assert "prefers-color-scheme: dark" in (scratch / "plot.svg").read_text()


def begin(server, *arguments, **options):
    return subprocess.Popen([binary(), "bench", *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            env=environment({"MUSTER_SERVER": server.http, "MUSTER_KEY_FILE": str(server.data / "admin.key")}),
                            **options)


def wait_for_line(process, pattern):
    """Reads standard error up to a line that matches."""
    for line in process.stderr:
        if re.search(pattern, line):
            return
    raise AssertionError(f"it ended without {pattern}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_prints_what_it_has(filled, number):
    process = begin(filled, "--rps", 100, "--duration", "10m", "--warmup", "0s", "-o", "json")
    wait_for_line(process, r"^ *1 s ")
    process.send_signal(number)
    stdout, _ = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0
    report = json.loads(stdout)
    assert_document(report)
    assert report["interrupted"] is True and 0 < report["measuredSeconds"] < 600 and report["requests"]["succeeded"] > 0


def test_a_server_that_goes_away_is_counted_and_found_again(scratch):
    with Server(scratch / "data") as server:
        with server.client() as client:
            client.register(displayName="one")
        port = server.http
        process = begin(server, "--rps", 50, "--duration", "10m", "--warmup", "0s", "--connections", 4, "--mix", "get=1",
                        "-o", "json")
        wait_for_line(process, r"^ *1 s ")
        server.kill()
        wait_for_line(process, r" [1-9][0-9]* failed")
        server.http_flag = port
        server.start()
        wait_for_line(process, r"[1-9][0-9]*/s .* 0 failed")
        process.send_signal(signal.SIGINT)
        stdout, _ = process.communicate(timeout=DEADLINE_S)
        assert process.returncode == 0
        report = json.loads(stdout)
    assert_document(report)
    assert set(report["errors"]) & {"connection", "unreachable"}
    assert report["seconds"][-1]["second"] > 1


def load_a_frozen_server(server, *arguments):
    """The report of a load in which the server stood still for a second or longer."""
    process = begin(server, *arguments, "--duration", "10m", "--warmup", "0s", "--mix", "get=1", "-o", "json")
    wait_for_line(process, r"^ *1 s ")
    server.process.send_signal(signal.SIGSTOP)
    wait_for_line(process, r"^ *\d+ s  0/s ")  # a whole second without an answer
    server.process.send_signal(signal.SIGCONT)
    wait_for_line(process, r"^ *\d+ s  [1-9]")
    process.send_signal(signal.SIGINT)
    stdout, _ = process.communicate(timeout=DEADLINE_S)
    report = json.loads(stdout)
    assert_document(report)
    return report


def test_a_frozen_server_shows_as_late_requests(scratch):
    """The whole program against a server that stands still: all that was due meanwhile waited, not only what was sent."""
    with Server(scratch / "data") as server:
        with server.client() as client:
            client.register(displayName="one")
        report = load_a_frozen_server(server, "--rps", 100, "--connections", 4)
    # Of the hundred that were due in that second the first half waited for half a second or longer.
    latency = report["latencyMs"]
    tail = next(name for name, share in (("p95", 0.05), ("p99", 0.01), ("p999", 0.001)) if latency["count"] * share < 49)
    assert latency[tail] >= 490 and latency["max"] >= 990, report
    assert report["limit"] in ("server", "generator")
    # And it is named, with its time. A generator that did not run itself cannot tell, and then says nothing.
    longest = max(report["stalls"], key=lambda stall: stall["lengthSeconds"])
    assert longest["lengthSeconds"] > 0.9 and longest["fromSeconds"] >= 0.9, report["stalls"]
    assert max(row["stalledMs"] for row in report["seconds"]) > 900


def is_late_without_a_stall(report):
    """Whether the generator was late by itself in a second that has nothing to do with a stall: it was not given the time it needs."""
    rows = report["seconds"]
    return any(row["generatorLimited"] and row["stalledMs"] == 0 and (n == 0 or rows[n - 1]["stalledMs"] == 0)
               for n, row in enumerate(rows))


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_a_frozen_server_is_the_limit_and_not_who_makes_up_for_it(scratch, protocol):
    reports = []
    with Server(scratch / "data") as server:
        with server.client() as client:
            client.register(displayName="one")
        while not reports or (reports[-1]["limit"] != "server" and len(reports) < 5):
            reports.append(load_a_frozen_server(server, "--rps", 2000, "--protocol", protocol))
    # On a machine that is too busy for it at any time the generator is the limit, indeed.
    assert reports[-1]["limit"] == "server" or any(map(is_late_without_a_stall, reports)), reports


@pytest.mark.parametrize("arguments", [["--connections", 400], ["--protocol", "grpc", "--streams", 100]],
                         ids=["http", "grpc"])
def test_a_generator_that_did_not_run_names_itself(filled, arguments):
    process = begin(filled, "--rps", 200, *arguments, "--duration", "10m", "--warmup", "0s", "--mix", "get=1", "-o", "json")
    wait_for_line(process, r"^ *1 s ")
    process.send_signal(signal.SIGSTOP)
    frozen_at = time.monotonic()
    wait_for(lambda: time.monotonic() > frozen_at + 0.4, "requests that are due")
    process.send_signal(signal.SIGCONT)
    wait_for_line(process, r"^ *2 s ")
    process.send_signal(signal.SIGINT)
    stdout, _ = process.communicate(timeout=DEADLINE_S)
    report = json.loads(stdout)
    assert_document(report)
    assert report["limit"] == "generator" and "by the generator itself" in report["limitReason"], report
    assert report["generator"]["ownLagMs"]["max"] >= 350, report


def test_nobody_to_ask_for(scratch):
    with Server(scratch / "data") as server:
        done = bench(server, "--rps", 1, *QUICK, code=6)
        assert "no active members" in done.stderr and done.stdout == ""
        with server.client() as client:
            client.register(displayName="without identities")
        assert "--mix" in bench(server, "--rps", 1, *QUICK, code=6).stderr


def test_nobody_there_is_no_success(filled, scratch):
    assert run("export", scratch / "some.jsonl", data=filled.data).returncode == 0
    with socket.socket() as reserved:  # bound, and nobody listens
        reserved.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{reserved.getsockname()[1]}"
        for load in (["--max"], ["--rps", 20]):
            done = bench(filled, "--server", f"http://{address}", *load, *QUICK, "--population", scratch / "some.jsonl", code=4)
            assert "succeeded" in done.stderr or f"was answered at http://{address}: start the server" in done.stderr


def test_a_key_that_may_not_export_is_told_what_to_do(filled, scratch):
    key = filled.new_caller("bench", "members.read")
    (scratch / "key").write_text(key)
    own_key = {"extra_environment": {"MUSTER_KEY_FILE": str(scratch / "key")}}
    refused = bench(filled, "--rps", 10, *QUICK, code=5, **own_key)
    for part in ("PERMISSION_DENIED", "personal.read", "members.import", "--population"):
        assert part in refused.stderr
    assert key not in refused.stderr
    assert run("export", scratch / "members.jsonl", data=filled.data).returncode == 0
    report = bench_json(filled, "--rps", 50, *QUICK, "--population", scratch / "members.jsonl", "--mix", "get=1,update=1",
                        **own_key)
    assert report["operations"]["get"]["succeeded"] > 0 and report["operations"]["update"]["succeeded"] == 0
    assert set(report["errors"]) >= {"403 PERMISSION_DENIED"}
    # Refusals are counted, not timed.
    assert report["operations"]["update"]["latencyMs"]["count"] == report["errors"].get("unsent", 0)
    done = bench(filled, "--rps", 50, *QUICK, "--population", scratch / "members.jsonl", "--mix", "update=1", code=5, **own_key)
    assert "not one request succeeded" in done.stderr and "403 PERMISSION_DENIED" in done.stderr


def test_a_sample_of_many(filled):
    report = bench_json(filled, "--rps", 50, *QUICK, "--sample", 50, "--mix", "get=1")
    assert report["population"]["isSample"] is True and 20 <= report["population"]["members"] <= 50
    assert report["population"]["identities"] == 0


def test_no_personal_value_is_printed(filled, scratch):
    values = {identity["value"] for line in run("export", data=filled.data).stdout.splitlines()
              for identity in json.loads(line).get("identities", [])}
    assert values
    done = bench(filled, "--rps", 100, *QUICK, "--mix", "resolve=1", "--plot", scratch / "plot.svg", "-o", "json")
    for text in (done.stdout, done.stderr, (scratch / "plot.svg").read_text()):
        assert not any(value in text for value in values)


@pytest.mark.parametrize("arguments, part", [
    ([], "--rps"), (["--rps", 1, "--max"], "--rps"), (["--rps", 0], "rps"), (["--rps", "many"], "rps"),
    (["--rps", 1, "--mix", "get"], "weight of get"), (["--rps", 1, "--mix", "drop=1"], "batchGet"),
    (["--rps", 1, "--duration", "soon"], "--duration"), (["--rps", 1, "--duration", "25h"], "24h"),
    (["--rps", 1, "--threads", 4, "--connections", 2], "--connections"), (["--rps", 1, "--zipf", -1], "zipf"),
    (["--rps", 1, "--zipf", "nan"], "zipf"),
    (["--rps", 1, "--server", "https://127.0.0.1:1"], "http://"), (["--rps", 1, "-o", "yaml"], "csv")])
def test_wrong_usage(filled, arguments, part):
    done = bench(filled, *arguments, code=2)
    assert part in done.stderr and done.stdout == "", done


def test_without_a_server(filled):
    done = bench(filled, "--rps", 1, "--server", "127.0.0.1:1", code=4)
    assert "127.0.0.1:1" in done.stderr
    done = bench(filled, "--rps", 1, "--plot", "/no/such/place/plot.svg", code=1)
    assert "/no/such/place" in done.stderr


def test_a_terminal_sees_one_line(filled):
    master, slave = pty.openpty()
    process = subprocess.Popen([binary(), "bench", "--rps", "50", *QUICK, "-o", "csv"], stdin=slave, stdout=subprocess.DEVNULL,
                               stderr=slave, env=environment({"TERM": "xterm", "MUSTER_SERVER": filled.http,
                                                              "MUSTER_KEY_FILE": str(filled.data / "admin.key")}))
    os.close(slave)
    text = b""
    while True:
        try:
            data = os.read(master, 65536)
        except OSError:
            break
        if not data:
            break
        text += data
    assert process.wait(DEADLINE_S) == 0
    os.close(master)
    shown = text.decode()
    assert len(re.findall(r"\r *-?\d+ s  ", shown)) == 3 and "\x1b[K" in shown
