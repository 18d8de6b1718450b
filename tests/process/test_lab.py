"""`muster lab`: what it starts, what can be done to it, a center that is failed over, and that nothing of it remains."""
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

import pytest

from member_client import Client
from muster_process import Scratch, binary, environment, run, wait_for

ENGINES = {"etcd": "etcd-server", "mariadbd": "mariadb-server", "mariadb-install-db": "mariadb-server", "redis-server": "redis-server"}
PATH = "/usr/bin:/usr/sbin:/usr/local/bin:/usr/local/sbin"
UP_DEADLINE_S = 120.0
NAMES = ["etcd-a", "etcd-b", "etcd-w", "mariadb-a1", "mariadb-a2", "mariadb-b1", "mariadb-b2", "redis-a", "redis-b"]


@contextlib.contextmanager
def two_centers(*flags):
    """A lab that is up, for the tests of a module; afterwards nothing of it is left."""
    require_engines()
    with Scratch() as path:
        running = Lab(path / "lab")
        running("up", *flags)
        try:
            yield running
        finally:
            pids = running.pids()
            running("down")
            wait_for(lambda: not any(alive(pid) for pid in pids), "all of the lab has ended")


def require_engines():
    missing = sorted({package for name, package in ENGINES.items() if not shutil.which(name, path=PATH)})
    if missing:
        pytest.skip(f"{' '.join(missing)} is not installed (tools/install-packages engines)")


def alive(pid):
    """Whether it runs: not gone, and not waiting to be asked how it ended."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


class Lab:
    def __init__(self, directory):
        self.directory = pathlib.Path(directory)

    def __call__(self, *words, expect=0, **options):
        done = run("lab", words[0], "--dir", self.directory, *words[1:], deadline_s=UP_DEADLINE_S, **options)
        assert done.returncode == expect, done
        return done

    def up(self, *flags, **options):
        return self("up", "--engines-only", *flags, **options)

    def status(self):
        return json.loads(self("status", "-o", "json").stdout)

    def components(self):
        return {component["name"]: component for component in self.status()["components"]}

    def pids(self):
        return [component["pid"] for component in self.components().values() if component["pid"]]

    def sql(self, database, statement):
        """A client of a database, under way."""
        return subprocess.Popen(
            ["mariadb", "--no-defaults", "--socket=socket", "--user=root", "--batch", "--skip-column-names", "-e", statement],
            cwd=self.directory / database / "data", env=environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def ask(self, database, statement):
        client = self.sql(database, statement)
        out, err = client.communicate(timeout=60)
        assert client.returncode == 0, err
        return out.strip()

    def is_replicating(self, name):
        return self.components()[name]["role"] == "replica"

    def log(self, name):
        return (self.directory / name / "log").read_text(errors="replace")


@pytest.fixture(scope="module")
def lab():
    with two_centers("--engines-only") as running:
        running.ask("mariadb-a1", "CREATE TABLE muster.written (number BIGINT PRIMARY KEY) ENGINE = InnoDB")
        yield running


@pytest.fixture(autouse=True)
def whole_again(request):
    """Each test leaves the lab as it found it."""
    yield
    if "lab" in request.fixturenames:
        lab = request.getfixturevalue("lab")
        wait_for(lambda: all(component["up"] for component in lab.components().values()) and not lab.status()["links"],
                 "the lab is whole after the test")


def commit(lab, number):
    """A write under way, whose commit waits for the other center."""
    return lab.sql("mariadb-a1", f"INSERT INTO muster.written VALUES ({number})")


def waits_for_ack(lab):
    return "semi-sync ACK" in lab.ask("mariadb-a1", "SHOW PROCESSLIST")


def test_all_is_up_and_says_as_what(lab):
    components = lab.components()
    assert list(components) == NAMES
    assert all(one["up"] and one["pid"] and alive(one["pid"]) for one in components.values()), components
    roles = {name: one["role"] for name, one in components.items()}
    assert [roles[name] for name in NAMES if name.startswith("mariadb")] == ["primary", "replica", "replica", "replica"]
    assert sorted(roles[name] for name in NAMES if name.startswith("etcd")) == ["follower", "follower", "leader"]
    assert {one["center"] for one in components.values()} == {"A", "B", "W"}
    assert re.fullmatch(r"127\.0\.0\.1:\d+", components["redis-a"]["address"])
    table = lab("status").stdout
    assert all(name in table for name in NAMES), table


def test_a_lab_runs_once_in_a_directory(lab):
    done = lab.up(expect=5)
    assert "lab is running" in done.stderr and "lab down" in done.stderr, done
    assert all(component["up"] for component in lab.components().values())


def test_the_topology_names_the_databases(lab):
    etcd = lab.components()["etcd-b"]["address"]
    done = subprocess.run(["curl", "-s", f"http://{etcd}/v3/kv/range", "-d", '{"key":"bXVzdGVyL3RvcG9sb2d5"}'],
                          capture_output=True, text=True, check=True)
    import base64
    document = json.loads(base64.b64decode(json.loads(done.stdout)["kvs"][0]["value"]))
    assert document["centers"] == ["A", "B"] and document["writer"] == "A", document
    group = document["groups"][0]
    assert group["primary"] == "mariadb-a1" and [acker["name"] for acker in group["ackers"]] == ["mariadb-b1", "mariadb-b2"]
    addresses = {one["name"]: one["address"] for one in lab.components().values()}
    assert all(database["address"] == addresses[database["name"]] for database in group["databases"])


def test_a_commit_waits_for_the_other_center(lab):
    lab("partition", "A", "B")
    assert [(link["from"], link["to"], link["isCut"]) for link in lab.status()["links"]] == [("A", "B", True), ("B", "A", True)]
    client = commit(lab, 1)
    wait_for(lambda: waits_for_ack(lab), "the commit waits")
    assert client.poll() is None
    assert lab.ask("mariadb-b1", "SELECT COUNT(*) FROM muster.written WHERE number = 1") == "0"
    lab("heal")
    assert client.wait(60) == 0
    wait_for(lambda: lab.ask("mariadb-b1", "SELECT COUNT(*) FROM muster.written WHERE number = 1") == "1", "it is in the other center")


def test_loss_in_one_direction_is_enough(lab):
    lab("loss", "B", "A")
    client = commit(lab, 2)
    wait_for(lambda: lab.ask("mariadb-b1", "SELECT COUNT(*) FROM muster.written WHERE number = 2") in ("0", "1"), "B answers")
    wait_for(lambda: waits_for_ack(lab), "its acknowledgement is lost")
    lab("heal", "A", "B")
    assert client.wait(60) == 0


def test_a_delay_is_seen_by_a_commit(lab):
    lab("delay", "A", "B", "40ms")
    begin = time.monotonic()
    assert commit(lab, 3).wait(60) == 0
    assert time.monotonic() - begin >= 0.08
    lab("delay", "A", "B", "0ms")


def test_etcd_votes_among_those_that_reach_each_other(lab):
    lab("partition", "A", "B")
    lab("partition", "A", "W")

    def settled():
        roles = {name: one["role"] for name, one in lab.components().items()}
        return roles["etcd-a"] != "leader" and "leader" in (roles["etcd-b"], roles["etcd-w"])
    wait_for(settled, "a leader among the voters in B and W")
    lab("heal")
    wait_for(lambda: lab.components()["etcd-a"]["role"] == "follower", "the voter in A follows")


def test_what_is_killed_stays_listed_and_comes_back(lab):
    pid = lab.components()["mariadb-b2"]["pid"]
    lab("kill", "mariadb-b2")
    killed = lab.components()["mariadb-b2"]
    assert not killed["up"] and killed["state"] == "ended" and killed["pid"] == 0 and not alive(pid), killed
    lab("start", "mariadb-b2")
    assert lab.components()["mariadb-b2"]["up"]
    wait_for(lambda: lab.is_replicating("mariadb-b2"), "it follows again")


def test_what_is_frozen_stays_listed_and_goes_on(lab):
    before = lab.components()["redis-b"]
    lab("freeze", "redis-b")
    frozen = lab.components()["redis-b"]
    assert not frozen["up"] and frozen["state"] == "frozen" and frozen["pid"] == before["pid"], frozen
    lab("thaw", "redis-b")
    wait_for(lambda: lab.components()["redis-b"] == before, "as it was")


def test_a_center_is_lost_and_comes_back(lab):
    lab("kill", "center:A")
    components = lab.components()
    assert {name for name, one in components.items() if not one["up"]} == {name for name in NAMES if components[name]["center"] == "A"}
    wait_for(lambda: "leader" in [lab.components()[name]["role"] for name in ("etcd-b", "etcd-w")], "etcd votes without it")
    lab("start", "center:A")
    wait_for(lambda: lab.components()["mariadb-a1"]["role"] == "primary", "it takes writes again")
    wait_for(lambda: all(lab.is_replicating(name) for name in ("mariadb-a2", "mariadb-b1", "mariadb-b2")), "all follow it")
    assert commit(lab, 4).wait(60) == 0


def test_a_database_whose_disk_is_full_waits_for_room(lab):
    lab("fill", "mariadb-a1")
    assert lab.components()["mariadb-a1"]["diskIsFull"]
    client = commit(lab, 5)
    wait_for(lambda: re.search(r"Disk is full|No space left", lab.log("mariadb-a1")), "the database says so")
    assert client.poll() is None or client.returncode != 0
    lab("empty", "mariadb-a1")
    lab("kill", "mariadb-a1")  # it looks again only each minute
    client.wait(60)
    lab("start", "mariadb-a1")
    wait_for(lambda: lab.components()["mariadb-a1"]["role"] == "primary", "it takes writes again")
    assert commit(lab, 6).wait(60) == 0


def test_a_voter_whose_disk_is_full_ends(lab):
    lab("fill", "etcd-w")

    def ended():
        # Whatever is written.
        lab.ask("mariadb-a1", "SELECT 1")
        subprocess.run(["curl", "-s", "-m", "2", f"http://{lab.components()['etcd-a']['address']}/v3/kv/put",
                        "-d", '{"key":"dGVzdA==","value":"dGVzdA=="}'], capture_output=True, check=False)
        return lab.components()["etcd-w"]["state"] == "ended"
    wait_for(ended, "it cannot write its log")
    lab("empty", "etcd-w")
    lab("start", "etcd-w")


def test_redis_keeps_nothing_on_disk(lab):
    done = lab("fill", "redis-a", expect=2)
    assert "nothing on disk" in done.stderr


@pytest.mark.parametrize("offset, seconds", [("+1h", 3600), ("-200s", -200)])
def test_a_clock_is_off(lab, offset, seconds):
    if not list(pathlib.Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")):
        pytest.skip("libfaketime is not installed (tools/install-packages engines)")
    lab("clock", "mariadb-b2", offset)
    there = float(lab.ask("mariadb-b2", "SELECT UNIX_TIMESTAMP(SYSDATE(6))"))
    assert abs(there - time.time() - seconds) < 30
    assert lab.components()["mariadb-b2"]["clockOffsetMs"] == seconds * 1000
    lab("clock", "mariadb-b2", "0s")
    assert abs(float(lab.ask("mariadb-b2", "SELECT UNIX_TIMESTAMP(SYSDATE(6))")) - time.time()) < 30
    wait_for(lambda: lab.is_replicating("mariadb-b2"), "it follows again")


@pytest.mark.parametrize("component, why", [("etcd-a", "etcd's program"), ("redis-a", "its allocator")])
def test_some_have_no_clock_to_move(lab, component, why):
    assert why in lab("clock", component, "+1s", expect=2).stderr


def test_logs_are_printed(lab):
    done = lab("logs", "mariadb-a1", "--lines", "3")
    assert len(done.stdout.splitlines()) == 3 and done.stdout in lab.log("mariadb-a1")
    assert "a process has been started" in lab("logs", "supervisor", "--lines", "1000").stdout


@pytest.mark.parametrize("words, code, says", [
    (("kill", "mariadb-a"), 6, "did you mean 'mariadb-a1'"), (("kill", "center:C"), 2, "no center"),
    (("partition", "A", "A"), 2, "two centers"), (("delay", "A", "B", "fast"), 2, "2ms"), (("delay", "A", "B"), 2, "TIME"),
    (("throttle", "A", "B", "1"), 2, "64KiB"), (("clock", "redis-a"), 2, "+5s"), (("kill", "muster-a1"), 5, "engines only"),
    (("up", "--with", "search"), 2, "search"), (("up", "--groups", "0"), 2, "--groups"), (("explode",), 2, "explode")])
def test_mistakes_say_what_would_be_right(lab, words, code, says):
    assert says in lab(*words, expect=code).stderr


def test_without_a_lab_everything_says_so(scratch):
    nobody = Lab(scratch / "none")
    for words in [("status",), ("down",), ("kill", "redis-a"), ("heal",)]:
        done = nobody(*words, expect=6)
        assert "no lab is running" in done.stderr and "lab up" in done.stderr, done
    assert not (scratch / "none").exists()


def test_its_data_stay_and_nothing_else(scratch):
    """One after the other: an `up` that is interrupted, one whose supervisor is killed, one more, and its end."""
    require_engines()
    lab = Lab(scratch / "lab")
    interrupted = subprocess.Popen([binary(), "lab", "up", "--engines-only", "--dir", str(lab.directory)], env=environment(),
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert interrupted.stderr.readline(), "it says what it does"
    pids = lab.pids()
    supervisor = lab.status()["supervisorPid"]
    interrupted.send_signal(signal.SIGINT)
    assert interrupted.wait(UP_DEADLINE_S) == 1 and "interrupted" in interrupted.stderr.read()
    assert not alive(supervisor) and not any(alive(pid) for pid in pids)

    lab.up()
    lab.ask("mariadb-a1", "CREATE TABLE muster.kept (number BIGINT PRIMARY KEY) ENGINE = InnoDB; INSERT INTO muster.kept VALUES (7)")
    addresses = {name: one["address"] for name, one in lab.components().items()}
    pids, supervisor = lab.pids(), lab.status()["supervisorPid"]
    lab("freeze", "mariadb-b2")
    os.kill(supervisor, signal.SIGKILL)
    wait_for(lambda: not any(alive(pid) for pid in [supervisor, *pids]), "everything ended with the supervisor", 10)
    assert "no lab is running" in lab("status", expect=6).stderr

    lab.up()
    assert {name: one["address"] for name, one in lab.components().items()} == addresses
    assert lab.ask("mariadb-a1", "SELECT number FROM muster.kept") == "7"
    assert lab.ask("mariadb-a1", "SELECT @@read_only") == "0"
    pids = lab.pids()
    lab("down", "--purge")
    assert not any(alive(pid) for pid in pids) and not lab.directory.exists()


def test_in_the_foreground_it_ends_with_its_command(scratch):
    require_engines()
    lab = Lab(scratch / "lab")
    with open(scratch / "out", "w") as out:
        process = subprocess.Popen([binary(), "lab", "up", "--engines-only", "--foreground", "--dir", str(lab.directory)],
                                   env=environment(), stdout=out, stderr=subprocess.STDOUT)
    wait_for(lambda: "lab down" in (scratch / "out").read_text() or process.poll() is not None, "the banner", UP_DEADLINE_S)
    banner = (scratch / "out").read_text()
    assert "ot for production" in banner and "lab kill center:A" in banner, banner
    pids = lab.pids()
    process.kill()  # not even asked
    process.wait()
    wait_for(lambda: not any(alive(pid) for pid in pids), "the lab ended with its command")


def test_a_lost_center_is_failed_over(scratch):
    """With muster servers: members written in both centers are read in the one that is left, which takes writes soon."""
    require_engines()
    lab = Lab(scratch / "lab")
    try:
        lab("up")
        assert all(component["up"] for component in lab.components().values())
        key = pathlib.Path(lab.status()["keyFile"]).read_text().strip()

        def client(name):
            return Client(lab.components()[name]["address"], key)

        def register(connection, name):  # on a machine with a lot to do, a lease may just then have run out
            return wait_for(lambda: (done := connection.register(displayName=name)).status == 201 and done.json["id"],
                            "it takes writes")
        with client("muster-a1") as a, client("muster-b1") as b:
            ids = [register(connection, "Li Lei") for connection in (a, b)]
        lab("kill", "center:A")
        with client("muster-b1") as b:
            register(b, "Han Meimei")
            assert [b.get(one).status for one in ids] == [200, 200]
        assert lab.components()["mariadb-b1"]["role"] == "primary" or lab.components()["mariadb-b2"]["role"] == "primary"
        lab("start", "center:A")
        wait_for(lambda: all(lab.is_replicating(name) for name in ("mariadb-a1", "mariadb-a2")), "what was lost follows")
    finally:
        lab("down")
