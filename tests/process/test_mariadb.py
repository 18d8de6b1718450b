"""Members on MariaDB: the API over two groups, processes side by side, a database server that is killed, what a start refuses."""
import json
import os
import shutil
import signal
import threading

import pytest

import people
from change_reader import ChangeReader
from mariadb_server import GRANTS, MariadbServer, write_settings
from member_client import assert_problem
from muster_process import Scratch, Server, run, wait_for

DATABASES = ("members_0", "members_1")
# With it a statement that gets no answer is given up soon.
PATIENCE = "store.mariadb.statement_timeout = \"2s\"\nstore.mariadb.connect_timeout = \"1s\"\nstore.mariadb.lock_wait = \"1s\"\n" \
           "store.mariadb.transaction_timeout = \"3s\""


@pytest.fixture(scope="module")
def place():
    with Scratch() as path:
        yield path


@pytest.fixture(scope="module")
def database(place):
    with MariadbServer(place / "mariadb") as running:
        running.make_databases(*DATABASES)
        yield running


@pytest.fixture(scope="module")
def server(place, database):
    """One for all tests that leave it running. That it ends by itself, with 0, is part of the module."""
    settings = write_settings(place, database, *DATABASES, more=PATIENCE)
    with Server(place / "data", "--config", settings) as running:
        yield running


def register(client, *identities, **fields):
    reply = client.register(identities=list(identities), **fields)
    assert reply.status == 201, reply
    return reply.json


def phone_of(member):
    return next(identity["value"] for identity in member["identities"] if identity["kind"] == "phone")


def all_changes(server, last):
    """From the earliest one to the first of this member."""
    with ChangeReader(server, from_="earliest") as reader:
        events = []
        while not events or events[-1]["memberId"] != last["id"]:
            events += reader.take(1)
        return events


# The API.

def test_a_member_from_the_beginning_to_the_end(client):
    member = register(client, people.phone_identity(), people.scoped_identity("unionid", "wechat"), displayName="李雷", city="Suzhou")
    found = client.get(member["id"])
    assert (found.status, found.json, found.etag, found.source) == (200, member, '"1"', "primary")
    assert client.resolve("phone", phone_of(member)).json == member
    assert client.patch(member["id"], "city", {"city": "Wuxi"}, If_Match='"1"').etag == '"2"'
    assert_problem(client.patch(member["id"], "city", {"city": "Xian"}, If_Match='"1"'), "VERSION_MISMATCH")
    extra = people.email_identity()
    assert client.bind(member["id"], extra).etag == '"3"'
    assert client.resolve("email", extra["value"]).json["city"] == "Wuxi"
    other = register(client, people.phone_identity())
    assert_problem(client.bind(other["id"], extra), "IDENTITY_TAKEN")
    assert client.unbind(member["id"], extra).etag == '"4"'
    assert_problem(client.resolve("email", extra["value"]), "IDENTITY_NOT_FOUND")
    assert client.bind(other["id"], extra).status == 200
    assert client.verb(member["id"], "close", {}).json["state"] == "CLOSED"
    assert_problem(client.resolve("phone", phone_of(member)), "IDENTITY_NOT_FOUND")
    types = [change["type"] for change in client.history(member["id"]).json["changes"]]
    assert types == ["CLOSED", "IDENTITY_UNBOUND", "IDENTITY_BOUND", "UPDATED", "REGISTERED"]


def test_members_of_two_groups_are_merged_and_given_back(client, database):
    # Neighbours lie in different groups sooner or later.
    members = [register(client, people.phone_identity(), people.email_identity()) for _ in range(6)]
    here = {line for line in database.execute("SELECT id FROM member", DATABASES[0])}
    survivor = next((member for member in members if member["id"] in here), members[0])
    source = next((member for member in members if member["id"] not in here), members[1])
    assert survivor is not source
    merged = client.verb(survivor["id"], "merge", {"sourceId": source["id"]})
    assert merged.status == 200 and len(merged.json["identities"]) == 4, merged
    assert client.resolve("phone", phone_of(source)).json["id"] == survivor["id"]
    assert client.get(source["id"]).json["state"] == "MERGED"
    assert client.verb(survivor["id"], "unmerge", {"sourceId": source["id"]}).status == 200
    assert client.resolve("phone", phone_of(source)).json["id"] == source["id"]


def test_a_request_that_is_sent_again_is_answered_again(client):
    body = {"identities": [people.phone_identity()]}
    first = client.call("POST", "/v1/members", body, {"Idempotency-Key": "register-1"})
    again = client.call("POST", "/v1/members", body, {"Idempotency-Key": "register-1"})
    assert first.status == again.status == 201 and first.json == again.json
    assert_problem(client.call("POST", "/v1/members", {"city": "Wuxi"}, {"Idempotency-Key": "register-1"}), "IDEMPOTENCY_MISMATCH")


def test_what_is_written_is_searched_and_told(server, client):
    with ChangeReader(server, from_="latest") as reader:
        reader.open()
        members = [register(client, people.phone_identity(), city="Hangzhou", displayName=f"n{i}") for i in range(8)]
        for member in members:
            assert client.patch(member["id"], "tier", {"tier": "gold"}).status == 200
        ids, events = {member["id"] for member in members}, []
        while len(events) < 16:  # and perhaps what was written just before
            events += [event for event in reader.take(1) if event["memberId"] in ids]
        assert [int(event["position"]) for event in events] == sorted({int(event["position"]) for event in events})
        for member in members:
            assert [event["version"] for event in events if event["memberId"] == member["id"]] == ["1", "2"]

    def found():
        reply = client.call("POST", "/v1/members:search", {"filter": 'city = "Hangzhou" AND tier = "gold"'})
        return reply.status == 200 and {member["id"] for member in reply.json["members"]} == {member["id"] for member in members}
    wait_for(found, "the index has them")


def test_an_import_is_exact(server, client, scratch):
    lines = [json.dumps({"identities": [people.phone_identity()], "city": "Ningbo"}) for _ in range(200)]
    (scratch / "members.jsonl").write_text("\n".join(lines) + "\n")
    done = run("import", scratch / "members.jsonl", data=server.data)
    assert done.returncode == 0, done.stderr
    assert client.resolve("phone", json.loads(lines[199])["identities"][0]["value"]).status == 200


# Several processes.

def test_what_one_process_writes_the_other_answers_at_once(server, client, place, database, scratch):
    data = scratch / "other"
    data.mkdir(mode=0o700)
    shutil.copy(server.data / "keyring", data / "keyring")
    settings = write_settings(scratch, database, *DATABASES, more=PATIENCE)
    with Server(data, "--config", settings) as other, other.client() as beside:
        member = register(client, people.phone_identity())
        for version in range(1, 20):
            assert beside.get(member["id"]).etag == f'"{version}"'
            assert (client if version % 2 else beside).patch(member["id"], "city", {"city": f"c{version}"}).status == 200
            assert client.get(member["id"]).etag == f'"{version + 1}"'
        wanted = people.email_identity()
        replies = [client.bind(member["id"], wanted), beside.bind(register(beside)["id"], wanted)]
        assert [reply.status for reply in replies] == [200, 409], replies
        assert len({line for line in database.execute("SELECT node FROM node", DATABASES[0])}) == 2
        # Whoever brings the changes into the stream may stand still: the other one goes on, and nothing is told twice.
        with ChangeReader(other, from_="latest") as reader:
            reader.open()
            os.kill(server.pid, signal.SIGSTOP)
            try:
                late = register(beside, people.phone_identity())
                while reader.take(1)[0]["memberId"] != late["id"]:
                    pass
            finally:
                os.kill(server.pid, signal.SIGCONT)
            last = register(client, people.phone_identity())
            while reader.take(1)[0]["memberId"] != last["id"]:
                pass
        told = [(event["memberId"], event["version"]) for event in all_changes(other, last)]
        assert len(set(told)) == len(told)
        assert [version for member_id, version in told if member_id == member["id"]] == [str(n) for n in range(1, 22)]


def test_a_copy_of_a_data_directory_is_refused_while_the_first_runs(server, place, database, scratch):
    data = scratch / "copy"
    data.mkdir(mode=0o700)
    for name in ("keyring", "node"):
        shutil.copy(server.data / name, data / name)
    refused(data, write_settings(scratch, database, *DATABASES), "uses a copy of this data directory")


# What goes wrong.

def test_a_database_that_is_killed_under_writes_loses_nothing(scratch, place, database):
    database.make_databases("killed_0", "killed_1")
    settings = write_settings(scratch, database, "killed_0", "killed_1", more=PATIENCE)
    promised, failures, acknowledged = {}, [], threading.Semaphore(0)
    ends = threading.Event()

    def write():
        try:
            with server.client() as client:
                while not ends.is_set():
                    phone = people.phone()
                    body = {"identities": [{"kind": "phone", "value": phone}]}
                    # Sent again with its key until it is answered: it is done once, whatever became of the first.
                    while not ends.is_set():
                        reply = client.call("POST", "/v1/members", body, {"Idempotency-Key": phone})
                        if reply.status == 201:
                            promised[phone] = reply.json["id"]
                            acknowledged.release()
                            break
                        assert reply.json["code"] in ("WRITES_UNAVAILABLE", "OVERLOADED", "OUTCOME_UNKNOWN",
                                                      "IDEMPOTENCY_IN_PROGRESS"), reply
        except Exception as error:  # kept for the test's own thread
            failures.append(repr(error))
            acknowledged.release()

    with Server(scratch / "data", "--config", settings) as server:
        writers = [threading.Thread(target=write) for _ in range(6)]
        for writer in writers:
            writer.start()
        for _ in range(2):
            for _ in range(60):
                assert acknowledged.acquire(timeout=60) and not failures, failures
            database.kill()
            with server.client() as client:
                wait_for(lambda: client.call("GET", "/readyz").status == 503, "it says so")
            database.start()
        for _ in range(60):
            assert acknowledged.acquire(timeout=60) and not failures, failures
        ends.set()
        for writer in writers:
            writer.join(60)
        assert not failures, failures
        with server.client() as client:
            wait_for(lambda: client.call("GET", "/readyz").status == 200, "it is well again")
            for phone, member_id in promised.items():
                assert client.resolve("phone", phone).json["id"] == member_id, f"{phone} is lost"
        # Each of them is told once.
        with ChangeReader(server, from_="earliest") as reader:
            missing = set(promised.values())
            seen, last = set(), 0
            while missing - seen:
                event = reader.take(1)[0]
                assert event["memberId"] not in seen and int(event["position"]) == last + 1, event
                seen.add(event["memberId"])
                last = int(event["position"])


def test_a_restart_keeps_members_positions_and_numbers(server):
    with server.client() as client:
        member = register(client, people.phone_identity())
    before = all_changes(server, member)
    assert server.stop() == 0, server.log_tail()
    server.start()
    assert all_changes(server, member) == before
    with server.client() as client:
        assert client.get(member["id"]).json == member
        assert int(register(client, people.phone_identity())["id"]) > int(member["id"])


def refused(data, settings, *told, **options):
    done = run("serve", "--data", data, "--config", settings, "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--admin", "127.0.0.1:0",
               **options)
    assert done.returncode != 0, done
    for text in told:
        assert text in done.stderr, (text, done.stderr)
    assert "sesame" not in done.stderr
    return done.stderr


def test_what_a_start_refuses(server, place, database, scratch):
    data = scratch / "data"
    database.make_databases("refused")
    refused(data, write_settings(scratch, database, "refused", password="wrong"), "refuses the account", "password")
    refused(data, write_settings(scratch, database, "nowhere"), "grants")
    refused(data, write_settings(scratch, database, "refused", address="127.0.0.1:1"), "is it running")
    refused(data, write_settings(scratch, database), 'muster.toml:1: store.kind is mariadb and there are no groups')
    refused(data, write_settings(scratch, database, "refused", "refused"), "groups[1] is the same database as")
    refused(data, write_settings(scratch, database, "refused", more='routes.read = "cache(near, coalesce(store))"\n'
                                 'store.mariadb.lock_wait = "9s"'), "store.mariadb.lock_wait")
    refused(data, write_settings(scratch, database, "refused", more='routes.read = "coalesce(store)"'), "routes.read")
    refused(data, write_settings(scratch, database, *DATABASES), "another keyring")
    shutil.copy(server.data / "keyring", data / "keyring")
    refused(data, write_settings(scratch, database, *reversed(DATABASES)), "in the order in which they were made")
    refused(data, write_settings(scratch, database, DATABASES[0]), "other shards")
    database.execute("CREATE USER poor@'127.0.0.1' IDENTIFIED BY 'open sesame'; GRANT SELECT ON refused.* TO poor@'127.0.0.1'")
    refused(data, write_settings(scratch, database, "refused", account="poor"), "grants (" + GRANTS.split(", CREATE")[0])
    database.execute("CREATE USER mighty@'127.0.0.1' IDENTIFIED BY 'open sesame'; GRANT ALL PRIVILEGES ON *.* TO mighty@'127.0.0.1'")
    refused(data, write_settings(scratch, database, "refused", account="mighty"), "the account's grants", "allow_unsafe_settings")
    database.execute("CREATE TABLE meta(name VARCHAR(64) PRIMARY KEY, value VARCHAR(2048)); "
                     "INSERT INTO meta VALUES('schema_version', '99')", "refused")
    refused(data, write_settings(scratch, database, "refused"), "has schema version 99", "start the newer muster")


def test_unsafe_settings_are_refused_and_the_doctor_names_them(database, scratch):
    database.make_databases("unsafe")
    settings = write_settings(scratch, database, "unsafe")
    safe = run("doctor", "--config", settings, "-o", "json")
    assert safe.returncode == 0 and json.loads(safe.stdout)["unsafeTotal"] == "0", safe
    database.execute("SET GLOBAL innodb_flush_log_at_trx_commit = 2")
    try:
        refused(scratch / "data", settings, "innodb_flush_log_at_trx_commit = 2", "needed: 1")
        done = run("doctor", "--config", settings, "-o", "json")
        assert done.returncode == 1, done
        findings = [finding for finding in json.loads(done.stdout)["findings"] if finding["severity"] == "UNSAFE"]
        assert [finding["variable"] for finding in findings] == ["innodb_flush_log_at_trx_commit"]
    finally:
        database.execute("SET GLOBAL innodb_flush_log_at_trx_commit = 1")


def test_kinds_are_not_mixed(server, database, scratch):
    data = scratch / "files"
    with Server(data):
        pass
    database.make_databases("mixed")
    settings = write_settings(scratch, database, "mixed")
    refused(data, settings, "holds members in SQLite files")
    assert server.stop() == 0
    try:
        done = run("serve", "--data", server.data, "--http", "127.0.0.1:0", "--admin", "127.0.0.1:0")
        assert done.returncode == 1 and "are on MariaDB" in done.stderr, done
    finally:
        server.start()
    settings.write_text(settings.read_text().replace('store.kind = "mariadb"', ""))
    done = run("config", "check", "--config", settings)
    assert done.returncode == 1 and "store.mariadb.groups are named and store.kind is sqlite" in done.stderr, done
