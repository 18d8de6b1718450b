"""A built muster as a test sees it: a process, its ports and its files.

    with MusterServer(tmp_path / "data") as server:
        member = server.post("/v1/members", {"displayName": "Li Lei"}).expect(201)
        assert server.run("member", "get", member["id"]).returncode == 0

Everything waits for conditions with a deadline; nothing sleeps for a guessed time. The binary is the one of MUSTER_BINARY.
"""
import contextlib
import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import time

READY_SECONDS = 30.0
STOP_SECONDS = 30.0


def binary() -> str:
    path = os.environ.get("MUSTER_BINARY")
    assert path and os.access(path, os.X_OK), "set MUSTER_BINARY to the built muster"
    return path


def environment(extra=None) -> dict:
    """The environment of a child: nothing of ours that would configure it."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MUSTER_")}
    clean.update({"NO_COLOR": "1", "LC_ALL": "C.UTF-8"})
    clean.update(extra or {})
    return clean


def run(*arguments, cwd=None, env=None, input=None, timeout=60.0, text=True) -> subprocess.CompletedProcess:
    """Runs `muster arguments…` to its end. The answer has returncode, stdout and stderr."""
    return subprocess.run([binary(), *map(str, arguments)], cwd=cwd, env=environment(env), input=input, text=text,
                          capture_output=True, timeout=timeout)


def wait_until(condition, what: str, seconds: float = READY_SECONDS, every: float = 0.01):
    """The first true answer of `condition`; fails with `what` after the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(every)


class Reply:
    """An HTTP answer: status, headers (names in lower case), body (bytes)."""

    def __init__(self, response: http.client.HTTPResponse):
        self.status = response.status
        self.reason = response.reason
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code of a problem document."""
        return self.json["code"]

    def expect(self, status: int):
        """The JSON body, when the status is the expected one."""
        assert self.status == status, f"{self.status} instead of {status}: {self.text}"
        return self.json if self.body else None

    def refused(self, status: int, code: str):
        """The problem, when it is the expected one."""
        assert (self.status, self.code) == (status, code), f"{self.status} {self.text} instead of {status} {code}"
        assert self.headers["content-type"] == "application/problem+json"
        return self.json


def request(address: str, method: str, path: str, body=None, headers=None, timeout: float = 30.0) -> Reply:
    """One request on a connection of its own. A body that is not bytes or str is sent as JSON."""
    sent = dict(headers or {})
    if body is not None and not isinstance(body, (bytes, str)):
        body = json.dumps(body)
        sent.setdefault("Content-Type", "application/json")
    if isinstance(body, str):
        body = body.encode()
    host, port = address.rsplit(":", 1)
    connection = http.client.HTTPConnection(host, int(port), timeout=timeout)
    try:
        connection.request(method, path, body=body, headers=sent)
        return Reply(connection.getresponse())
    finally:
        connection.close()


@contextlib.contextmanager
def raw_connection(address: str, timeout: float = 30.0):
    """A TCP connection, for what no HTTP client would send."""
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=timeout) as connection:
        yield connection


class MusterServer:
    """`muster serve` on free loopback ports over a data directory. Use it as a context manager, or start() and stop()."""

    def __init__(self, data, *arguments, env=None, config: str = None, prefix=()):
        self.data = pathlib.Path(data)
        self.arguments = list(arguments)
        self.env = dict(env or {})
        self.config = config
        self.prefix = list(prefix)  # what the command is run by, as in ["faketime", "…"]
        self.process = None
        self.log_path = None

    # --- life

    def command(self) -> list:
        command = [*self.prefix, binary(), "serve", "--data", str(self.data), "--http", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
        if self.config is not None:
            path = self.data.parent / (self.data.name + ".toml")
            path.write_text(self.config)
            command += ["--config", str(path)]
        return command + self.arguments

    def spawn(self):
        """Starts the process and does not wait."""
        assert self.process is None, "it runs already"
        # A server that was killed left its addresses behind; the next one must not be taken for it.
        self.endpoints_path.unlink(missing_ok=True)
        self.log_path = pathlib.Path(f"{self.data}.log").absolute()
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
                                            env=environment(self.env))
        return self

    def start(self):
        self.spawn()
        wait_until(lambda: self.endpoints_path.exists() or self.process.poll() is not None, "the server's endpoints.json")
        if self.process.poll() is not None:
            raise AssertionError(f"muster serve ended with {self.process.returncode}: {self.log()}")
        return self

    def stop(self, number=signal.SIGTERM, timeout: float = STOP_SECONDS) -> int:
        """Sends a signal and waits; the exit code (negative: killed by a signal)."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(timeout=timeout)
        self.process.stdout.close()
        self.process = None
        return code

    def kill(self) -> int:
        """kill -9."""
        return self.stop(signal.SIGKILL)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        if self.process is not None and self.process.poll() is None:
            try:
                self.stop()
            except subprocess.TimeoutExpired:
                self.kill()
                raise
        elif self.process is not None:
            self.stop()

    # --- what it left

    @property
    def endpoints_path(self) -> pathlib.Path:
        return self.data / "endpoints.json"

    @property
    def endpoints(self) -> dict:
        return json.loads(self.endpoints_path.read_text())

    @property
    def http(self) -> str:
        return self.endpoints["http"]

    @property
    def admin(self) -> str:
        return self.endpoints["admin"]

    @property
    def key_path(self) -> pathlib.Path:
        return self.data / "admin.key"

    @property
    def key(self) -> str:
        return self.key_path.read_text().strip()

    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path else ""

    # --- talking to it

    def call(self, method: str, path: str, body=None, headers=None, key: str = None, timeout: float = 30.0) -> Reply:
        """A request with the admin's key, or with `key` ("" sends none); /admin/… goes to the admin port."""
        sent = dict(headers or {})
        key = self.key if key is None else key
        if key:
            sent.setdefault("Authorization", "Bearer " + key)
        return request(self.admin if path.startswith("/admin/") else self.http, method, path, body, sent, timeout)

    def get(self, path: str, **rest) -> Reply:
        return self.call("GET", path, **rest)

    def post(self, path: str, body=None, **rest) -> Reply:
        return self.call("POST", path, {} if body is None else body, **rest)

    def patch(self, path: str, body=None, **rest) -> Reply:
        return self.call("PATCH", path, {} if body is None else body, **rest)

    def make_caller(self, name: str, *scopes: str) -> str:
        """A caller's new key."""
        answer = self.post("/admin/v1/callers", {"name": name, "purpose": "a test", "scopes": list(scopes)})
        return answer.expect(201)["key"]

    def run(self, *arguments, **rest) -> subprocess.CompletedProcess:
        """A client command against this server, with the admin's key."""
        return run(*arguments, "--server", "http://" + self.http, "--key-file", self.key_path, **rest)
