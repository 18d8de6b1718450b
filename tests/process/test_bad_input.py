"""Requests that are well-formed HTTP and wrong otherwise: each gets a problem that names the mistake and repeats no value."""
import json

import pytest

import people
from member_client import assert_problem

MARK = "Zq7Personal"


@pytest.fixture(scope="module")
def member(server):
    with server.client() as connection:
        reply = connection.register(displayName="Li Lei", city="Suzhou", identities=[people.phone_identity()])
    assert reply.status == 201, reply
    return reply.json


@pytest.fixture(autouse=True)
def still_serving(client, member):
    """Whatever a test sends, the server answers afterwards and nothing has changed."""
    yield
    assert client.get(member["id"]).json == member


def deep(levels):
    return b'{"attributes":' + b'{"a":' * levels + b"1" + b"}" * levels + b"}"


BAD_BODIES = {
    "nothing": b"",
    "white space": b"  \n ",
    "not JSON": b"displayName=Li",
    "cut off": b'{"displayName":"Li',
    "trailing comma": b'{"displayName":"Li",}',
    "a second value": b'{"displayName":"Li"} {}',
    "a comment": b'{"displayName":"Li"} // Li',
    "single quotes": b"{'displayName':'Li'}",
    "array": b"[]",
    "string": b'"Li"',
    "number": b"7",
    "null": b"null",
    "duplicate key": b'{"city":"a","city":"b"}',
    "duplicate key, escaped": b'{"city":"a","c\\u0069ty":"b"}',
    "duplicate key below": b'{"identities":[{"kind":"email","kind":"email","value":"a@example.com"}]}',
    "duplicate attribute": b'{"attributes":{"a":"1","a":"2"}}',
    "unknown field": b'{"displayNam":"Li"}',
    "unknown field below": b'{"identities":[{"kind":"email","value":"a@example.com","primary":true}]}',
    "snake case of nothing": b'{"display__name":"Li"}',
    "deep objects": deep(5_000),
    "deep arrays": b'{"tags":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "invalid UTF-8": b'{"displayName":"\xff\xfe"}',
    "overlong UTF-8": b'{"displayName":"\xc0\xaf"}',
    "surrogate in UTF-8": b'{"displayName":"\xed\xa0\x80"}',
    "half a surrogate pair": b'{"displayName":"\\ud800"}',
    "UTF-16": '{"displayName":"Li"}'.encode("utf-16"),
    "raw NUL": b'{"displayName":"L\x00i"}',
    "escaped NUL": b'{"displayName":"L\\u0000i"}',
    "NUL behind": b'{"displayName":"Li"}\x00',
    "control character": b'{"displayName":"L\\u0007i"}',
    "raw line feed": b'{"displayName":"L\ni"}',
    "number for text": b'{"displayName":7}',
    "array for text": b'{"displayName":["Li"]}',
    "object for array": b'{"tags":{"a":1}}',
    "number in tags": b'{"tags":["a",1]}',
    "text for array": b'{"identities":"phone"}',
    "text in identities": b'{"identities":["phone"]}',
    "number in attributes": b'{"attributes":{"a":1}}',
    "unknown enumeration": b'{"gender":"WOMAN"}',
    "no day": b'{"birthDate":"1990-02-30"}',
    "no date": b'{"birthDate":"yesterday"}',
    "empty tag": b'{"tags":[""]}',
    "duplicate tag": b'{"tags":["a","a"]}',
    "long name": json.dumps({"displayName": "x" * 257}).encode(),
    "long tag": json.dumps({"tags": ["x" * 65]}).encode(),
    "many tags": json.dumps({"tags": [f"t{n}" for n in range(65)]}).encode(),
    "many attributes": json.dumps({"attributes": {f"a{n}": "" for n in range(65)}}).encode(),
    "long attribute": json.dumps({"attributes": {"a": "x" * 1025}}).encode(),
    "id zero": b'{"id":"0"}',
    "negative id": b'{"id":"-1"}',
    "huge id": b'{"id":"9223372036854775808"}',
    "enormous id": b'{"id":' + b"9" * 400 + b"}",
    "fractional id": b'{"id":1.5}',
    "exponent id": b'{"id":1e400}',
    "text id": b'{"id":"abc"}',
    "boolean id": b'{"id":true}',
    "NaN": b'{"id":NaN}',
    "missing kind": b'{"identities":[{"value":"a@example.com"}]}',
    "missing value": b'{"identities":[{"kind":"email"}]}',
    "empty value": b'{"identities":[{"kind":"email","value":""}]}',
    "unknown kind": b'{"identities":[{"kind":"fax","value":"1"}]}',
    "kind with other letters": b'{"identities":[{"kind":"Phone","value":"+8613900000001"}]}',
    "bad phone": b'{"identities":[{"kind":"phone","value":"12"}]}',
    "letters for a phone": b'{"identities":[{"kind":"phone","value":"call me maybe"}]}',
    "bad e-mail": b'{"identities":[{"kind":"email","value":"a@@example.com"}]}',
    "bad card": b'{"identities":[{"kind":"card","platform":"store","value":"4111111111111112"}]}',
    "bad document": b'{"identities":[{"kind":"document","value":"110105194912310021"}]}',
    "phone with platform": b'{"identities":[{"kind":"phone","platform":"wechat","value":"+8613900000001"}]}',
    "unionid without platform": b'{"identities":[{"kind":"unionid","value":"oA1"}]}',
    "bad platform": b'{"identities":[{"kind":"unionid","platform":"We Chat","value":"oA1"}]}',
    "unionid with space": b'{"identities":[{"kind":"unionid","platform":"wechat","value":"o A1"}]}',
    "verified as text": b'{"identities":[{"kind":"email","value":"a@example.com","verified":"yes"}]}',
}


@pytest.mark.parametrize("name", BAD_BODIES)
def test_a_bad_body(client, name):
    problem = assert_problem(client.call("POST", "/v1/members", BAD_BODIES[name], {"Content-Type": "application/json"}),
                             "INVALID_ARGUMENT")
    if b"identities" in BAD_BODIES[name] and name != "duplicate key below":
        assert any(fault["field"].startswith("identities") for fault in problem["errors"]), problem


def test_all_mistakes_are_named_at_once(client):
    body = {"displayName": 7, "gender": "WOMAN", "birthDate": "x",
            "identities": [{"kind": "fax", "value": MARK}, {"kind": "phone", "value": MARK}]}
    reply = client.call("POST", "/v1/members", body)
    fields = [fault["field"] for fault in assert_problem(reply, "INVALID_ARGUMENT")["errors"]]
    assert {"displayName", "gender", "identities[0].kind", "identities[1].value"} <= set(fields), fields


@pytest.mark.parametrize("body", [
    {"displayName": {"x": MARK}}, {MARK: "x"}, {"realName": MARK * 100}, {"realName": MARK + "\x07"},
    {"identities": [{"kind": "phone", "value": MARK}]}, {"identities": [{"kind": "email", "value": MARK}]},
    {"identities": [{"kind": "phone", "platform": "wechat", "value": MARK}]}, {"identities": [{"kind": "email", MARK: 1}]},
    {"identities": [{"kind": "document", "value": MARK + "!"}]},
    {"identities": [{"kind": "phone", "value": [MARK]}]}])
def test_values_are_never_repeated(client, body):
    reply = client.call("POST", "/v1/members", body)
    assert_problem(reply, "INVALID_ARGUMENT")
    if MARK not in body and MARK not in body.get("identities", [{}])[0]:  # the name of a field is no value
        assert MARK.lower() not in reply.body.decode().lower(), reply


def test_a_body_of_the_bound_and_one_above(client):
    bound = 1 << 20
    head, tail = b'{"displayName":"', b'"}'
    fits = head + b"x" * (bound - len(head) - len(tail)) + tail
    assert_problem(client.call("POST", "/v1/members", fits), "INVALID_ARGUMENT")  # read, and the name is too long
    assert_problem(client.call("POST", "/v1/members", fits[:-2] + b'x"}'), "BODY_TOO_LARGE")


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", "application/x-www-form-urlencoded",
                                          "application/json; charset=utf-16", "application/jsonx", "json"])
def test_other_content_types(client, content_type):
    reply = client.call("POST", "/v1/members", b'{"displayName":"Li"}', {"Content-Type": content_type})
    assert_problem(reply, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON", "application/json; charset=utf-8",
                                          "application/json;charset=UTF-8"])
def test_content_types_of_json(client, content_type):
    assert client.call("POST", "/v1/members", b"{}", {"Content-Type": content_type}).status == 201


@pytest.mark.parametrize("mask", ["", ",", "city,", "city,,tags", "City", "identities", "version", "id", "createTime",
                                  "mergedInto", "attributes.x", "tags[0]", "*,city", "city,city", "nothing", "c%00ty",
                                  "%ff", "city&updateMask=tags"])
def test_bad_masks(client, member, mask):
    assert_problem(client.patch(member["id"], mask, {"city": "Wuxi"}), "INVALID_ARGUMENT")


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'{"city":1}', b'{"city":"x","city":"y"}', b'{"cty":"x"}'])
def test_bad_updates(client, member, body):
    assert_problem(client.patch(member["id"], "city", body), "INVALID_ARGUMENT")


@pytest.mark.parametrize("if_match", ["1", "\"1", "1\"", "W/", "\"1\" \"2\"", "**", "\"1\",,x"])
def test_bad_conditions(client, member, if_match):
    assert_problem(client.patch(member["id"], "city", {"city": "x"}, If_Match=if_match), "INVALID_ARGUMENT")


@pytest.mark.parametrize("member_id", ["0", "-1", "+1", "01x", "abc", "1.0", "1e3", "0x10", "9223372036854775808",
                                       "99999999999999999999999999", "%31%00", "%zz", "%", "1%20", "%C0%B1", "٣"])
@pytest.mark.parametrize("call", ["get", "patch", "bind", "history"])
def test_bad_ids(client, member_id, call):
    path = "/v1/members/" + (member_id if member_id.isascii() else "%D9%A3")
    reply = {"get": lambda: client.call("GET", path),
             "patch": lambda: client.call("PATCH", path + "?updateMask=city", {"city": "x"}),
             "bind": lambda: client.call("POST", path + ":bind", {"identity": people.email_identity()}),
             "history": lambda: client.call("GET", path + "/history")}[call]()
    assert reply.status in (400, 404), reply
    assert_problem(reply, reply.json["code"])


@pytest.mark.parametrize("verb", ["bind", "unbind"])
@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"identity":null}', b'{"identity":[]}', b'{"identity":{}}',
                                  b'{"identity":{"kind":"fax","value":"1"}}',
                                  b'{"identity":{"kind":"phone","value":"1"}}',
                                  b'{"identity":{"kind":"email","value":"a@example.com"},"more":1}',
                                  b'{"kind":"email","value":"a@example.com"}'])
def test_bad_identities_of_a_verb(client, member, verb, body):
    assert_problem(client.verb(member["id"], verb, body), "INVALID_ARGUMENT")


@pytest.mark.parametrize("body", [b"[]", b'{"force":true}', b"x", b'"close"'])
def test_bad_closes(client, member, body):
    assert_problem(client.verb(member["id"], "close", body), "INVALID_ARGUMENT")


@pytest.mark.parametrize("query", ["", "kind=phone", "value=%2B8613900000001", "kind=&value=", "kind=fax&value=1",
                                   "kind=phone&value=", "kind=phone&value=12", "kind=phone&value=%2B86139%00",
                                   "kind=phone&value=%ff", "kind=phone&value=%2", "kind=phone&value=%2B861390000000g",
                                   "kind=unionid&value=oA1", "kind=phone&platform=wechat&value=%2B8613900000001",
                                   "kind=phone&kind=email&value=1", "kind=phone&value=%2B8613900000001&minversion=1",
                                   "kind=unionid&platform=We%20Chat&value=o", "kind=phone&value=1&" + "a=1&" * 100])
def test_bad_resolves(client, query):
    reply = client.call("GET", "/v1/members:resolve?" + query)
    assert_problem(reply, "INVALID_ARGUMENT")
    assert b"861390000000" not in reply.body


@pytest.mark.parametrize("version", ["-1", "x", "", "1.0", "9223372036854775808", "%31%00"])
def test_bad_min_versions(client, member, version):
    assert_problem(client.get(member["id"], f"?minVersion={version}"), "INVALID_ARGUMENT")


@pytest.mark.parametrize("milliseconds", ["0", "-5", "soon", "1.5", "", "99999999999999999999"])
def test_bad_deadlines(client, member, milliseconds):
    reply = client.get(member["id"], X_Request_Timeout_Ms=milliseconds)
    if milliseconds:
        assert_problem(reply, "INVALID_ARGUMENT")
    else:
        assert reply.status in (200, 400)
    assert client.get(member["id"], X_Request_Timeout_Ms="5000").status == 200


@pytest.mark.parametrize("path, body", [
    ("batchGet", {"ids": [str(n) for n in range(1, 1002)]}), ("batchGet", {"ids": "1"}),
    ("batchGet", {"ids": ["-1"]}), ("batchGet", {"ids": ["1", None]}), ("batchGet", {"ids": ["9223372036854775808"]}),
    ("batchGet", {"ids": [1.5]}), ("batchGet", {"ids": ["1"], "fields": "id"}),
    ("batchResolve", {"identities": [{"kind": "email", "value": f"a{n}@example.com"} for n in range(1001)]}),
    ("batchResolve", {"identities": ["phone"]}), ("batchResolve", {"identities": [{"kind": 1}]})])
def test_bad_batches(client, path, body):
    assert_problem(client.call("POST", f"/v1/members:{path}", body), "INVALID_ARGUMENT")


def test_a_bad_identity_in_a_batch_is_its_own_mistake(client, member):
    phone = member["identities"][0]["value"]
    asked = [{"kind": "fax", "value": "1"}, {"kind": "phone", "value": phone}, {"kind": "phone", "value": "12"},
             {"kind": "phone", "platform": "wechat", "value": phone}]
    reply = client.call("POST", "/v1/members:batchResolve", {"identities": asked})
    assert reply.status == 200, reply
    assert [r["member"]["id"] if "member" in r else r["error"]["code"] for r in reply.json["results"]] == \
        ["INVALID_ARGUMENT", member["id"], "INVALID_ARGUMENT", "INVALID_ARGUMENT"]


@pytest.mark.parametrize("method, path, allowed", [
    ("DELETE", "/v1/members/1", {"GET", "PATCH"}), ("PUT", "/v1/members/1", {"GET", "PATCH"}),
    ("POST", "/v1/members/1", {"GET", "PATCH"}), ("GET", "/v1/members", {"POST"}), ("PATCH", "/v1/members", {"POST"}),
    ("POST", "/v1/members:resolve", {"GET"}), ("GET", "/v1/members:batchGet", {"POST"}),
    ("GET", "/v1/members/1:bind", {"POST"}), ("POST", "/v1/members/1/history", {"GET"}), ("BREW", "/v1/members/1", {"GET"}),
    ("POST", "/livez", {"GET"}), ("DELETE", "/metrics", {"GET"})])
def test_other_methods(client, method, path, allowed):
    reply = client.call(method, path)
    assert_problem(reply, "METHOD_NOT_ALLOWED")
    assert allowed <= {word.strip() for word in reply.headers["allow"].split(",")}, reply.headers


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/", "/v2/members/1", "/v1/member/1", "/v1/members/1/histories",
                                  "/v1/members/1/history/2", "/v1/members/1:grow", "/v1/members:grow", "/v1//members/1",
                                  "/v1/members/../server", "/%2e%2e/etc/passwd", "/v1/members/1/", "/admin/v1/callers",
                                  "/index.html"])
def test_other_places(client, path):
    for method, body in (("GET", None), ("POST", {})):
        reply = client.call(method, path, body)
        assert reply.status in (404, 405), reply
        assert_problem(reply, "NOT_FOUND" if reply.status == 404 else "METHOD_NOT_ALLOWED")


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer ", "Bearer x", "Basic YTpi", "mk_", "Bearer mk_",
                                           "Bearer mk_" + "a" * 46, "Bearer " + "m" * 5000, "bearer\tmk_x", "Bearer \xff"])
def test_bad_keys(client, member, authorization):
    reply = client.get(member["id"], Authorization=authorization)
    assert_problem(reply, "UNAUTHENTICATED")
    assert "www-authenticate" in reply.headers
    assert b"aaaa" not in reply.body
