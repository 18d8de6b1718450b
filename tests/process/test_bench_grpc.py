"""muster bench over gRPC: the same load, and how exact it is against a server whose delays are known."""
import http.server
import json
import threading
import time
from concurrent import futures

import pytest

import people
from grpc_client import grpc
from muster_process import run

QUICK = ["--protocol", "grpc", "--duration", "2s", "--warmup", "500ms"]


@pytest.fixture(scope="module")
def filled(server):
    with server.client() as client:
        for n in range(200):
            identities = [people.phone_identity()] if n % 2 else []
            assert client.register(displayName=f"m{n}", city="Wuxi", identities=identities).status == 201
    return server


def bench(server, *arguments, code=0, grpc_address=None):
    done = run("bench", *arguments, "--grpc", grpc_address or server.grpc, "-o", "json", data=server.data)
    assert done.returncode == code, done
    return json.loads(done.stdout)


def test_a_rate_is_kept_and_every_verb_is_served(filled):
    report = bench(filled, "--rps", 200, *QUICK, "--mix", "get=6,resolve=2,update=1,batchGet=1,register=1", "--batch", 5)
    assert report["protocol"] == "grpc" and report["target"] == f"http://{filled.grpc}"
    assert (report["connections"], report["pipeline"]) == (4, 16)
    requests = report["requests"]
    assert requests["succeeded"] + requests["failed"] == 400 and requests["succeeded"] >= 300, report["errors"]
    assert report["errors"] == {} or set(report["errors"]) <= {"unsent", "unanswered", "timeout"}, report["errors"]
    assert all(operation["succeeded"] > 0 for operation in report["operations"].values())


def test_searches_bindings_and_merges(filled):
    report = bench(filled, "--rps", 100, *QUICK, "--batch", 10,
                   "--mix", "batchResolve=1,search=1,bind=1,unbind=1,merge=1,unmerge=1")
    assert all(operation["succeeded"] > 0 for operation in report["operations"].values()), report["operations"]
    assert set(report["errors"]) <= {"unsent", "unanswered", "timeout"}, report["errors"]


def test_it_finds_where_the_server_answers_grpc(filled, tmp_path):
    """From elsewhere, with no endpoints.json at hand, and on no port that could be guessed."""
    with filled.client() as client:
        assert client.call("GET", "/v1/server").json["grpcAddress"] == filled.grpc
    done = run("bench", "--rps", 50, *QUICK, "--mix", "get=1", "-o", "json", data=filled.data, cwd=tmp_path)
    assert done.returncode == 0, done
    report = json.loads(done.stdout)
    assert report["target"] == f"http://{filled.grpc}" and report["requests"]["succeeded"] > 0


class SilentServer(http.server.BaseHTTPRequestHandler):
    """A server that says nothing of gRPC."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


def test_a_server_that_does_not_say_where(filled):
    other = http.server.ThreadingHTTPServer(("127.0.0.1", 0), SilentServer)
    threading.Thread(target=other.serve_forever, daemon=True).start()
    try:
        done = run("bench", "--rps", 50, *QUICK, "--server", f"127.0.0.1:{other.server_port}", data=filled.data)
    finally:
        other.shutdown()
        other.server_close()
    assert done.returncode == 4 and "--grpc HOST:PORT" in done.stderr, done


def test_as_many_as_possible(filled):
    report = bench(filled, "--max", *QUICK, "--mix", "get=1", "--connections", 2, "--streams", 4)
    assert report["mode"] == "max" and report["limit"] in ("server", "generator") and report["throughput"] > 100
    assert report["errors"] == {}


def test_refusals_have_their_status_and_reason(filled, tmp_path):
    key = tmp_path / "reader.key"
    key.write_text(filled.new_caller("bench-reader", "members.read") + "\n")
    population = tmp_path / "members.jsonl"
    population.write_text(run("export", data=filled.data).stdout)
    done = run("bench", "--rps", 50, *QUICK, "--mix", "update=1", "--population", population, "--grpc", filled.grpc, "--key-file", key,
               "-o", "json", data=filled.data)
    assert done.returncode == 5 and "PERMISSION_DENIED PERMISSION_DENIED" in done.stderr, done


class KnownDelays(grpc.GenericRpcHandler):
    """Answers at once, but from the hundredth call on not before a second has passed."""

    def __init__(self):
        self.lock, self.calls, self.stall_end = threading.Lock(), 0, 0.0

    def service(self, handler_call_details):
        def answer(_request, _context):
            with self.lock:
                self.calls += 1
                if self.calls == 100:
                    self.stall_end = time.monotonic() + 1
                wait_s = self.stall_end - time.monotonic()
            if wait_s > 0:
                time.sleep(wait_s)  # this is the delay that is measured
            return b"\x08\x01"
        return grpc.unary_unary_rpc_method_handler(answer)


def test_a_stall_of_one_second_is_seen(filled):
    delays = KnownDelays()
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=8), handlers=(delays,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        report = bench(filled, "--protocol", "grpc", "--rps", 200, "--duration", "3s", "--warmup", "0s", "--mix", "get=1",
                       "--connections", 1, "--streams", 4, grpc_address=f"127.0.0.1:{port}")
    finally:
        server.stop(None)
    assert delays.calls == report["requests"]["sent"] and report["requests"]["succeeded"] == 600, report
    # One-sided bounds: a machine that is busy makes requests later still. Of 600 a hundred were due in the first half of the
    # stall; a generator that waits for the server would have seen four slow ones.
    assert report["latencyMs"]["max"] >= 1000 and report["latencyMs"]["p90"] >= 490, report["latencyMs"]
    assert report["serviceTimeMs"]["max"] >= 1000, report["serviceTimeMs"]
    # It is named: the hundredth of 200 a second was due after half a second.
    stall = max(report["stalls"], key=lambda stall: stall["lengthSeconds"])
    assert 0.45 <= stall["fromSeconds"] <= 2 and 0.9 <= stall["lengthSeconds"] <= 1.6, report["stalls"]
