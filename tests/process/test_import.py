"""Import and export of the built binary: round trips, rejects, and interruptions of every kind."""
import json
import signal
import subprocess

import pytest

from muster_process import MusterServer, binary, environment, run, wait_until


def line_of(number: int, **fields) -> str:
    phone = f"+86138{number:08d}"
    return json.dumps({"id": str(number), "displayName": f"Member {number}", **fields,
                       "identities": [{"kind": "phone", "value": phone},
                                      {"kind": "unionid", "platform": "wechat", "value": f"o{number}"}]}, separators=(",", ":"))


def write_lines(path, numbers):
    path.write_text("".join(line_of(number) + "\n" for number in numbers))


def ids(text: str) -> list:
    return [int(json.loads(line)["id"]) for line in text.splitlines()]


@pytest.fixture
def server(tmp_path):
    with MusterServer(tmp_path / "data") as running:
        yield running


def test_what_export_writes_import_reads_byte_for_byte(server, tmp_path):
    write_lines(tmp_path / "in.jsonl", range(3000, 0, -1))
    assert server.run("import", tmp_path / "in.jsonl").returncode == 0
    server.patch("/v1/members/7?updateMask=city", {"city": "Suzhou"}).expect(200)
    server.post("/v1/members/8:close").expect(200)
    first = server.run("export", tmp_path / "first.jsonl")
    assert first.returncode == 0 and "3,000 members" in first.stderr
    exported = (tmp_path / "first.jsonl").read_text()
    assert ids(exported) == list(range(1, 3001))
    with MusterServer(tmp_path / "other") as other:
        again = other.run("import", "-", input=exported)
        assert again.returncode == 0, again.stderr
        assert other.run("export").stdout == exported
    assert not list(tmp_path.glob("*.muster-import")) and not list(tmp_path.glob("*.tmp"))


def test_rejected_lines_are_listed_and_the_rest_is_in(server, tmp_path):
    lines = [line_of(1), "", line_of(2, nonsense=1), line_of(1).replace("+8613800000001", "+8613800000099").replace('"o1"', '"o99"'),
             '{"displayName":"x","identities":[{"kind":"phone","value":"13800000001"}]}', "{", line_of(3)]
    (tmp_path / "in.jsonl").write_text("\n".join(lines))
    done = server.run("import", tmp_path / "in.jsonl", "--rejects", tmp_path / "rejects.jsonl")
    assert done.returncode == 3, done.stderr
    rejects = [json.loads(line) for line in (tmp_path / "rejects.jsonl").read_text().splitlines()]
    assert [(reject["line"], reject["code"]) for reject in rejects] == [
        (3, "INVALID_ARGUMENT"), (4, "MEMBER_EXISTS"), (5, "IDENTITY_TAKEN"), (6, "INVALID_ARGUMENT")]
    assert [reject["text"] for reject in rejects] == [lines[reject["line"] - 1] for reject in rejects]
    assert all(reject["detail"] for reject in rejects)
    assert ids(server.run("export").stdout) == [1, 3]


def test_lines_beyond_every_bound_are_rejected(server, tmp_path):
    (tmp_path / "in.jsonl").write_text("\n".join([line_of(1), line_of(2, displayName="x" * (2 << 20)), line_of(3)]))
    done = server.run("import", tmp_path / "in.jsonl", "--rejects", tmp_path / "rejects.jsonl")
    assert done.returncode == 3
    (reject,) = [json.loads(line) for line in (tmp_path / "rejects.jsonl").read_text().splitlines()]
    assert (reject["line"], reject["code"]) == (2, "BODY_TOO_LARGE")
    assert ids(server.run("export").stdout) == [1, 3]


def start_import(server, path, *arguments) -> subprocess.Popen:
    return subprocess.Popen([binary(), "import", str(path), *map(str, arguments), "--server", "http://" + server.http, "--key-file",
                             str(server.key_path)], env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def members(server) -> int:
    """How many members the server says to have."""
    for line in server.get("/metrics", key="").text.splitlines():
        if line.startswith("muster_store_members"):
            return int(float(line.rsplit(" ", 1)[1]))
    raise AssertionError("no such metric")


@pytest.mark.parametrize("with_ids", [True, False])
def test_a_killed_import_that_is_run_again_ends_as_if_it_had_not_been(server, tmp_path, with_ids):
    count = 30000
    # In the last third, every thousandth line is one of the first again.
    again = {line: line - 2 * count // 3 for line in range(2 * count // 3 + 1000, count + 1, 1000)}
    text = "".join(line_of(again.get(i, i)) + "\n" for i in range(1, count + 1))
    if not with_ids:
        text = "".join(json.dumps({k: v for k, v in json.loads(line).items() if k != "id"}) + "\n" for line in text.splitlines())
    (tmp_path / "in.jsonl").write_text(text)
    arguments = (tmp_path / "in.jsonl", "--rejects", tmp_path / "rejects.jsonl")
    state = tmp_path / "in.jsonl.muster-import"
    for part in range(1, 6):
        process = start_import(server, *arguments)
        wait_until(lambda: process.poll() is not None or members(server) >= part * count // 8, "a part of the import")
        process.kill()
        process.communicate()
        assert state.exists()
    done = server.run("import", *arguments)
    assert done.returncode == 3, done.stderr
    assert not state.exists()
    code = "MEMBER_EXISTS" if with_ids else "IDENTITY_TAKEN"
    rejects = [json.loads(line) for line in (tmp_path / "rejects.jsonl").read_text().splitlines()]
    assert [(reject["line"], reject["code"]) for reject in rejects] == [(line, code) for line in again]
    assert len(server.run("export").stdout.splitlines()) == count - len(rejects)


def test_an_import_survives_the_death_of_its_server(tmp_path):
    count = 40000
    write_lines(tmp_path / "in.jsonl", range(1, count + 1))
    server = MusterServer(tmp_path / "data").start()
    process = start_import(server, tmp_path / "in.jsonl")
    wait_until(lambda: members(server) >= count // 4, "a part of the import")
    server.kill()
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 4 and "run the same command again to go on" in errors
    with server:
        done = server.run("import", tmp_path / "in.jsonl")
        assert done.returncode == 0, done.stderr
        assert "Going on after line" in done.stderr
        assert ids(server.run("export").stdout) == list(range(1, count + 1))
    sound = run("doctor", "--data", server.data, "-o", "json")
    assert sound.returncode == 0, sound.stderr
    report = json.loads(sound.stdout)
    assert report["members"] == str(count) and report["findingsTotal"] == "0"


def test_a_changed_input_is_not_gone_on_with(server, tmp_path):
    path = tmp_path / "in.jsonl"
    write_lines(path, range(1, 20001))
    process = start_import(server, path)
    wait_until(lambda: members(server) > 0, "the first members")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    with open(path, "a") as more:
        more.write(line_of(99999) + "\n")
    refused = server.run("import", path)
    assert refused.returncode == 1 and "has changed" in refused.stderr


def test_import_needs_its_scope(server, tmp_path):
    (tmp_path / "weak.key").write_text(server.make_caller("weak", "members.read", "members.write"))
    refused = run("import", "-", "--server", server.http, "--key-file", tmp_path / "weak.key", input=line_of(1))
    assert refused.returncode == 5 and "PERMISSION_DENIED" in refused.stderr
    refused = run("export", "--server", server.http, "--key-file", tmp_path / "weak.key")
    assert refused.returncode == 5 and refused.stdout == ""


def test_doctor_refuses_a_directory_in_use(server):
    refused = run("doctor", "--data", server.data)
    assert refused.returncode == 1 and str(server.data) in refused.stderr
