"""Metrics as Prometheus itself judges them: their text, and names and units by its conventions."""
import shutil
import subprocess

import pytest

import people
from muster_process import Server


def test_promtool_finds_nothing(scratch):
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    with Server(scratch / "data") as server, server.client() as client, server.admin_client() as admin:
        member = client.register(identities=[people.phone_identity()]).json
        client.get(member["id"])
        client.call("PATCH", "/v1/members/7", {})
        for connection in (client, admin):
            text = connection.call("GET", "/metrics").body
            checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
            assert checked.returncode == 0 and not checked.stderr, checked.stderr.decode()
