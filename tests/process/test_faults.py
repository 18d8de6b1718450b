"""What can go wrong around a server: each fault gets a message that says what to do, and nothing acknowledged is lost."""
import json
import os
import random
import resource
import socket
import sqlite3
import stat

import pytest

import people
from member_client import assert_problem
from muster_process import Server, doctor, run, wait_for

LOOPBACK = ("--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--admin", "127.0.0.1:0")


def refused(*arguments, **options):
    """A start that must not succeed: what it says."""
    done = run("serve", *arguments, **options)
    assert done.returncode == 1, done
    assert done.stdout == "" and done.stderr.strip(), done
    for word in ("terminate called", "Sanitizer", "core dumped", "what()"):
        assert word not in done.stderr, done.stderr
    return done.stderr


def fill(data, members=50):
    """A data directory with members, and what was acknowledged: id → phone."""
    acknowledged = {}
    with Server(data) as server, server.client() as client:
        for _ in range(members):
            identity = people.phone_identity()
            acknowledged[client.register(identities=[identity]).json["id"]] = identity["value"]
    return acknowledged


def assert_kept(server, acknowledged):
    with server.client() as client:
        for member_id, phone in acknowledged.items():
            assert client.resolve("phone", phone).json["id"] == member_id


def test_a_port_that_is_in_use(scratch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for flag in ("--http", "--grpc", "--admin"):
            addresses = {"--http": "127.0.0.1:0", "--grpc": "127.0.0.1:0", "--admin": "127.0.0.1:0", flag: f"127.0.0.1:{port}"}
            said = refused("--data", scratch / "data", *[word for pair in addresses.items() for word in pair])
            assert str(port) in said and "in use" in said and len(said.splitlines()) == 1, said
    assert not (scratch / "data" / "endpoints.json").exists()


@pytest.mark.parametrize("address", ["203.0.113.7:0", "127.0.0.1", "127.0.0.1:99999", "nowhere.invalid:0", ":", "127.0.0.1:x"])
def test_an_address_that_is_not_ours(scratch, address):
    done = run("serve", "--data", scratch / "data", "--http", address, "--grpc", "127.0.0.1:0", "--admin", "127.0.0.1:0")
    assert done.returncode in (1, 2) and address.split(":")[0] in done.stderr, done


def test_a_second_server_on_the_same_data(scratch):
    with Server(scratch / "data") as server, server.client() as client:
        member = client.register(identities=[people.phone_identity()]).json
        said = refused("--data", scratch / "data", *LOOPBACK)
        assert str(server.pid) in said and str(scratch / "data") in said, said
        assert client.get(member["id"]).json == member
        assert client.register().status == 201
        done = run("doctor", "--data", scratch / "data")
        assert done.returncode == 1 and str(server.pid) in done.stderr, done


def test_a_directory_that_cannot_be_written(scratch):
    scratch.chmod(0o755)
    data = scratch / "data"
    fill(data, 1)
    for path in [data, *data.iterdir()]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    (data / "keyring").chmod(0o400)
    somebody = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
    if somebody:
        for path in data.iterdir():
            os.chown(path, 65534, 65534)
    said = refused("--data", data, *LOOPBACK, **somebody)
    assert str(data) in said and ("ermission" in said or "writ" in said), said
    if somebody:
        said = refused("--data", scratch / "new", *LOOPBACK, **somebody)
        assert str(scratch / "new") in said, said


@pytest.mark.parametrize("place", ["a file", "below a file", "/proc/muster-data"])
def test_a_directory_that_cannot_be(scratch, place):
    (scratch / "file").write_text("x")
    path = {"a file": scratch / "file", "below a file": scratch / "file" / "data"}.get(place, place)
    assert str(path) in refused("--data", path, *LOOPBACK)


def test_the_keyring_is_missing(scratch):
    acknowledged = fill(scratch / "data")
    keyring = scratch / "data" / "keyring"
    assert stat.S_IMODE(keyring.stat().st_mode) == 0o600
    keyring.rename(scratch / "keyring")
    assert "keyring" in refused("--data", scratch / "data", *LOOPBACK)
    assert not keyring.exists()  # a fresh one would make all that is there unreadable
    (scratch / "keyring").rename(keyring)
    with Server(scratch / "data") as server:
        assert_kept(server, acknowledged)


def test_the_keyring_can_be_read_by_others(scratch):
    fill(scratch / "data", 1)
    (scratch / "data" / "keyring").chmod(0o644)
    said = refused("--data", scratch / "data", *LOOPBACK)
    assert "keyring" in said and ("600" in said or "chmod" in said), said


def test_another_keyring(scratch):
    acknowledged = fill(scratch / "data", 3)
    fill(scratch / "other", 1)
    (scratch / "data" / "keyring").rename(scratch / "kept")
    (scratch / "data" / "keyring").write_bytes((scratch / "other" / "keyring").read_bytes())
    (scratch / "data" / "keyring").chmod(0o600)
    assert "keyring" in refused("--data", scratch / "data", *LOOPBACK)
    (scratch / "kept").replace(scratch / "data" / "keyring")
    with Server(scratch / "data") as server:
        assert_kept(server, acknowledged)


@pytest.mark.parametrize("text", ["", "hash zz\n", "\0\0\0", "seal 1 " + "0" * 64 + "\n"])
def test_a_keyring_that_is_none(scratch, text):
    fill(scratch / "data", 1)
    (scratch / "data" / "keyring").write_text(text)
    said = refused("--data", scratch / "data", *LOOPBACK)
    assert "keyring" in said and "0" * 64 not in said, said


def test_a_newer_schema(scratch):
    fill(scratch / "data", 2)
    with sqlite3.connect(scratch / "data" / "muster-0.db") as connection:
        raised = connection.execute("UPDATE meta SET value = '1000' WHERE name = 'schema_version'")
        assert raised.rowcount == 1
    said = refused("--data", scratch / "data", *LOOPBACK)
    assert "newer" in said and "1000" in said, said
    done = run("doctor", "--data", scratch / "data")
    assert done.returncode == 1 and "newer" in done.stderr + done.stdout, done


def test_another_number_of_files(scratch):
    acknowledged = fill(scratch / "data")
    said = refused("--data", scratch / "data", *LOOPBACK, extra_environment={"MUSTER_STORE__SQLITE__FILES": "4"})
    assert "files" in said, said
    with Server(scratch / "data") as server:
        assert_kept(server, acknowledged)


@pytest.mark.parametrize("damage", ["no database", "cut off", "first page"])
def test_a_data_file_that_is_none(scratch, damage):
    fill(scratch / "data")
    file = scratch / "data" / "muster-0.db"
    content = file.read_bytes()
    file.write_bytes({"no database": b"not a database, but long enough to be looked at" * 100,
                      "cut off": content[:len(content) // 2],
                      "first page": b"\xff" * 4096 + content[4096:]}[damage])
    done = run("doctor", "--data", scratch / "data")
    assert done.returncode == 1, done
    if damage != "cut off":  # what is left of it may be served, as far as it goes
        assert "muster-0.db" in refused("--data", scratch / "data", *LOOPBACK)


def test_a_history_row_that_is_none(scratch):
    fill(scratch / "data", 2)
    with sqlite3.connect(scratch / "data" / "muster-0.db") as connection:
        assert connection.execute("UPDATE history SET detail = x'00'").rowcount == 2
    code, report = doctor(scratch / "data")
    assert code == 1 and {finding["code"] for finding in report["findings"]} == {"HISTORY_UNREADABLE"}, report


@pytest.mark.parametrize("table", ["operation", "identity", "history"])
def test_a_missing_table(scratch, table):
    fill(scratch / "data", 2)
    with sqlite3.connect(scratch / "data" / "muster-0.db") as connection:
        connection.execute(f"DROP TABLE {table}")
    said = refused("--data", scratch / "data", *LOOPBACK)
    assert table in said and "muster doctor" in said and "backup" in said, said
    code, report = doctor(scratch / "data")
    assert code == 1 and [finding["code"] for finding in report["findings"]] == ["TABLE_MISSING"], report


def test_an_empty_data_file(scratch):
    fill(scratch / "data", 2)
    (scratch / "data" / "muster-0.db").write_bytes(b"")
    said = refused("--data", scratch / "data", *LOOPBACK)
    done = run("doctor", "--data", scratch / "data")
    for text in (said, done.stderr):
        assert "is not a data file of muster, for it is empty" in text, text
    assert done.returncode == 1, done


def test_a_truncated_topology(scratch):
    fill(scratch / "data", 2)
    file = scratch / "data" / "topology.json"
    file.write_bytes(file.read_bytes()[:-20])
    assert "topology.json" in refused("--data", scratch / "data", *LOOPBACK)
    code, report = doctor(scratch / "data")
    assert code == 1 and [finding["code"] for finding in report["findings"]] == ["TOPOLOGY_UNREADABLE"], report
    assert "topology.json" in report["findings"][0]["subject"], report
    file.unlink()
    code, report = doctor(scratch / "data")
    assert code == 1 and [finding["code"] for finding in report["findings"]] == ["TOPOLOGY_UNREADABLE"], report
    assert "backup" in report["findings"][0]["detail"], report


def test_a_read_only_snapshot(scratch):
    """As a mounted snapshot is: everything can be read by its owner, and nothing written."""
    fill(scratch / "data", 2)
    owner = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
    for path in (scratch, scratch / "data", *(scratch / "data").iterdir()):
        if owner:
            os.chown(path, 65534, 65534)
        path.chmod(0o500 if path.is_dir() else 0o400)
    try:
        code, report = doctor(scratch / "data", **owner)
        assert code == 0 and report["members"] == "2", report
    finally:
        for path in (scratch, scratch / "data"):
            path.chmod(0o700)


@pytest.mark.parametrize("seed", range(8))
def test_flipped_bits(scratch, seed):
    """Whatever is damaged: the doctor says so or it was unused space, and a server never ends because of it."""
    acknowledged = fill(scratch / "data", 200)
    file = scratch / "data" / "muster-0.db"
    content = bytearray(file.read_bytes())
    source = random.Random(seed)
    for _ in range(64):
        place = source.randrange(4096, len(content))
        content[place] ^= 1 << source.randrange(8)
    file.write_bytes(content)
    code, report = doctor(scratch / "data")
    assert code == 1 and report, (seed, report)
    server = Server(scratch / "data").launch()
    endpoints = scratch / "data" / "endpoints.json"
    wait_for(lambda: server.process.poll() is not None or (endpoints.exists() and endpoints.read_text()), "it decides")
    if server.process.poll() is not None:
        assert server.process.returncode == 1 and "muster-0.db" in server.log(), (seed, server.log_tail())
        return
    server.endpoints = json.loads(endpoints.read_text())
    with server, server.client() as client:
        for member_id, phone in acknowledged.items():
            reply = client.resolve("phone", phone)
            assert reply.status in (200, 404, 500, 503), (seed, reply)
            if reply.status == 200:  # never another person's account
                assert reply.json["id"] == member_id, (seed, reply)
        for _ in range(20):
            reply = client.register(identities=[people.phone_identity()])
            assert reply.status in (201, 500, 503), (seed, reply)
        with server.admin_client() as admin:
            assert admin.call("GET", "/livez").status == 200


def test_a_lock_of_somebody_else(scratch):
    with Server(scratch / "data") as server, server.client() as client:
        member = client.register(identities=[people.phone_identity()]).json
        lock = sqlite3.connect(scratch / "data" / "muster-0.db", timeout=1, isolation_level=None)
        try:
            lock.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            lock.close()  # the server does not let anybody in
        else:
            reply = client.call("POST", "/v1/members", {}, {"X-Request-Timeout-Ms": "2000"})
            assert reply.status in (201, 503, 504), reply
            assert client.get(member["id"]).json == member
            lock.execute("ROLLBACK")
            lock.close()
        wait_for(lambda: client.register().status == 201, "writes work again")


def test_one_of_several_data_files_is_missing(scratch):
    with Server(scratch / "data", extra_environment={"MUSTER_STORE__SQLITE__FILES": "4"}) as server, server.client() as client:
        assert client.register().status == 201
    for name in ("muster-2.db", "muster-0.db"):
        moved = (scratch / "data" / name).rename(scratch / name)
        said = refused("--data", scratch / "data", *LOOPBACK, extra_environment={"MUSTER_STORE__SQLITE__FILES": "4"})
        assert name in said, said
        done = run("doctor", "--data", scratch / "data")
        assert done.returncode == 1 and name in done.stderr + done.stdout, done
        moved.rename(scratch / "data" / name)
    assert doctor(scratch / "data")[0] == 0


def test_files_of_two_installations(scratch):
    environment = {"MUSTER_STORE__SQLITE__FILES": "2"}
    for name in ("one", "two"):
        with Server(scratch / name, extra_environment=environment):
            pass
    (scratch / "two" / "muster-1.db").replace(scratch / "one" / "muster-1.db")
    assert "muster-1.db" in refused("--data", scratch / "one", *LOOPBACK, extra_environment=environment)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"revision":"x"}', '{"revision":1,"callers":[{"name":7}]}', "\0\0"])
def test_a_topology_that_is_none(scratch, text):
    fill(scratch / "data", 1)
    path = scratch / "data" / "topology.json"
    kept = path.read_bytes()
    path.write_text(text)
    assert "topology.json" in refused("--data", scratch / "data", *LOOPBACK)
    assert path.read_text() == text
    path.write_bytes(kept)
    with Server(scratch / "data") as server, server.client() as client:
        assert client.register().status == 201


def test_a_data_file_that_cannot_be_read_under_its_mapping(scratch):
    """A truncated file stands in for a disk that fails: the kernel cannot give the page, whoever touches it."""
    data = scratch / "data"
    acknowledged = fill(data, 500)
    with Server(data, extra_environment={"MUSTER_CACHE__NEAR__ENABLED": "false"}) as server:
        with server.client() as client:
            assert client.register().status == 201  # so that the write-ahead log says how long the file is
            for member_id in acknowledged:
                assert client.get(member_id).status == 200  # and its thread has all of it mapped
            os.truncate(data / "muster-0.db", 4096)
            with pytest.raises(OSError):
                for member_id in acknowledged:
                    client.get(member_id)
        server.wait()
        assert "could not be read" in server.log() and "muster doctor" in server.log(), server.log_tail()
    code, report = doctor(data)
    assert code == 1, report


def test_a_keyring_from_before_a_rotation(scratch):
    data = scratch / "data"
    acknowledged = fill(data, 3)
    older = (data / "keyring").read_bytes()
    assert run("keys", "rotate", "--data", data).returncode == 0
    newer = (data / "keyring").read_bytes()
    with Server(data) as server:
        assert_kept(server, acknowledged)
    (data / "keyring").write_bytes(older)
    said = refused("--data", data, *LOOPBACK)
    assert "keyring" in said and "key 2" in said, said
    (data / "keyring").write_bytes(newer)
    with Server(data) as server:
        assert_kept(server, acknowledged)


def test_an_identity_kind_that_is_declared_no_more(scratch):
    data = scratch / "data"
    fill(data, 1)
    config = scratch / "muster.toml"
    config.write_text('[[identity.kinds]]\nname = "badge"\n')
    said = refused("--config", config, "--data", data, *LOOPBACK)
    assert "not declared" in said and "members_limit = 0" in said, said


def test_a_version_that_could_not_be_counted_on(scratch):
    with Server(scratch / "data") as server, server.client() as client:
        for version in (2**53 + 1, 2**63 - 1):
            reply = client.call("POST", "/v1/members", {"id": "7", "version": str(version), "identities": []})
            assert reply.status == 400 and reply.json["errors"][0]["field"] == "version", reply
        assert client.call("POST", "/v1/members", {"id": "7", "version": str(2**53)}).status == 201
        assert client.call("POST", "/v1/members/7:close", {}).json["version"] == str(2**53 + 1)


def test_a_file_size_limit_is_a_full_disk(scratch):
    """Writes are refused and readiness says so, also on a server that nobody writes to; the process lives."""
    with Server(scratch / "data") as server, server.client() as client:
        member = client.register().json
        limits = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (1, limits[1]))
        wait_for(lambda: client.call("GET", "/readyz").status == 503, "a server that cannot write is not ready")
        assert_problem(client.register(), "WRITES_UNAVAILABLE", 503)
        assert client.get(member["id"]).status == 200
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, limits)
        wait_for(lambda: client.call("GET", "/readyz").status == 200, "writes work again")
        assert client.register().status == 201


def test_lost_data_files_are_not_taken_for_a_new_directory(scratch):
    data = scratch / "data"
    with Server(data) as server, server.client() as client:
        assert client.register(displayName="somebody").status == 201
    for path in data.glob("muster-*"):
        path.unlink()
    refused = run("serve", "--data", data, "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--admin", "127.0.0.1:0")
    assert refused.returncode == 1
    assert "gone" in refused.stderr and "backup" in refused.stderr, refused.stderr
    assert not list(data.glob("muster-*"))
