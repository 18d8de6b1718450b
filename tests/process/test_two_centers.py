"""Servers of two centers on real engines, in the lab: writes of both, the loss of a center, its return, caches."""
import json
import threading

import pytest

from member_client import Client
from muster_process import run, wait_for
from test_lab import two_centers

# For tests of machines that have a lot to do; how fast it is, is measured elsewhere.
PATIENCE_S = 60.0


class Server:
    """One server of the lab. A connection for each request, so that it survives the server."""

    def __init__(self, lab, name):
        self.name = name
        self.address = lab.components()[name]["address"].removeprefix("http://")
        self.key_file = lab.directory / "admin.key"
        self.key = self.key_file.read_text().strip()

    def ask(self, method, path, body=None, headers=None):
        with Client(self.address, self.key) as client:
            return client.call(method, path, body, headers)

    def register(self, name, **headers):
        body = {"displayName": name, "identities": [{"kind": "phone", "value": phone_of(name)}]}
        return self.ask("POST", "/v1/members", body, headers)

    def update(self, member, city):
        return self.ask("PATCH", f"/v1/members/{member}?updateMask=city", {"city": city})

    def get(self, member, query=""):
        return self.ask("GET", f"/v1/members/{member}{query}")

    def resolve(self, name):
        return self.ask("GET", "/v1/members:resolve?kind=phone&value=%2B" + phone_of(name)[1:])

    def ask_for(self, *words):
        return run("topology", *words, "--server", "http://" + self.address, "--key-file", self.key_file, deadline_s=120)

    def topology(self, *words):
        done = self.ask_for(*words)
        assert done.returncode == 0, done
        return done.stdout

    def show(self):
        return json.loads(self.topology("show", "-o", "json"))


def phone_of(name):
    return f"+8613{sum(ord(c) * 31 ** i for i, c in enumerate(name)) % 10**9:09d}"


@pytest.fixture(scope="module")
def lab():
    with two_centers() as running:
        yield running


@pytest.fixture(scope="module")
def a(lab):
    return Server(lab, "muster-a1")


@pytest.fixture(scope="module")
def b(lab):
    return Server(lab, "muster-b1")


def is_exact(server):
    """Every group is in both centers, and every database is what it should be."""
    topology = server.show()
    return topology["writer"] and all(
        group["durability"] == "both-centers" and all(d["isUp"] and d["state"] in ("writing", "following") for d in group["databases"])
        for group in topology["groups"])


def await_that(condition, what):
    wait_for(condition, what, PATIENCE_S)


def test_what_one_center_writes_both_read(a, b):
    await_that(lambda: is_exact(b), "the group is in both centers")
    for writer, reader in ((a, b), (b, a)):
        written = writer.register(f"of {writer.name}")
        assert written.status == 201, written
        member = written.json["id"]
        for server in (writer, reader):
            assert server.get(member).json["displayName"] == f"of {writer.name}", server.name
            assert server.resolve(f"of {writer.name}").json["id"] == member
        assert reader.update(member, "Suzhou").json["version"] == "2"
        for server in (writer, reader):
            assert server.get(member, "?minVersion=2").json["city"] == "Suzhou", server.name
    assert [s.ask("GET", "/v1/server").json["center"] for s in (a, b)] == ["A", "B"]


def test_caches_are_brought_into_use_by_themselves(a, b):
    await_that(lambda: [c["mode"] for c in a.show()["caches"]] == ["on", "on"], "both caches are on")
    member = a.register("cached").json["id"]
    for server in (a, b):
        await_that(lambda: server.get(member).source in ("redis", "near"), "it is cached")
    # Whoever reads after a write was acknowledged reads it (the near cache is a second old at most, and is passed over).
    for version in range(2, 12):
        assert a.update(member, f"c{version}").status == 200
        read = b.get(member, f"?minVersion={version}")
        assert (read.status, read.json["city"]) == (200, f"c{version}"), read


def test_what_is_acknowledged_is_fresh_everywhere(a):
    member = a.register("fresh").json["id"]

    def freshness():
        return json.loads(a.topology("freshness", "-o", "json"))

    def tier(name):
        return next(t for t in freshness()["tiers"] if t["name"] == name)
    tiers = ["redis A", "redis B", "reads", *(f"database mariadb-{name}" for name in ("a1", "a2", "b1", "b2"))]
    assert [t["name"] for t in freshness()["tiers"]] == tiers
    versions = iter(range(2, 10**6))

    def is_sampled(name, samples):
        assert a.update(member, f"f{next(versions)}").status == 200
        return int(tier(name)["samples"]) >= samples
    for name in tiers:
        more = int(tier(name)["samples"]) + 2
        await_that(lambda: is_sampled(name, more), f"{name} is sampled")  # noqa: B023
    for name in ("redis A", "redis B", "reads"):
        assert tier(name)["beyond"] == "0", freshness()


class Writer(threading.Thread):
    """Registers members one after the other, each until it is acknowledged, and remembers them; reads in between."""

    def __init__(self, server, prefix):
        super().__init__()
        self.server, self.prefix = server, prefix
        self.acknowledged, self.failed_reads, self.strange, self.is_over = {}, [], [], False

    def run(self):
        known = None
        while not self.is_over:
            name = f"{self.prefix}{len(self.acknowledged)}"
            written = self.server.register(name, **{"Idempotency-Key": f'"{name}"'})
            if written.status == 201:
                self.acknowledged[name] = known = written.json["id"]
            elif written.status != 503:
                self.strange.append(written)
            if known and self.server.get(known).status != 200:
                self.failed_reads.append(known)


def databases_agree(lab):
    rows = "SELECT COUNT(*), SUM(version), SUM(CRC32(id)) FROM muster.member"
    return len({lab.ask(f"mariadb-{name}", rows) for name in ("a1", "a2", "b1", "b2")}) == 1


def test_a_center_is_lost_and_nothing_that_was_acknowledged(lab, a, b):
    await_that(lambda: is_exact(b), "the group is in both centers")
    writer = Writer(b, "loss-")
    writer.start()
    try:
        await_that(lambda: len(writer.acknowledged) >= 20, "members are written")
        lab("kill", "center:A")
        await_that(lambda: b.show()["writer"] == "B", "the other center writes")
        before = len(writer.acknowledged)
        await_that(lambda: len(writer.acknowledged) >= before + 20, "members are written again")
    finally:
        writer.is_over = True
        writer.join()
    assert (writer.failed_reads, writer.strange) == ([], [])
    for name, member in writer.acknowledged.items():
        assert b.get(member).json["displayName"] == name
        assert b.resolve(name).json["id"] == member

    # It comes back, its databases follow, and lack nothing.
    lab("start", "center:A")
    await_that(lambda: is_exact(b), "the group is in both centers again")
    await_that(lambda: databases_agree(lab), "all databases have the same rows")
    await_that(lambda: a.get(member).status == 200, "a server of it reads")

    # It is undone when it takes more than three seconds, and followed by a failover when what writes then is silent for
    # most of one, as it may be where everything waits for a processor.
    await_that(lambda: b.ask_for("failback").returncode == 0 and b.show()["writer"] == "A", "the failback")
    await_that(lambda: is_exact(b), "the group is in both centers after the failback")
    assert b.register("after").status == 201
    await_that(lambda: databases_agree(lab), "all databases have the same rows")
    assert "no failover to take back" in b.ask_for("failback").stderr


def test_a_redis_that_is_lost_does_not_stop_writes(lab, a, b):
    await_that(lambda: [c["mode"] for c in a.show()["caches"]] == ["on", "on"], "both caches are on")
    member = a.register("redis").json["id"]
    lab("kill", "redis-b")
    await_that(lambda: a.update(member, "without").status == 200, "writes go on")
    assert b.get(member, "?minVersion=2").json["city"] == "without"
    assert {c["center"]: c["mode"] for c in a.show()["caches"]}["B"] == "bypass"
    lab("start", "redis-b")
    await_that(lambda: [c["mode"] for c in a.show()["caches"]] == ["on", "on"], "it is used again")
    assert b.get(member, "?minVersion=2").json["city"] == "without"


def test_a_database_that_has_diverged_is_rebuilt(lab, a):
    await_that(lambda: is_exact(a), "the group is in both centers")
    group = a.show()["groups"][0]
    aside = next(d["name"] for d in group["databases"] if d["role"] == "replica" and not d["acker"])
    lab.ask(aside, "SET GLOBAL read_only = 0; INSERT INTO muster.meta VALUES ('written here', 'alone'); SET GLOBAL read_only = 1")
    member = a.register("after it").json["id"]  # takes the place in the log that it has taken itself

    def state():
        return next(d["state"] for d in a.show()["groups"][0]["databases"] if d["name"] == aside)
    await_that(lambda: state() == "diverged", "it holds what nobody else has")
    # The server that controls says what to do, whichever it is.
    servers = [Server(lab, f"muster-{name}") for name in ("a1", "a2", "b1", "b2")]
    await_that(lambda: any(f"muster topology rebuild {aside}" in text for server in servers for text in server.show()["attention"]),
               "somebody is told")
    assert a.ask_for("rebuild", "nobody").returncode != 0
    assert "it is the primary" in a.ask_for("rebuild", next(d["name"] for d in group["databases"] if d["role"] == "primary")).stderr
    assert "nothing is in the way" in a.ask_for("rebuild", aside, "--dry-run").stderr
    done = a.ask_for("rebuild", aside)
    assert done.returncode == 0 and "follows it" in done.stderr, done
    await_that(lambda: is_exact(a), "it follows")
    await_that(lambda: databases_agree(lab), "all databases have the same rows")
    assert lab.ask(aside, f"SELECT COUNT(*) FROM muster.member WHERE id = {member}") == "1"
    assert lab.ask(aside, "SELECT COUNT(*) FROM muster.meta WHERE name = 'written here'") == "0"
    assert list(lab.directory.rglob(f"saved/{aside}-after-*.binlog")), "what it had more is saved"


def test_a_dry_run_says_what_would_be_done(b):
    writer = b.show()["writer"]
    plan = json.loads(b.topology("failover", "--dry-run", "-o", "json"))
    assert {plan["from"], plan["to"]} == {"A", "B"} and plan["from"] == writer and plan["steps"]
    assert b.show()["writer"] == writer
