"""Bytes that are no proper HTTP: a problem or an orderly close, never a second reading of them, and service goes on."""
import json

import pytest

import people
from member_client import RawConnection, assert_problem, request_bytes


@pytest.fixture(scope="module")
def member(server):
    with server.client() as connection:
        return connection.register(displayName="Li Lei", identities=[people.phone_identity()]).json


@pytest.fixture
def raw(server, member):
    with RawConnection(server.http) as connection:
        yield connection
    with server.client() as after:
        assert after.get(member["id"]).json == member


def get(server, member, *headers, version="HTTP/1.1"):
    return request_bytes("GET", f"/v1/members/{member['id']}", server.key(), b"", *headers, version=version)


SMUGGLED = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"


def post(*headers, body=b""):
    lines = ["POST /v1/members HTTP/1.1", "Host: localhost", "Content-Type: application/json", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


REFUSED = {
    "length and chunks": (post("Content-Length: 5", "Transfer-Encoding: chunked", body=b"0\r\n\r\n" + SMUGGLED), {400}),
    "chunks and length": (post("Transfer-Encoding: chunked", "Content-Length: 5", body=b"0\r\n\r\n" + SMUGGLED), {400}),
    "two lengths": (post("Content-Length: 0", "Content-Length: 39", body=SMUGGLED), {400}),
    "two lengths in a list": (post("Content-Length: 0, 39", body=SMUGGLED), {400}),
    "length with plus": (post("Content-Length: +0", body=SMUGGLED), {400}),
    "length in hex": (post("Content-Length: 0x27", body=SMUGGLED), {400}),
    "negative length": (post("Content-Length: -1", body=SMUGGLED), {400}),
    "empty length": (post("Content-Length:", body=SMUGGLED), {400}),
    "words for a length": (post("Content-Length: ten", body=SMUGGLED), {400}),
    "length beyond 64 bits": (post("Content-Length: 18446744073709551616", body=SMUGGLED), {400, 413}),
    "space before the colon": (post("Content-Length : 0", body=SMUGGLED), {400}),
    "chunked twice": (post("Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n" + SMUGGLED), {400, 501}),
    "chunked not last": (post("Transfer-Encoding: chunked, gzip", body=b"0\r\n\r\n" + SMUGGLED), {400, 501}),
    "unknown coding": (post("Transfer-Encoding: gzip", body=SMUGGLED), {400, 501}),
    "misspelt coding": (post("Transfer-Encoding: xchunked", body=b"0\r\n\r\n" + SMUGGLED), {400, 501}),
    "quoted coding": (post('Transfer-Encoding: "chunked"', body=b"0\r\n\r\n" + SMUGGLED), {400, 501}),
    "coding with vertical tab": (post("Transfer-Encoding: \x0bchunked", body=b"0\r\n\r\n" + SMUGGLED), {400, 501}),
    "coding in HTTP/1.0": (b"POST /v1/members HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED, {400, 501}),
    "folded header": (b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX: a\r\n b\r\n\r\n", {400}),
    "header without colon": (b"GET /livez HTTP/1.1\r\nHost: localhost\r\nnonsense\r\n\r\n", {400}),
    "header without name": (b"GET /livez HTTP/1.1\r\nHost: localhost\r\n: x\r\n\r\n", {400}),
    "name with a space": (b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX Y: x\r\n\r\n", {400}),
    "NUL in a header": (b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX: a\x00b\r\n\r\n", {400}),
    "CR in a header": (b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX: a\rTransfer-Encoding: chunked\r\n\r\n", {400}),
    "bare line feeds": (b"GET /livez HTTP/1.1\nHost: localhost\n\n", {400}),
    "one bare line feed": (b"GET /livez HTTP/1.1\r\nHost: localhost\nX: y\r\n\r\n", {400}),
    "no host": (b"GET /livez HTTP/1.1\r\n\r\n", {400}),
    "two hosts": (b"GET /livez HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", {400}),
    "no version": (b"GET /livez\r\n\r\n", {400, 505}),
    "two spaces": (b"GET  /livez HTTP/1.1\r\nHost: localhost\r\n\r\n", {400}),
    "no target": (b"GET HTTP/1.1\r\nHost: localhost\r\n\r\n", {400}),
    "space in the target": (b"GET /livez now HTTP/1.1\r\nHost: localhost\r\n\r\n", {400}),
    "NUL in the target": (b"GET /live\x00z HTTP/1.1\r\nHost: localhost\r\n\r\n", {400}),
    "raw bytes in the target": (b"GET /v1/members/\xff HTTP/1.1\r\nHost: localhost\r\n\r\n", {400, 404}),
    "bad method": (b"GE(T /livez HTTP/1.1\r\nHost: localhost\r\n\r\n", {400, 501}),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400, 505}),
    "HTTP/3.7": (b"GET /livez HTTP/3.7\r\nHost: localhost\r\n\r\n", {400, 505}),
    "HTTP/11.1": (b"GET /livez HTTP/11.1\r\nHost: localhost\r\n\r\n", {400, 505}),
    "lower-case version": (b"GET /livez http/1.1\r\nHost: localhost\r\n\r\n", {400, 505}),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)) * 2 + b"\r\n\r\n", {400}),
    "noise": (bytes((n * 89 + 7) % 256 for n in range(4096)) + b"\r\n\r\n", {400}),
    "an endless first line": (b"GET /" + b"a" * 40_000, {400, 414, 431}),
    "a long target": (b"GET /livez?" + b"a" * 9_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", {414}),
    "an endless header": (b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 40_000, {431}),
    "many headers": (b"GET /livez HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 10_000 + b"\r\n", {431}),
    "a large body announced": (post("Content-Length: 1048577"), {413}),
    "a huge body announced": (post("Content-Length: 9223372036854775807"), {413}),
    "a large body in chunks": (post("Transfer-Encoding: chunked", body=b"80001\r\n" + b" " * 0x80001 + b"\r\n80000\r\n"
                                    + b" " * 0x80000 + b"\r\n0\r\n\r\n"), {413}),
    "a huge chunk announced": (post("Transfer-Encoding: chunked", body=b"7fffffffffffffff\r\n"), {400, 413}),
    "a chunk beyond 64 bits": (post("Transfer-Encoding: chunked", body=b"10000000000000002\r\n{}\r\n0\r\n\r\n"), {400, 413}),
    "chunk size without digits": (post("Transfer-Encoding: chunked", body=b"zz\r\n{}\r\n0\r\n\r\n"), {400}),
    "negative chunk": (post("Transfer-Encoding: chunked", body=b"-2\r\n{}\r\n0\r\n\r\n"), {400}),
    "chunk with 0x": (post("Transfer-Encoding: chunked", body=b"0x2\r\n{}\r\n0\r\n\r\n"), {400}),
    "chunk longer than said": (post("Transfer-Encoding: chunked", body=b"1\r\n{}\r\n0\r\n\r\n"), {400}),
    "chunk lines with bare feeds": (post("Transfer-Encoding: chunked", body=b"2\n{}\n0\n\n" + SMUGGLED), {400}),
    "an endless chunk extension": (post("Transfer-Encoding: chunked", body=b"2;" + b"a" * 200_000), {400, 413, 431}),
    "endless trailers": (post("Transfer-Encoding: chunked", body=b"2\r\n{}\r\n0\r\n" + b"X: y\r\n" * 50_000), {400, 413, 431}),
    "an unknown expectation": (post("Expect: 200-maybe", "Content-Length: 2", body=b"{}"), {417, 400}),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(raw, name):
    sent, statuses = REFUSED[name]
    raw.send(sent)
    reply = raw.reply()
    assert reply is not None, "closed without an answer"
    assert reply.status in statuses, reply
    assert_problem(reply, reply.json["code"])
    assert reply.headers["request-id"] == reply.json["requestId"], reply
    assert reply.json["retryable"] is False
    # The connection is over: nothing that followed is taken for a request.
    assert reply.headers.get("connection", "").lower() == "close", reply
    assert raw.is_closed()


@pytest.mark.parametrize("sent, code", [
    (post("Request-Id: mine", "Content-Length: 1048577"), "BODY_TOO_LARGE"),
    (post("Request-Id: mine", "Transfer-Encoding: gzip"), "NOT_IMPLEMENTED"),
    (post("Request-Id: mine", "Expect: 200-maybe", "Content-Length: 0"), "EXPECTATION_FAILED"),
    (post("Request-Id: mine", "Transfer-Encoding: chunked", body=b"zz\r\n"), "INVALID_ARGUMENT")])
def test_a_refused_request_keeps_its_id_and_is_counted(server, raw, sent, code):
    sample = f'muster_api_requests_total{{code="{code}",rpc="None"}} '

    def count():
        with server.admin_client() as admin:
            lines = admin.call("GET", "/metrics").body.decode().splitlines()
        return sum(float(line[len(sample):]) for line in lines if line.startswith(sample))
    before = count()
    problem = assert_problem(raw.send(sent).reply(), code)
    assert problem["requestId"] == "mine"
    assert count() == before + 1


def test_a_refused_head_has_no_body(raw):
    reply = raw.send(b"HEAD /livez HTTP/1.1\r\nHost: localhost\r\nExpect: 200-maybe\r\n\r\n").reply(to_head=True)
    assert reply.status == 417 and int(reply.headers["content-length"]) > 0
    assert raw.is_closed()


def test_pipelining_answers_in_order_with_errors_in_the_middle(server, member, raw):
    key, sent, expected = server.key(), b"", []
    for n in range(100):
        if n % 10 == 3:
            sent, code = sent + request_bytes("GET", "/v1/members/123456789", key), 404
        elif n % 10 == 5:
            sent, code = sent + request_bytes("POST", "/v1/members", key, b'{"unknown":1}'), 400
        elif n % 10 == 7:
            sent, code = sent + request_bytes("GET", f"/v1/members/{member['id']}"), 401
        elif n % 10 == 8:
            sent, code = sent + request_bytes("DELETE", "/v1/members", key), 405
        else:
            sent, code = sent + get(server, member, f"Request-Id: pipe-{n}"), 200
        expected.append((n, code))
    raw.send(sent)
    for n, code in expected:
        reply = raw.reply()
        assert reply.status == code, (n, reply)
        if code == 200:
            assert reply.headers["request-id"] == f"pipe-{n}" and reply.json == member


def test_pipelined_writes_and_reads_keep_their_order(server, raw):
    key = server.key()
    bodies = [json.dumps({"displayName": f"pipelined {n}"}).encode() for n in range(30)]
    raw.send(b"".join(request_bytes("POST", "/v1/members", key, body) for body in bodies))
    replies = [raw.reply() for _ in bodies]
    assert [reply.json["displayName"] for reply in replies] == [f"pipelined {n}" for n in range(30)]


def test_what_follows_a_refused_request_is_not_read(server, member, raw):
    raw.send(get(server, member) + b"BAD\r\n\r\n" + get(server, member))
    assert raw.reply().status == 200
    assert raw.reply().status == 400
    assert raw.is_closed()


def test_chunked_bodies(server, raw):
    body = b'{"displayName":"chunked"}'
    for chunks in (b"".join(b"1\r\n%c\r\n" % byte for byte in body), b"%X\r\n%s\r\n" % (len(body), body),
                   b"0000%x;name=\"a;b\"\r\n%s\r\n" % (len(body), body)):
        raw.send(request_bytes("POST", "/v1/members", server.key(), b"", "Content-Type: application/json",
                               "Transfer-Encoding: Chunked") + chunks + b"0\r\nX-Trailer: 1\r\n\r\n")
        reply = raw.reply()
        assert reply.status == 201 and reply.json["displayName"] == "chunked"


def test_a_request_may_come_byte_by_byte(server, member, raw):
    for byte in get(server, member):
        raw.send(bytes([byte]))
    assert raw.reply().json == member


def test_expect_continue(server, raw):
    body = b'{"displayName":"expected"}'
    raw.send(request_bytes("POST", "/v1/members", server.key(), b"", "Content-Type: application/json",
                           f"Content-Length: {len(body)}", "Expect: 100-continue"))
    assert raw.reply().status == 100
    raw.send(body)
    assert raw.reply().status == 201
    raw.send(request_bytes("POST", "/v1/members", server.key(), b"", f"Content-Length: {2 << 20}",
                           "Expect: 100-continue"))
    assert_problem(raw.reply(), "BODY_TOO_LARGE")  # said before the body was sent


def test_http_1_0(server, member, raw):
    raw.send(b"GET /livez HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    reply = raw.reply()
    assert reply.status == 200 and reply.headers.get("connection", "").lower() == "keep-alive"
    raw.send(get(server, member, version="HTTP/1.0"))
    assert raw.reply().json == member
    assert raw.is_closed()


def test_close_is_honoured(server, member, raw):
    raw.send(get(server, member, "Connection: close") + get(server, member))
    reply = raw.reply()
    assert reply.status == 200 and reply.headers["connection"].lower() == "close"
    assert raw.is_closed()


def test_head_has_no_body(server, member, raw):
    head = request_bytes("HEAD", f"/v1/members/{member['id']}", server.key())
    raw.send(head + get(server, member))
    first = raw.reply(to_head=True)
    second = raw.reply()
    assert first.status == 200 and first.headers["content-length"] == second.headers["content-length"]
    assert second.json == member


def test_a_half_closed_connection_gets_its_answers(server, member, raw):
    raw.send(get(server, member) * 3).finish_sending()
    assert [raw.reply().status for _ in range(3)] == [200] * 3
    assert raw.is_closed()


@pytest.mark.parametrize("beginning", [b"", b"GET /li", post("Content-Length: 10", body=b"{"),
                                       post("Transfer-Encoding: chunked", body=b"5\r\n{")])
def test_half_a_request_and_then_the_end(raw, beginning):
    raw.send(beginning).finish_sending()
    reply = raw.reply()
    assert reply is None or reply.status in (400, 408), reply
    assert raw.is_closed()


def test_empty_lines_before_a_request_are_forgiven(server, member, raw):
    raw.send(b"\r\n" + get(server, member))
    assert raw.reply().json == member


def test_the_absolute_form_of_a_target(server, member, raw):
    raw.send(request_bytes("GET", f"http://localhost/v1/members/{member['id']}", server.key()))
    assert raw.reply().json == member
