"""Callers: scopes, masking, expiry, overlapping rotation, disabling; and keys that are nowhere but where they belong."""
import json
import os
import re
import stat

import pytest

import people
from member_client import assert_problem
from muster_process import Server, run, wait_for

KEY = re.compile(r"^mk_[0-9A-Za-z]{46}$")


def post(admin, path, body):
    return admin.call("POST", f"/admin/v1/callers{path}", body)


def create(admin, name, *scopes, **fields):
    reply = post(admin, "", {"name": name, "purpose": "test", "scopes": list(scopes), **fields})
    assert reply.status == 201, reply
    assert KEY.match(reply.json["key"]) and reply.json["keyId"] in reply.json["key"]
    return reply.json


def status(server, key, method="GET", path="/v1/members/123456789", body=None):
    with server.client(key) as client:
        reply = client.call(method, path, body)
    if reply.status >= 400:
        assert_problem(reply, reply.json["code"])
    return reply.status


def test_the_first_start_makes_the_administrator(server, admin):
    path = server.data / "admin.key"
    assert KEY.match(server.key()) and stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((server.data / "keyring").stat().st_mode) == 0o600
    assert stat.S_IMODE(server.data.stat().st_mode) & 0o077 == 0
    (caller,) = [c for c in admin.call("GET", "/admin/v1/callers").json["callers"] if c["name"] == "admin"]
    assert set(caller["scopes"]) == {"members.read", "members.write", "personal.read", "members.import", "admin"}


def test_the_second_start_keeps_it(scratch):
    server = Server(scratch / "data")
    with server:
        key = server.key()
    with server:
        assert server.key() == key and status(server, key) == 404
    (scratch / "data" / "admin.key").unlink()  # an operator took it away
    with server:
        assert not (scratch / "data" / "admin.key").exists() and status(server, key) == 404


def test_files_are_private_whatever_the_umask(scratch):
    with Server(scratch / "data", prepare=lambda: os.umask(0)) as server:
        with server.client() as client:
            assert client.register().status == 201
        assert stat.S_IMODE(server.data.stat().st_mode) == 0o700
        for path in server.data.iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_a_lost_key_of_the_administrator_can_be_replaced(scratch):
    server = Server(scratch / "data")
    with server:
        old = server.key()
        assert run("keys", "replace-admin", "--data", server.data).returncode == 1  # not under a running server
        assert server.key() == old
        (scratch / "data" / "endpoints.json").unlink()  # it is the lock that tells of the server
        done = run("keys", "replace-admin", "--data", server.data)
        assert done.returncode == 1 and "in use by another muster" in done.stderr, done
        server.kill()
    (scratch / "data" / "admin.key").unlink()
    done = run("keys", "replace-admin", "--data", server.data)
    assert done.returncode == 0 and "mk_" not in done.stdout + done.stderr, done
    assert stat.S_IMODE((scratch / "data" / "admin.key").stat().st_mode) == 0o600
    with server:
        assert server.key() != old and (status(server, server.key()), status(server, old)) == (404, 401)


def test_keys_of_a_directory_without_data(scratch):
    with Server(scratch / "data"):
        pass
    (scratch / "empty").mkdir()
    (scratch / "muster.toml").write_text(f'[data]\nkeyring_file = "{scratch}/data/keyring"\n')
    done = run("keys", "rotate", "--data", scratch / "empty", "--config", scratch / "muster.toml")
    assert done.returncode == 1 and "holds no data files" in done.stderr, done
    assert not any((scratch / "empty").iterdir())


def test_lost_callers_are_told(scratch):
    server = Server(scratch / "data")
    with server, server.client() as client:
        client.register()
    (scratch / "data" / "topology.json").unlink()
    with server:
        assert "their callers are not" in server.log(), server.log_tail()


WAYS = {
    "members.read": [("GET", "/v1/members/{id}", None), ("GET", "/v1/members:resolve?kind=phone&value={phone}", None),
                     ("POST", "/v1/members:batchGet", {"ids": ["{id}"]}), ("GET", "/v1/members/{id}/history", None),
                     ("POST", "/v1/members:batchResolve", {"identities": [{"kind": "phone", "value": "{phone}"}]})],
    "members.write": [("POST", "/v1/members", {}), ("PATCH", "/v1/members/{id}?updateMask=city", {"city": "x"}),
                      ("POST", "/v1/members/{id}:bind", {"identity": {"kind": "email", "value": "s{id}@example.com"}}),
                      ("POST", "/v1/members/{id}:unbind", {"identity": {"kind": "email", "value": "s{id}@example.com"}}),
                      ("POST", "/v1/members/{id}:close", {})],
    "admin": [("GET", "/admin/v1/callers", None), ("GET", "/admin/v1/routes", None)],
    "members.import": [("POST", "/admin/v1/imports:reserve", {"lines": 1})],
}


@pytest.mark.parametrize("scope", [*WAYS, "personal.read"])
def test_a_scope_opens_its_ways_and_no_other(server, client, admin, scope):
    identity = people.phone_identity()
    member_id = client.register(identities=[identity]).json["id"]
    key = create(admin, "scope-" + scope.replace(".", "-"), scope)["key"]

    def filled(value):
        return json.loads(json.dumps(value).replace("{id}", member_id).replace("{phone}", identity["value"]))
    for owner, ways in WAYS.items():
        for method, path, body in ways:
            connect = server.admin_client if path.startswith("/admin") else server.client
            with connect(key) as connection:
                reply = connection.call(method, filled(path), filled(body))
            if owner == scope:
                assert reply.status in (200, 201), (scope, path, reply)
            else:
                assert_problem(reply, "PERMISSION_DENIED")
                assert identity["value"].encode() not in reply.body


def test_without_a_key_there_is_nothing(server):
    for connect in (server.client, server.admin_client):
        for path in ("/v1/members/1", "/admin/v1/callers", "/admin/v1/members:export"):
            with connect(key="") as connection:
                reply = connection.call("GET", path)
                assert reply.status in (401, 404), reply
                assert_problem(reply, reply.json["code"])


def test_personal_values_are_masked(server, client, admin):
    n = people.number()
    values = [{"kind": "phone", "value": f"+86138{n:04d}0001"}, {"kind": "email", "value": f"zhang.san{n}@example.com"},
              {"kind": "unionid", "platform": "wechat", "value": f"oUnionSecret{n}"},
              {"kind": "card", "platform": "store", "value": f"CARD8765{n:04d}"},
              {"kind": "account", "platform": "shop", "value": f"账户名字很长{n}"},
              {"kind": "document", "value": f"G8765{n:04d}"}]
    member = client.register(displayName="Zhang", realName="张三丰", identities=values).json
    key = create(admin, "masked", "members.read", "members.write")["key"]
    with server.client(key) as masked:
        phone = values[0]["value"]
        replies = [masked.get(member["id"]), masked.get(member["id"], Cache_Control="no-cache"), masked.resolve("phone", phone),
                   masked.call("POST", "/v1/members:batchGet", {"ids": [member["id"]]}),
                   masked.call("POST", "/v1/members:batchResolve", {"identities": [values[1]]}),
                   masked.history(member["id"]), masked.patch(member["id"], "city", {"city": "Wuxi"}),
                   masked.bind(member["id"], values[0]), masked.get(member["id"])]
        for reply in replies:
            assert reply.status == 200, reply
            text = reply.body.decode()
            for secret in [*(identity["value"] for identity in values), "张三丰"]:
                assert secret not in text, (secret, text)
        shown = replies[0].json
        assert shown["displayName"] == "Zhang" and shown["identities"][0]["value"] == f"{phone[:6]}****0001"
        assert shown["realName"] != "张三丰"
    # The same entry of the near cache, in clear again.
    assert client.get(member["id"]).json["identities"][0]["value"] == values[0]["value"]
    assert client.get(member["id"]).json["realName"] == "张三丰"


def test_masks_are_never_written_back(server, client, admin):
    """Whoever reads without personal.read and sends what it got back: it is refused, and nothing of it is written."""
    n = people.number()
    member = client.register(realName="Wang Fang", identities=[{"kind": "email", "value": f"z{n}@mask.example"},
                                                               {"kind": "account", "platform": "mask", "value": f"me{n}"}]).json
    key = create(admin, "writes-back", "members.read", "members.write")["key"]
    with server.client(key) as masked:
        shown = masked.get(member["id"]).json
        assert "***" in shown["realName"], shown
        for caller in (masked, client):
            assert_problem(caller.patch(member["id"], "realName,city", {"realName": shown["realName"], "city": "Wuxi"}),
                           "INVALID_ARGUMENT")
            assert_problem(caller.register(realName=shown["realName"]), "INVALID_ARGUMENT")
            for identity in shown["identities"]:
                wanted = {name: identity[name] for name in ("kind", "platform", "value") if name in identity}
                for reply in (caller.bind(member["id"], wanted), caller.register(identities=[wanted]),
                              caller.call("POST", "/v1/members:batchResolve", {"identities": [wanted]})):
                    assert "looks like a masked value" in reply.body.decode(), reply
                    assert reply.status in (200, 400), reply  # a batch answers each alone
    assert client.get(member["id"]).json == member


def test_a_key_that_expires(server, admin):
    key = create(admin, "short", "members.read", keyLifetime="2s")["key"]
    assert status(server, key) == 404
    wait_for(lambda: status(server, key) == 401, "it has expired")


def test_rotation_overlaps(server, admin):
    old = create(admin, "rotating", "members.read")["key"]
    new = post(admin, "/rotate-nobody:rotate", {})
    assert_problem(new, "NOT_FOUND")
    new = post(admin, "/rotating:rotate", {"overlap": "3600s"}).json["key"]
    assert status(server, old) == 404 and status(server, new) == 404
    newest = post(admin, "/rotating:rotate", {"overlap": "0s"}).json["key"]
    assert [status(server, key) for key in (old, new, newest)] == [401, 401, 404]
    next_key = post(admin, "/rotating:rotate", {"overlap": "2s"}).json["key"]
    wait_for(lambda: status(server, newest) == 401, "the overlap is over")
    assert status(server, next_key) == 404


def test_disabling(server, admin):
    key = create(admin, "sometimes", "members.read")["key"]
    with server.client(key) as connection:
        assert connection.get(123456789).status == 404
        assert post(admin, "/sometimes:disable", {}).status == 200
        assert_problem(connection.get(123456789), "UNAUTHENTICATED")  # on a connection that was let in before, too
        assert post(admin, "/sometimes:enable", {}).status == 200
        assert connection.get(123456789).status == 404


def test_somebody_can_always_administrate(scratch):
    with Server(scratch / "data") as server, server.admin_client() as admin:
        assert_problem(post(admin, "/admin:disable", {}), "STATE_CONFLICT")
        deputy = create(admin, "deputy", "admin")["key"]
        assert post(admin, "/admin:disable", {}).status == 200
        assert_problem(admin.call("GET", "/admin/v1/callers"), "UNAUTHENTICATED")
        with server.admin_client(deputy) as other:
            assert_problem(post(other, "/deputy:disable", {}), "STATE_CONFLICT")
            assert post(other, "/admin:enable", {}).status == 200


@pytest.mark.parametrize("body", [
    {}, {"name": "x", "purpose": "p", "scopes": []}, {"name": "Upper", "purpose": "p", "scopes": ["members.read"]},
    {"name": "", "purpose": "p", "scopes": ["members.read"]}, {"name": "x" * 64, "purpose": "p", "scopes": ["members.read"]},
    {"name": "x", "purpose": "p", "scopes": ["members.reed"]}, {"name": "x", "purpose": "p", "scopes": "members.read"},
    {"name": "x", "purpose": "p" * 1000, "scopes": ["members.read"]}, {"name": 7, "purpose": "p", "scopes": ["admin"]},
    {"name": "x", "purpose": "p", "scopes": ["members.read"], "keyLifetime": "soon"},
    {"name": "x", "purpose": "p", "scopes": ["members.read"], "keyLifetime": "-5s"},
    {"name": "x", "purpose": "p", "scopes": ["members.read"], "keyLifetime": "0s"},
    {"name": "x", "purpose": "p", "scopes": ["members.read"], "more": 1}])
def test_bad_callers(admin, body):
    assert_problem(post(admin, "", body), "INVALID_ARGUMENT")


def test_a_name_is_given_once(admin):
    create(admin, "unique", "members.read")
    assert_problem(post(admin, "", {"name": "unique", "purpose": "p", "scopes": ["members.read"]}), "STATE_CONFLICT")


def test_keys_with_a_mistake(server, admin):
    key = create(admin, "typed", "members.read")["key"]
    assert status(server, key) == 404
    swapped = key[:20] + ("a" if key[20] != "a" else "b") + key[21:]
    for wrong in (swapped, key[:-1], key + "x", key.lower(), key.replace("mk_", "mk-"), " " + key[1:], key[::-1]):
        assert status(server, wrong) == 401, wrong


def test_the_command_line(scratch):
    with Server(scratch / "data") as server:
        def callers(*arguments, code=0):
            done = run("callers", *arguments, data=server.data)
            assert done.returncode == code, done
            return done
        made = json.loads(callers("create", "orders", "--purpose", "the order path", "--scopes",
                                  "members.read,personal.read", "-o", "json").stdout)
        assert KEY.match(made["key"]) and status(server, made["key"]) == 404
        assert "suggest" not in callers("create", "orders", "--purpose", "p", "--scopes", "members.read", code=5).stdout
        assert "members.read" in callers("create", "x", "--purpose", "p", "--scopes", "members.reed", code=2).stderr
        for lifetime in ("0s", "0h", "500ms"):
            done = callers("create", "brief", "--purpose", "p", "--scopes", "members.read", "--key-lifetime", lifetime, code=2)
            assert "--key-lifetime" in done.stderr and not done.stdout, done
        file = scratch / "orders.key"
        done = callers("rotate", "orders", "--overlap", "0s", "--write-key", file)
        new = file.read_text().strip()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600 and new not in done.stdout + done.stderr
        assert status(server, made["key"]) == 401 and status(server, new) == 404
        again = callers("rotate", "orders", "--write-key", file, code=1)  # it is there already
        assert str(file) in again.stderr and status(server, new) == 404
        listed = json.loads(callers("list", "-o", "json").stdout)["callers"]
        assert [caller["name"] for caller in listed] == ["admin", "orders"]
        assert listed[1]["purpose"] == "the order path"
        callers("disable", "orders")
        assert status(server, new) == 401
        assert "disabled" in callers("list").stdout
        callers("enable", "orders")
        assert status(server, new) == 404
        for key in (made["key"], new, server.key()):
            secret = key[11:43]
            assert secret not in callers("list").stdout and secret not in callers("list", "-o", "yaml").stdout


def test_keys_are_nowhere_else(scratch):
    """Not in a log at debug level, in metrics, in an answer to somebody else, or in clear in any file."""
    keys = []
    with Server(scratch / "data", extra_environment={"MUSTER_LOG__LEVEL": "debug"}) as server:
        keys.append(server.key())
        with server.admin_client() as admin:
            keys.append(create(admin, "first", "members.read")["key"])
            keys.append(post(admin, "/first:rotate", {}).json["key"])
            answers = [admin.call("GET", "/admin/v1/callers").body, admin.call("GET", "/metrics").body]
        for key in [*keys]:
            broken = key[:-1] + ("a" if key[-1] != "a" else "b")
            with server.client(broken) as client:
                answers.append(client.get(1).body)
                answers.append(client.call("GET", f"/v1/members:resolve?kind=phone&value={key}").body)
            with server.client(key) as client:
                client.get(1)
    admin_key_file = scratch / "data" / "admin.key"
    texts = {str(path): path.read_bytes() for path in scratch.rglob("*") if path.is_file() and path != admin_key_file}
    texts.update({f"answer {n}": answer for n, answer in enumerate(answers)})
    assert str(server.log_path) in texts
    for key in keys:
        for name, text in texts.items():
            assert key[11:43].encode() not in text, (name, key[:11])


def test_a_key_sent_as_a_request_id_is_kept_nowhere(scratch):
    with Server(scratch / "data", extra_environment={"MUSTER_LOG__LEVEL": "debug"}) as server, server.client() as client:
        reply = client.call("POST", "/v1/members", {"displayName": "x"}, {"Request-Id": server.key()})
        assert reply.status == 201 and reply.headers["request-id"] != server.key()
        assert server.key().encode() not in client.history(reply.json["id"]).body
        key = server.key()
    assert key not in server.log()
    for path in (scratch / "data").glob("muster-*.db*"):
        assert key.encode() not in path.read_bytes(), path
