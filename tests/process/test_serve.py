"""The life of a server process: first start, readiness, files, signals, refusals."""
import json
import os
import signal
import stat
import subprocess

import pytest

from muster_process import MusterServer, binary, environment, request, run, wait_until


def mode(path) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


def test_first_start_makes_private_files_and_serves(tmp_path):
    data = tmp_path / "data"
    os.umask(0)
    with MusterServer(data) as server:
        assert mode(data) == 0o700
        for name in os.listdir(data):
            assert mode(data / name) == 0o600, name
        assert server.key.startswith("mk_")
        assert server.get("/readyz", key="").status == 200
        assert request(server.admin, "GET", "/livez").status == 200
        member = server.post("/v1/members", {"displayName": "Li Lei"}).expect(201)
        assert server.get("/v1/members/" + member["id"]).expect(200) == member
        ready = server.process.stdout.read1(4096).decode()
        assert server.http in ready and server.admin in ready
        assert server.stop() == 0
    assert not (data / "endpoints.json").exists()


def test_data_and_key_survive_a_restart(tmp_path):
    server = MusterServer(tmp_path / "data").start()
    key = server.key
    member = server.post("/v1/members", {"displayName": "Han Meimei"}).expect(201)
    assert server.kill() == -signal.SIGKILL
    with server:
        assert server.key == key
        assert server.get("/v1/members/" + member["id"]).expect(200) == member


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_it_orderly(tmp_path, number):
    server = MusterServer(tmp_path / "data").start()
    assert server.stop(number) == 0


def test_second_server_on_the_same_data_is_refused(tmp_path):
    with MusterServer(tmp_path / "data") as server:
        endpoints = server.endpoints
        second = run("serve", "--data", server.data, "--http", "127.0.0.1:0", "--admin", "127.0.0.1:0")
        assert second.returncode == 1
        assert len(second.stderr.strip().splitlines()) == 1 and str(server.data) in second.stderr
        assert server.endpoints == endpoints
        assert server.get("/readyz").status == 200


def test_port_in_use_is_one_clear_line(tmp_path):
    with MusterServer(tmp_path / "one") as server:
        second = run("serve", "--data", tmp_path / "two", "--http", server.http, "--admin", "127.0.0.1:0")
        assert second.returncode == 1
        assert server.http in second.stderr and len(second.stderr.strip().splitlines()) == 1
        assert not (tmp_path / "two" / "endpoints.json").exists()


def test_lost_keyring_is_refused(tmp_path):
    server = MusterServer(tmp_path / "data").start()
    server.stop()
    (server.data / "keyring").unlink()
    refused = run("serve", "--data", server.data)
    assert refused.returncode == 1 and "keyring" in refused.stderr
    assert not (server.data / "keyring").exists()


def test_lost_admin_key_is_not_made_again_but_can_be_replaced(tmp_path):
    server = MusterServer(tmp_path / "data").start()
    old = server.key
    server.stop()
    server.key_path.unlink()
    with server:
        assert not server.key_path.exists()
        assert run("keys", "replace-admin", "--data", server.data).returncode == 1
    assert run("keys", "replace-admin", "--data", server.data).returncode == 0
    assert mode(server.key_path) == 0o600
    with server:
        assert server.get("/v1/server").status == 200
        assert server.get("/v1/server", key=old).status == 401


@pytest.mark.parametrize("config, fragment", [
    ("[cache.near]\nbites = 5\n", "cache.near.bytes"),
    ("[http]\nthreads = -1\n", "http.threads"),
    ("[routes]\nread = 'cache(near, stor)'\n", "store"),
    ("[identity]\ndefault_region = 'XX'\n", "region"),
    ("[http\n", ":1"),
])
def test_wrong_configuration_is_refused_with_its_place(tmp_path, config, fragment):
    path = tmp_path / "muster.toml"
    path.write_text(config)
    for arguments in (["serve", "--data", tmp_path / "data"], ["config", "check"]):
        refused = run(*arguments, "--config", path)
        assert refused.returncode == 1 and fragment in refused.stderr, refused.stderr
    assert not (tmp_path / "data").exists()


def test_sources_of_options_win_in_order(tmp_path):
    path = tmp_path / "muster.toml"
    path.write_text("[cache.near]\nbytes = '8MiB'\n[log]\nlevel = 'warning'\n[http]\nthreads = 2\n")
    explained = run("config", "explain", "--config", path, "--threads", "3", "-o", "json", env={"MUSTER_LOG__LEVEL": "error"})
    options = {option["name"]: option for option in json.loads(explained.stdout)["options"]}
    assert (options["cache.near.bytes"]["value"], options["cache.near.bytes"]["source"]) == ("8 MiB", f"{path}:2")
    assert (options["log.level"]["value"], options["log.level"]["source"]) == ("error", "environment MUSTER_LOG__LEVEL")
    assert (options["http.threads"]["value"], options["http.threads"]["source"]) == ("3", "--threads")


def test_variables_of_others_are_no_options(tmp_path):
    assert run("config", "check", env={"MUSTER_PORT": "tcp://10.0.0.1:80", "MUSTER_NO_INSTALL": "1"}).returncode == 0
    refused = run("config", "check", env={"MUSTER_HTTP__LISTE": "x"})
    assert refused.returncode == 1 and "http.listen" in refused.stderr


def test_demo_shows_lines_that_work_and_leaves_nothing(tmp_path):
    demo = subprocess.Popen([binary(), "demo", "--members", "200", "--http", "127.0.0.1:0", "--admin", "127.0.0.1:0"],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment({"TMPDIR": str(tmp_path)}))
    try:
        lines = []
        wait_until(lambda: lines.append(demo.stdout.readline()) or "routes --server" in lines[-1], "the banner")
        curls = [line.strip() for line in lines if line.strip().startswith("curl ")]
        assert len(curls) >= 4
        for curl in curls:
            answer = subprocess.run(["sh", "-c", curl + " -w '\\n%{http_code}'"], capture_output=True, text=True, timeout=30)
            assert answer.stdout.rsplit("\n", 1)[1] in ("200", "201"), (curl, answer.stdout)
    finally:
        demo.send_signal(signal.SIGINT)
        _, errors = demo.communicate(timeout=30)
    assert demo.returncode == 0, errors
    assert os.listdir(tmp_path) == []
