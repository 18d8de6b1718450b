"""Many, slow, silent and rude connections: bounded memory, bounded time, and everybody else is served."""
import json
import resource
import socket
import struct
import threading
import time

import pytest

import people
from member_client import RawConnection, assert_problem, request_bytes
from muster_process import DEADLINE_S, SCALE, Server, scaled, wait_for

IDLE_CONNECTIONS = scaled(10_000, 1_000)
# Sanitizers, which run with less, surround and keep every block.
BYTES_AN_IDLE_CONNECTION_MAX = 8 << 10 if SCALE == 1 else 32 << 10
BYTES_OF_DEAF_CONNECTIONS_MAX = 64 << 20 if SCALE == 1 else 320 << 20  # 256 MiB are kept from being used again


@pytest.fixture
def many_descriptors():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = IDLE_CONNECTIONS + 500
    if before[1] != resource.RLIM_INFINITY and before[1] < needed:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (needed, needed))
        except (ValueError, PermissionError):
            pytest.skip(f"the hard limit of open files is {before[1]}, {needed} are needed; raise it: ulimit -Hn {needed}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(needed, before[0]), resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def open_sockets(address, count):
    host, port = address.rsplit(":", 1)
    return [socket.create_connection((host, int(port)), timeout=DEADLINE_S) for _ in range(count)]


def close_all(sockets):
    for connection in sockets:
        connection.close()


def open_connections(server):
    """What the server says that it holds open."""
    with server.admin_client() as admin:
        lines = admin.call("GET", "/metrics").body.decode().splitlines()
    counts = [float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith('muster_http_connections_open{server="http"}')]
    assert counts, "no muster_http_connections_open in /metrics"
    return sum(counts)


def test_ten_thousand_idle_connections(many_descriptors, scratch):
    with Server(scratch / "data") as server, server.client() as client:
        member = client.register(displayName="Li Lei", identities=[people.phone_identity()]).json
        request = request_bytes("GET", f"/v1/members/{member['id']}", server.key())
        for _ in range(200):
            client.get(member["id"])
        before = server.anonymous_bytes()
        silent = open_sockets(server.http, IDLE_CONNECTIONS)
        try:
            wait_for(lambda: open_connections(server) >= IDLE_CONNECTIONS, "all connections are accepted")
            grown = (server.anonymous_bytes() - before) / IDLE_CONNECTIONS
            print(f"{grown:.0f} bytes of anonymous memory for a connection that never said anything")
            assert grown < BYTES_AN_IDLE_CONNECTION_MAX
            assert client.get(member["id"]).json == member

            for connection in silent:
                connection.sendall(request)
            for connection in silent:
                assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
            grown = (server.anonymous_bytes() - before) / IDLE_CONNECTIONS
            print(f"{grown:.0f} bytes of anonymous memory for a connection that is idle after a request")
            assert grown < BYTES_AN_IDLE_CONNECTION_MAX
            assert client.patch(member["id"], "city", {"city": "Wuxi"}).status == 200
        finally:
            close_all(silent)
        wait_for(lambda: open_connections(server) < 10, "the server has noticed that they are gone")


def test_the_connection_limit(scratch):
    with Server(scratch / "data", extra_environment={"MUSTER_HTTP__CONNECTIONS__MAX": "10"}) as server:
        held = open_sockets(server.http, 10)
        try:
            for connection in held:
                connection.sendall(request_bytes("GET", "/livez"))
                assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
            with RawConnection(server.http) as further:
                reply = further.send(request_bytes("GET", "/livez")).reply()
                assert reply is None or reply.status == 503, reply
                if reply is not None:
                    assert_problem(reply, "OVERLOADED")
                    assert int(reply.headers["retry-after"]) >= 1
                assert further.is_closed()
        finally:
            close_all(held)

        def served():
            with RawConnection(server.http) as connection:
                reply = connection.send(request_bytes("GET", "/livez")).reply()
                return reply is not None and reply.status == 200
        wait_for(served, "a place is free again")


def test_a_reader_that_does_not_read(scratch):
    environment = {"MUSTER_HTTP__WRITE__TIMEOUT": "2s"}
    with Server(scratch / "data", extra_environment=environment) as server, server.client() as client:
        attributes = {f"name{n}": "x" * 1000 for n in range(64)}
        member = client.register(attributes=attributes).json
        request = request_bytes("GET", f"/v1/members/{member['id']}", server.key())
        client.get(member["id"])
        before = server.anonymous_bytes()
        deaf = open_sockets(server.http, 20)
        try:
            for connection in deaf:
                connection.settimeout(DEADLINE_S)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                # 200 answers of 64 KiB: 256 MiB together, if the server kept them.
                connection.sendall(request * 200)
            assert client.get(member["id"]).status == 200
            grown = server.anonymous_bytes() - before
            print(f"{grown >> 20} MiB of anonymous memory for 20 connections that ask for 12 MiB each and read nothing")
            assert grown < BYTES_OF_DEAF_CONNECTIONS_MAX
            wait_for(lambda: open_connections(server) < 10, "the server gives them up")
            assert client.get(member["id"]).status == 200
        finally:
            close_all(deaf)


def test_batches_that_nobody_reads(scratch):
    environment = {"MUSTER_HTTP__BUFFERS__MAX": "4MiB", "MUSTER_HTTP__THREADS": "1"}
    with Server(scratch / "data", extra_environment=environment) as server, server.client() as client:
        attributes = {f"name{n}": "x" * 1000 for n in range(64)}
        member = client.register(attributes=attributes).json
        small = client.register(displayName="Li Lei").json
        key = server.key()

        def batch(count):
            body = json.dumps({"ids": [member["id"]] * count}).encode()
            return request_bytes("POST", "/v1/members:batchGet", key, body, "Cache-Control: no-cache")
        with RawConnection(server.http) as raw:  # 16 of 64 KiB fit into half of the bound
            assert len(raw.send(batch(16)).reply().body) > 1_000_000
            assert_problem(raw.send(batch(200)).reply(), "INVALID_ARGUMENT")
        before = server.anonymous_bytes()
        deaf = open_sockets(server.http, 30)
        try:
            for connection in deaf:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                connection.sendall(batch(25) * 24)  # 1.1 GiB together
            most = 0
            for _ in range(200):
                assert client.get(small["id"]).status == 200
                most = max(most, server.anonymous_bytes() - before)
            print(f"{most >> 20} MiB of anonymous memory for 30 connections that ask for 38 MiB each and read nothing")
            assert most < BYTES_OF_DEAF_CONNECTIONS_MAX
            with RawConnection(server.http) as raw:
                reply = raw.send(batch(25)).reply()
                assert reply.status == 200 or int(reply.headers["retry-after"]) >= 1, reply
        finally:
            close_all(deaf)

        def served():
            with RawConnection(server.http) as raw:
                return raw.send(batch(25)).reply().status == 200
        wait_for(served, "the room comes back")


def test_a_greedy_reader_of_metrics_holds_nobody_up(scratch):
    with Server(scratch / "data", extra_environment={"MUSTER_HTTP__THREADS": "1"}) as server, server.client() as client:
        member = client.register().json
        with RawConnection(server.http) as greedy:
            def ask():
                for _ in range(50):
                    greedy.send(request_bytes("GET", "/metrics") * 64)
            def read():
                while greedy.more():
                    greedy.buffer = b""
            threads = [threading.Thread(target=work, daemon=True) for work in (ask, read)]
            for thread in threads:
                thread.start()
            times = []
            for _ in range(200):
                started = time.monotonic()
                assert client.get(member["id"]).status == 200
                times.append(time.monotonic() - started)
            median = sorted(times)[len(times) // 2]
            print(f"median of a read beside a connection that pipelines /metrics: {median * 1000:.1f} ms")
            assert median < 0.02
            greedy.socket.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join(DEADLINE_S)


def test_a_reader_that_reads_slowly_gets_everything(server, client):
    member = client.register(attributes={f"name{n}": "x" * 1000 for n in range(64)}).json
    request = request_bytes("GET", f"/v1/members/{member['id']}", server.key())
    with RawConnection(server.http) as raw:
        raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
        sender = threading.Thread(target=lambda: raw.send(request * 30))
        sender.start()
        for _ in range(30):
            assert raw.reply().json == member
        sender.join(DEADLINE_S)
        assert not sender.is_alive()


def drip(raw, data, pause_s, give_up_s=DEADLINE_S):
    """Sends byte after byte until the server ends the connection; answers what it said, or None."""
    ended = threading.Event()

    def send():
        for byte in data:
            if ended.wait(pause_s):
                return
            raw.send(bytes([byte]))
    sender = threading.Thread(target=send)
    sender.start()
    try:
        reply = raw.reply()
        assert raw.is_closed()
        return reply
    finally:
        ended.set()
        sender.join(give_up_s)


@pytest.mark.parametrize("part, name, status", [("head", "HEADER", 408), ("body", "BODY", 408)])
def test_a_slow_sender_is_given_up(scratch, part, name, status):
    environment = {f"MUSTER_HTTP__{name}__TIMEOUT": "1s"}
    with Server(scratch / "data", extra_environment=environment) as server, server.client() as client:
        request = request_bytes("POST", "/v1/members", server.key(), b'{"displayName":"' + b"x" * 4000 + b'"}')
        with RawConnection(server.http) as raw:
            if part == "body":
                head, request = request.split(b"\r\n\r\n", 1)
                raw.send(head + b"\r\n\r\n")
            started = time.monotonic()
            reply = drip(raw, request, pause_s=0.05)
            assert time.monotonic() - started >= 0.5
            assert reply is None or reply.status == status, reply
        assert client.register().status == 201


def test_a_silent_connection_ends_in_the_end(scratch):
    with Server(scratch / "data", extra_environment={"MUSTER_HTTP__IDLE__TIMEOUT": "1s"}) as server:
        with RawConnection(server.http) as raw:
            assert raw.is_closed()
        with RawConnection(server.http) as raw:
            assert raw.send(request_bytes("GET", "/livez")).reply().status == 200
            assert raw.is_closed()


def test_connections_that_break(server, client):
    member = client.register(displayName="Li Lei").json
    request = request_bytes("GET", f"/v1/members/{member['id']}", server.key())
    post = request_bytes("POST", "/v1/members", server.key(), b'{"displayName":"' + b"x" * 200 + b'"}')
    for n in range(scaled(600, 60)):
        with RawConnection(server.http) as raw:
            raw.send([request * 3, post[:60], post[:-30], request[:10], b"", post * 5][n % 6])
            # Closing with this option sends a reset.
            raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert client.get(member["id"]).json == member
    wait_for(lambda: open_connections(server) < 10, "none of them is left")
