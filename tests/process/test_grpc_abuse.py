"""Clients of the gRPC port that no library would make: bad frames, floods, and who never reads. Each time others are served on."""
import itertools
import os
import random
import signal

import pytest

import h2_frames as h2
from grpc_client import Calls, messages  # noqa: F401
from muster_process import DEADLINE_S, SCALE, Scratch, Server, scaled, wait_for

# Enough for any of the bounds of floods.
FLOOD = 20_000


@pytest.fixture
def served(server, messages):  # noqa: F811
    """Afterwards a client as others are is served."""
    yield server
    with Calls(server.grpc, messages, server.key()) as calls:
        assert calls.call("GetServer", "ServerInfo").version


OPEN = h2.frame(h2.HEADERS, h2.END_HEADERS, 1, h2.head("GetMember"))
BAD = {
    "data for no stream": h2.frame(h2.DATA, 0, 0, b"x"),
    "data for a stream that is not open": h2.frame(h2.DATA, 0, 7, b"x"),
    "a stream of the server": h2.frame(h2.HEADERS, h2.END_HEADERS, 2, h2.head("GetMember")),
    "a stream that was there before": h2.frame(h2.HEADERS, h2.END_HEADERS, 5, h2.head("GetMember")) +
                                      h2.frame(h2.HEADERS, h2.END_HEADERS, 3, h2.head("GetMember")),
    "a frame that is too long": h2.frame(h2.DATA, 0, 1, b"x", length=1 << 20),
    "no header block": h2.frame(h2.HEADERS, h2.END_HEADERS, 1, b"\xff" * 100),
    "a window of nothing": h2.frame(h2.WINDOW_UPDATE, 0, 0, bytes(4)),
    "a window beyond all": h2.frame(h2.WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff"),
    "settings of five bytes": h2.frame(h2.SETTINGS, 0, 0, bytes(5)),
    "a ping of five bytes": h2.frame(h2.PING, 0, 0, bytes(5)),
    "a promise": OPEN + h2.frame(h2.PUSH_PROMISE, h2.END_HEADERS, 1, bytes(4)),
    "a head that others interrupt": h2.frame(h2.HEADERS, 0, 1, h2.head("GetMember")) + h2.frame(h2.PING, 0, 0, bytes(8)),
    "the end of no head": h2.frame(h2.CONTINUATION, h2.END_HEADERS, 1, b""),
}


@pytest.mark.parametrize("frames", BAD.values(), ids=[name.replace(" ", "-") for name in BAD])
def test_bad_frames_end_their_connection_alone(served, frames):
    with h2.RawConnection(served.grpc) as raw:
        raw.send(frames)
        assert raw.end() not in (None, 0, h2.ENHANCE_YOUR_CALM)


def test_random_bytes(served):
    generator = random.Random(4)
    for _ in range(scaled(200)):
        with h2.RawConnection(served.grpc) as raw:
            for _ in range(generator.randrange(1, 20)):
                raw.send(h2.frame(generator.randrange(12), generator.randrange(256), generator.choice([0, 1, 1, 3, 4]),
                                  generator.randbytes(generator.randrange(40))))
            raw.send(generator.randbytes(64))


# A flood has done what it can when the server ends the connection, which `end` waits for: before or after all of it was sent.

def test_rapid_resets(served):
    key = served.key()
    with h2.RawConnection(served.grpc) as raw:
        for stream in range(1, 2 * FLOOD, 2):
            if not raw.send(h2.frame(h2.HEADERS, h2.END_HEADERS, stream, h2.head("GetMember", key)) +
                            h2.frame(h2.RST_STREAM, 0, stream, b"\0\0\0\x08")):
                break
        assert raw.end() in (h2.ENHANCE_YOUR_CALM, None)


@pytest.mark.parametrize("fragment", [b"", h2.block(("x-more", "y" * 1000)), b"\0\x7f\xff\xff\x03" + b"n" * 1000],
                         ids=["empty", "fields", "one-field"])
def test_continuation_floods(served, fragment):
    with h2.RawConnection(served.grpc) as raw:
        raw.send(h2.frame(h2.HEADERS, 0, 1, h2.head("GetMember")))
        any(not raw.send(h2.frame(h2.CONTINUATION, 0, 1, fragment) * 100) for _ in range(FLOOD // 100))
        assert raw.end() != 0


@pytest.mark.parametrize("flood", [h2.frame(h2.PING, 0, 0, bytes(8)), h2.frame(h2.SETTINGS), h2.frame(h2.PING, h2.ACK, 0, bytes(8)),
                                   h2.frame(h2.SETTINGS, h2.ACK)], ids=["pings", "settings", "answers-to-pings", "answers-to-settings"])
def test_floods_of_control_frames(served, flood):
    with h2.RawConnection(served.grpc) as raw:
        any(not raw.send(flood * 100) for _ in range(FLOOD // 100))
        assert raw.end() != 0


def test_a_call_without_a_deadline_is_served(served):
    with h2.RawConnection(served.grpc) as raw:
        raw.call(1, "GetServer", b"", served.key())
        answered = next(payload for kind, _, _, payload in raw.frames() if kind == h2.DATA)
        assert answered[0] == 0 and len(answered) == 5 + int.from_bytes(answered[1:5], "big")


@pytest.fixture
def hasty(messages):  # noqa: F811
    """A server that waits half a second for clients. Under AddressSanitizer it keeps 1 MiB of what it has freed, not 256."""
    environment = {"MUSTER_GRPC__WRITE__TIMEOUT": "500ms",
                   "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1"}
    with Scratch() as path, Server(path / "data", extra_environment=environment) as server:
        yield server


def resident_bytes(server):
    with open(f"/proc/{server.process.pid}/statm") as file:
        return int(file.read().split()[1]) * 4096


def test_who_never_reads_is_bounded_and_let_go(hasty, messages):  # noqa: F811
    with Calls(hasty.grpc, messages, hasty.key()) as calls:
        ids = [calls.call("RegisterMember", member={"attributes": {f"name{i}": "x" * 900 for i in range(40)}}).id for _ in range(30)]
        question = messages("muster.v1.BatchGetMembersRequest")(ids=ids).SerializeToString()
        before = resident_bytes(hasty)
        window = b"\0\x04\x7f\xff\xff\xff"  # SETTINGS_INITIAL_WINDOW_SIZE: the client takes anything
        with h2.RawConnection(hasty.grpc, window, receive_bytes=4096) as raw:
            raw.send(h2.frame(h2.WINDOW_UPDATE, 0, 0, b"\x7f\x00\x00\x00"))
            for stream in range(1, 400, 2):  # 200 answers of a megabyte
                raw.call(stream, "BatchGetMembers", question, hasty.key())
            wait_for(lambda: not raw.send(h2.frame(h2.PING, 0, 0, bytes(8))), "the connection has ended")
            assert resident_bytes(hasty) - before < 100 << 20
        assert calls.call("GetMember", id=ids[0]).id == ids[0]


def test_who_never_ends_a_call_is_told(hasty):
    with h2.RawConnection(hasty.grpc) as raw:
        raw.send(h2.frame(h2.HEADERS, h2.END_HEADERS, 1, h2.head("GetMember", hasty.key())) + h2.frame(h2.DATA, 0, 1, b"\0\0"))
        flags = next(flags for kind, flags, stream, _ in raw.frames() if kind == h2.HEADERS and stream == 1)
        assert flags & h2.END_STREAM, "an error is a head alone"


def next_heads(raw, count):
    """The flags of the next blocks of header fields."""
    heads = (flags for kind, flags, _, _ in raw.frames() if kind == h2.HEADERS)
    return list(itertools.islice(heads, count))


HEALTH, REFLECTION = "/grpc.health.v1.Health/Watch", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
CHANGES = "/muster.v1.MemberService/WatchChanges"


@pytest.mark.parametrize("path, begun", [(HEALTH, b""), (REFLECTION, b""), (REFLECTION, b"\0\0\0\0\x09"), (CHANGES, b"")],
                         ids=["health", "reflection", "half-a-message", "changes"])
def test_who_never_sends_a_message_of_a_stream_is_told(hasty, path, begun):
    with h2.RawConnection(hasty.grpc) as raw:
        raw.send(h2.frame(h2.HEADERS, h2.END_HEADERS, 1, h2.head_of(path, hasty.key())) + h2.frame(h2.DATA, 0, 1, begun))
        assert [flags & h2.END_STREAM for flags in next_heads(raw, 2)] == [0, h2.END_STREAM], "it begins, and is ended"


@pytest.mark.parametrize("path, message", [(HEALTH, b""), (REFLECTION, b"\x3a\x01*")], ids=["health", "reflection"])
def test_streams_of_a_connection_without_a_key_are_few(served, path, message):
    before = served.anonymous_bytes()
    connections = [h2.RawConnection(served.grpc) for _ in range(scaled(40, 4))]
    for raw in connections:
        for stream in range(1, 512, 2):
            raw.send(h2.frame(h2.HEADERS, h2.END_HEADERS, stream, h2.head_of(path)) +
                     h2.frame(h2.DATA, 0, stream, h2.message(message)))
        # What is refused has a head alone.
        assert sum(flags & h2.END_STREAM for flags in next_heads(raw, 256)) == 256 - 8
    if SCALE == 1:
        # 6 to 7 MB, most of it what loops keep for later calls: 160 connections come to 12.
        assert served.anonymous_bytes() - before < 10 << 20, "all of them would be 15 MB more"
    for raw in connections:
        raw.socket.close()


def test_a_drain_says_good_bye():
    with Scratch() as path, Server(path / "data") as server:
        with h2.RawConnection(server.grpc) as raw:
            raw.call(1, "GetServer", b"", server.key())
            frames = raw.frames()
            assert any(kind == h2.DATA for kind, _, _, _ in frames)
            server.process.send_signal(signal.SIGTERM)
            good_byes = [payload for kind, _, _, payload in frames if kind == h2.GOAWAY]
        assert [int.from_bytes(payload[4:8], "big") for payload in good_byes] == [0] * len(good_byes) and good_byes
        assert int.from_bytes(good_byes[-1][:4], "big") == 1, "the last call that was taken"
        assert server.process.wait(DEADLINE_S) == 0
        server.start()
