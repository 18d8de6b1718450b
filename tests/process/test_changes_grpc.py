"""WatchChanges as grpcio sees it: the same stream as over HTTP."""
import signal

import pytest

from change_reader import ChangeReader
from muster_process import DEADLINE_S, SCALE, Server, run, scaled, wait_for
from test_grpc import Calls, grpc, messages  # noqa: F401 (a fixture)


def watch(calls, timeout=None, **fields):
    method = calls.channel.unary_stream("/muster.v1.MemberService/WatchChanges",
                                        request_serializer=lambda message: message.SerializeToString(),
                                        response_deserializer=calls.messages("muster.v1.ChangeEvent").FromString)
    if "begin" in fields:
        fields["from"] = fields.pop("begin")
    return method(calls.messages("muster.v1.WatchChangesRequest")(**fields), timeout=timeout, metadata=calls.metadata)


def take(stream, count):
    """The next `count` changes; heartbeats have a position and nothing else."""
    taken = []
    while len(taken) < count:
        event = next(stream)
        if event.heartbeat:
            assert event.position and {field.name for field, _ in event.ListFields()} == {"position", "heartbeat"}, event
        else:
            taken.append(event)
    return taken


def await_heartbeat(stream):
    """The position of the next message, which must be a heartbeat."""
    event = next(stream)
    assert event.heartbeat and not event.member_id, event
    return event.position


def test_it_is_the_stream_of_http(server, messages):
    with Calls(server.grpc, messages, server.key()) as calls, server.client() as client:
        for _ in range(5):
            client.register(city="Suzhou")
        stream = watch(calls, begin="earliest", types=["REGISTERED"])
        events = take(stream, 5)
        with ChangeReader(server, "earliest", types="REGISTERED") as reader:
            assert [(e["position"], e["memberId"], e["version"], e["changeTime"]) for e in reader.take(5)] == [
                (e.position, str(e.member_id), str(e.version), e.change_time.ToJsonString()) for e in events]
        member = client.register(city="Wuxi").json["id"]
        assert take(stream, 1)[0].member_id == int(member)
        again = watch(calls, begin=events[2].position, member_ids=[int(member), events[3].member_id])
        assert [e.member_id for e in take(again, 2)] == [events[3].member_id, int(member)]
        again.cancel()
        stream.cancel()


def test_a_filtered_stream_learns_where_it_is(scratch, messages):
    """Its heartbeats say how far it has come although nothing passes the filter; going on from there misses nothing."""
    with Server(scratch / "data", extra_environment={"MUSTER_CHANGES__HEARTBEAT": "100ms"}) as server, \
            Calls(server.grpc, messages, server.key()) as calls, server.client() as client:
        stream = watch(calls, begin="earliest", types=["CLOSED"])
        assert await_heartbeat(stream) == "0"
        member = [client.register(city="Suzhou").json["id"] for _ in range(3)][0]
        wait_for(lambda: await_heartbeat(stream) == "3", "the heartbeat tells the newest position")
        stream.cancel()
        client.verb(member, "close", {})
        again = watch(calls, begin="3", types=["CLOSED"])
        assert await_heartbeat(again) == "3"
        event, = take(again, 1)
        assert (event.position, event.member_id) == ("4", int(member))
        assert [await_heartbeat(again) for _ in range(2)] == ["4", "4"]
        again.cancel()


@pytest.mark.parametrize("fields", [{"begin": "x"}, {"begin": str(2**62)}, {"member_ids": [0]}, {"types": [0]},
                                    {"member_ids": list(range(1, 102))}])
def test_bad_requests(server, messages, fields):
    with Calls(server.grpc, messages, server.key()) as calls:
        with pytest.raises(grpc.RpcError) as failure:
            next(watch(calls, **fields))
        assert failure.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_who_may_watch_and_for_how_long(server, messages):
    with Calls(server.grpc, messages) as calls:
        with pytest.raises(grpc.RpcError) as failure:
            next(watch(calls))
        assert failure.value.code() == grpc.StatusCode.UNAUTHENTICATED
    with Calls(server.grpc, messages, server.key()) as calls:
        with pytest.raises(grpc.RpcError) as failure:
            list(watch(calls, timeout=0.5))
        assert failure.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED


def test_a_disabled_caller_is_let_go_though_there_is_always_news(scratch, messages):
    with Server(scratch / "data", extra_environment={"MUSTER_CHANGES__HEARTBEAT": "1s"}) as server, server.client() as client, \
            server.admin_client() as admin, Calls(server.grpc, messages, server.new_caller("watcher", "members.read")) as calls:
        stream = watch(calls, timeout=DEADLINE_S)
        await_heartbeat(stream)
        assert admin.call("POST", "/admin/v1/callers/watcher:disable", {}).status == 200
        client.register()
        with pytest.raises(grpc.RpcError) as failure:
            for _ in stream:
                client.register()  # the next one
        assert failure.value.code() == grpc.StatusCode.UNAUTHENTICATED, failure.value


def test_one_caller_cannot_have_all_streams(scratch, messages):
    with Server(scratch / "data", extra_environment={"MUSTER_CHANGES__STREAMS_MAX": "4"}) as server:
        greedy, other = (server.new_caller(name, "members.read") for name in ("greedy", "other"))
        with Calls(server.grpc, messages, greedy) as calls, Calls(server.grpc, messages, other) as others, \
                ChangeReader(server, key=greedy) as reader:
            reader.await_heartbeat()
            stream = watch(calls)
            await_heartbeat(stream)
            with pytest.raises(grpc.RpcError) as failure:
                next(watch(calls))
            assert failure.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
            assert "the caller greedy" in failure.value.details(), failure.value.details()
            streams = [watch(others) for _ in range(2)]
            for let_in in streams:
                await_heartbeat(let_in)
            for open_one in (stream, *streams):
                open_one.cancel()


def test_a_client_that_does_not_read_is_bounded(scratch, messages):
    environment = {"MUSTER_GRPC__WRITE__TIMEOUT": "10m", "MUSTER_SEARCH__ENABLED": "false"}
    count = 2 * scaled(30_000, 3_000)
    with Server(scratch / "data", extra_environment=environment) as server, Calls(server.grpc, messages, server.key()) as calls:
        lines = scratch / "members.jsonl"
        lines.write_text('{"city":"Suzhou"}\n' * (count // 2))
        assert run("import", lines, data=server.data).returncode == 0
        before = server.anonymous_bytes()
        stuck = [watch(calls, begin="earliest") for _ in range(20)]
        for stream in stuck:  # begun, and no more
            assert stream.initial_metadata() is not None
        assert run("import", lines, data=server.data).returncode == 0
        with ChangeReader(server, "earliest") as quick:
            wanted = [event["position"] for event in quick.take(count)]
        # Each of the streams is some 4 MB; of the fewer of a sanitizer's run it would say nothing.
        if SCALE == 1:
            assert server.anonymous_bytes() - before < 24 << 20
        assert [event.position for event in take(stuck[0], count)] == wanted
        for stream in stuck:
            stream.cancel()


def test_a_server_that_stops_ends_its_streams(scratch, messages):
    server = Server(scratch / "data").start()
    with Calls(server.grpc, messages, server.key()) as calls:
        with server.client() as client:
            client.register(city="Suzhou")
        stream = watch(calls, begin="earliest")
        assert take(stream, 1)[0].position == "1"
        server.process.send_signal(signal.SIGTERM)
        assert list(stream) == [] and stream.code() == grpc.StatusCode.OK
        assert server.wait() == 0, server.log_tail()
