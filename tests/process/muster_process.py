"""The built binary as a user has it: its flags, its files, its ports. Nothing here knows how it works inside."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

from member_client import Client

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Generous, because tests share two cores with whatever else runs; nothing waits that long when all is well.
DEADLINE_S = 60.0
# How much of a long test to do: sanitizer builds run with less.
SCALE = float(os.environ.get("PROCESS_TEST_SCALE", "1"))


def scaled(count, least=1):
    return max(least, int(count * SCALE))


def binary():
    path = os.environ.get("MUSTER_BINARY")
    assert path and os.access(path, os.X_OK), "set MUSTER_BINARY to the built program, e.g. build/release/muster"
    return os.path.abspath(path)


def environment(extra=None):
    """The test's own environment without anything that configures muster, plus `extra`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MUSTER_")}
    kept.pop("PROCESS_TEST_SCALE", None)
    return {**kept, **(extra or {})}


def tool(name):
    """The path of a checking tool, installed now if need be; where it cannot be had the test skips with the reason."""
    done = subprocess.run([ROOT / "tools" / "get-tool", name], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(done.stderr.strip())
    return done.stdout.strip()


def wait_for(condition, what, deadline_s=DEADLINE_S):
    """The first truthy answer of `condition`; fails naming `what` when the deadline passes."""
    end = time.monotonic() + deadline_s
    while True:
        asked = time.monotonic()
        answer = condition()
        if answer:
            return answer
        assert time.monotonic() < end, f"after {deadline_s:.0f} s still not: {what}"
        # A server that a sanitizer makes slow is not to be busy with answering this.
        time.sleep(min(0.25, max(0.005, 2 * (time.monotonic() - asked))))


def run(*arguments, data=None, cwd=None, extra_environment=None, stdin=None, deadline_s=DEADLINE_S, **options):
    """`muster ARGUMENTS`, to its end. `data`: the data directory whose server and key client commands use."""
    extra = dict(extra_environment or {})
    if data is not None:
        endpoints = json.loads((pathlib.Path(data) / "endpoints.json").read_text())
        extra = {"MUSTER_SERVER": endpoints["http"], "MUSTER_KEY_FILE": str(pathlib.Path(data) / "admin.key"), **extra}
    if isinstance(stdin, str):
        stdin = stdin.encode()
    done = subprocess.run([binary(), *map(str, arguments)], env=environment(extra), cwd=cwd, timeout=deadline_s,
                          input=stdin if stdin is not None else b"", capture_output=True, check=False, **options)
    done.stdout, done.stderr = done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
    return done


def doctor(data, **options):
    """What `muster doctor` says of a directory that no server uses: (exit code, report)."""
    done = run("doctor", "--data", data, "-o", "json", **options)
    assert done.stdout, f"doctor printed nothing; exit {done.returncode}: {done.stderr}"
    return done.returncode, json.loads(done.stdout)


class Scratch:
    """A directory of the test's own; gone afterwards."""

    def __enter__(self):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="muster-process-"))
        return self.path

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)


class Server:
    """One `muster serve` process over a data directory; started again as often as a test likes."""

    def __init__(self, data, *flags, http="127.0.0.1:0", grpc="127.0.0.1:0", admin="127.0.0.1:0", extra_environment=None, prepare=None):
        self.data = pathlib.Path(data)
        self.flags = flags
        self.http_flag, self.grpc_flag, self.admin_flag = http, grpc, admin
        self.extra_environment = extra_environment or {}
        self.prepare = prepare  # runs in the child before the program: resource limits
        self.log_path = self.data.with_name(self.data.name + ".log")
        self.process = None
        self.endpoints = {}

    def __enter__(self):
        return self if self.is_running() else self.start()

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def __exit__(self, kind, *_):
        if self.is_running():
            if kind is None:
                assert self.stop() == 0, self.log_tail()
            else:
                print(self.log_tail())
                self.kill()

    def launch(self):
        """Begins it, without waiting until it is ready."""
        assert not self.is_running(), "it runs already"
        endpoints = self.data / "endpoints.json"
        endpoints.unlink(missing_ok=True)
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                # A test that is killed takes its servers with it. Without code of ours between fork and exec Python uses
                # vfork, past the handlers of gRPC's library, which now and then abort.
                ["setpriv", "--pdeathsig", "KILL", "--", binary(), "serve", "--data", str(self.data),
                 "--http", self.http_flag, "--grpc", self.grpc_flag, "--admin", self.admin_flag, *map(str, self.flags)],
                env=environment(self.extra_environment), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=self.prepare)
        return self

    def start(self):
        self.launch()

        def ready():
            assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.log_tail()}"
            try:
                return json.loads((self.data / "endpoints.json").read_text())
            except (FileNotFoundError, json.JSONDecodeError):
                return None
        self.endpoints = wait_for(ready, "the server is ready")
        return self

    @property
    def http(self):
        return self.endpoints["http"]

    @property
    def grpc(self):
        return self.endpoints["grpc"]

    @property
    def admin(self):
        return self.endpoints["admin"]

    @property
    def pid(self):
        return self.process.pid

    def key(self):
        return (self.data / "admin.key").read_text().strip()

    def client(self, key=None):
        """A connection to the callers' port, with the admin's key unless another is given."""
        return Client(self.http, self.key() if key is None else key)

    def admin_client(self, key=None):
        return Client(self.admin, self.key() if key is None else key)

    def new_caller(self, name, *scopes, **fields):
        """The key of a fresh caller."""
        with self.admin_client() as admin:
            reply = admin.call("POST", "/admin/v1/callers", {"name": name, "purpose": "test", "scopes": scopes, **fields})
        assert reply.status == 201, reply
        return reply.json["key"]

    def members(self):
        """How many members it says that it has."""
        with self.admin_client() as admin:
            for line in admin.call("GET", "/metrics").body.decode().splitlines():
                if line.startswith("muster_store_members"):
                    return float(line.rsplit(" ", 1)[1])
        raise AssertionError("no muster_store_members in /metrics")

    def begin_import(self, *arguments):
        """`muster import ARGUMENTS` into it, under way."""
        return subprocess.Popen([binary(), "import", *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True, env=environment({"MUSTER_SERVER": self.http,
                                                            "MUSTER_KEY_FILE": str(self.data / "admin.key")}))

    def stop(self):
        """SIGTERM; answers the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def kill(self):
        self.process.kill()
        return self.wait()

    def wait(self):
        return self.process.wait(timeout=DEADLINE_S)

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def log_tail(self, lines=12):
        return "\n".join(self.log().splitlines()[-lines:])

    def anonymous_bytes(self):
        """RssAnon: resident memory that is not mapped files."""
        for line in pathlib.Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no RssAnon in /proc")
