"""Logs and metrics: what an operator searches and what Prometheus reads."""
import json
import re

import pytest

import people
from muster_process import Server, run

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.mark.parametrize("form", ["logfmt", "json"])
def test_a_request_can_be_followed_through_the_log(scratch, form):
    environment = {"MUSTER_LOG__FORMAT": form, "MUSTER_LOG__LEVEL": "debug", "MUSTER_LOG__FILE": str(scratch / "muster.log")}
    with Server(scratch / "data", extra_environment=environment) as server, server.client() as client:
        reply = client.call("POST", "/v1/members", {"identities": [people.phone_identity()]},
                            {"Request-Id": "follow-me", "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"})
        assert reply.status == 201, reply
        client.call("POST", "/v1/members", {"displayName": 7}, {"Request-Id": "follow-me-too", "traceparent": "nonsense"})
    lines = (scratch / "muster.log").read_text().splitlines()
    assert len(lines) >= 4
    if form == "json":
        entries = [json.loads(line) for line in lines]
        assert all({"time", "level", "event"} <= set(entry) for entry in entries)
        (entry,) = [entry for entry in entries if entry.get("request_id") == "follow-me"]
        assert entry["trace_id"] == TRACE and entry["caller"] == "admin"
        assert entry["member_id"] == reply.json["id"], "a number would be rounded by most that read JSON"
    else:
        pair = r'[a-z_]+=(?:"(?:[^"\\]|\\.)*"|[^\s"]*)'
        assert all(re.fullmatch(rf"{pair}( {pair})*", line) for line in lines), lines
        (line,) = [line for line in lines if "request_id=follow-me " in line]
        assert f"trace_id={TRACE}" in line and "caller=admin" in line
    assert any("follow-me-too" in line for line in lines)


def test_callers_cannot_write_lines_into_the_log(scratch):
    with Server(scratch / "data", extra_environment={"MUSTER_LOG__LEVEL": "debug"}) as server, server.client() as client:
        client.call("POST", "/v1/members%0Alevel=error%20event=forged", {})
        client.call("POST", "/v1/members?updateMask=a%0D%0Alevel=error", {})
        client.call("PATCH", "/v1/members/1?updateMask=%0Alevel=error%20event=forged", {})
    assert "forged" not in [line.split("event=")[-1] for line in server.log().splitlines()]
    assert not [line for line in server.log().splitlines() if line.startswith("level=")]


def test_who_was_refused_and_what_failed_is_logged(scratch):
    with Server(scratch / "data") as server, server.client(key="") as client:
        client.call("GET", "/v1/members/1", headers={"Request-Id": "no-key"})
        with server.admin_client() as admin:
            admin.call("GET", "/admin/v1/members:export", headers={"Request-Id": "export"})
    assert "request_id=no-key" in server.log() and "request_id=export" in server.log()


def read_metrics(client):
    """(types by family, values by sample) of a page in Prometheus' text format."""
    types, helps, values = {}, set(), {}
    for line in client.call("GET", "/metrics").body.decode().splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in types, f"{name} is declared twice"
            types[name] = kind
        elif line.startswith("# HELP "):
            helps.add(line.split(" ")[2])
            assert line.rstrip().endswith("."), line
        elif line:
            match = re.fullmatch(r'([a-z_]+)(\{([a-z_]+="[^"]*",?)*\})? ([-+0-9.eE]+|\+Inf|NaN)', line)
            assert match, line
            values[line.rsplit(" ", 1)[0]] = float(line.rsplit(" ", 1)[1])
    assert set(types) == helps
    return types, values


def test_metrics_keep_the_conventions(server, client):
    member = client.register().json
    for _ in range(10):
        client.get(member["id"])
    types, values = read_metrics(client)
    for name, kind in types.items():
        assert name.startswith("muster_"), name
        assert (kind == "counter") == name.endswith("_total"), (name, kind)
        if kind == "histogram":
            assert name.endswith("_seconds") or name.endswith("_bytes"), name
    assert "muster_log_lines_dropped_total" in types
    for name in ("evictions", "refused"):  # what only grows is a counter
        assert not [n for n, kind in types.items() if n.endswith(name) and kind == "gauge"]
    for sample, value in values.items():
        if sample.endswith("_count") or "_count{" in sample:
            bucket = sample.replace("_count", "_bucket").rstrip("}") + (',le="+Inf"}' if "{" in sample else '{le="+Inf"}')
            assert values[bucket] == value, bucket


def test_metrics_count_what_happens(server, client):
    member = client.register().json

    def count(sample):
        with server.admin_client() as admin:  # the newest; the callers' port may answer what is a second old
            return read_metrics(admin)[1].get(sample, 0)
    before = count('muster_api_request_seconds_count{rpc="GetMember"}')
    failed = count('muster_api_requests_total{code="MEMBER_NOT_FOUND",rpc="GetMember"}')
    for _ in range(7):
        client.get(member["id"])
    client.get(123456789)
    assert count('muster_api_request_seconds_count{rpc="GetMember"}') == before + 8
    assert count('muster_api_requests_total{code="MEMBER_NOT_FOUND",rpc="GetMember"}') == failed + 1


def test_the_reference_of_metrics_is_complete(server, client):
    client.register()
    types, _ = read_metrics(client)
    done = run("reference", "metrics")
    assert done.returncode == 0, done
    missing = [name for name in types if name not in done.stdout]
    assert not missing, missing
