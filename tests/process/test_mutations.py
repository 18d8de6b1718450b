"""Good requests with a few bytes changed, thousands of them: every answer is proper HTTP, nobody crashes, service goes on."""
import json
import os
import random

import people
from member_client import RawConnection, request_bytes
from muster_process import scaled

CONNECTIONS = scaled(1_500, 150)
SNIPPETS = [b"\r\n", b"\n", b"\r", b"\0", b" ", b":", b"%00", b"%", b"\xff", b"?", b"&", b"+", b"{", b"[[[[", b'"', b"\\ud800",
            b"null", b"1e999", b"-1", b"9999999999", b"0\r\n\r\n", b"\xe9\x87\x91", b"HTTP/1.0", b"Connection: close\r\n",
            b"Content-Length: 1\r\n", b"Transfer-Encoding: chunked\r\n", b"Expect: 100-continue\r\n",
            b"GET / HTTP/1.1\r\n\r\n"]


def good_requests(key, member_id, phone):
    identity = {"kind": "phone", "value": phone}
    return [
        request_bytes("GET", f"/v1/members/{member_id}?minVersion=1", key, b"", 'If-None-Match: "7"', "Cache-Control: no-cache"),
        request_bytes("GET", f"/v1/members:resolve?kind=phone&value={phone}", key),
        request_bytes("GET", f"/v1/members/{member_id}/history?pageSize=2", key, b"", "X-Request-Timeout-Ms: 1000"),
        request_bytes("POST", "/v1/members:batchGet", key, json.dumps({"ids": [member_id, "1"]}).encode()),
        request_bytes("POST", "/v1/members", key, json.dumps({"tags": ["a"], "identities": [identity]}).encode()),
        request_bytes("POST", f"/v1/members/{member_id}:bind", key, json.dumps({"identity": identity}).encode(), 'If-Match: "1"'),
        request_bytes("PATCH", f"/v1/members/{member_id}?updateMask=city", key, b'{"city":"x"}', "Request-Id: m-1",
                      "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        request_bytes("POST", "/v1/members", key, b"", "Content-Type: application/json", "Transfer-Encoding: chunked") +
        b"10\r\n{\"displayName\":\"\r\n3\r\nm\"}\r\n0\r\n\r\n",
        request_bytes("HEAD", "/readyz?verbose"),
    ]


def mutate(source, data):
    data = bytearray(data)
    for _ in range(source.choice([1, 1, 2, 5])):
        place = source.randrange(len(data) + 1)
        kind = source.randrange(5)
        if kind == 0 and place < len(data):
            data[place] ^= 1 << source.randrange(8)
        elif kind == 1:
            data[place:place] = source.choice(SNIPPETS)
        elif kind == 2:
            del data[place:place + source.choice([1, 1, 2, 10])]
        elif kind == 3:
            other = source.randrange(len(data) + 1)
            data[place:place] = data[min(place, other):max(place, other)][:200]
        else:
            del data[place:]
    return bytes(data)


def test_mutated_requests(server, client):
    seed = int(os.environ.get("PROCESS_TEST_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"PROCESS_TEST_SEED={seed} repeats it")
    source = random.Random(seed)
    phone = people.phone()
    member = client.register(identities=[{"kind": "phone", "value": phone}]).json
    good, statuses = good_requests(server.key(), member["id"], phone), {}
    for _ in range(CONNECTIONS):
        with RawConnection(server.http) as raw:
            sent = b"".join(mutate(source, source.choice(good)) for _ in range(source.randint(1, 4)))
            raw.send(sent)
            try:
                raw.finish_sending()
            except OSError:
                pass  # it has hung up already
            while True:
                head = raw.head()
                if head is None:
                    break
                status, headers = head
                assert 100 <= status <= 599 and status not in (500, 502), (status, headers, sent)
                statuses[status] = statuses.get(status, 0) + 1
                # A HEAD request's answer has a length and no body: what follows it is the next answer or the end.
                length = int(headers.get("content-length", 0)) if status >= 200 and status != 304 else 0
                while len(raw.buffer) < length and raw.more():
                    pass
                if not raw.buffer.startswith(b"HTTP/1.1 "):
                    raw.buffer = raw.buffer[length:]
    print(statuses)
    assert len(statuses) > 5 and 400 in statuses and 200 in statuses
    assert client.get(member["id"]).status == 200
    assert client.register().status == 201
