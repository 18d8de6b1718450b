"""What somebody may have wrong in two centers, by hand: an account, a second writer, a topology. Each is said with what to do about it,
and nothing is written where it must not be."""
import base64
import json
import subprocess

import pytest

from muster_process import binary, run
from muster_process import Server as Process
from test_lab import two_centers
from test_two_centers import Server, await_that, is_exact

CONTROL = "muster_control@'127.0.0.1'"


@pytest.fixture(scope="module")
def lab():
    with two_centers() as running:
        yield running


@pytest.fixture
def b(lab):
    server = Server(lab, "muster-b1")
    await_that(lambda: is_exact(server), "all is whole before the test")
    return server


def attention(server):
    return "\n".join(server.show()["attention"])


def config_of(lab, name, scratch, *replaced):
    """The configuration of a server of the lab, somewhat different."""
    text = (lab.directory / name / "muster.toml").read_text()
    for before, after in replaced:
        assert before in text
        text = text.replace(before, after)
    path = scratch / "muster.toml"
    path.write_text(text)
    return path


def test_a_second_writer_is_told_of_everywhere(lab, b):
    """A replica that somebody made writable: no member is written there, and whoever is asked says what to do."""
    other = next(d["name"] for d in b.show()["groups"][0]["databases"] if d["acker"] == "in")
    rows = "SELECT COUNT(*) FROM muster.member"
    lab.ask(other, "SET GLOBAL read_only = 0")
    servers = [Server(lab, name) for name in ("muster-a1", "muster-b1")]
    for server in servers:
        await_that(lambda: f"{other} of group g1 follows" in attention(server), f"{server.name} tells of it")  # noqa: B023
        assert "SET GLOBAL read_only = 1" in attention(server)
    done = b.ask_for("show", "--until", "whole", "--within", "1ms")
    assert done.returncode == 4 and f"{other} is writing" in done.stderr, done
    assert b.register("with two").status == 201
    lab.ask(other, "SET GLOBAL read_only = 1")
    await_that(lambda: attention(b) == "", "it is over")
    await_that(lambda: lab.ask(other, rows) == lab.ask("mariadb-a1", rows), "it has what the primary has, and no more")


def test_a_control_account_that_is_refused_is_named(lab, b):
    """It may do nothing any more on one database: that is not seen, and each server's log says why."""
    other = next(d["name"] for d in b.show()["groups"][0]["databases"] if d["role"] == "replica" and not d["acker"])
    grants = lab.ask(other, f"SHOW GRANTS FOR {CONTROL}").splitlines()
    ends = (f"SELECT CONCAT('KILL ', id) FROM information_schema.processlist WHERE user = '{CONTROL.split('@')[0]}'")

    def end_sessions():
        """A session keeps the grants that it began with."""
        for line in lab.ask(other, ends).splitlines():
            lab.sql(other, line).communicate()
    # Else it would have a transaction of its own, and diverge.
    unlogged = "SET SESSION sql_log_bin = 0; "
    lab.ask(other, f"{unlogged}REVOKE ALL PRIVILEGES, GRANT OPTION FROM {CONTROL}")
    end_sessions()
    try:
        await_that(lambda: not next(d for d in b.show()["groups"][0]["databases"] if d["name"] == other)["isUp"], "it is not seen")
        await_that(lambda: "level=warning" in (line := last_line(lab, "muster-b1", other)) and "control_user" in line, "the log says why")
        assert b.register("without one").status == 201
    finally:
        for line in grants:
            lab.ask(other, unlogged + line)
        end_sessions()


def last_line(lab, server, about):
    lines = [line for line in lab.log(server).splitlines() if f"database={about}" in line]
    return lines[-1] if lines else ""


def test_a_wrong_password_of_the_control_account_is_told(lab, b, scratch):
    password = scratch / "password"
    password.write_text("wrong\n")
    password.chmod(0o600)
    config = config_of(lab, "muster-b1", scratch, (str(lab.directory / "secrets/control-password"), str(password)))
    with Process(scratch / "data", "--config", config) as server:
        assert "control_user" in server.log() and "level=warning" in server.log(), server.log_tail()
        assert "wrong" not in server.log()
        table = run("topology", "show", "--server", server.http, "--key-file", b.key_file)
        assert table.returncode == 0 and " yes " not in table.stdout, table


def doctor(lab, scratch):
    return run("doctor", "--config", config_of(lab, "muster-b1", scratch))


def test_a_grant_that_the_control_account_lacks_is_named(lab, b, scratch):
    assert doctor(lab, scratch).returncode == 0
    lab.ask("mariadb-a1", f"REVOKE READ ONLY ADMIN ON *.* FROM {CONTROL}")
    try:
        await_that(lambda: "READ ONLY ADMIN ON *.*" in doctor(lab, scratch).stdout, "the doctor tells of it")
        assert doctor(lab, scratch).returncode == 1
        undone = b.ask_for("drain", "A", "--yes")
        assert undone.returncode != 0 and "it was undone, and A writes" in undone.stderr, undone
        assert "mariadb-a1 does not obey" in attention(b) and "refuses the account" in attention(b), attention(b)
    finally:
        lab.ask("mariadb-a1", f"GRANT READ ONLY ADMIN ON *.* TO {CONTROL}")
    await_that(lambda: is_exact(b) and attention(b) == "", "it obeys again")
    assert doctor(lab, scratch).returncode == 0


def test_a_setting_that_was_made_unsafe_while_all_ran_is_told_of(lab, b):
    for database in ("mariadb-b1", "mariadb-b2"):
        lab.ask(database, "SET GLOBAL sync_binlog = 0")
    try:
        await_that(lambda: "mariadb-b1 of group g1 runs with sync_binlog = 0" in attention(b), "it is told of")
        refused = b.ask_for("drain", "A", "--dry-run")
        assert "unsafe: mariadb-b" in refused.stdout + refused.stderr, refused
    finally:
        for database in ("mariadb-b1", "mariadb-b2"):
            lab.ask(database, "SET GLOBAL sync_binlog = 1")
    await_that(lambda: attention(b) == "", "it is over")


def test_a_replica_that_is_not_let_in_is_told_of(lab, b, scratch):
    account = "'repl_mariadb-b2'@'127.0.0.1'"
    lab.ask("mariadb-a1", f"REVOKE REPLICATION SLAVE ON *.* FROM {account}")
    try:
        lab("kill", "mariadb-b2")
        lab("start", "mariadb-b2")
        await_that(lambda: "mariadb-b2 of group g1 is not let in by" in attention(b), "it is told of")
        done = doctor(lab, scratch)
        assert done.returncode == 1 and "the grants of repl_mariadb-b2" in done.stdout, done
    finally:
        lab.ask("mariadb-a1", f"GRANT REPLICATION SLAVE ON *.* TO {account}")
    await_that(lambda: is_exact(b) and attention(b) == "", "it follows again")


class Etcd:
    """The document of the topology, as somebody reads and writes it by hand."""

    KEY = base64.b64encode(b"muster/topology").decode()

    def __init__(self, lab):
        self.address = lab.components()["etcd-b"]["address"]

    def ask(self, verb, **fields):
        done = subprocess.run(["curl", "-s", "-m", "10", f"http://{self.address}/v3/kv/{verb}", "-d", json.dumps({"key": self.KEY, **fields})],
                              capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    def read(self):
        return base64.b64decode(self.ask("range")["kvs"][0].get("value", "")).decode()

    def write(self, text):
        self.ask("put", value=base64.b64encode(text.encode()).decode())


def test_a_server_that_starts_while_etcd_is_away_waits_for_it(lab, b):
    lab("kill", "muster-b2")
    for voter in ("etcd-a", "etcd-w"):
        lab("kill", voter)
    starting = subprocess.Popen([binary(), "lab", "start", "muster-b2", "--dir", lab.directory], stderr=subprocess.PIPE, text=True)
    try:
        log = lab.directory / "muster-b2" / "log"
        await_that(lambda: "the server waits for etcd" in log.read_text(), "it says so")
        assert starting.poll() is None, starting.communicate()
    finally:
        for voter in ("etcd-a", "etcd-w"):
            lab("start", voter)
        _, said = starting.communicate(timeout=90)
    assert starting.returncode == 0, said


def test_a_topology_that_was_restored_goes_on_by_command(lab, b, scratch):
    """Databases have obeyed later topologies than that of the backup, and nobody could be failed over. All of it is gone on from."""
    etcd = Etcd(lab)
    backup = etcd.read()
    for words in (("drain", "A", "--yes"), ("failback", "--yes")):
        await_that(lambda: b.ask_for(*words).returncode == 0, f"topology {words[0]}")  # noqa: B023
        await_that(lambda: is_exact(b), "the center that writes has moved")
    since = b.register("after the backup").json["id"]
    etcd.write(backup)
    await_that(lambda: "went back" in attention(b) and "`muster topology restored`" in attention(b), "it is told what to do")
    refused = b.ask_for("drain", "A", "--dry-run")
    assert "`muster topology restored`" in refused.stdout + refused.stderr, refused
    done = run("topology", "restored", "--config", config_of(lab, "muster-b1", scratch))
    assert done.returncode == 0 and "center A writes, with the primaries mariadb-a" in done.stderr, done
    await_that(lambda: is_exact(b), "copies have shown anew that they have all")
    assert attention(b) == "" and b.get(since).status == 200 and b.register("after it").status == 201
    for words in (("drain", "A", "--yes"), ("failback", "--yes")):
        await_that(lambda: b.ask_for(*words).returncode == 0, f"topology {words[0]}")  # noqa: B023
        await_that(lambda: is_exact(b), "databases obey it")


def refuses_writes(server, name):
    answer = server.register(f"meanwhile {name}")
    assert answer.status == 201 or answer.json["code"] in ("WRITES_UNAVAILABLE", "OUTCOME_UNKNOWN"), answer
    return answer.json.get("code") == "WRITES_UNAVAILABLE"


def writer_moved(right):
    """What somebody makes of the document who wants center B to write, and knows of no command for it."""
    document = json.loads(right)
    return json.dumps({**document, "revision": str(int(document["revision"]) + 1), "epoch": str(int(document["epoch"]) + 1), "writer": "B"})


@pytest.mark.parametrize("broken, says", [
    ('{"format":3,"revision":"x"', '"revision" must be a positive whole number'),
    ('{"format":99,"revision":"1"}', "newer"),
    ("", "not valid JSON"),
    (writer_moved, "is not in the center that writes")])
def test_a_topology_that_is_broken_by_hand_is_left_alone(lab, b, scratch, broken, says):
    """Servers stay with what they knew, do not write, and do not write over it; nobody starts on it. Put right, all goes on."""
    etcd = Etcd(lab)
    right = etcd.read()
    broken = broken(right) if callable(broken) else broken
    member = b.register(f"before {says}").json["id"]
    etcd.write(broken)
    try:
        await_that(lambda: "cannot be confirmed" in attention(b) and says in attention(b), "it is told of, and why")
        # The last read that succeeded still counts for a lease.
        await_that(lambda: refuses_writes(b, says), "it does not write")
        assert b.get(member).status == 200
        assert says in b.ask("GET", "/readyz?verbose").body.decode()
        config = config_of(lab, "muster-b1", scratch)
        for words in (["serve", "--data", scratch / "data", "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--admin", "127.0.0.1:0"], ["doctor"]):
            done = run(*words, "--config", config)
            assert done.returncode == 1 and says in done.stderr and "muster/topology" in done.stderr, done
        assert etcd.read() == broken
    finally:
        etcd.write(right)
    await_that(lambda: b.register(f"after {says}").status == 201, "it takes writes again")
    assert int(json.loads(etcd.read())["revision"]) >= int(json.loads(right)["revision"])
