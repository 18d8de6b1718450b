"""What an import that was interrupted remembers, and what it refuses."""
import json
import shutil
import signal

import pytest

from muster_process import DEADLINE_S, Server, doctor, run, scaled, wait_for

LINES = scaled(30_000, 3_000)


def line_of(number, with_id=True):
    identities = [{"kind": "phone", "value": f"+86138{number:08d}"},
                  {"kind": "unionid", "platform": "wechat", "value": f"o{number}"}]
    return json.dumps({**({"id": str(number)} if with_id else {}), "displayName": f"member {number}", "identities": identities})


def interrupt(server, client, count):
    """Waits until the server has that many members, then kills the client."""
    wait_for(lambda: client.poll() is not None or server.members() >= count, f"{count} members are in")
    client.kill()
    client.communicate()


@pytest.fixture
def given(scratch):
    path = scratch / "given.jsonl"
    path.write_text("".join(line_of(n) + "\n" for n in range(1, LINES + 1)))
    return path


@pytest.mark.parametrize("with_id, code", [(True, "MEMBER_EXISTS"), (False, "IDENTITY_TAKEN")])
def test_lines_that_come_twice_are_rejected_once(scratch, with_id, code):
    """A line sent again after an interruption is no duplicate; the same member on another line is one."""
    given, rejects = scratch / "given.jsonl", scratch / "rejects.jsonl"
    given.write_text("".join(line_of(n if n % 1000 else 1, with_id) + "\n" for n in range(1, LINES + 1)))
    state = scratch / "given.jsonl.muster-import"
    with Server(scratch / "data") as server:
        for part in range(1, 6):
            interrupt(server, server.begin_import(given, "--rejects", rejects), part * LINES // 8)
            assert state.exists()
        done = run("import", given, "--rejects", rejects, data=server.data, deadline_s=DEADLINE_S * 3)
        assert done.returncode == 3 and not state.exists(), done
        seen = [json.loads(line) for line in rejects.read_text().splitlines()]
        # Batches are under way side by side, so any one of the lines may be the one that is taken.
        same = [1, *range(1000, LINES + 1, 1000)]
        taken = set(same) - {r["line"] for r in seen}
        assert len(taken) == 1, seen
        assert [(r["line"], r["code"]) for r in seen] == [(n, code) for n in same if n not in taken]
        assert len(run("export", data=server.data).stdout.splitlines()) == LINES - len(seen)
    assert doctor(scratch / "data")[0] == 0


def test_a_client_gives_up_and_goes_on_later(scratch, given):
    server = Server(scratch / "data")
    with server:
        client = server.begin_import(given)
        wait_for(lambda: client.poll() is not None or server.members() >= LINES // 4, "a part of the import")
        server.kill()
        _, errors = client.communicate(timeout=DEADLINE_S * 2)
        assert client.returncode == 4 and "again" in errors, errors
        server.start()
        done = run("import", given, data=server.data, deadline_s=DEADLINE_S * 3)
        assert done.returncode == 0, done
        ids = [int(json.loads(line)["id"]) for line in run("export", data=server.data).stdout.splitlines()]
        assert ids == list(range(1, LINES + 1))
    code, report = doctor(scratch / "data")
    assert code == 0 and report["members"] == str(LINES) and report["findingsTotal"] == "0", report


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_import_says_how_to_go_on(scratch, given, number):
    with Server(scratch / "data") as server:
        client = server.begin_import(given)
        wait_for(lambda: client.poll() is not None or server.members() >= 1, "some members are in")
        client.send_signal(number)
        _, errors = client.communicate(timeout=DEADLINE_S)
        assert client.returncode == -number and "run the same command again to go on" in errors, errors
        done = run("import", given, data=server.data, deadline_s=DEADLINE_S * 3)
        assert done.returncode == 0 and "Going on" in done.stderr, done


def test_a_backup_from_before_or_during_the_import_is_noticed(scratch):
    """Stopped, copied, and put back later: the client has been told of lines that the copy does not have."""
    data, given, state = scratch / "data", scratch / "given.jsonl", scratch / "given.jsonl.muster-import"
    lines = scaled(8_000, 3_000)
    # Large members, so that a batch has few of them, each with a flush of its own: it takes some seconds.
    attributes = {f"name{n}": "x" * 500 for n in range(20)}
    slow = {"MUSTER_STORE__SQLITE__GROUP_COMMIT_MAX": "1"}
    given.write_text("".join(json.dumps({"id": str(n), "attributes": attributes}) + "\n" for n in range(1, lines + 1)))

    def lines_told():
        return int(json.loads(state.read_bytes())["lines"]) if state.exists() else 0
    with Server(data):
        pass
    shutil.copytree(data, scratch / "before")
    with Server(data, extra_environment=slow) as server:
        interrupt(server, server.begin_import(given), 1)
    shutil.copytree(data, scratch / "during")
    with Server(data, extra_environment=slow) as server:
        copied = server.members()  # with what was under way when the client ended
        client = server.begin_import(given)
        wait_for(lambda: client.poll() is not None or lines_told() > copied, "the client is told of more")
        client.kill()
        client.communicate()
    told = state.read_bytes()
    for backup in ("before", "during"):
        shutil.rmtree(data)
        shutil.copytree(scratch / backup, data)
        state.write_bytes(told)
        with Server(data) as server:
            done = run("import", given, data=server.data, deadline_s=DEADLINE_S * 3)
            assert done.returncode == 1 and "restored from a backup" in done.stderr, done
            if backup == "before":
                assert "remove" in done.stderr and run("export", data=server.data).stdout == "", done
                state.unlink()
            done = run("import", given, data=server.data, deadline_s=DEADLINE_S * 3)
            assert done.returncode == 0, done
            assert len(run("export", data=server.data).stdout.splitlines()) == lines
        assert doctor(data)[0] == 0


def test_a_byte_order_mark_and_earlier_rejects(scratch):
    given, rejects = scratch / "given.jsonl", scratch / "rejects.jsonl"
    given.write_bytes(b"\xef\xbb\xbf" + line_of(1).encode() + b"\n{bad\n")
    with Server(scratch / "data") as server:
        done = run("import", given, "--rejects", rejects, data=server.data)
        assert done.returncode == 3 and [json.loads(line)["line"] for line in rejects.read_text().splitlines()] == [2], done
        before = rejects.read_bytes()
        done = run("import", given, "--rejects", rejects, data=server.data)
        assert done.returncode == 2 and "move it away" in done.stderr and rejects.read_bytes() == before, done


def test_a_file_that_has_changed_is_not_gone_on_with(scratch, given):
    with Server(scratch / "data") as server:
        interrupt(server, server.begin_import(given), 1)
        with open(given, "a") as more:
            more.write(line_of(LINES + 1) + "\n")
        done = run("import", given, data=server.data)
        assert done.returncode == 1 and "changed" in done.stderr, done


def test_one_byte_in_the_middle_is_a_change_and_a_copy_is_none(scratch, given):
    original = given.read_bytes()
    with Server(scratch / "data") as server:
        interrupt(server, server.begin_import(given), 1)
        middle = original.index(b"member", len(original) // 2)
        given.write_bytes(original[:middle] + b"M" + original[middle + 1:])
        done = run("import", given, data=server.data)
        assert done.returncode == 1 and "changed" in done.stderr, done
        given.unlink()
        given.write_bytes(original)
        done = run("import", given, data=server.data, deadline_s=DEADLINE_S * 3)
        assert done.returncode == 0 and "Going on" in done.stderr, done
        assert len(run("export", data=server.data).stdout.splitlines()) == LINES


def test_another_installation_is_not_gone_on_with(scratch, given):
    with Server(scratch / "one") as server:
        interrupt(server, server.begin_import(given), 1)
    with Server(scratch / "two") as server:
        done = run("import", given, data=server.data, deadline_s=DEADLINE_S * 3)
        members_in = len(run("export", data=server.data).stdout.splitlines())
        assert (done.returncode, members_in) in ((0, LINES), (1, 0)), done  # all of it, or a clear refusal


def test_both_directions_need_the_scope(scratch, given):
    with Server(scratch / "data") as server:
        (scratch / "weak.key").write_text(server.new_caller("weak", "members.read", "members.write", "personal.read"))
        weak = {"data": server.data, "extra_environment": {"MUSTER_KEY_FILE": str(scratch / "weak.key")}}
        done = run("import", given, **weak)
        assert done.returncode == 5 and "PERMISSION_DENIED" in done.stderr, done
        done = run("export", **weak)
        assert done.returncode == 5 and done.stdout == "" and "PERMISSION_DENIED" in done.stderr, done
        assert run("export", data=server.data).stdout == ""
