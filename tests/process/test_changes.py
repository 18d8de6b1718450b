"""The stream of changes: every committed change once for each position, whatever happens to writers, readers and the server."""
import collections
import json
import signal
import socket
import subprocess
import threading
import time

import pytest

import people
from change_reader import ChangeReader
from member_client import RawConnection, assert_problem, request_bytes
from muster_process import DEADLINE_S, SCALE, Server, binary, doctor, environment, run, scaled, wait_for

FILES = (1, 4)


def latest(server):
    """The newest position there is."""
    with ChangeReader(server) as reader:
        return reader.await_heartbeat()


def metric(server, name):
    with server.admin_client() as admin:
        for line in admin.call("GET", "/metrics").body.decode().splitlines():
            if line.startswith(name + " "):
                return float(line.rsplit(" ", 1)[1])
    raise AssertionError(f"no {name}")


def write_some(server, members, updates):
    """Registers and updates from one connection; the number of changes."""
    with server.client() as client:
        for index in range(members):
            member = client.register(city="Suzhou")
            assert member.status == 201, member
            for update in range(updates):
                assert client.patch(member.json["id"], "city", {"city": f"C{index}-{update}"}).status == 200
    return members * (1 + updates)


def assert_in_order(events):
    """Positions rise, and each member's versions follow one another."""
    versions = collections.defaultdict(int)
    positions = [int(event["position"]) for event in events]
    assert all(a < b for a, b in zip(positions, positions[1:]))
    for event in events:
        if event["memberId"] in versions:
            assert int(event["version"]) == versions[event["memberId"]] + 1, event
        versions[event["memberId"]] = int(event["version"])


def test_what_a_write_does_is_told(server, client):
    with ChangeReader(server, "latest") as reader:
        begin = reader.await_heartbeat()
        member = client.register(city="Suzhou").json
        phone = people.phone_identity()
        client.bind(member["id"], phone)
        client.unbind(member["id"], phone)
        client.patch(member["id"], "city", {"city": "Wuxi"})
        client.verb(member["id"], "close", {})
        events = reader.take(5)
    assert [event["type"] for event in events] == ["REGISTERED", "IDENTITY_BOUND", "IDENTITY_UNBOUND", "UPDATED", "CLOSED"]
    assert [event["version"] for event in events] == ["1", "2", "3", "4", "5"]
    assert {event["memberId"] for event in events} == {member["id"]}
    assert int(events[0]["position"]) > int(begin)
    history = {change["version"]: change for change in client.history(member["id"]).json["changes"]}
    for event in events:
        assert set(event) == {"position", "memberId", "version", "type", "changeTime"}
        assert event["changeTime"] == history[event["version"]]["changeTime"] and event["type"] == history[event["version"]]["type"]


def test_every_change_once_and_in_order_under_concurrent_writers(server):
    begin = latest(server)
    writers = [threading.Thread(target=write_some, args=(server, scaled(20, 3), 4)) for _ in range(6)]
    count = 6 * scaled(20, 3) * 5
    with ChangeReader(server, begin) as first, ChangeReader(server, begin, types="UPDATED") as filtered:
        for writer in writers:
            writer.start()
        events = first.take(count)
        updates = filtered.take(count - count // 5)
        for writer in writers:
            writer.join()
    assert_in_order(events)
    assert updates == [event for event in events if event["type"] == "UPDATED"]
    # From any position, the rest is the same.
    for at in (0, 1, count // 3, count - 1):
        with ChangeReader(server, events[at]["position"]) as again:
            assert again.take(min(20, count - 1 - at)) == events[at + 1:][:20] if at < count - 1 else True
    assert latest(server) == events[-1]["position"]
    with ChangeReader(server, "earliest") as whole:
        everything = []
        for event in whole.events():
            everything.append(event)
            if event["position"] == events[-1]["position"]:
                break
    assert everything[-count:] == events
    assert_in_order(everything)


def test_last_event_id_wins_and_both_are_exclusive(server):
    begin = latest(server)
    write_some(server, 3, 0)
    with ChangeReader(server, begin) as reader:
        events = reader.take(3)
    with ChangeReader(server, "earliest", last_event_id=events[1]["position"]) as reader:
        assert reader.take(1) == events[2:]
    with ChangeReader(server, "latest", last_event_id=begin) as reader:
        assert reader.take(3) == events


def test_filters(server, client):
    begin = latest(server)
    one, two = client.register(city="A").json["id"], client.register(city="B").json["id"]
    client.patch(one, "city", {"city": "C"})
    client.bind(two, people.phone_identity())
    client.patch(two, "city", {"city": "C"})

    def seen(count, **query):
        with ChangeReader(server, begin, **query) as reader:
            return [(event["memberId"], event["type"]) for event in reader.take(count)]
    assert seen(2, memberIds=one) == [(one, "REGISTERED"), (one, "UPDATED")]
    assert seen(2, types="UPDATED") == [(one, "UPDATED"), (two, "UPDATED")]
    assert seen(2, types="REGISTERED,IDENTITY_BOUND", memberIds=two) == [(two, "REGISTERED"), (two, "IDENTITY_BOUND")]
    assert seen(3, memberIds=f"{two},{one}", types="REGISTERED,UPDATED")[2] == (one, "UPDATED")


def test_a_filtered_stream_learns_where_it_is(scratch):
    """A heartbeat moves the position on although nothing passes the filter, so that it does not expire."""
    with Server(scratch / "data", extra_environment={"MUSTER_CHANGES__HEARTBEAT": "100ms"}) as server:
        with ChangeReader(server, "earliest", types="CLOSED") as reader:
            assert reader.await_heartbeat() == "0"
            write_some(server, 3, 0)
            wait_for(lambda: reader.await_heartbeat() == "3", "the heartbeat tells the newest position")
            assert reader.connection.send(b"") is reader.connection


@pytest.mark.parametrize("query, field", [
    ("from=first", "from"), ("from=-1", "from"), ("from=01", "from"), ("from=1.5", "from"), ("from=%20", "from"),
    ("from=9223372036854775808", "from"), ("from=9223372036854775807", "from"), ("from=" + "9" * 3000, "from"),
    ("types=REGISTERED,", "types"), ("types=registered", "types"), ("types=TYPE_UNSPECIFIED", "types"), ("memberIds=0", "memberIds"),
    ("memberIds=a", "memberIds"), ("memberIds=" + ",".join(map(str, range(1, 102))), "memberIds"), ("since=1", "since")])
def test_bad_requests(server, client, query, field):
    problem = assert_problem(client.call("GET", f"/v1/changes?{query}"), "INVALID_ARGUMENT")
    assert [fault["field"] for fault in problem["errors"]] == [field]


def test_a_bad_last_event_id(server, client):
    for bad in ("x", "-1", "1.0", str(2**62)):  # the last one has not been reached
        problem = assert_problem(client.call("GET", "/v1/changes", headers={"Last-Event-ID": bad}), "INVALID_ARGUMENT")
        assert [fault["field"] for fault in problem["errors"]] == ["Last-Event-ID"], problem


def test_who_may_watch(server):
    with server.client(key="") as nobody:
        assert_problem(nobody.call("GET", "/v1/changes"), "UNAUTHENTICATED")
    with server.client(key=server.new_caller("only-writes", "members.write")) as writer:
        assert_problem(writer.call("GET", "/v1/changes"), "PERMISSION_DENIED")
    with server.client() as client:
        reply = client.call("POST", "/v1/changes", {})
        assert_problem(reply, "METHOD_NOT_ALLOWED")
        assert reply.headers["allow"] == "GET, HEAD"


def test_head_has_the_fields_and_no_body(server):
    with ChangeReader(server, "earliest", method="HEAD") as reader:
        status, headers = reader.open().head
        assert status == 200 and headers["content-type"] == "text/event-stream" and "content-length" not in headers
        # The connection is free again.
        reader.connection.send(request_bytes("GET", "/livez"))
        assert reader.connection.reply().status == 200


def test_requests_behind_a_stream_wait_until_it_ends(server):
    with RawConnection(server.http) as connection:
        stream = request_bytes("GET", "/v1/changes?from=latest", server.key(), b"", "X-Request-Timeout-Ms: 300")
        connection.send(request_bytes("GET", "/livez") + stream + request_bytes("GET", "/livez"))
        connection.send(request_bytes("GET", "/livez"))
        assert connection.reply().status == 200
        assert connection.head()[1]["content-type"] == "text/event-stream"
        while b"0\r\n\r\n" not in connection.buffer:
            assert connection.more()
        connection.buffer = connection.buffer.split(b"0\r\n\r\n", 1)[1]
        assert connection.reply().status == 200
        assert connection.reply().status == 200


def test_a_stream_whose_time_is_up_before_its_turn(server):
    first, second = (request_bytes("GET", "/v1/changes?from=latest", server.key(), b"", f"X-Request-Timeout-Ms: {timeout_ms}")
                     for timeout_ms in (1500, 300))
    with RawConnection(server.http) as connection:
        connection.send(first + second)
        while connection.buffer.count(b"\r\n0\r\n\r\n") < 2:
            assert connection.more()
        assert connection.buffer.count(b"HTTP/1.1 200") == connection.buffer.count(b"retry: 1000\nid: ") == 2, connection.buffer


def test_an_old_client_gets_a_stream_that_ends_with_its_connection(server):
    with RawConnection(server.http) as connection:
        connection.send(request_bytes("GET", "/v1/changes", server.key(), b"", "X-Request-Timeout-Ms: 200", version="HTTP/1.0"))
        status, headers = connection.head()
        assert status == 200 and headers["connection"].lower() == "close" and "transfer-encoding" not in headers
        while connection.more():
            pass
        assert connection.buffer.startswith(b": heartbeat\nid: ") and connection.buffer.endswith(b"\n\n")


def test_a_client_that_goes_is_noticed(server):
    before = metric(server, "muster_changes_streams")
    readers = [ChangeReader(server, "latest").open() for _ in range(3)]
    for reader in readers:
        reader.await_heartbeat()
    assert metric(server, "muster_changes_streams") == before + 3
    readers[0].close()
    readers[1].connection.socket.shutdown(socket.SHUT_WR)  # no more requests: nobody who wants to go on says that
    assert list(readers[1].blocks()) == []
    readers[2].connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    readers[2].close()
    wait_for(lambda: metric(server, "muster_changes_streams") == before, "the streams are gone")


def test_an_idle_stream_gets_heartbeats(scratch):
    with Server(scratch / "data", extra_environment={"MUSTER_CHANGES__HEARTBEAT": "100ms"}) as server:
        with ChangeReader(server, "latest") as reader:
            assert [reader.await_heartbeat() for _ in range(3)] == ["0", "0", "0"]


def test_a_disabled_caller_is_let_go(scratch):
    with Server(scratch / "data", extra_environment={"MUSTER_CHANGES__HEARTBEAT": "100ms"}) as server:
        key = server.new_caller("watcher", "members.read")
        with ChangeReader(server, "latest", key=key) as reader:
            reader.await_heartbeat()
            with server.admin_client() as admin:
                assert admin.call("POST", "/admin/v1/callers/watcher:disable", {}).status == 200
            assert list(reader.events()) == [] and reader.problem["code"] == "UNAUTHENTICATED"


def test_a_disabled_caller_is_let_go_though_there_is_always_news(scratch):
    with Server(scratch / "data", extra_environment={"MUSTER_CHANGES__HEARTBEAT": "1s"}) as server, server.client() as client:
        key = server.new_caller("watcher", "members.read")
        with ChangeReader(server, "latest", key=key) as reader:
            reader.await_heartbeat()
            with server.admin_client() as admin:
                assert admin.call("POST", "/admin/v1/callers/watcher:disable", {}).status == 200
            client.register()
            for _ in reader.events():
                client.register()  # the next one
            assert reader.problem["code"] == "UNAUTHENTICATED"


def test_no_more_streams_than_there_may_be(scratch):
    with Server(scratch / "data", extra_environment={"MUSTER_CHANGES__STREAMS_MAX": "2"}) as server, server.client() as client:
        other = server.new_caller("other", "members.read")
        readers = [ChangeReader(server, key=key).open() for key in (server.key(), other)]
        refused = client.call("GET", "/v1/changes")
        assert_problem(refused, "OVERLOADED")
        assert int(refused.headers["retry-after"]) >= 1
        readers.pop().close()

        def let_in():
            with ChangeReader(server, key=other) as reader:
                return reader.open().head[0] == 200
        wait_for(let_in, "there is room again")


def test_one_caller_cannot_have_all_streams(scratch):
    """Half of them, however many connections it comes over; others are let in."""
    with Server(scratch / "data", extra_environment={"MUSTER_CHANGES__STREAMS_MAX": "100"}) as server:
        greedy, other = (server.new_caller(name, "members.read") for name in ("greedy", "other"))
        pipelined = request_bytes("GET", "/v1/changes", greedy) * 10  # those behind an open stream take a place, too
        connections = [RawConnection(server.http).send(pipelined) for _ in range(10)]
        wait_for(lambda: metric(server, "muster_changes_streams") == 50, "its share is taken")
        with server.client(greedy) as client:
            problem = assert_problem(client.call("GET", "/v1/changes"), "OVERLOADED")
            assert "the caller greedy" in problem["detail"] and "50" in problem["detail"], problem
        readers = [ChangeReader(server, key=other) for _ in range(50)]
        assert {reader.open().head[0] for reader in readers} == {200}
        for connection in connections:
            connection.socket.close()
        wait_for(lambda: metric(server, "muster_changes_streams") == 50, "they are gone")
        with ChangeReader(server, key=greedy) as reader:
            reader.await_heartbeat()


def test_a_reader_that_does_not_read_costs_nobody_anything(scratch):
    """Its position is all that is kept of it; it reads the same later."""
    environment_ = {"MUSTER_HTTP__WRITE__TIMEOUT": "10m", "MUSTER_SEARCH__ENABLED": "false"}
    count = scaled(60_000, 6_000)
    with Server(scratch / "data", extra_environment=environment_) as server:
        stuck = [ChangeReader(server, "earliest") for _ in range(20)]
        lines = scratch / "members.jsonl"
        lines.write_text("".join('{"city":"Suzhou"}\n' for _ in range(count)))
        assert run("import", lines, data=server.data).returncode == 0
        before = server.anonymous_bytes()
        with ChangeReader(server, "earliest") as quick:
            events = quick.take(count)
        assert run("import", lines, data=server.data).returncode in (0, 3)
        with server.client() as client:
            assert client.register(city="Suzhou").status == 201
        # Unread, these streams are some 10 MB each; of the fewer of a sanitizer's run it would say nothing.
        if SCALE == 1:
            assert server.anonymous_bytes() - before < 24 << 20
        assert stuck[0].take(count) == events
        for reader in stuck:
            reader.close()


def test_a_position_that_is_not_kept_any_more(scratch):
    options = {"MUSTER_STORE__CHANGES__RETENTION": "1s", "MUSTER_STORE__SWEEPER__PERIOD": "1s", "MUSTER_STORE__SWEEPER__PAUSE": "1ms"}
    count = scaled(15_000, 2_000)
    with Server(scratch / "data", extra_environment=options) as server, server.client() as client:
        lines = scratch / "members.jsonl"
        lines.write_text("".join('{"city":"Suzhou"}\n' for _ in range(count)))
        assert run("import", lines, data=server.data).returncode == 0
        wait_for(lambda: client.call("GET", "/v1/changes?from=0", headers={"X-Request-Timeout-Ms": "1"}).status == 410,
                 "the first change is forgotten")
        problem = assert_problem(client.call("GET", "/v1/changes?from=0"), "POSITION_EXPIRED")
        assert "latest" in problem["detail"] and "then read anew" in problem["detail"]
        wait_for(lambda: int(latest(server)) >= count, "all are in")
        newest = latest(server)
        wait_for(lambda: client.call("GET", f"/v1/changes?from={int(newest) - 2}", headers={"X-Request-Timeout-Ms": "1"}).status == 410,
                 "all but the last are forgotten")
        with ChangeReader(server, "earliest") as reader:
            assert reader.take(1)[0]["position"] == newest
        member = client.register(city="Wuxi").json["id"]
        assert len(client.history(member).json["changes"]) == 1
    assert doctor(scratch / "data")[0] == 0
    with Server(scratch / "data", extra_environment=options) as server, server.client() as client:
        assert_problem(client.call("GET", "/v1/changes?from=1"), "POSITION_EXPIRED")


def test_going_on_after_a_crash(scratch):
    """kill -9 in the middle of writes: each acknowledged change is in the stream once, and positions stay what they were."""
    for files in FILES:
        data = scratch / f"data-{files}"
        options = {"MUSTER_STORE__SQLITE__FILES": str(files)}
        acknowledged, seen, last_id = set(), [], "0"
        for _ in range(3):
            with Server(data, extra_environment=options) as server:
                stop = threading.Event()

                def write():
                    with server.client() as client:
                        while not stop.is_set():
                            try:
                                reply = client.register(city="Suzhou")
                            except OSError:
                                return
                            if reply.status == 201:
                                acknowledged.add(reply.json["id"])
                writers = [threading.Thread(target=write) for _ in range(4)]
                with ChangeReader(server, "earliest", last_event_id=last_id) as reader:
                    for writer in writers:
                        writer.start()
                    seen += reader.take(scaled(200, 30))
                    server.kill()
                    stop.set()
                    for writer in writers:
                        writer.join()
                    try:
                        for event in reader.events():
                            seen.append(event)
                    except (EOFError, OSError):
                        pass
                last_id = reader.last_id
        with Server(data, extra_environment=options) as server:
            newest = latest(server)
            if last_id != newest:
                with ChangeReader(server, last_event_id=last_id) as reader:
                    for event in reader.events():
                        seen.append(event)
                        if event["position"] == newest:
                            break
            assert_in_order(seen)
            assert acknowledged <= {event["memberId"] for event in seen}
            with ChangeReader(server, "earliest") as reader:
                assert reader.take(len(seen)) == seen
        assert doctor(data)[0] == 0


def test_a_server_that_stops_ends_its_streams(scratch):
    server = Server(scratch / "data").start()
    write_some(server, 2, 0)
    with ChangeReader(server, "earliest") as busy, ChangeReader(server, "latest") as idle:
        busy.take(2)
        idle.await_heartbeat()
        server.process.send_signal(signal.SIGTERM)
        blocks = list(idle.blocks())
        assert blocks[-1] == [("retry", "1000"), ("id", "2")], blocks
        assert list(busy.events()) == [] and busy.is_over and busy.last_id == "2"
        assert server.wait() == 0, server.log_tail()
        assert idle.connection.is_closed()


def follow(server, *arguments):
    return subprocess.Popen([binary(), "changes", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            env=environment({"MUSTER_SERVER": server.http, "MUSTER_KEY_FILE": str(server.data / "admin.key")}))


def test_muster_changes_goes_on_after_the_server_came_back(scratch):
    server = Server(scratch / "data").start()
    write_some(server, 2, 0)
    following = follow(server, "--from", "earliest")
    assert [json.loads(following.stdout.readline())["position"] for _ in range(2)] == ["1", "2"]
    server.http_flag = server.http
    server.kill()
    server.start()
    write_some(server, 2, 0)
    assert [json.loads(following.stdout.readline())["position"] for _ in range(2)] == ["3", "4"]
    following.send_signal(signal.SIGINT)
    out, err = following.communicate(timeout=DEADLINE_S)
    assert following.returncode == 0 and out == "" and "after position 2" in err, err
    limited = run("changes", "--from", "1", "--count", "2", "--types", "REGISTERED", data=server.data)
    assert limited.returncode == 0 and [json.loads(line)["position"] for line in limited.stdout.splitlines()] == ["2", "3"]
    refused = run("changes", "--from", "first", data=server.data)
    assert refused.returncode == 5 and "from" in refused.stderr, refused
    assert server.stop() == 0
    nobody = run("changes", extra_environment={"MUSTER_SERVER": server.http, "MUSTER_KEY_FILE": str(server.data / "admin.key")})
    assert nobody.returncode == 4, nobody
