"""The command line as shells and people use it: help, mistakes, exit codes, formats, configuration, completion."""
import json
import os
import pty
import re
import shutil
import subprocess

import pytest

import people
from muster_process import DEADLINE_S, Server, binary, environment, run

COMMANDS = ["serve", "demo", "member", "import", "export", "routes", "bench", "callers", "doctor", "config", "completion", "version"]
LEAVES = [["serve"], ["demo"], ["import"], ["export"], ["routes"], ["bench"], ["doctor"], ["completion"], ["version"],
          *(["member", verb] for verb in ("get", "resolve", "register", "update", "bind", "unbind", "close", "history")),
          *(["callers", verb] for verb in ("create", "list", "update", "rotate", "disable", "enable")),
          *(["config", verb] for verb in ("check", "explain", "reference"))]


@pytest.fixture(scope="module")
def member(server):
    with server.client() as client:
        return client.register(displayName="Li Lei", city="苏州", tags=["a", "b"], identities=[people.phone_identity()]).json


def ok(*arguments, code=0, **options):
    done = run(*arguments, **options)
    assert done.returncode == code, done
    return done


def test_help_lists_the_commands():
    for arguments in (["--help"], ["help"], ["-h"]):
        said = ok(*arguments)
        assert said.stderr == ""
        for command in COMMANDS:
            assert re.search(rf"^\s+{command}\b", said.stdout, re.MULTILINE), (command, said.stdout)


@pytest.mark.parametrize("words", LEAVES, ids=" ".join)
def test_help_of_each(words):
    said = ok(*words, "--help")
    assert "muster " + " ".join(words) in said.stdout and said.stderr == ""
    assert ok("help", *words).stdout == said.stdout
    assert max(map(len, said.stdout.splitlines())) <= 132


@pytest.mark.parametrize("arguments, suggestion", [
    (["serv"], "serve"), (["membr", "get", "1"], "member"), (["member", "resolv"], "resolve"), (["callers", "creat"], "create"),
    (["serve", "--dat", "x"], "--data"), (["member", "get", "--no-cach", "1"], "--no-cache"), (["exprot"], "export")])
def test_mistyped_words(arguments, suggestion):
    done = ok(*arguments, code=2)
    assert suggestion in done.stderr and done.stdout == "", done


@pytest.mark.parametrize("arguments", [
    ["member", "get"], ["member", "get", "x"], ["member", "get", "0"], ["member", "get", "1", "2"], ["import"],
    ["member", "get", "1", "-o", "xml"], ["member", "bind", "1"], ["member", "bind", "1", "phone"], ["completion", "tcsh"],
    ["callers", "create", "x"], ["serve", "surplus"], ["member", "register", "--gender", "X"], ["serve", "--threads", "many"],
    ["member", "get", "1", "--timeout", "soon"], ["member", "get", "1", "--server", "ftp://127.0.0.1:7400"],
    ["routes", "--server", "http://127.0.0.1:99999"], ["serve", "--http", "7400"]])
def test_wrong_usage(arguments):
    done = ok(*arguments, code=2)
    assert done.stdout == "" and done.stderr.strip(), done


def test_exit_codes(server, member, scratch):
    ok("member", "get", member["id"], data=server.data)
    ok("member", "get", "123456789", code=6, data=server.data)
    ok("member", "resolve", "phone=" + people.phone(), code=6, data=server.data)
    ok("member", "bind", member["id"], "phone=12", code=5, data=server.data)
    ok("member", "update", member["id"], "--city", "x", "--if-match", "9", code=5, data=server.data)
    (scratch / "wrong.key").write_text("mk_wrong\n")
    done = ok("member", "get", "1", code=5, data=server.data, extra_environment={"MUSTER_KEY_FILE": str(scratch / "wrong.key")})
    assert "mk_wrong" not in done.stderr
    done = ok("member", "get", "1", "--server", "127.0.0.1:1", code=4, data=server.data)
    assert "127.0.0.1:1" in done.stderr and done.stdout == ""
    done = ok("member", "get", "1", code=4, cwd=scratch)
    assert "muster-data" in done.stderr or "--server" in done.stderr
    done = ok("doctor", "--data", scratch / "nothing", code=1)
    assert "nothing" in done.stderr
    for verb in ("list", "rotate", "replace-admin"):
        done = ok("keys", verb, "--data", scratch / "nothing", code=1)
        assert "nothing" in done.stderr and "muster serve --data" in done.stderr, done
    assert not (scratch / "nothing").exists()


def test_clients_find_a_server_in_the_directory(scratch):
    with Server(scratch / "muster-data"):
        made = json.loads(ok("member", "register", "--name", "Li Lei", "-o", "json", cwd=scratch).stdout)
        assert json.loads(ok("member", "get", made["id"], "-o", "json", cwd=scratch).stdout) == made


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]"])
def test_clients_find_a_server_on_all_addresses(scratch, host):
    with Server(scratch / "muster-data", http=f"{host}:0", admin="127.0.0.1:0"):
        ok("member", "register", "--name", "Li Lei", cwd=scratch)
        assert len(ok("export", cwd=scratch).stdout.splitlines()) == 1
    with Server(scratch / "muster-data", http="127.0.0.1:0", admin=f"{host}:0") as server:
        assert "admin" in ok("callers", "list", cwd=scratch).stdout
        assert "admin" in ok("callers", "list", data=server.data).stdout


def test_formats(server, member):
    as_json = ok("member", "get", member["id"], "-o", "json", data=server.data)
    assert json.loads(as_json.stdout) == member and as_json.stderr == ""
    as_yaml = ok("member", "get", member["id"], "-o", "yaml", data=server.data).stdout
    assert re.search(rf"^id: ['\"]{member['id']}['\"]$", as_yaml, re.MULTILINE), as_yaml
    assert "displayName: Li Lei" in as_yaml and "苏州" in as_yaml
    table = ok("member", "get", member["id"], data=server.data).stdout
    assert member["id"] in table and "Li Lei" in table and "苏州" in table and "{" not in table
    for arguments in (["routes"], ["callers", "list"], ["member", "history", member["id"]], ["version"]):
        for form in ("json", "yaml", "table"):
            target = {} if arguments == ["version"] else {"data": server.data}
            done = ok(*arguments, "-o", form, **target)
            assert done.stdout.strip() and done.stderr == "", done
            assert form != "json" or json.loads(done.stdout)


def test_every_verb_from_the_shell(server, scratch):
    def member(*arguments):
        return json.loads(ok("member", *arguments, "-o", "json", data=server.data).stdout)
    phone, number = people.phone(), people.number()
    made = member("register", "--name", "Han Meimei", "--real-name", "韩梅梅", "--city", "Wuxi", "--tier", "gold",
                  "--gender", "FEMALE", "--birth-date", "1990-02-28", "--tag", "a", "--tag", "b", "--attribute", "k=v=w",
                  "--identity", f"phone={phone}", "--identity", f"unionid@wechat=oA{number}")
    assert made["attributes"] == {"k": "v=w"} and made["tags"] == ["a", "b"] and len(made["identities"]) == 2
    assert member("resolve", f"phone={phone}") == made and member("resolve", f"unionid@wechat=oA{number}", "--no-cache") == made
    changed = member("update", made["id"], "--city", "Suzhou", "--clear", "tier", "--if-match", "1")
    assert changed["city"] == "Suzhou" and "tier" not in changed and changed["tags"] == ["a", "b"]
    assert member("update", made["id"], "--state", "FROZEN")["state"] == "FROZEN"
    assert member("update", made["id"], "--state", "ACTIVE")["state"] == "ACTIVE"
    bound = member("bind", made["id"], f"account@shop=hmm{number}", "--verified", "--source", "web")
    assert bound["identities"][-1]["verified"] is True and bound["identities"][-1]["source"] == "web"
    assert len(member("unbind", made["id"], f"account@shop=hmm{number}")["identities"]) == 2
    assert member("get", made["id"], "--min-version", "6")["version"] == "6"
    assert member("close", made["id"])["state"] == "CLOSED"
    assert [change["version"] for change in member("history", made["id"])["changes"]] == list("7654321")
    (scratch / "member.json").write_text(json.dumps({"displayName": "from a file"}))
    assert member("register", "--json", scratch / "member.json")["displayName"] == "from a file"


def test_a_history_says_that_it_goes_on(server, scratch):
    with server.client() as client:
        member_id = client.register(displayName="a").json["id"]
        for name in "bcd":
            client.patch(member_id, "displayName", {"displayName": name})
    seen, page = [], []
    while True:
        done = ok("member", "history", member_id, "--page-size", 3, *page, data=server.data)
        seen += [line.split()[0] for line in done.stdout.splitlines()[1:]]
        if not done.stderr:
            break
        page = done.stderr.removeprefix("more: ").split()
    assert seen == list("4321") and page[0] == "--page-token"


def test_routes_show_the_live_tree(server, member):
    before = json.loads(ok("routes", "-o", "json", data=server.data).stdout)
    for _ in range(3):
        ok("member", "get", member["id"], data=server.data)
    after = json.loads(ok("routes", "-o", "json", data=server.data).stdout)
    assert before != after
    names = json.dumps(after)
    assert "cache" in names and "near" in names and "sqlite" in names.lower() or "store" in names
    assert "near" in ok("routes", data=server.data).stdout


def read_terminal(arguments, extra_environment):
    """What a command writes to a terminal."""
    master, slave = pty.openpty()
    process = subprocess.Popen([binary(), *map(str, arguments)], stdin=slave, stdout=slave, stderr=slave,
                               env=environment({"TERM": "xterm-256color", **extra_environment}))
    os.close(slave)
    text = b""
    while True:
        try:
            data = os.read(master, 65536)
        except OSError:
            break
        if not data:
            break
        text += data
    assert process.wait(DEADLINE_S) in (0, 2)
    os.close(master)
    return text.decode()


def test_colours_only_on_a_terminal_that_wants_them():
    assert "\x1b[" in read_terminal(["serv"], {}) or "\x1b[" in read_terminal(["--help"], {})
    for arguments in (["serv"], ["--help"]):
        assert "\x1b[" not in read_terminal(arguments, {"NO_COLOR": "1"})
        assert "\x1b[" not in read_terminal(arguments, {"TERM": "dumb"})
        done = run(*arguments)
        assert "\x1b[" not in done.stdout + done.stderr


@pytest.mark.parametrize("shell, check", [("bash", ["bash", "-n"]), ("zsh", ["zsh", "-n"]), ("fish", ["fish", "-n"])])
def test_completion(shell, check, scratch):
    script = ok("completion", shell).stdout
    for command in COMMANDS:
        assert command in script
    if not shutil.which(check[0]):
        pytest.skip(f"{shell} is not installed, so nobody can read its script")
    (scratch / "script").write_text(script)
    done = subprocess.run([*check, scratch / "script"], capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert done.returncode == 0 and done.stderr == "", done


def complete_in_bash(scratch, *words):
    (scratch / "muster.bash").write_text(ok("completion", "bash").stdout)
    quoted = " ".join(f"'{word}'" for word in words)
    program = (f"source {scratch}/muster.bash; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; "
               f"COMP_LINE=\"{' '.join(words)}\"; "
               "COMP_POINT=${#COMP_LINE}; $(complete -p muster | sed 's/.*-F \\([^ ]*\\).*/\\1/') muster; "
               "printf '%s\\n' \"${COMPREPLY[@]}\"")
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    return [word.strip() for word in done.stdout.split("\n") if word.strip()]


def test_completion_in_bash_completes(scratch):
    assert "serve" in complete_in_bash(scratch, "muster", "se")
    assert {"bind", "unbind"} <= set(complete_in_bash(scratch, "muster", "member", ""))
    assert "--data" in complete_in_bash(scratch, "muster", "serve", "--da")
    assert set(complete_in_bash(scratch, "muster", "member", "get", "-o", "")) >= {"table", "json", "yaml"}


def test_completion_in_bash_goes_on_behind_a_comma(scratch):
    words = ["muster", "callers", "create", "x", "--scopes"]
    assert {"members.read", "members.write"} <= set(complete_in_bash(scratch, *words, "mem"))
    assert set(complete_in_bash(scratch, *words, "admin,members.re")) == {"admin,members.read"}
    assert "members.read,members.write,admin" in complete_in_bash(scratch, *words, "members.read,members.write,")


def test_version():
    said = ok("version").stdout
    assert re.search(r"\d+\.\d+\.\d+", said)
    assert re.search(r"\d+\.\d+\.\d+", ok("--version").stdout)
    assert json.loads(ok("version", "-o", "json").stdout)["version"] in said


def test_data_goes_to_stdout_and_messages_to_stderr(server):
    done = ok("member", "get", "123456789", code=6, data=server.data)
    assert done.stdout == "" and "MEMBER_NOT_FOUND" in done.stderr
    with open("/dev/full", "w") as full:
        done = subprocess.run([binary(), "version"], stdout=full, stderr=subprocess.PIPE, env=environment(), check=False)
    assert done.returncode == 1 and done.stderr, done
