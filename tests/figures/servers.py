"""The servers that the figures compare: each a context manager on a free loopback port, pinned to a core when asked."""
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

START_SECONDS_MAX = 60


def pin(core, command) -> list[str]:
    prefix = [] if core is None else ["taskset", "-c", str(core)]
    return prefix + [str(word) for word in command]


def wait_until(condition, what: str, process: subprocess.Popen, seconds_max=START_SECONDS_MAX):
    deadline = time.monotonic() + seconds_max
    while not condition():
        if process.poll() is not None:
            raise SystemExit(f"bench: {what} ended with status {process.returncode}")
        if time.monotonic() > deadline:
            raise SystemExit(f"bench: {what} was not ready within {seconds_max} s")
        try:
            process.wait(0.005)
        except subprocess.TimeoutExpired:
            pass


class Muster:
    """`config`: without one it is embedded. `key_file`: of a caller that is there already; none: the one that it makes itself."""

    def __init__(self, binary, data: pathlib.Path, core=None, threads=0, environment=None, config=None, key_file=None):
        self.endpoints = data / "endpoints.json"
        self.key_file = key_file or data / "admin.key"
        command = [binary, "serve", "--data", data, "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
        if config:
            command += ["--config", config]
        if threads:
            command += ["--threads", threads]
        # Whoever measures takes it along, however that ends.
        command = ["setpriv", "--pdeathsig", "KILL", "--", *command]
        self.process = subprocess.Popen(pin(core, command), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        env={**os.environ, **(environment or {})})
        wait_until(self.endpoints.exists, "muster", self.process)
        addresses = json.loads(self.endpoints.read_text())
        self.url = "http://" + addresses["http"]
        self.admin_url = "http://" + addresses["admin"]
        self.port = int(addresses["http"].rsplit(":", 1)[1])
        self.grpc_port = int(addresses["grpc"].rsplit(":", 1)[1])
        self.key = self.key_file.read_text().strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)

    def request(self, url: str, body=None) -> bytes:
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        request = urllib.request.Request(url, data=body and body.encode(), headers=headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read()

    def get(self, path: str) -> bytes:
        return self.request(self.url + path)

    def post(self, path: str, body: str) -> bytes:
        return self.request(self.url + path, body)

    def anonymous_mib(self) -> float:
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"RssAnon:\s+(\d+) kB", status).group(1)) / 1024

    def wait_for_search(self):
        """Until the index of the search has all members: it follows the writes on a thread of its own."""
        def has_all():
            metrics = self.request(self.admin_url + "/metrics").decode()
            lag = re.search(r"^muster_search_lag_changes ([0-9.e+]+)$", metrics, re.M)
            try:
                self.post("/v1/members:search", "{}")
            except urllib.error.HTTPError:
                return False
            return lag is not None and float(lag.group(1)) == 0
        wait_until(has_all, "the search", self.process, seconds_max=600)

    def metric(self, name: str) -> float:
        """Of all series of that name."""
        metrics = self.request(self.admin_url + "/metrics").decode()
        found = re.findall(rf"^{name}(?:{{[^}}]*}})? ([0-9.e+]+)$", metrics, re.M)
        if not found:
            raise SystemExit(f"bench: muster has no metric {name}")
        return sum(map(float, found))

    def near_cache(self) -> dict:
        metrics = self.request(self.admin_url + "/metrics").decode()
        return {name: float(value) for name, value in re.findall(r"^muster_cache_(\w+) ([0-9.e+]+)$", metrics, re.M)}


class GrpcReference:
    """A grpc++ callback server that answers every call with the same bytes."""

    def __init__(self, binary, directory: pathlib.Path, message: bytes, core: int):
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "message").write_bytes(message)
        self.process = subprocess.Popen(pin(core, [binary, directory / "message"]), stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(30)


class Nginx:
    """One worker that answers every request with the same body."""

    def __init__(self, directory: pathlib.Path, body: bytes, core: int):
        directory.mkdir(parents=True, exist_ok=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        text = body.decode().replace("\\", "\\\\").replace("'", "\\'").replace("$", "")
        (directory / "nginx.conf").write_text(f"""
daemon off; worker_processes 1; pid {directory}/pid; error_log {directory}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 1000000000; default_type application/json;
  client_body_temp_path {directory}/t1; proxy_temp_path {directory}/t2; fastcgi_temp_path {directory}/t3;
  uwsgi_temp_path {directory}/t4; scgi_temp_path {directory}/t5;
  server {{ listen 127.0.0.1:{self.port}; location / {{ return 200 '{text}'; }} }}
}}""")
        self.process = subprocess.Popen(pin(core, ["nginx", "-p", directory, "-c", directory / "nginx.conf"]),
                                        stderr=subprocess.DEVNULL)
        wait_until(self.answers, "nginx", self.process)

    def answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(30)
