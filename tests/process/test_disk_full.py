"""A disk without room: writes are refused and nothing that was acknowledged is lost; room, and writes work again."""
import os
import subprocess

import pytest

import people
from member_client import assert_problem
from muster_process import Server, doctor, run, wait_for


@pytest.fixture
def small_disk(scratch):
    """A file system of 24 MiB."""
    path = scratch / "disk"
    path.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", path], capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"cannot mount a small file system: {mounted.stderr.decode().strip()}; run as root")
    yield path
    subprocess.run(["umount", path], check=True)


def leave(disk, room):
    """Fills the disk up to `room` bytes."""
    status = os.statvfs(disk)
    with open(disk / "filler", "wb") as filler:
        os.posix_fallocate(filler.fileno(), 0, status.f_bavail * status.f_frsize - room)


def test_a_disk_that_fills_up(small_disk):
    data = small_disk / "data"
    with Server(data) as server, server.client() as client:
        kept = {}

        def register():
            identity = people.phone_identity()
            reply = client.register(attributes={f"name{n}": "x" * 1000 for n in range(20)}, identities=[identity])
            if reply.status == 201:
                kept[identity["value"]] = reply.json["id"]
            return reply
        register()
        leave(small_disk, 300_000)
        replies = [register() for _ in range(200)]
        refused = [reply for reply in replies if reply.status != 201]
        assert refused, "the disk never became full"
        for reply in refused:
            assert reply.json["code"] in ("WRITES_UNAVAILABLE", "OUTCOME_UNKNOWN"), reply
            assert_problem(reply, reply.json["code"])
        # A commit may still find room where the one before did not; what readiness tells of is the last one.
        wait_for(lambda: register().status != 201 and client.call("GET", "/readyz").status == 503, "it is not ready")
        assert client.call("GET", "/livez").status == 200
        for phone, member_id in kept.items():
            assert client.resolve("phone", phone, Cache_Control="no-cache").json["id"] == member_id
        assert "disk" in server.log() or "full" in server.log(), server.log_tail()

        (small_disk / "filler").unlink()
        wait_for(lambda: register().status == 201, "writes work again", 30)
        wait_for(lambda: client.call("GET", "/readyz").status == 200, "it is ready again", 30)
    code, report = doctor(data)
    assert code == 0, report
    with Server(data) as server, server.client() as client:
        for phone, member_id in kept.items():
            assert client.resolve("phone", phone).json["id"] == member_id


def test_a_start_on_a_full_disk(small_disk):
    data = small_disk / "data"
    leave(small_disk, 0)
    done = run("serve", "--data", data, "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--admin", "127.0.0.1:0")
    assert done.returncode == 1 and done.stderr.strip(), done
    assert "full" in done.stderr or "space" in done.stderr, done.stderr
    (small_disk / "filler").unlink()
    with Server(data) as server, server.client() as client:
        assert client.register().status == 201
