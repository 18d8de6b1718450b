"""Update, bind, unbind, close, history: versions, conditions, limits, states."""
import pytest

import people
from member_client import assert_problem

FILES = (1, 4)


@pytest.fixture
def member(client):
    reply = client.register(displayName="Li Lei", city="Suzhou", tier="gold", tags=["a", "b"],
                            attributes={"x": "1"}, realName="李雷", identities=[people.phone_identity()])
    assert reply.status == 201, reply
    return reply.json


def test_update_changes_what_the_mask_names(client, member):
    reply = client.patch(member["id"], "city,tags", {"city": "Wuxi", "tags": ["c"], "tier": "ignored"})
    assert reply.status == 200 and reply.etag == '"2"', reply
    assert reply.json == {**member, "city": "Wuxi", "tags": ["c"], "version": "2",
                          "updateTime": reply.json["updateTime"]}
    assert reply.json["updateTime"] > member["updateTime"]
    assert client.get(member["id"]).json == reply.json


def test_a_path_that_the_body_lacks_clears_the_field(client, member):
    reply = client.patch(member["id"], "city,tags,attributes,realName", {"city": "Wuxi"})
    assert reply.status == 200 and reply.json["city"] == "Wuxi"
    assert not {"tags", "attributes", "realName"} & {name for name, value in reply.json.items() if value}
    assert reply.json["displayName"] == "Li Lei" and reply.json["tier"] == "gold"


def test_what_get_answered_may_be_sent_back(client, member):
    body = {**client.get(member["id"]).json, "tier": "black"}
    reply = client.patch(member["id"], "tier", body)
    assert reply.status == 200 and reply.json["tier"] == "black" and reply.json["version"] == "2"


def test_conditions_on_every_write(client, member):
    identity = people.email_identity()
    writes = [lambda **h: client.patch(member["id"], "city", {"city": f"c{people.number()}"}, **h),
              lambda **h: client.bind(member["id"], identity, **h),
              lambda **h: client.unbind(member["id"], identity, **h),
              lambda **h: client.verb(member["id"], "close", {}, **h)]
    version = 1
    for write in writes:
        for stale in (f'"{version + 1}"', f'"{version - 1}"', f'W/"{version}"', '"x"'):
            assert_problem(write(If_Match=stale), "VERSION_MISMATCH")
        assert client.get(member["id"]).json["version"] == str(version)
        reply = write(If_Match=f'"{version}"')
        version += 1
        assert reply.status == 200 and reply.etag == f'"{version}"', reply


def test_if_match_of_any_version_and_lists(client, member):
    assert client.patch(member["id"], "city", {"city": "1"}, If_Match="*").json["version"] == "2"
    assert client.patch(member["id"], "city", {"city": "2"}, If_Match='"9", "2"').json["version"] == "3"
    assert client.patch(member["id"], "city", {"city": "3"}).json["version"] == "4"


@pytest.mark.parametrize("verb, body", [("bind", {"identity": {"kind": "email", "value": "a@example.com"}}),
                                        ("unbind", {"identity": {"kind": "email", "value": "a@example.com"}}),
                                        ("close", {})])
def test_writes_to_nobody(client, verb, body):
    assert_problem(client.verb(123456789, verb, body), "MEMBER_NOT_FOUND")
    assert_problem(client.patch(123456789, "city", {"city": "x"}), "MEMBER_NOT_FOUND")
    assert_problem(client.history(123456789), "MEMBER_NOT_FOUND")


def test_bind_and_unbind(client, member):
    identity = people.scoped_identity("openid", "wechat")
    bound = client.bind(member["id"], {**identity, "verified": True, "source": "app"})
    assert bound.status == 200 and bound.json["version"] == "2"
    held = bound.json["identities"][-1]
    assert held["value"] == identity["value"] and held["verified"] is True and held["source"] == "app"
    assert client.resolve("openid", identity["value"], "wechat").json == bound.json
    again = client.bind(member["id"], identity)
    assert again.status == 200 and again.json["version"] == "2" and again.etag == '"2"'
    unbound = client.unbind(member["id"], identity)
    assert unbound.status == 200 and unbound.json["version"] == "3"
    assert [i["kind"] for i in unbound.json["identities"]] == ["phone"]
    assert_problem(client.resolve("openid", identity["value"], "wechat"), "IDENTITY_NOT_FOUND")
    assert_problem(client.unbind(member["id"], identity), "IDENTITY_NOT_FOUND")


def test_an_identity_has_one_holder(client, member):
    phone = member["identities"][0]
    other = client.register().json
    taken = {"kind": "phone", "value": phone["value"]}
    assert_problem(client.bind(other["id"], taken), "IDENTITY_TAKEN")
    assert_problem(client.unbind(other["id"], taken), "IDENTITY_NOT_FOUND")
    assert client.resolve("phone", phone["value"]).json["id"] == member["id"]
    assert client.unbind(member["id"], taken).status == 200
    assert client.bind(other["id"], taken).status == 200
    assert client.resolve("phone", phone["value"]).json["id"] == other["id"]
    assert_problem(client.bind(member["id"], taken), "IDENTITY_TAKEN")


@pytest.mark.parametrize("kind, limit", [("phone", 3), ("email", 5), ("document", 10), ("openid", 10), ("card", 10),
                                         ("account", 10)])
def test_limits_of_a_member(client, kind, limit):
    def another():
        if kind == "phone":
            return people.phone_identity()
        if kind == "email":
            return people.email_identity()
        if kind == "document":
            return {"kind": kind, "value": f"P{people.number():08d}"}
        return people.card_identity() if kind == "card" else people.scoped_identity(kind, f"platform{people.number()}")
    identities = [another() for _ in range(limit + 1)]
    assert_problem(client.register(identities=identities), "LIMIT_EXCEEDED")
    member = client.register(identities=identities[:limit])
    assert member.status == 201, member
    assert_problem(client.bind(member.json["id"], identities[limit]), "LIMIT_EXCEEDED")
    assert client.bind(member.json["id"], identities[0]).status == 200  # what it holds is no further one
    assert client.unbind(member.json["id"], identities[0]).status == 200
    assert client.bind(member.json["id"], identities[limit]).status == 200


def test_binding_again_verifies(client, member):
    identity = {"kind": "phone", "value": member["identities"][0]["value"]}
    raised = client.bind(member["id"], {**identity, "verified": True})
    assert raised.status == 200 and raised.json["version"] == "2" and raised.json["identities"][0]["verified"] is True, raised
    assert client.resolve("phone", identity["value"]).json == raised.json
    for verified in (True, False):
        again = client.bind(member["id"], {**identity, "verified": verified})
        assert again.status == 200 and again.json == raised.json, again
    change = client.history(member["id"]).json["changes"][0]
    assert change["type"] == "UPDATED" and change["fields"] == ["identities"] and change["version"] == "2", change


@pytest.mark.parametrize("kind, spellings", [
    ("email", ["éric{}@example.com", "e\u0301ric{}@example.com", "ÉRIC{}@Example.com"]),
    ("email", ["li{}@例子.中国", "li{}@xn--fsqu00a.xn--fiqs8s", "ｌｉ{}＠例子。中国"]),
    ("account", ["José{}", "Jose\u0301{}"])])
def test_one_value_in_all_its_spellings(client, kind, spellings):
    n = people.number()
    scope = {"platform": "shop"} if kind == "account" else {}
    first, *others = [{"kind": kind, **scope, "value": spelling.format(n)} for spelling in spellings]
    member = client.register(identities=[first]).json
    for other in others:
        assert_problem(client.register(identities=[other]), "IDENTITY_TAKEN")
        reply = client.call("POST", "/v1/members:batchResolve", {"identities": [other]})
        assert reply.json["results"][0]["member"] == member, reply


def test_one_unionid_a_platform(client):
    member = client.register(identities=[people.scoped_identity("unionid", p) for p in ("wechat", "qq")]).json
    assert_problem(client.bind(member["id"], people.scoped_identity("unionid", "wechat")), "LIMIT_EXCEEDED")
    assert client.bind(member["id"], people.scoped_identity("unionid", "alipay")).status == 200


def test_close_frees_what_it_held(client, member):
    phone = {"kind": "phone", "value": member["identities"][0]["value"]}
    closed = client.verb(member["id"], "close", {})
    assert closed.status == 200 and closed.json["state"] == "CLOSED" and closed.json["version"] == "2"
    assert closed.json.get("identities", []) == []
    seen = client.get(member["id"])
    assert seen.status == 200 and seen.json == closed.json
    assert_problem(client.resolve("phone", phone["value"]), "IDENTITY_NOT_FOUND")
    assert_problem(client.bind(member["id"], phone), "STATE_CONFLICT")
    assert_problem(client.patch(member["id"], "city", {"city": "x"}), "STATE_CONFLICT")
    heir = client.register(identities=[phone])
    assert heir.status == 201 and client.resolve("phone", phone["value"]).json["id"] == heir.json["id"]
    again = client.verb(member["id"], "close", {})
    assert again.status == 200 and again.json["version"] == "2"


def test_a_frozen_member_only_thaws_or_closes(client, member):
    frozen = client.patch(member["id"], "state", {"state": "FROZEN"})
    assert frozen.status == 200 and frozen.json["state"] == "FROZEN", frozen
    phone = member["identities"][0]
    assert client.resolve("phone", phone["value"]).json["state"] == "FROZEN"
    assert_problem(client.bind(member["id"], people.email_identity()), "STATE_CONFLICT")
    assert_problem(client.unbind(member["id"], {"kind": "phone", "value": phone["value"]}), "STATE_CONFLICT")
    assert_problem(client.patch(member["id"], "city", {"city": "x"}), "STATE_CONFLICT")
    assert client.patch(member["id"], "state", {"state": "ACTIVE"}).json["state"] == "ACTIVE"
    assert client.bind(member["id"], people.email_identity()).status == 200


@pytest.mark.parametrize("state", ["MERGED", "CLOSED", "STATE_UNSPECIFIED", "DELETED", 1])
def test_states_that_an_update_cannot_set(client, member, state):
    assert client.patch(member["id"], "state", {"state": state}).status in (400, 409)
    assert client.get(member["id"]).json == member


def test_history_tells_every_change(client, member):
    identity = people.email_identity()
    client.patch(member["id"], "city", {"city": "Wuxi"}, Request_Id="history-1")
    client.bind(member["id"], identity)
    client.bind(member["id"], identity)  # changes nothing, so it leaves nothing
    client.unbind(member["id"], identity)
    client.verb(member["id"], "close", {})
    reply = client.history(member["id"])
    assert reply.status == 200
    changes = sorted(reply.json["changes"], key=lambda change: int(change["version"]))
    assert [(c["version"], c["type"]) for c in changes] == [
        ("1", "REGISTERED"), ("2", "UPDATED"), ("3", "IDENTITY_BOUND"), ("4", "IDENTITY_UNBOUND"), ("5", "CLOSED")]
    assert all(change["caller"] == "admin" and change["changeTime"] for change in changes)
    assert "history-1" in str(changes[1]) and "city" in str(changes[1])
    assert identity["value"].encode() not in reply.body and member["identities"][0]["value"].encode() not in reply.body
    assert reply.json.get("nextPageToken", "") == ""


def test_history_comes_in_pages(client, member):
    for n in range(9):
        assert client.patch(member["id"], "city", {"city": f"city {n}"}).status == 200
    whole = client.history(member["id"]).json["changes"]
    assert len(whole) == 10
    pages, token = [], ""
    while True:
        page = client.history(member["id"], f"?pageSize=3&pageToken={token}").json
        assert len(page["changes"]) <= 3
        pages += page["changes"]
        token = page.get("nextPageToken", "")
        if not token:
            break
    assert pages == whole


def test_page_tokens_cannot_be_made_up(client, member, server):
    for n in range(4):
        client.patch(member["id"], "city", {"city": f"city {n}"})
    token = client.history(member["id"], "?pageSize=2").json["nextPageToken"]
    changed = ("B" if token[5] == "A" else "A").join([token[:5], token[6:]])
    other = client.register().json
    for bad in (changed, token[:-3], token + "AA", "x", "%00", "1"):
        assert_problem(client.history(member["id"], f"?pageToken={bad}"), "INVALID_ARGUMENT")
    assert_problem(client.history(other["id"], f"?pageToken={token}"), "INVALID_ARGUMENT")
    with server.client(server.new_caller("pages", "members.read")) as stranger:
        assert_problem(stranger.history(member["id"], f"?pageToken={token}"), "INVALID_ARGUMENT")
    for size in ("-1", "x", "1.5", "99999999999999999999"):
        assert_problem(client.history(member["id"], f"?pageSize={size}"), "INVALID_ARGUMENT")


def test_writes_survive_a_restart(server, client, member):
    identity = people.card_identity()
    bound = client.bind(member["id"], identity).json
    history = client.history(member["id"]).json
    client.close()
    assert server.stop() == 0
    server.start()
    with server.client() as fresh:
        first = fresh.get(member["id"])
        assert first.json == bound and first.source == "primary"
        assert fresh.resolve("card", identity["value"], "store").json == bound
        assert fresh.history(member["id"]).json == history
