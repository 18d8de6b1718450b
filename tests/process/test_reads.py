"""Register, get, resolve, batches: the interface's examples and settled details, line by line."""
import re

import pytest

import people
from member_client import assert_problem

FILES = (1, 4)
PAST = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")


def registered(client, **member):
    reply = client.register(**member)
    assert reply.status == 201, reply
    return reply.json


def test_register_answers_the_member(client):
    number = people.number()
    reply = client.register(displayName="Li Lei", city="Suzhou", tier="gold", tags=["frequent"], gender="MALE",
                            realName="李雷", birthDate="1990-02-28", attributes={"channel": "app"},
                            identities=[{"kind": "phone", "value": f"+86 139 {number:04d} 0001"},
                                        {"kind": "unionid", "platform": "wechat", "value": f"oA1b2{number}"}])
    assert reply.status == 201, reply
    member = reply.json
    assert re.fullmatch(r"[1-9]\d*", member["id"]) and int(member["id"]) < 1 << 63
    assert reply.headers["location"].endswith(f"/v1/members/{member['id']}")
    assert reply.etag == '"1"' and member["version"] == "1"
    assert reply.headers["content-type"].startswith("application/json")
    assert reply.headers["request-id"]
    assert int(reply.headers["content-length"]) == len(reply.body)
    assert member["state"] == "ACTIVE"
    assert (member["displayName"], member["realName"], member["city"], member["tier"], member["gender"]) == \
        ("Li Lei", "李雷", "Suzhou", "gold", "MALE")
    assert member["tags"] == ["frequent"] and member["attributes"] == {"channel": "app"}
    assert member["birthDate"] == "1990-02-28"
    assert PAST.match(member["createTime"]) and PAST.match(member["updateTime"])
    phone, unionid = member["identities"]
    assert phone["kind"] == "phone" and phone["value"] == f"+86139{number:04d}0001" and "platform" not in phone
    assert unionid["platform"] == "wechat" and unionid["value"] == f"oA1b2{number}"
    assert all(i["state"] == "BOUND" and PAST.match(i["bindTime"]) for i in (phone, unionid))
    assert client.get(member["id"]).json == member


def test_a_member_may_have_nothing_at_all(client):
    member = registered(client)
    assert member["state"] == "ACTIVE" and member.get("identities", []) == []
    assert client.get(member["id"]).json == member


def test_ids_rise_with_time(client):
    ids = [int(registered(client)["id"]) for _ in range(20)]
    assert ids == sorted(set(ids))


def test_an_id_may_be_given_with_the_import_scope_only(client, server):
    assert registered(client, id="4611686018427387904")["id"] == "4611686018427387904"
    assert_problem(client.register(id="4611686018427387904"), "MEMBER_EXISTS")
    assert registered(client, id=9007199254740993)["id"] == "9007199254740993"
    writer = server.client(server.new_caller("writes-only", "members.read", "members.write"))
    with writer:
        assert_problem(writer.register(id="77"), "PERMISSION_DENIED")
        assert registered(writer)["version"] == "1"


def test_an_identity_in_use_refuses_the_whole_registration(client):
    taken, free = people.phone_identity(), people.phone_identity()
    registered(client, identities=[taken])
    assert_problem(client.register(identities=[free, taken]), "IDENTITY_TAKEN")
    assert_problem(client.resolve("phone", free["value"]), "IDENTITY_NOT_FOUND")
    registered(client, identities=[free])


def test_the_same_identity_twice_in_a_registration_is_refused(client):
    phone = people.phone()
    spaced = f"{phone[:3]} {phone[3:6]} {phone[6:]}"
    assert_problem(client.register(identities=[{"kind": "phone", "value": phone}, {"kind": "phone", "value": spaced}]),
                   "INVALID_ARGUMENT")
    assert_problem(client.resolve("phone", phone), "IDENTITY_NOT_FOUND")


def test_get_knows_what_the_caller_has(client):
    member = registered(client, displayName="Han Meimei")
    for tag in ('"1"', 'W/"1"', '"7", "1"', "*"):
        reply = client.get(member["id"], If_None_Match=tag)
        assert reply.status == 304 and reply.body == b"" and reply.etag == '"1"', (tag, reply)
    for tag in ('"2"', '"11"', "1"):
        assert client.get(member["id"], If_None_Match=tag).status == 200, tag
    assert client.patch(member["id"], "city", {"city": "Wuxi"}).etag == '"2"'
    changed = client.get(member["id"], If_None_Match='"1"')
    assert changed.status == 200 and changed.etag == '"2"' and changed.json["city"] == "Wuxi"


def test_head_is_get_without_its_body(client):
    member = registered(client, displayName="Polly")
    whole = client.get(member["id"])
    head = client.call("HEAD", f"/v1/members/{member['id']}")
    assert head.status == 200 and head.body == b"" and head.etag == whole.etag
    assert head.headers["content-length"] == whole.headers["content-length"] == str(len(whole.body))
    missing = client.call("HEAD", "/v1/members/123456789")
    assert missing.status == 404 and missing.body == b""


@pytest.mark.parametrize("spelling", ["+86{}", "%2B86{}", "+86%20{}", "+86+{}", "%2B86+{}", "86-{}", "0086{}", "{}"])
def test_resolve_takes_phones_as_people_write_them(client, spelling):
    if spelling == "86-{}":
        spelling = "%2B86-{}"
    phone = people.phone()
    member = registered(client, identities=[{"kind": "phone", "value": phone}])
    reply = client.resolve("phone", spelling.format(phone[3:]))
    assert reply.status == 200 and reply.json == member and reply.etag == '"1"', reply


@pytest.mark.parametrize("kind, platform, stored, asked", [
    ("email", None, " Someone.{n}@Example.COM ", "someone.{n}@example.com"),
    ("unionid", "wechat", "oA1b2{n}", "oA1b2{n}"),
    ("openid", "alipay", "2088{n}", "2088{n}"),
    ("card", "store", "ab-12 34 {n}", "AB1234{n}"),
    ("account", "shop", "用户{n}", "%E7%94%A8%E6%88%B7{n}"),
    ("document", None, "g-{n:08d}", "G{n:08d}"),
])
def test_resolve_normalises_every_kind(client, kind, platform, stored, asked):
    n = people.number()
    identity = {"kind": kind, "value": stored.format(n=n)} | ({"platform": platform} if platform else {})
    member = registered(client, identities=[identity])
    assert client.resolve(kind, asked.format(n=n), platform).json["id"] == member["id"]
    if platform:
        assert_problem(client.resolve(kind, asked.format(n=n), "elsewhere"), "IDENTITY_NOT_FOUND")


def test_a_value_on_two_platforms_is_two_identities(client):
    value = f"same{people.number()}"
    first = registered(client, identities=[{"kind": "account", "platform": "shop", "value": value}])
    second = registered(client, identities=[{"kind": "account", "platform": "club", "value": value}])
    assert client.resolve("account", value, "shop").json["id"] == first["id"]
    assert client.resolve("account", value, "club").json["id"] == second["id"]


def test_what_nobody_has(client):
    assert_problem(client.get(123456789), "MEMBER_NOT_FOUND")
    assert_problem(client.resolve("phone", people.phone()), "IDENTITY_NOT_FOUND")
    for _ in range(3):  # the answer that nobody has it may come from a cache, and ends with the registration
        identity = people.phone_identity()
        assert_problem(client.resolve("phone", identity["value"]), "IDENTITY_NOT_FOUND")
        assert_problem(client.resolve("phone", identity["value"]), "IDENTITY_NOT_FOUND")
        member = registered(client, identities=[identity])
        assert client.resolve("phone", identity["value"]).json["id"] == member["id"]


def test_batch_get_keeps_order_and_length(client):
    ids = [registered(client, displayName=f"batch {n}")["id"] for n in range(5)]
    asked = [ids[3], "123456789", ids[0], ids[0], int(ids[4]), "987654321"]
    reply = client.call("POST", "/v1/members:batchGet", {"ids": asked})
    assert reply.status == 200, reply
    results = reply.json["results"]
    assert len(results) == len(asked)
    for wanted, result in zip(asked, results):
        if str(wanted) in ids:
            assert result["member"] == client.get(wanted).json
            assert "error" not in result
        else:
            assert "member" not in result and result["error"]["code"] == "MEMBER_NOT_FOUND"


def test_batch_resolve_keeps_order_and_length(client):
    held, scoped, free = people.phone_identity(), people.scoped_identity("openid", "wechat"), people.phone_identity()
    member = registered(client, identities=[held, scoped])
    asked = [free, scoped, held, {**scoped, "platform": "alipay"}, held]
    results = client.call("POST", "/v1/members:batchResolve", {"identities": asked}).json["results"]
    assert [r["member"]["id"] if "member" in r else r["error"]["code"] for r in results] == \
        ["IDENTITY_NOT_FOUND", member["id"], member["id"], "IDENTITY_NOT_FOUND", member["id"]]


def test_a_batch_may_have_a_thousand_keys(client):
    member = registered(client)
    ids = [str(n) for n in range(10**15, 10**15 + 999)] + [member["id"]]
    results = client.call("POST", "/v1/members:batchGet", {"ids": ids}).json["results"]
    assert len(results) == 1000 and results[-1]["member"]["id"] == member["id"]
    assert all(result["error"]["code"] == "MEMBER_NOT_FOUND" for result in results[:-1])
    identities = [{"kind": "phone", "value": people.phone(90_000_000 + n)} for n in range(1000)]
    results = client.call("POST", "/v1/members:batchResolve", {"identities": identities}).json["results"]
    assert len(results) == 1000


def test_min_version_is_met_or_said_to_be_missing(client):
    member = registered(client)
    client.get(member["id"])
    assert client.patch(member["id"], "city", {"city": "Wuxi"}).status == 200
    assert client.get(member["id"], "?minVersion=2").json["version"] == "2"
    assert client.get(member["id"], "?minVersion=1").status == 200
    stale = client.get(member["id"], "?minVersion=3")
    assert_problem(stale, "STALE")
    assert int(stale.headers["retry-after"]) >= 1
    identity = people.phone_identity()
    member = registered(client, identities=[identity])
    path = f"/v1/members:resolve?kind=phone&value={identity['value']}&minVersion="
    assert client.call("GET", path + "1").json["id"] == member["id"]
    assert_problem(client.call("GET", path + "2"), "STALE")


def test_where_an_answer_comes_from(client):
    identity = people.phone_identity()
    member = registered(client, identities=[identity])
    for call in (lambda **headers: client.get(member["id"], **headers),
                 lambda **headers: client.resolve("phone", identity["value"], **headers)):
        call()
        cached = call()
        assert cached.source == "near" and re.fullmatch(r"\d+", cached.headers["x-muster-age-ms"]), cached
        fresh = call(Cache_Control="no-cache")
        assert fresh.source == "primary" and fresh.json == cached.json
        assert call(Cache_Control="max-age=0, no-cache").source == "primary"
        assert call().source == "near"


def test_a_read_after_a_write_sees_it_from_any_connection(client, server):
    identity, later = people.phone_identity(), people.email_identity()
    member = registered(client, identities=[identity])
    with server.client() as other:
        for round_number in range(2, 30):
            assert other.get(member["id"]).json["version"] == str(round_number - 1)
            other.resolve("phone", identity["value"])
            client.patch(member["id"], "city", {"city": f"city {round_number}"})
            assert other.get(member["id"]).json["city"] == f"city {round_number}"
            assert other.resolve("phone", identity["value"]).json["city"] == f"city {round_number}"
        assert_problem(other.resolve("email", later["value"]), "IDENTITY_NOT_FOUND")
        client.bind(member["id"], later)
        assert other.resolve("email", later["value"]).json["id"] == member["id"]
        client.unbind(member["id"], later)
        assert_problem(other.resolve("email", later["value"]), "IDENTITY_NOT_FOUND")


def test_request_ids_are_carried_or_made(client):
    assert client.call("GET", "/v1/members/1", headers={"Request-Id": "order-42.a_b"}).headers["request-id"] == "order-42.a_b"
    made = [client.get(1, Request_Id=given).headers["request-id"] for given in ("has space", "x" * 500, "späß")]
    made += [client.get(1).headers["request-id"] for _ in range(3)]
    assert len(set(made)) == 6 and all(re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", text) for text in made)


def test_probes_need_no_key_on_either_port(server):
    for connection in (server.client(key=""), server.admin_client(key="")):
        with connection:
            for path in ("/livez", "/readyz", "/readyz?verbose"):
                assert connection.call("GET", path).status == 200, path
            metrics = connection.call("GET", "/metrics")
            assert metrics.status == 200 and metrics.headers["content-type"].startswith("text/plain")
            assert b"# TYPE muster_" in metrics.body
