"""Idempotency-Key: a request that is sent again is done once, whatever happened to the first answer."""
import json
import threading

import pytest

import people
from member_client import assert_problem
from muster_process import Server, doctor, run

FILES = (1, 4)


def count(client, member_id):
    return len(client.call("GET", f"/v1/members/{member_id}/history").json["changes"])


def same_answer(first, second, status):
    assert first.status == second.status == status, (first, second)
    assert first.body == second.body and first.etag == second.etag
    assert first.headers.get("location") == second.headers.get("location")
    assert "idempotent-replayed" not in first.headers
    assert second.headers.get("idempotent-replayed") == "true"


def test_a_registration_is_done_once(client):
    for quoted in (False, True):
        key = f"register-{people.number()}"
        header = {"Idempotency-Key": f'"{key}"' if quoted else key}
        body = {"displayName": "Li Lei", "identities": [people.phone_identity(), people.email_identity()]}
        first = client.call("POST", "/v1/members", body, header)
        same_answer(first, client.call("POST", "/v1/members", body, {"Idempotency-Key": key}), 201)


def test_every_write_is_done_once(client):
    member = client.register(identities=[people.phone_identity()]).json["id"]
    identity = people.email_identity()
    path = f"/v1/members/{member}"
    writes = [("PATCH", f"{path}?updateMask=city", {"city": "Suzhou"}), ("POST", f"{path}:bind", {"identity": identity}),
              ("POST", f"{path}:unbind", {"identity": identity}), ("POST", f"{path}:close", {})]
    for number, (method, target, body) in enumerate(writes, start=1):
        headers = {"Idempotency-Key": f"write-{people.number()}", "If-Match": f'"{number}"'}
        first = client.call(method, target, body, headers)
        same_answer(first, client.call(method, target, body, headers), 200)  # If-Match is stale by now
    assert client.get(member).json["version"] == "5" and count(client, member) == 5


def test_a_key_with_other_content_is_refused(client):
    member = client.register().json["id"]
    headers = {"Idempotency-Key": f"other-{people.number()}"}
    path = f"/v1/members/{member}?updateMask=city"
    assert client.call("PATCH", path, {"city": "Wuxi"}, headers).status == 200
    assert_problem(client.call("PATCH", path, {"city": "Suzhou"}, headers), "IDEMPOTENCY_MISMATCH")
    assert_problem(client.call("POST", f"/v1/members/{member}:close", {}, headers), "IDEMPOTENCY_MISMATCH")
    assert client.get(member).json["city"] == "Wuxi" and client.get(member).json["state"] == "ACTIVE"


def test_the_key_of_a_dry_run_is_not_looked_at(client):
    survivor, source = (client.register(identities=[people.phone_identity()]).json["id"] for _ in range(2))
    used, fresh = (f"dry-{people.number()}" for _ in range(2))
    assert client.patch(survivor, "city", {"city": "Suzhou"}, Idempotency_Key=used).status == 200
    for key in (used, fresh, '"unfinished', "x" * 200):
        shown = client.verb(survivor, "merge", {"sourceId": source, "dryRun": True}, Idempotency_Key=key)
        assert shown.status == 200 and len(shown.json["identities"]) == 2, shown
        assert "idempotent-replayed" not in shown.headers
    assert client.get(source).json["state"] == "ACTIVE"
    merged = client.verb(survivor, "merge", {"sourceId": source}, Idempotency_Key=fresh)
    assert "idempotent-replayed" not in merged.headers and client.get(source).json["state"] == "MERGED"
    same_answer(merged, client.verb(survivor, "merge", {"sourceId": source}, Idempotency_Key=fresh), 200)


def test_what_was_refused_is_not_kept(client):
    member = client.register().json["id"]
    taken, free = people.phone_identity(), people.phone_identity()
    client.register(identities=[taken])
    headers = {"Idempotency-Key": f"refused-{people.number()}"}
    path = f"/v1/members/{member}:bind"
    for _ in range(2):
        assert_problem(client.call("POST", path, {"identity": taken}, headers), "IDENTITY_TAKEN")
    reply = client.call("POST", path, {"identity": free}, headers)
    assert reply.status == 200 and "idempotent-replayed" not in reply.headers


def test_keys_belong_to_their_caller(server, client):
    other = server.client(server.new_caller("idem", "members.read", "members.write"))
    headers = {"Idempotency-Key": f"mine-{people.number()}"}
    ids = {c.call("POST", "/v1/members", {"displayName": "x"}, headers).json["id"] for c in (client, other)}
    assert len(ids) == 2


@pytest.mark.parametrize("key", ["", '""', "a b", '"open', "k" * 129, "schl\u00fcssel"])
def test_bad_keys_are_refused(client, key):
    reply = client.call("POST", "/v1/members", {"displayName": "x"}, {"Idempotency-Key": key.encode("utf-8")})
    assert_problem(reply, "INVALID_ARGUMENT")
    assert reply.json["errors"][0]["field"] == "Idempotency-Key"


def test_an_account_may_demand_keys(server, scratch):
    """From the shell, as an operator says it; refused and served over HTTP. The shell's own writes have keys."""
    def callers(*arguments):
        done = run("callers", *arguments, "-o", "json", data=server.data)
        assert done.returncode == 0, done
        return json.loads(done.stdout)

    callers("create", "strict", "--purpose", "test", "--scopes", "members.read,members.write", "--idempotency-key", "required",
            "--write-key", scratch / "strict.key")
    assert "required" in run("callers", "list", data=server.data).stdout
    by_shell = run("member", "register", "--name", "Li Lei", "--server", server.http, "--key-file", scratch / "strict.key", "-o", "json")
    assert by_shell.returncode == 0, by_shell
    path = f"/v1/members/{json.loads(by_shell.stdout)['id']}"
    with server.client((scratch / "strict.key").read_text().strip()) as client:
        refused = client.call("PATCH", f"{path}?updateMask=city", {"city": "Wuxi"})
        assert_problem(refused, "INVALID_ARGUMENT")
        assert refused.json["errors"][0]["field"] == "Idempotency-Key" and "UUID" in refused.json["errors"][0]["detail"], refused
        assert client.call("GET", path).json.get("city") is None
        headers = {"Idempotency-Key": f"strict-{people.number()}"}
        assert client.call("PATCH", f"{path}?updateMask=city", {"city": "Wuxi"}, headers).status == 200
        assert callers("update", "strict", "--idempotency-key", "optional")["idempotencyKeyRequired"] is False
        assert client.call("PATCH", f"{path}?updateMask=city", {"city": "Suzhou"}).status == 200
        assert callers("update", "strict", "--idempotency-key", "required")["idempotencyKeyRequired"] is True
        assert client.call("POST", f"{path}:close", {}).status == 400


def test_a_demand_survives_a_restart(scratch):
    server = Server(scratch / "data")
    with server:
        key = server.new_caller("strict", "members.write", idempotencyKeyRequired=True)
    with server, server.client(key) as client:
        assert client.call("POST", "/v1/members", {}).status == 400
        assert client.call("POST", "/v1/members", {}, {"Idempotency-Key": "after"}).status == 201


def test_many_at_once_make_one_member(server):
    for _ in range(5):
        key = f"race-{people.number()}"
        body = {"identities": [people.phone_identity(), people.email_identity()]}
        replies = []

        def send():
            with server.client() as client:
                while True:
                    reply = client.call("POST", "/v1/members", body, {"Idempotency-Key": key})
                    if reply.status != 409:
                        break
                    assert_problem(reply, "IDEMPOTENCY_IN_PROGRESS")
                    assert reply.headers["retry-after"] == "1", reply
                replies.append(reply)

        threads = [threading.Thread(target=send) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {reply.status for reply in replies} == {201}
        assert len({reply.body for reply in replies}) == 1


def test_answers_survive_kill_9(scratch):
    body = {"displayName": "Li Lei", "identities": [people.phone_identity()]}
    headers = {"Idempotency-Key": "survives"}
    with Server(scratch / "data") as server:
        with server.client() as client:
            first = client.call("POST", "/v1/members", body, headers)
        server.kill()
    with Server(scratch / "data") as server, server.client() as client:
        same_answer(first, client.call("POST", "/v1/members", body, headers), 201)
    assert doctor(scratch / "data")[0] == 0
