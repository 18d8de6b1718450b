"""The gRPC clients of examples/, each with plain generated stubs: built, and tried against the real members.

Where the server has no gRPC port, and for failures on purpose, grpc_front.py stands before its HTTP API.
"""
import json
import os
import pathlib
import shutil
import subprocess
import time

import pytest

from muster_process import DEADLINE_S, ROOT

BUILT = ROOT / "build" / "examples"
BUILD_DEADLINE_S = 540
NEEDS = {"python": [], "go": ["go", "protoc"], "cpp": ["grpc_cpp_plugin", "protoc", "clang++-19", "pkg-config"],
         "typescript": ["node", "npm", "protoc"]}


def build(language):
    """The client's path; skips when what it is built of cannot be had here."""
    missing = [tool for tool in NEEDS[language] if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} is not installed, so the {language} client cannot be built")
    compiler = "ccache clang++-19" if shutil.which("ccache") else "clang++-19"
    # They run for seconds: not optimised, and Go's packages as tools/get-tool has compiled them.
    quickly = {"CXX": compiler, "CXXFLAGS": "-O0", "GOFLAGS": "'-gcflags=all=-N -l'"}
    done = subprocess.run([ROOT / "examples" / language / "build", BUILT / language], env={**os.environ, **quickly},
                          capture_output=True, text=True, timeout=BUILD_DEADLINE_S, check=False)
    if done.returncode and os.environ.get("MUSTER_REQUIRE_TOOLS") != "1":
        pytest.skip(f"what the {language} client is made of is not installed: {done.stderr[-500:]}")
    assert done.returncode == 0, done.stdout + done.stderr
    return BUILT / language / "onboard"


class Front:
    """grpc_front.py before a server; `calls` are what it was asked, once it has ended."""

    def __init__(self, server, *faults):
        self._command = [BUILT / "python" / "venv" / "bin" / "python", pathlib.Path(__file__).with_name("grpc_front.py"),
                         server.http, *faults]

    def __enter__(self):
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                         env={**os.environ, "PYTHONPATH": str(BUILT / "python" / "stubs")})
        self.address = self._process.stdout.readline().strip()
        assert self.address, "the front did not start"
        return self

    def __exit__(self, *_):
        out, _ = self._process.communicate(timeout=DEADLINE_S)
        self.calls = [json.loads(line) for line in out.splitlines()]


@pytest.fixture(scope="module")
def front_tools():
    build("python")


@pytest.fixture(scope="module", params=sorted(NEEDS))
def client_binary(request):
    return build(request.param)


@pytest.fixture
def onboard(server, scratch, client_binary):
    key_file = scratch / "caller.key"
    key_file.write_text(server.new_caller(f"example-{time.monotonic_ns()}", "members.read", "members.write"))

    def run(address, phone):
        return subprocess.run([client_binary, address, key_file, phone, "wechat", "o" + phone[-6:]], capture_output=True,
                              text=True, timeout=DEADLINE_S, check=False)
    return run


@pytest.fixture
def phone(client_binary):
    """One for each test and language."""
    return f"+86139{time.monotonic_ns() // 1000 % 100_000_000:08}"


def member_of(client, phone):
    reply = client.resolve("phone", phone)
    assert reply.status == 200, reply
    return reply.json


def test_it_can_be_repeated(front_tools, server, client, onboard, phone):
    with Front(server) as front:
        first, again = onboard(front.address, phone), onboard(front.address, phone)
    assert first.returncode == again.returncode == 0, (first.stderr, again.stderr)
    member = member_of(client, phone)
    assert first.stdout == again.stdout == f"member {member['id']} holds phone, unionid\n"
    assert member["version"] == "2", "binding it again changed nothing"


def test_it_works_with_the_server_itself(server, client, onboard, phone):
    address = server.endpoints.get("grpc")
    if address is None:
        print("this server has no gRPC port yet: tried through grpc_front.py only")
        return
    first, again = onboard(address, phone), onboard(address, phone)
    assert first.returncode == again.returncode == 0, (first.stderr, again.stderr)
    assert first.stdout == again.stdout == f"member {member_of(client, phone)['id']} holds phone, unionid\n"


def test_it_repeats_what_was_refused(front_tools, server, client, onboard, phone):
    with Front(server, "refuse") as front:
        begin = time.monotonic()
        done = onboard(front.address, phone)
        took_s = time.monotonic() - begin
    assert done.returncode == 0, done.stderr
    assert took_s >= 1.0, "the delay of RetryInfo is waited for"
    assert [call["rpc"] for call in front.calls[:2]] == ["ResolveMember"] * 2, front.calls
    assert front.calls[1]["deadlineS"] <= front.calls[0]["deadlineS"] - 0.9, "one deadline for all attempts"


def test_it_repeats_what_was_lost_under_the_same_key(front_tools, server, client, onboard, phone):
    with Front(server, "pass", "lose", "pass", "pass", "lose") as front:
        done = onboard(front.address, phone)
    assert done.returncode == 0, done.stderr
    assert len(member_of(client, phone)["identities"]) == 2
    keys = [call["key"] for call in front.calls if call["rpc"] == "RegisterMember"]
    assert len(keys) == 2 and keys[0] and keys[0] == keys[1], front.calls
    assert len({call["key"] for call in front.calls}) < len(front.calls)
    assert all(0 < call["deadlineS"] <= 5.1 for call in front.calls), front.calls


def test_it_does_not_repeat_what_cannot_succeed(front_tools, server, onboard):
    with Front(server) as front:
        done = onboard(front.address, "12")
    assert done.returncode != 0 and done.stderr.startswith("INVALID_ARGUMENT"), done.stderr
    assert len(front.calls) == 1, front.calls


def test_it_gives_up(front_tools, server, onboard, phone):
    with Front(server, *["refuse"] * 50) as front:
        done = onboard(front.address, phone)
    assert done.returncode != 0 and done.stderr.startswith("OVERLOADED"), done.stderr
    assert 2 <= len(front.calls) <= 6, front.calls
