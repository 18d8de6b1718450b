"""Shards move between two groups of a lab of two centers, while servers of both write and read."""
import threading

import pytest

from muster_process import Scratch, wait_for
from test_lab import Lab, alive, require_engines
from test_two_centers import PATIENCE_S, Server, await_that, is_exact

RETRY = ("WRITES_UNAVAILABLE", "OVERLOADED", "OUTCOME_UNKNOWN", "IDEMPOTENCY_IN_PROGRESS")


@pytest.fixture(scope="module")
def lab():
    require_engines()
    with Scratch() as path:
        running = Lab(path / "lab")
        running("up", "--groups", "2")
        try:
            yield running
        finally:
            pids = running.pids()
            running("down")
            wait_for(lambda: not any(alive(pid) for pid in pids), "all of the lab has ended")


class Load:
    """Registers and updates through one server, with a key each, and reads through the other; remembers what was acknowledged."""

    def __init__(self, writer, reader, name):
        self.writer, self.reader, self.name = writer, reader, name
        self.versions, self.names, self.faults, self.refused = {}, {}, [], 0
        self.stops = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def send(self, call, key):
        """Again with the same key until it is answered for good."""
        deadline = threading.Event()
        timer = threading.Timer(PATIENCE_S, deadline.set)
        timer.start()
        try:
            while not deadline.is_set():
                answer = call(key)
                if answer.status < 300:
                    return answer
                if answer.json["code"] not in RETRY:
                    self.faults.append(answer)
                    return None
                self.refused += 1
                deadline.wait(0.05)
            self.faults.append(f"{key} was refused for {PATIENCE_S} s")
            return None
        finally:
            timer.cancel()

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
            self.versions[member] = int(made.json["version"])
            city = f"c{number}"
            headers = {"Idempotency-Key": name + "-city"}
            changed = self.send(
                lambda _: self.writer.ask("PATCH", f"/v1/members/{member}?updateMask=city", {"city": city}, headers), name)
            if changed is None:
                return
            self.versions[member] = int(changed.json["version"])
            self.check(member)

    def check(self, member):
        """Another server knows at once, and shows nobody else's."""
        read = self.reader.get(member)
        if read.status >= 500:
            return
        if read.status != 200 or read.json["id"] != member or read.json["displayName"] != self.names[member]:
            self.faults.append(read)
        elif int(read.json["version"]) < self.versions[member]:
            self.faults.append(f"{member} is stale: {read.json['version']} < {self.versions[member]}")

    def end(self):
        self.stops.set()
        self.thread.join()
        assert not self.faults, self.faults[:3]


def shards_of(server):
    return {group["name"]: group["shards"] for group in server.show()["groups"]}


def test_shards_move_under_load_and_back(lab):
    a, b = Server(lab, "muster-a1"), Server(lab, "muster-b1")
    await_that(lambda: is_exact(a) and is_exact(b), "all groups are in both centers")
    before = shards_of(a)
    first, second = sorted(before)
    assert before == {first: "0-1022/2", second: "1-1023/2"}
    loads = [Load(a, b, "one"), Load(b, a, "two")]
    await_that(lambda: all(len(load.versions) > 20 for load in loads), "members are written")
    move = ("move-shards", "--shards", "0-30/2", "--from", first, "--to", second)
    a.topology(*move, "--dry-run")
    assert shards_of(b) == before
    a.topology(*move)
    assert shards_of(a)[first] == "32-1022/2"
    count = sum(len(load.versions) for load in loads)
    await_that(lambda: sum(len(load.versions) for load in loads) > count + 40, "they are written to afterwards, too")
    b.topology("move-shards", "--shards", "0-30/2", "--from", second, "--to", first)
    await_that(lambda: shards_of(a) == before, "they have come back")
    for load in loads:
        load.end()
    for load in loads:
        for member, version in load.versions.items():
            for server in (a, b):
                read = server.get(member)
                assert read.status == 200 and int(read.json["version"]) >= version, read
                assert read.json["displayName"] == load.names[member]
            assert a.resolve(load.names[member]).json["id"] == member
    assert a.ask_for("move-shards", "--undo").returncode != 0, "nothing moves"
    assert a.ask_for("move-shards", "--shards", "1", "--from", first, "--to", second).returncode != 0, "it lives elsewhere"
