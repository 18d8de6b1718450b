"""Configuration: flag before environment before file before default, and mistakes that are told with their place."""
import json
import re

import pytest

from muster_process import Server, run

FILE = """
[cache.near]
bytes = "8MiB"

[http]
listen = "127.0.0.1:0"

[admin]
listen = "127.0.0.1:0"

[log]
level = "error"
"""


def explained(*arguments, **options):
    """option → its line of `config explain`."""
    done = run("config", "explain", *arguments, **options)
    assert done.returncode == 0, done
    return {line.split()[0]: line for line in done.stdout.splitlines() if line.strip()}


@pytest.fixture
def file(scratch):
    path = scratch / "muster.toml"
    path.write_text(FILE)
    return path


def test_precedence(file):
    name = "cache.near.bytes"
    assert "256MiB" in explained()[name].replace(" ", "") and "default" in explained()[name]
    line = explained("--config", file)[name]
    assert "8MiB" in line.replace(" ", "") and f"{file.name}:3" in line
    line = explained("--config", file, extra_environment={"MUSTER_CACHE__NEAR__BYTES": "16MiB"})[name]
    assert "16MiB" in line.replace(" ", "") and "MUSTER_CACHE__NEAR__BYTES" in line
    options = {"extra_environment": {"MUSTER_HTTP__LISTEN": "127.0.0.1:7001"}}
    assert "127.0.0.1:7001" in explained("--config", file, **options)["http.listen"]
    line = explained("--config", file, "--http", "127.0.0.1:7002", **options)["http.listen"]
    assert "127.0.0.1:7002" in line and "--http" in line


def test_explained_for_programs(file):
    done = run("config", "explain", "--config", file, "--threads", "3", "-o", "json",
               extra_environment={"MUSTER_LOG__LEVEL": "warning"})
    options = {option["name"]: (option["value"], option["source"]) for option in json.loads(done.stdout)["options"]}
    assert options["cache.near.bytes"] == ("8 MiB", f"{file}:3")
    assert options["log.level"] == ("warning", "environment MUSTER_LOG__LEVEL")
    assert options["http.threads"] == ("3", "--threads")
    assert options["log.format"][1] == "default"


def test_a_server_takes_its_file(scratch, file):
    with Server(scratch / "data", "--config", file) as server:
        with server.client() as client:
            assert client.register().status == 201
    assert "level=info" not in server.log()


def test_check(file):
    done = run("config", "check", "--config", file)
    assert done.returncode == 0, done
    done = run("config", "check")
    assert done.returncode == 0, done


@pytest.mark.parametrize("text, told", [
    ("[http]\nlistn = \"x\"\n", [":2", "http.listen"]), ("[cache.near]\nbytes = \"lots\"\n", [":2", "cache.near.bytes"]),
    ("[cache.near]\nbytes = -5\n", [":2"]), ("[log]\nlevel = \"loud\"\n", [":2", "debug"]), ("[http\n", [":1"]),
    ("[http]\nthreads = \"x\"\n", [":2"]), ("[http]\nthreads = 100000\n", [":2"]), ("http = 5\n", [":1"]),
    ("[http]\nlisten = \"a\"\nlisten = \"b\"\n", [":3"]),
    ("[routes]\nread = \"cache(near, stor)\"\n", [":2", "store"]), ("[identity]\ndefault_region = \"XX\"\n", [":2", "region"]),
    ("[[identity.kinds]]\nname = \"Bad Name\"\n", [":1", "identity.kinds[0].name"]),
    ("[http]\nlisten = \"127.0.0.1:99999\"\n", [":2", "http.listen", "host:port"]),
    ("[log]\nfile = \"nodir/x.log\"\n", [":2", "log.file", "folder"]),
    ("[http]\nlisten = \"127.0.0.1:7402\"\n", [":2", "http.listen", "admin.listen"]),
    ("[[identity.kinds]]\nnam = \"x\"\n", [":2"])])
def test_mistakes_in_a_file(scratch, text, told):
    path = scratch / "muster.toml"
    path.write_text(text)
    for command in (["config", "check"], ["serve", "--data", scratch / "data"]):
        done = run(*command, "--config", path)
        assert done.returncode == 1, done
        for word in told:
            assert word in done.stderr, (word, done.stderr)
    assert not (scratch / "data").exists()


@pytest.mark.parametrize("flag, value, told", [
    ("--http", "nonsense", "host:port"), ("--grpc", "127.0.0.1:99999", "host:port"), ("--admin", "", "host:port"),
    ("--http", "127.0.0.1:7402", "admin.listen"), ("--data", "", "directory"), ("--threads", "many", "threads")])
def test_mistakes_in_flags_are_wrong_usage(scratch, flag, value, told):
    for command in ("serve", "config check"):
        done = run(*command.split(), flag, value, cwd=scratch)
        assert done.returncode == 2 and done.stderr.startswith(f"muster: {flag}") and told in done.stderr, done
    assert not any(scratch.iterdir())


@pytest.mark.parametrize("name, value", [("MUSTER_CACHE__NEAR__BYTE", "1"), ("MUSTER_NON__SENSE", "1"),
                                         ("MUSTER_HTTP__THREADS", "many")])
def test_mistakes_in_the_environment(scratch, name, value):
    done = run("serve", "--data", scratch / "data", extra_environment={name: value})
    assert done.returncode == 1 and name in done.stderr, done


def test_variables_of_others_are_no_options():
    done = run("config", "check", extra_environment={"MUSTER_PORT": "tcp://10.0.0.1:80", "MUSTER_NO_INSTALL": "1"})
    assert done.returncode == 0, done


def test_a_missing_file(scratch):
    for command in (["config", "check"], ["serve", "--data", scratch / "data"]):
        done = run(*command, "--config", scratch / "none.toml")
        assert done.returncode in (1, 2) and "none.toml" in done.stderr, done


def test_the_reference_has_every_option():
    reference = run("config", "reference").stdout
    for name in explained():
        if "." in name:
            assert name in reference, name


def test_secrets_are_files_only():
    for name, line in explained().items():
        assert not re.search(r"key|secret|password|token", name) or name.endswith("_file"), line


def test_kinds_of_ones_own(scratch):
    path = scratch / "muster.toml"
    path.write_text("""
[identity]
platforms = ["wechat", "app"]
default_region = "US"
[[identity.kinds]]
name = "phone"
scope = "global"
normaliser = "phone"
members_limit = 2
[[identity.kinds]]
name = "badge"
scope = "platform"
normaliser = "card"
members_limit = 1
limit_per_platform = true
""")
    data = scratch / "data"
    with Server(data, "--config", path) as server, server.client() as client:
        member = client.register(identities=[{"kind": "phone", "value": "(415) 555-2671"},
                                             {"kind": "badge", "platform": "app", "value": "b-1234"}])
        assert member.status == 201, member
        assert [i["value"] for i in member.json["identities"]] == ["+14155552671", "B1234"]
        for identity, code in (({"kind": "badge", "platform": "app", "value": "B99999"}, "LIMIT_EXCEEDED"),
                               ({"kind": "badge", "platform": "web", "value": "B99999"}, "INVALID_ARGUMENT"),
                               ({"kind": "email", "value": "a@example.com"}, "INVALID_ARGUMENT")):
            reply = client.bind(member.json["id"], identity)
            assert reply.json["code"] == code, reply
        assert client.bind(member.json["id"], {"kind": "badge", "platform": "wechat", "value": "B99999"}).status == 200
    # Another scope of a kind in use would lose its identities.
    path.write_text(path.read_text().replace('name = "badge"\nscope = "platform"', 'name = "badge"\nscope = "global"')
                    .replace("limit_per_platform = true\n", ""))
    done = run("serve", "--config", path, "--data", data, "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--admin", "127.0.0.1:0")
    assert done.returncode == 1 and "badge" in done.stderr, done
