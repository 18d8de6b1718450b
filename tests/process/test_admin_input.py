"""The administrators' port under wrong and repeated requests: imports by hand, exports, callers."""
import json

import pytest

import people
from member_client import assert_problem

LINES = {"Content-Type": "application/x-ndjson"}


def reserve(admin, lines):
    reply = admin.call("POST", "/admin/v1/imports:reserve", {"lines": lines})
    assert reply.status == 200, reply
    return reply.json["rangeStart"]


def send(admin, range_start, first_line, lines):
    body = b"".join((line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n" for line in lines)
    return admin.call("POST", f"/admin/v1/members:import?rangeStart={range_start}&firstLine={first_line}", body, LINES)


def test_a_batch_sent_again_finds_what_it_did(admin, client):
    phones = [people.phone_identity() for _ in range(5)]
    lines = [{"displayName": f"line {n}", "identities": [phone]} for n, phone in enumerate(phones)]
    lines[2] = {"displayName": 7}
    start = reserve(admin, 100)
    first = send(admin, start, 11, lines)
    assert first.status == 200, first
    assert (first.json["imported"], first.json["rejected"]) == (4, 1)
    assert [(r["line"], r["code"]) for r in first.json["results"]] == [(13, "INVALID_ARGUMENT")]
    found = [client.resolve("phone", phone["value"]) for phone in phones]
    for _ in range(3):
        again = send(admin, start, 11, lines)
        assert again.json == {**first.json, "alreadyIn": 4}
    for phone, before in zip(phones, found):
        now = client.resolve("phone", phone["value"])
        assert (now.status, now.json.get("id"), now.json.get("version")) == \
            (before.status, before.json.get("id"), before.json.get("version"))
    other = send(admin, reserve(admin, 100), 11, lines)  # another file with the same people
    assert (other.json["imported"], other.json["rejected"]) == (0, 5)


@pytest.mark.parametrize("body", [{}, {"lines": 0}, {"lines": -1}, {"lines": "x"}, {"lines": 1.5}, {"lines": 10**30},
                                  {"lines": 1, "more": 1}, [], None])
def test_bad_reservations(admin, body):
    assert_problem(admin.call("POST", "/admin/v1/imports:reserve", body if body is not None else b"null",
                              {"Content-Type": "application/json"}), "INVALID_ARGUMENT")


@pytest.mark.parametrize("query", ["", "firstLine=1", "rangeStart=-1&firstLine=1", "rangeStart=x&firstLine=1",
                                   "rangeStart={start}&firstLine=0", "rangeStart={start}&firstLine=-1",
                                   "rangeStart={start}&firstLine=99999999999999999999", "rangeStart={start}&firstLine=1&x=1",
                                   "rangeStart=9223372036854775807&firstLine=9223372036854775807"])
def test_bad_imports(admin, client, query):
    phone = people.phone_identity()
    path = "/admin/v1/members:import?" + query.format(start=reserve(admin, 10))
    reply = admin.call("POST", path, json.dumps({"identities": [phone]}).encode(), LINES)
    assert_problem(reply, "INVALID_ARGUMENT")
    assert client.resolve("phone", phone["value"]).status == 404


def test_an_import_of_nothing(admin):
    for body in (b"", b"\n\n", b" \r\n"):
        reply = admin.call("POST", f"/admin/v1/members:import?rangeStart={reserve(admin, 10)}&firstLine=1", body, LINES)
        assert reply.status == 200 and reply.json["imported"] == 0, reply


def test_lines_with_line_feeds_of_windows(admin, client):
    phone = people.phone_identity()
    body = json.dumps({"identities": [phone]}).encode() + b"\r\n" + b"\r\n" + b'{"bad":1}\r\n'
    reply = admin.call("POST", f"/admin/v1/members:import?rangeStart={reserve(admin, 10)}&firstLine=1", body, LINES)
    assert (reply.json["imported"], [r["line"] for r in reply.json["results"]]) == (1, [3])
    assert client.resolve("phone", phone["value"]).status == 200


@pytest.mark.parametrize("query", ["after=-1", "after=x", "limit=0", "limit=1001", "limit=-1", "limit=x", "after=1&after=2",
                                   "after=9223372036854775808", "until=5"])
def test_bad_exports(admin, query):
    assert_problem(admin.call("GET", f"/admin/v1/members:export?{query}"), "INVALID_ARGUMENT")


def test_an_export_goes_on_where_it_was(admin, client):
    ids = sorted(int(client.register().json["id"]) for _ in range(25))
    seen, after = [], ids[0] - 1
    while True:
        reply = admin.call("GET", f"/admin/v1/members:export?after={after}&limit=7")
        assert reply.status == 200 and reply.headers["content-type"].startswith("application/x-ndjson"), reply
        page = [int(json.loads(line)["id"]) for line in reply.body.splitlines()]
        if not page:
            break
        assert len(page) <= 7
        seen, after = seen + page, page[-1]
    assert seen == ids
    assert admin.call("GET", "/admin/v1/members:export?after=9223372036854775807").body == b""


@pytest.mark.parametrize("path", ["/admin/v1/callers/nobody:rotate", "/admin/v1/callers/nobody:disable",
                                  "/admin/v1/callers/%00:disable", "/admin/v1/callers/../x:disable", "/admin/v2/callers"])
def test_nobody(admin, path):
    reply = admin.call("POST", path, {})
    assert reply.status in (400, 404), reply
    assert_problem(reply, reply.json["code"])


@pytest.mark.parametrize("overlap", ["-1s", "soon", "", 5, "9999999999999s"])
def test_bad_rotations(admin, overlap):
    admin.call("POST", "/admin/v1/callers", {"name": "turns", "purpose": "p", "scopes": ["members.read"]})
    assert_problem(admin.call("POST", "/admin/v1/callers/turns:rotate", {"overlap": overlap}), "INVALID_ARGUMENT")


def test_callers_are_bounded_in_keys(admin):
    admin.call("POST", "/admin/v1/callers", {"name": "keys", "purpose": "p", "scopes": ["members.read"]})
    replies = [admin.call("POST", "/admin/v1/callers/keys:rotate", {"overlap": "3600s"}) for _ in range(10)]
    refused = [reply for reply in replies if reply.status != 200 and reply.status != 201]
    assert refused
    for reply in refused:
        assert_problem(reply, "LIMIT_EXCEEDED")
