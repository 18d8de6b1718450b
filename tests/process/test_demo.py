"""`muster demo`: a banner whose lines work as pasted, live figures, and nothing left behind."""
import json
import os
import re
import signal
import socket
import subprocess
import tempfile

import pytest

from muster_process import DEADLINE_S, binary, environment, run, wait_for

MEMBERS = 2000


@pytest.fixture(scope="module")
def demo():
    """(what it printed, its process) once the banner is there; it must end by itself afterwards."""
    with tempfile.TemporaryDirectory(prefix="muster-process-") as directory:
        output = os.path.join(directory, "out")
        with open(output, "w") as file:
            process = subprocess.Popen(
                [binary(), "demo", "--members", str(MEMBERS), "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--admin", "127.0.0.1:0"],
                stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=environment({"TMPDIR": directory}))

        def banner():
            assert process.poll() is None, open(output).read()
            text = open(output).read()
            return text if " routes --server " in text and text.rstrip().count("\n") > 5 else None
        try:
            yield wait_for(banner, "the banner"), process
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(DEADLINE_S) == 0
        assert os.listdir(directory) == ["out"]  # its data are gone with it


def pasted(line):
    return subprocess.run(["bash", "-c", line], env=environment(), capture_output=True, text=True, timeout=DEADLINE_S,
                          check=False)


def test_the_banner_says_what_it_is(demo):
    banner, _ = demo
    assert f"{MEMBERS:,}" in banner and "ot for production" in banner
    assert re.search(r"http://127\.0\.0\.1:\d+", banner) and re.search(r"\bmk_[0-9A-Za-z]{46}\b", banner)


def test_the_lines_work_as_pasted(demo):
    banner, _ = demo
    lines = [line.strip() for line in banner.splitlines() if re.match(r"\s*(curl|\S+ routes) ", line)]
    curls = [line for line in lines if line.startswith("curl")]
    assert len(curls) >= 3 and len(lines) == len(curls) + 1
    for line in lines:
        done = pasted(line)
        assert done.returncode == 0 and done.stdout, (line, done)
        if line.startswith("curl"):
            answer = json.loads(done.stdout)
            assert "code" not in answer and ("id" in answer or "changes" in answer), (line, answer)


def test_its_members_are_plausible(demo):
    banner, _ = demo
    line = next(line.strip() for line in banner.splitlines() if ":resolve" in line)
    member = json.loads(pasted(line).stdout)
    assert member["displayName"] and member["identities"], member
    again = json.loads(pasted(line).stdout)
    assert again["id"] == member["id"]


def short_demo(scratch, *arguments):
    """A demo of half a second; its data are gone with it, however it ends."""
    (scratch / "tmp").mkdir(exist_ok=True)
    done = run("demo", "--members", 50, "--duration", "500ms", *arguments, extra_environment={"TMPDIR": str(scratch / "tmp")})
    assert not list((scratch / "tmp").iterdir()), done
    return done


def test_the_load_shows_what_it_does(scratch):
    done = short_demo(scratch, "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--admin", "127.0.0.1:0")
    assert done.returncode == 0, done
    figures = re.search(r"^ *([\d,]+) requests/s", done.stderr, re.MULTILINE)
    assert figures and int(figures[1].replace(",", "")) > 0, done


@pytest.mark.parametrize("taken", [{"http"}, {"grpc"}, {"admin"}, {"http", "grpc", "admin"}], ids="+".join)
def test_taken_ports_are_replaced_by_free_ones(scratch, taken):
    with socket.socket() as http, socket.socket() as grpc, socket.socket() as admin:
        sockets = {"http": http, "grpc": grpc, "admin": admin}
        for one in sockets.values():
            one.bind(("127.0.0.1", 0))
        addresses = {name: f"127.0.0.1:{one.getsockname()[1]}" for name, one in sockets.items()}
        for name, one in sockets.items():
            one.listen() if name in taken else one.close()
        done = short_demo(scratch, "--http", addresses["http"], "--grpc", addresses["grpc"], "--admin", addresses["admin"])
        assert done.returncode == 0 and "in use" in done.stderr, done
        for name in taken:
            assert addresses[name] not in done.stdout, done
        assert re.search(r"http://127\.0\.0\.1:\d+", done.stdout), done


@pytest.mark.parametrize("flag", ["--http", "--grpc", "--admin"])
@pytest.mark.parametrize("address", ["nonsense", "127.0.0.1:99999"])
def test_a_malformed_address_is_a_mistake(scratch, flag, address):
    free = {"--http": "127.0.0.1:0", "--grpc": "127.0.0.1:0", "--admin": "127.0.0.1:0", flag: address}
    done = short_demo(scratch, *[word for pair in free.items() for word in pair])
    assert done.returncode == 2 and f"{flag} {address}" in done.stderr and done.stdout == "", done
