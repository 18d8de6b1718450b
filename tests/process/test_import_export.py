"""import and export: what goes in comes out, once, however often either side is killed in between."""
import json
import os
import stat
import subprocess

import pytest

from muster_process import DEADLINE_S, SCALE, Scratch, Server, doctor, run, scaled, wait_for

LINES = int(os.environ.get("PROCESS_TEST_IMPORT_LINES") or scaled(40_000, 4_000))
LONG_S = max(DEADLINE_S * 3, LINES / 1000)


def plain_members(count, start=0):
    """Lines as somebody else's system would write them."""
    for n in range(start, start + count):
        yield json.dumps({"displayName": f"member {n}", "city": ["Suzhou", "上海", "Wuxi"][n % 3], "tags": ["imported"],
                          "identities": [{"kind": "phone", "value": f"+86138{n:08d}"},
                                         {"kind": "unionid", "platform": "wechat", "value": f"oU{n}"}]},
                         ensure_ascii=False)


def write_lines(path, lines):
    path.write_text("".join(line + "\n" for line in lines))
    return path


def sorted_lines(text):
    return sorted(text.splitlines())


@pytest.fixture(scope="module")
def canonical():
    """A file as `export` writes it, of LINES members."""
    with Scratch() as scratch:
        given = write_lines(scratch / "plain.jsonl", plain_members(LINES))
        with Server(scratch / "data") as server:
            done = run("import", given, data=server.data, deadline_s=LONG_S)
            assert done.returncode == 0, done.stderr
            done = run("export", scratch / "members.jsonl", data=server.data, deadline_s=LONG_S)
            assert done.returncode == 0 and done.stdout == "", done
        assert doctor(scratch / "data", deadline_s=LONG_S)[0] == 0
        yield scratch / "members.jsonl"


@pytest.fixture
def small(canonical, scratch):
    """Its first 2,000 lines."""
    with open(canonical) as lines:
        return write_lines(scratch / "small.jsonl", [next(lines).rstrip("\n") for _ in range(2_000)])


def export(server):
    done = run("export", data=server.data, deadline_s=LONG_S)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_export_has_what_was_imported(canonical):
    members = [json.loads(line) for line in canonical.read_text().splitlines()]
    assert len(members) == LINES
    ids = [int(member["id"]) for member in members]
    assert ids == sorted(set(ids))  # a stable order
    assert {member["displayName"] for member in members} == {f"member {n}" for n in range(LINES)}
    for member in members[::97]:
        n = int(member["displayName"].split()[1])
        assert [i["value"] for i in member["identities"]] == [f"+86138{n:08d}", f"oU{n}"]


def test_export_import_export_is_byte_identical(canonical, scratch):
    with Server(scratch / "data") as server:
        done = run("import", canonical, data=server.data, deadline_s=LONG_S)
        assert done.returncode == 0, done.stderr
        assert done.stdout == "" or str(LINES) in done.stdout.replace(",", "")
        assert "\r" not in done.stderr and "\x1b" not in done.stderr  # plain lines where there is no terminal
        assert f"{LINES}" in (done.stdout + done.stderr).replace(",", ""), done
        assert export(server) == canonical.read_text()
        again = run("import", canonical, data=server.data, deadline_s=LONG_S)
        assert again.returncode == 3, again  # they are all there
        assert export(server) == canonical.read_text()
    assert not list(canonical.parent.glob("*.muster-import"))


def test_standard_input_and_output(small, scratch):
    with Server(scratch / "data") as server:
        done = run("import", "-", data=server.data, stdin=small.read_bytes())
        assert done.returncode == 0, done.stderr
        done = run("export", "-", data=server.data)
        assert done.stdout == small.read_text()


def test_members_that_changed_come_back_as_they_are(scratch):
    with Server(scratch / "one") as server, server.client() as client:
        ids = [client.register(displayName=f"m{n}", realName="李雷", gender="FEMALE", birthDate="1999-12-31", tier="gold",
                               attributes={"b": "2", "a": "1"}, tags=["z", "a"],
                               identities=[{"kind": "email", "value": f"m{n}@example.com", "verified": True,
                                            "source": "app"}]).json["id"] for n in range(5)]
        client.patch(ids[0], "city", {"city": "Wuxi"})
        client.patch(ids[1], "state", {"state": "FROZEN"})
        client.verb(ids[2], "close", {})
        first = export(server)
        originals = [client.get(member_id).json for member_id in ids]
    write_lines(scratch / "members.jsonl", first.splitlines())
    with Server(scratch / "two") as server, server.client() as client:
        assert run("import", scratch / "members.jsonl", data=server.data).returncode == 0
        assert export(server) == first
        assert [client.get(member_id).json for member_id in ids] == originals


def test_rejects(scratch):
    lines = list(plain_members(6))
    given = b"\n".join([
        lines[0].encode(), b"", b"{not json", lines[1].encode(), lines[0].encode(),
        json.dumps({"identities": [{"kind": "phone", "value": "12"}]}).encode(), b'{"displayName":"\xff"}',
        b'{"unknown":1}', lines[2].encode(), b'{"displayName":"' + b"x" * 300 + b'"}', lines[3].encode()])
    (scratch / "given.jsonl").write_bytes(given)  # without a line feed at its end
    with Server(scratch / "data") as server:
        done = run("import", scratch / "given.jsonl", "--rejects", scratch / "rejects.jsonl", data=server.data)
        assert done.returncode == 3, done
        assert len(export(server).splitlines()) == 4
    rejects = [json.loads(line) for line in (scratch / "rejects.jsonl").read_text().splitlines()]
    assert [(r["line"], r["code"]) for r in rejects] == [
        (3, "INVALID_ARGUMENT"), (5, "IDENTITY_TAKEN"), (6, "INVALID_ARGUMENT"), (7, "INVALID_ARGUMENT"),
        (8, "INVALID_ARGUMENT"), (10, "INVALID_ARGUMENT")]
    for reject in rejects:
        assert set(reject) == {"line", "code", "detail", "text"} and reject["detail"]
    assert rejects[0]["text"] == "{not json" and rejects[1]["text"] == lines[0]
    assert stat.S_IMODE((scratch / "rejects.jsonl").stat().st_mode) == 0o600


def test_lines_that_are_too_long(scratch):
    with open(scratch / "given.jsonl", "w") as given:
        for n, line in enumerate(plain_members(4)):
            given.write(line + "\n")
            given.write('{"displayName":"' + "y" * [1_000_000, 1_100_000, 17_000_000, 40_000_000][n] + '"}\n')
    with Server(scratch / "data") as server:
        done = run("import", scratch / "given.jsonl", "--rejects", scratch / "rejects.jsonl", data=server.data)
        assert done.returncode == 3, done
        assert len(export(server).splitlines()) == 4
    rejects = [json.loads(line) for line in (scratch / "rejects.jsonl").read_text().splitlines()]
    assert [r["line"] for r in rejects] == [2, 4, 6, 8]
    assert {r["code"] for r in rejects} <= {"INVALID_ARGUMENT", "BODY_TOO_LARGE"}
    assert len(rejects[3]["text"]) < 100_000


def test_ids_within_a_file(scratch):
    given = write_lines(scratch / "given.jsonl", ['{"id":"42","displayName":"a"}', '{"id":"42","displayName":"b"}',
                                                  '{"displayName":"c"}', '{"id":"0"}', '{"id":"9223372036854775807"}'])
    with Server(scratch / "data") as server:
        done = run("import", given, "--rejects", scratch / "rejects.jsonl", data=server.data)
        assert done.returncode == 3, done
        members = [json.loads(line) for line in export(server).splitlines()]
    rejects = [json.loads(line) for line in (scratch / "rejects.jsonl").read_text().splitlines()]
    assert sorted((r["line"], r["code"]) for r in rejects) in (
        [(2, "MEMBER_EXISTS"), (4, "INVALID_ARGUMENT")], [(1, "MEMBER_EXISTS"), (4, "INVALID_ARGUMENT")])
    assert len(members) == 3 and members[0]["id"] == "42" and members[-1]["id"] == "9223372036854775807"


@pytest.mark.parametrize("name", ["missing.jsonl", "."])
def test_files_that_cannot_be_read(scratch, name):
    with Server(scratch / "data") as server:
        done = run("import", scratch / name, data=server.data)
        assert done.returncode == 1 and str(scratch / name) in done.stderr, done


def test_an_empty_file(scratch):
    with Server(scratch / "data") as server:
        for text in ("", "\n\n\n"):
            (scratch / "empty.jsonl").write_text(text)
            done = run("import", scratch / "empty.jsonl", data=server.data)
            assert done.returncode == 0, done
        assert export(server) == ""


def test_without_a_server_the_message_says_so(scratch):
    with Server(scratch / "data") as server:
        address = server.http
        key_file = str(scratch / "data" / "admin.key")
    given = write_lines(scratch / "given.jsonl", plain_members(1))
    done = run("import", given, extra_environment={"MUSTER_SERVER": address, "MUSTER_KEY_FILE": key_file})
    assert done.returncode == 4 and address in done.stderr, done


NARROWED = """
[identity]
platforms = ["alipay"]
[[identity.kinds]]
name = "phone"
scope = "global"
members_limit = 0
normaliser = "phone"
[[identity.kinds]]
name = "unionid"
scope = "platform"
members_limit = 1
normaliser = "opaque"
"""


def test_what_was_exported_is_imported_when_less_may_be_bound(scratch):
    """A kind that was retired, and a platform that was taken away: who holds such identities keeps them."""
    kinds = NARROWED.replace('platforms = ["alipay"]', "").replace("members_limit = 0", "members_limit = 3").replace(
        "members_limit = 1", "members_limit = 2")
    (scratch / "wide.toml").write_text(kinds)
    (scratch / "narrow.toml").write_text(NARROWED)
    unionids = [{"kind": "unionid", "platform": "wechat", "value": f"oU{n}"} for n in range(2)]
    phone = {"kind": "phone", "value": "+8613800000001"}
    with Server(scratch / "data", "--config", scratch / "wide.toml") as server:
        made = server.client().register(identities=[phone, *unionids])
        assert made.status == 201, made
        before = export(server)
    with Server(scratch / "data", "--config", scratch / "narrow.toml") as server:
        client = server.client()
        assert client.resolve("unionid", "oU0", "wechat").json["id"] == made.json["id"]
        new = {"kind": "unionid", "platform": "wechat", "value": "oNew"}
        assert client.bind(made.json["id"], new).json["errors"][0]["field"] == "identity.platform"
        assert client.register(identities=[new]).json["errors"][0]["field"] == "identities[0].platform"
        assert client.register(identities=[{"kind": "phone", "value": "+8613800000002"}]).json["code"] == "LIMIT_EXCEEDED"
        assert export(server) == before
        given = write_lines(scratch / "given.jsonl", before.splitlines())
        assert client.unbind(made.json["id"], unionids[0]).status == 200
        assert client.resolve("unionid", "oU0", "wechat").status == 404
    with Server(scratch / "other", "--config", scratch / "narrow.toml") as server:
        done = run("import", given, data=server.data)
        assert done.returncode == 0, done
        assert export(server) == before


def test_rejects_do_not_go_over_the_input(small, scratch):
    given = small.read_bytes()
    (scratch / "link.jsonl").symlink_to(small)
    with Server(scratch / "data") as server:
        for rejects in (small, scratch / "link.jsonl"):
            done = run("import", small, "--rejects", rejects, data=server.data)
            assert done.returncode == 2 and str(rejects) in done.stderr, done
        assert small.read_bytes() == given and export(server) == ""


def test_an_export_replaces_regular_files_only(small, scratch):
    out, link, pipe = scratch / "out.jsonl", scratch / "link.jsonl", scratch / "pipe"
    link.symlink_to(out)
    os.mkfifo(pipe)
    with Server(scratch / "data") as server:
        assert run("import", small, data=server.data).returncode == 0
        assert run("export", link, data=server.data).returncode == 0
        assert link.is_symlink() and out.read_text() == small.read_text()
        with open(scratch / "read", "wb") as read, subprocess.Popen(["cat", pipe], stdout=read) as reader:
            assert run("export", pipe, data=server.data).returncode == 0
            assert reader.wait(DEADLINE_S) == 0 and pipe.is_fifo()
        assert (scratch / "read").read_bytes() == small.read_bytes()
        done = run("export", "/dev/full", data=server.data)
        assert done.returncode == 1 and "/dev/full" in done.stderr, done
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


def with_bad_lines(canonical, scratch):
    """The canonical file with every 1,000th line followed by one that is refused; and the numbers of those."""
    path, bad, number = scratch / "given.jsonl", [], 0
    with open(canonical) as lines, open(path, "w") as given:
        for n, line in enumerate(lines):
            given.write(line)
            number += 1
            if n % 1000 == 999:
                given.write('{"displayName":1}\n')
                number += 1
                bad.append(number)
    return path, bad


# "both" interrupts the client as "client" does; under sanitizers that is enough.
@pytest.mark.parametrize("victim", ["client", "server", "both"] if SCALE == 1 else ["server", "both"])
@pytest.mark.parametrize("ids", ["given", "allocated"])
def test_an_interrupted_import_ends_as_if_it_had_not_been(canonical, scratch, victim, ids):
    if ids == "given":
        given, bad = with_bad_lines(canonical, scratch)
    else:
        given, bad = write_lines(scratch / "given.jsonl", plain_members(LINES)), []
    rejects = scratch / "rejects.jsonl"
    with Server(scratch / "data") as first:
        http, admin = first.http, first.admin
    server = Server(scratch / "data", http=http, admin=admin)  # clients come back to where it was
    with server:
        for part in (0.2, 0.4, 0.6):
            client = server.begin_import(given, "--rejects", rejects)
            wait_for(lambda p=part: client.poll() is not None or server.members() > LINES * p, f"{part:.0%} are in", LONG_S)
            assert client.poll() is None, client.communicate()
            if victim in ("client", "both"):
                client.kill()
                client.communicate()
            if victim in ("server", "both"):
                server.kill()
                server.start()
            if victim == "server":  # the client waits for it and goes on
                assert client.wait(LONG_S) == (3 if bad else 0), client.communicate()
                break
        else:
            done = run("import", given, "--rejects", rejects, data=server.data, deadline_s=LONG_S)
            assert done.returncode == (3 if bad else 0), done
        out = export(server)
    if ids == "given":
        assert sorted_lines(out) == sorted_lines(canonical.read_text())
    else:
        names = [json.loads(line)["displayName"] for line in out.splitlines()]
        assert sorted(names) == sorted(f"member {n}" for n in range(LINES))
    assert [json.loads(line)["line"] for line in rejects.read_text().splitlines()] == bad if bad else True
    assert not list(scratch.glob("*.muster-import"))
    assert doctor(scratch / "data", deadline_s=LONG_S)[0] == 0


def test_lines_that_want_the_same_identity_are_all_decided(scratch):
    """Over several files every line with a taken phone and one shared, free address is in each other's way."""
    phones = [{"kind": "phone", "value": f"+86138{n:08d}"} for n in range(300)]
    shared = {"kind": "email", "value": "noreply@example.com"}
    held = write_lines(scratch / "held.jsonl", [json.dumps({"identities": [phone]}) for phone in phones])
    doubled = write_lines(scratch / "doubled.jsonl", [json.dumps({"identities": [phone, shared]}) for phone in phones])
    same = write_lines(scratch / "same.jsonl", [json.dumps({"displayName": str(n), "identities": [shared]})
                                                for n in range(300)])
    with Server(scratch / "data", extra_environment={"MUSTER_STORE__SQLITE__FILES": "4"}) as server:
        assert run("import", held, data=server.data, deadline_s=LONG_S).returncode == 0
        done = run("import", doubled, data=server.data, deadline_s=LONG_S)
        assert done.returncode == 3 and "0 members are in, 300 lines were rejected" in done.stderr, done
        done = run("import", same, data=server.data, deadline_s=LONG_S)
        assert done.returncode == 3 and "1 members are in, 299 lines were rejected" in done.stderr, done
    assert doctor(scratch / "data")[0] == 0


def test_a_member_of_1970_comes_back_as_it_was(scratch):
    epoch = "1970-01-01T00:00:00Z"
    line = json.dumps({"id": "7", "createTime": epoch, "updateTime": epoch,
                       "identities": [{"kind": "phone", "value": "+8613800000001", "bindTime": epoch}]})
    exports = []
    for name in ("first", "second"):
        with Server(scratch / name) as server:
            given = write_lines(scratch / f"{name}.jsonl", [exports[-1].rstrip("\n") if exports else line])
            assert run("import", given, data=server.data).returncode == 0
            exports.append(export(server))
    assert exports[0] == exports[1]
    assert exports[0].count(epoch) == 3
