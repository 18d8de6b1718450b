"""Shards move between two groups of a lab of two centers, while servers of both write and read, and while one is lost."""
import http.client
import threading
import time

import pytest

from change_reader import ChangeReader
from muster_process import wait_for
from test_lab import two_centers
from test_two_centers import PATIENCE_S, Server, is_exact

RETRY = ("WRITES_UNAVAILABLE", "OVERLOADED", "OUTCOME_UNKNOWN", "IDEMPOTENCY_IN_PROGRESS", "DEADLINE_EXCEEDED")
# Where one processor has to do everything, a failover takes its time, and may be undone and begun again.
RETRY_S = 3 * PATIENCE_S


@pytest.fixture(scope="module")
def lab():
    with two_centers("--groups", "2") as running:
        yield running


class Load:
    """Registers and updates through one server, with a key each, and reads through the other; remembers what was acknowledged. Ends with its block."""

    def __init__(self, writer, reader, name):
        self.writer, self.reader, self.name = writer, reader, name
        self.versions, self.names, self.faults, self.refused, self.last_refusal = {}, {}, [], 0, None
        self.acknowledged = {}  # by member: when, and which version
        self.stops = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *failure):
        self.stops.set()
        self.thread.join()

    def send(self, call, key):
        """Again with the same key until it is answered for good."""
        deadline = time.monotonic() + RETRY_S
        while time.monotonic() < deadline:
            try:
                answer = call(key)
            except (OSError, http.client.HTTPException) as failure:  # its center is lost
                self.last_refusal = failure
            else:
                if answer.status < 300:
                    return answer
                if answer.json["code"] not in RETRY:
                    self.faults.append(answer)
                    return None
                self.last_refusal = answer
            self.refused += 1
            if self.stops.wait(0.05):
                return None
        self.faults.append(f"{key} was refused for {RETRY_S} s: {self.last_refusal}")
        return None

    def run(self):
        number = 0
        while not self.stops.is_set() and not self.faults:
            number += 1
            name = f"{self.name}-{number}"
            made = self.send(lambda key: self.writer.register(name, **{"Idempotency-Key": key}), name)
            if made is None:
                return
            member = made.json["id"]
            self.names[member] = name
            self.note(member, made)
            city = f"c{number}"
            changed = self.send(lambda key: self.writer.ask("PATCH", f"/v1/members/{member}?updateMask=city", {"city": city},
                                                            {"Idempotency-Key": key}), name + "-city")
            if changed is None:
                return
            self.note(member, changed)
            self.check(member)

    def note(self, member, answer):
        self.versions[member] = int(answer.json["version"])
        self.acknowledged.setdefault(member, []).append((time.monotonic(), self.versions[member]))

    def check(self, member):
        """Another server knows at once, but for an age that it declares, and shows nobody else's."""
        begin = time.monotonic()
        try:
            read = self.reader.get(member)
        except (OSError, http.client.HTTPException):
            return
        if read.status >= 500:
            return
        age_ms = int(read.headers.get("x-muster-age-ms", 0))
        as_of = begin - (age_ms + 1) / 1000 if age_ms else begin
        least = max((version for when, version in self.acknowledged[member] if when < as_of), default=0)
        shown = int(read.json["version"]) if read.status == 200 else 0
        if shown < least:
            self.faults.append(f"{member} is stale: {shown} < {least}, aged {age_ms} ms: {read}")
        if shown and (read.json["id"] != member or read.json["displayName"] != self.names[member]):
            self.faults.append(read)

    def goes_on(self):
        """Whether there is more of it than when this was made; fails when it has met a fault."""
        before = len(self.versions)

        def check():
            assert not self.faults, self.faults[:3]
            return len(self.versions) >= before + 10
        return check


def await_that(condition, what):
    wait_for(condition, what, RETRY_S)


def await_writes(loads, what):
    for load, check in [(load, load.goes_on()) for load in loads]:
        try:
            await_that(check, what)
        except AssertionError as late:
            raise AssertionError(f"{late}; {len(load.versions)} are, {load.refused} were refused: {load.last_refusal}") from late


def shards_of(server):
    return {group["name"]: group["shards"] for group in server.show()["groups"]}


def move(server, shards, origin, target, left):
    """Where a machine has a lot to do etcd may not answer in time: then nothing was changed, or it goes on by itself."""
    def has_moved():
        is_done = server.ask_for("move-shards", "--shards", shards, "--from", origin, "--to", target, "-o", "json").returncode == 0
        is_there = shards_of(server)[origin] == left
        assert is_there or not is_done, "it waits for the end, however it is printed"
        return is_there
    await_that(has_moved, f"shards have moved to {target}")


def check_all(loads, servers):
    for load in loads:
        assert not load.faults, load.faults[:3]
        for member, version in load.versions.items():
            for server in servers:
                # Who is not sure of the primary just then says so, and has it a moment later.
                await_that(lambda: server.get(member, f"?minVersion={version}").status == 200, f"{server.name} has {member}")  # noqa: B023
                assert server.get(member).json["displayName"] == load.names[member]
            await_that(lambda: servers[0].resolve(load.names[member]).json.get("id") == member, f"{member} is found")  # noqa: B023


class StreamOf:
    """Of a lab's server, what ChangeReader asks."""

    def __init__(self, server):
        self.http, self.key = server.address, lambda: server.key


def check_stream(server, loads):
    """Each version of each member comes once, in their order, and what was acknowledged comes."""
    wanted = {member: version for load in loads for member, version in load.versions.items()}
    seen = {}
    with ChangeReader(StreamOf(server), "earliest") as reader:
        for event in reader.events(time.monotonic() + RETRY_S):
            member = event["memberId"]
            assert int(event["version"]) == seen.get(member, 0) + 1, event
            seen[member] = int(event["version"])
            if wanted.get(member, 10**9) <= seen[member]:
                del wanted[member]
            if not wanted:
                break
    assert not wanted, f"{len(wanted)} members are not in the stream"


@pytest.fixture(scope="module")
def servers(lab):
    a, b = Server(lab, "muster-a1"), Server(lab, "muster-b1")
    await_that(lambda: is_exact(a) and is_exact(b), "all groups are in both centers")
    return a, b


def test_shards_move_under_load_and_back(servers):
    a, b = servers
    before = shards_of(a)
    first, second = sorted(before)
    assert before == {first: "0-1022/2", second: "1-1023/2"}
    with Load(a, b, "one") as one, Load(b, a, "two") as two:
        loads = [one, two]
        await_writes(loads, "members are written")
        plan = ("move-shards", "--shards", "0-30/2", "--from", first, "--to", second, "--dry-run")
        await_that(lambda: a.ask_for(*plan).returncode == 0, "it says what would be done")
        assert shards_of(b) == before
        move(a, "0-30/2", first, second, "32-1022/2")
        await_writes(loads, "they are written to afterwards, too")
        move(b, "0-30/2", second, first, before[second])
        await_that(lambda: shards_of(a) == before, "they have come back")
    check_all(loads, servers)
    check_stream(b, loads)
    assert a.ask_for("move-shards", "--undo").returncode != 0, "nothing moves"
    assert a.ask_for("move-shards", "--shards", "1", "--from", first, "--to", second).returncode != 0, "it lives elsewhere"


def test_a_move_goes_on_when_the_center_is_lost_that_writes(lab, servers):
    """The primaries of both groups fail over to the other center in the middle of it, and the server that carries it out is gone."""
    a, b = servers
    before = shards_of(b)
    first, second = sorted(before)
    with Load(b, b, "lost") as load:
        await_writes([load], "members are written")
        begin = ("move-shards", "--shards", "0-254/2", "--from", first, "--to", second, "--no-wait")
        await_that(lambda: b.ask_for(*begin).returncode == 0 or b.show().get("shardMove"), "it has begun")
        await_that(lambda: shards_of(b)[first] != before[first], "some have moved")
        assert b.show().get("shardMove"), "and some have not"
        lab("kill", "center:A")
        await_that(lambda: b.show()["writer"] == "B", "the other center writes")
        await_writes([load], "members are written again")
        await_that(lambda: "shardMove" not in b.show(), "the move has ended")
        assert shards_of(b)[first] == "256-1022/2"
        await_writes([load], "members are written afterwards")
    check_all([load], [b])
    check_stream(b, [load])
    lab("start", "center:A")
    await_that(lambda: is_exact(b), "all groups are in both centers again")
    await_that(lambda: a.ask("GET", "/v1/server").status == 200, "a server of it answers")
    check_all([load], [a, b])
