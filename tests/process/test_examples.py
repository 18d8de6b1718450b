"""The clients of examples/ do what they are there to show: against a real server, and through a network that fails."""
import subprocess
import time

import pytest

from muster_process import DEADLINE_S, ROOT
from unsteady_proxy import UnsteadyProxy

EXAMPLES = ROOT / "examples"


@pytest.fixture
def key_file(server, scratch):
    path = scratch / "caller.key"
    path.write_text(server.new_caller(f"example-{time.monotonic_ns() % 1_000_000}", "members.read", "members.write"))
    return path


def onboard(address, key_file, phone, unionid):
    return subprocess.run(["/usr/bin/python3", EXAMPLES / "python" / "onboard_http.py", address, key_file, phone, "wechat", unionid],
                          capture_output=True, text=True, timeout=DEADLINE_S, check=False)


def member_of(client, phone):
    reply = client.resolve("phone", phone)
    assert reply.status == 200, reply
    return reply.json


def test_http_example_can_be_repeated(server, client, key_file):
    first = onboard(server.http, key_file, "+8613812340001", "oExample1")
    again = onboard(server.http, key_file, "+8613812340001", "oExample1")
    assert first.returncode == again.returncode == 0, (first.stderr, again.stderr)
    member = member_of(client, "+8613812340001")
    assert first.stdout == again.stdout == f"member {member['id']} holds phone, unionid\n"
    assert member["version"] == "2", "binding it again changed nothing"


def test_http_example_repeats_what_was_refused(server, client, key_file):
    with UnsteadyProxy(server.http, ["refuse"]) as proxy:
        begin = time.monotonic()
        done = onboard(proxy.address, key_file, "+8613812340002", "oExample2")
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - begin >= 1.0, "Retry-After is waited for"
    assert member_of(client, "+8613812340002")["version"] == "2"


def test_http_example_repeats_what_was_lost_under_the_same_key(server, client, key_file):
    # The answers to the registration and to the bind are lost after the server has done them.
    with UnsteadyProxy(server.http, ["pass", "lose", "pass", "pass", "lose"]) as proxy:
        done = onboard(proxy.address, key_file, "+8613812340003", "oExample3")
    assert done.returncode == 0, done.stderr
    member = member_of(client, "+8613812340003")
    assert len(member["identities"]) == 2
    keys = [headers["Idempotency-Key"] for method, path, headers in proxy.seen if (method, path) == ("POST", "/v1/members")]
    assert len(keys) == 2 and len(set(keys)) == 1, proxy.seen
    timeouts = [int(headers["X-Request-Timeout-Ms"]) for _, _, headers in proxy.seen]
    assert all(0 < timeout <= 5000 for timeout in timeouts), timeouts


def test_http_example_does_not_repeat_what_cannot_succeed(server, key_file):
    with UnsteadyProxy(server.http, []) as proxy:
        done = onboard(proxy.address, key_file, "12", "oExample4")
    assert done.returncode != 0 and done.stderr.startswith("INVALID_ARGUMENT"), done.stderr
    assert len(proxy.seen) == 1, proxy.seen


def test_http_example_gives_up_with_its_budget(server, key_file):
    """A server that refuses everything is asked no more often than the call's attempts and deadline allow."""
    with UnsteadyProxy(server.http, ["refuse"] * 100) as proxy:
        done = onboard(proxy.address, key_file, "+8613812340005", "oExample5")
    assert done.returncode != 0 and done.stderr.startswith("OVERLOADED"), done.stderr
    assert 2 <= len(proxy.seen) <= 6, proxy.seen
