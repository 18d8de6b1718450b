"""Personal values are driven through every part of muster, good and bad; afterwards they are in no log, metric, error,
history or file, in any spelling."""
import json

import pytest

from member_client import RawConnection, request_bytes
from muster_process import Scratch, Server, run

# Values that occur nowhere by chance; each as it is sent, and as it is kept.
PHONES = ["+86 139 7531 0001", "0086-139-7531-0002", "13975310003"]
EMAIL = "Canary.Quill@Example.COM"
UNIONID = "oCaNaRyUnIoN4711"
OPENID = "openCANARY0815"
CARD = "cana-ry77 6655"
ACCOUNT = "金丝雀账户"
DOCUMENT = "canary 998877"
REAL_NAME = "金丝雀真名"
MARKS = ["13975310001", "13975310002", "13975310003", "1397531", "canary.quill", "canaryunion4711",
         "canary0815", "canary776655", "cana-ry77", "canary998877", "canary 998877", ACCOUNT, REAL_NAME, "139 7531",
         "139-7531", "rejectedcanary"]


def identities(suffix=""):
    return [{"kind": "phone", "value": PHONES[0]}, {"kind": "email", "value": suffix + EMAIL},
            {"kind": "unionid", "platform": "wechat", "value": UNIONID + suffix},
            {"kind": "openid", "platform": "wechat", "value": OPENID + suffix},
            {"kind": "card", "platform": "store", "value": CARD + suffix},
            {"kind": "account", "platform": "shop", "value": ACCOUNT + suffix}, {"kind": "document", "value": DOCUMENT + suffix}]


def found(text):
    """The marks in some bytes, whatever the case and escape."""
    lowered = text.decode("utf-8", "replace").lower()
    spellings = lowered + json.dumps(lowered)
    for mark in MARKS:
        mark = mark.lower()
        escaped = json.dumps(mark)[1:-1]
        percent = "".join(f"%{byte:02x}" for byte in mark.encode())
        if mark in lowered or escaped in spellings or percent in lowered or mark.encode("utf-16-le") in text:
            yield mark


def drive_members(server, masked, record):
    with server.client() as client:
        def ask(method, path, body=None, **headers):
            reply = client.call(method, path, body, headers)
            record("admin", method, path, reply)
            return reply
        member = ask("POST", "/v1/members", {"realName": REAL_NAME, "identities": identities()}).json
        other = ask("POST", "/v1/members", {"realName": REAL_NAME, "identities": [{"kind": "phone", "value": PHONES[1]}]}).json
        place = f"/v1/members/{member['id']}"
        asked = [masked, client]
        for connection in asked:
            for identity in identities():
                query = "&".join(f"{name}={quoted(value)}" for name, value in identity.items())
                record("caller", "GET", "resolve", connection.call("GET", f"/v1/members:resolve?{query}"), connection is masked)
                record("caller", "GET", "resolve", connection.call("GET", f"/v1/members:resolve?{query}&x=1"), True)
            record("caller", "POST", "batchResolve", connection.call("POST", "/v1/members:batchResolve", {
                "identities": [*identities(), {"kind": "phone", "value": "canary 998877"}]}), connection is masked)
            record("caller", "GET", place, connection.call("GET", place), connection is masked)
            record("caller", "GET", "history", connection.call("GET", place + "/history"), True)
        ask("POST", place + ":bind", {"identity": {"kind": "phone", "value": PHONES[2], "source": "app"}})
        ask("POST", place + ":bind", {"identity": {"kind": "phone", "value": PHONES[1]}})  # taken
        ask("POST", place + ":bind", {"identity": {"kind": "unionid", "platform": "wechat", "value": UNIONID + "2"}})
        ask("POST", place + ":unbind", {"identity": {"kind": "phone", "value": PHONES[1]}})
        ask("POST", place + ":unbind", {"identity": {"kind": "phone", "value": PHONES[2]}})
        ask("PATCH", place + "?updateMask=realName", {"realName": REAL_NAME + "二"})
        ask("PATCH", place + "?updateMask=realName", {"realName": REAL_NAME + "\x07"})
        ask("PATCH", place + f"?updateMask={quoted(REAL_NAME)}", {"realName": REAL_NAME})
        ask("POST", "/v1/members", {"identities": identities()})  # all taken
        ask("POST", f"/v1/members/{other['id']}:close", {})
        return member["id"]


def quoted(text):
    return "".join(f"%{byte:02X}" for byte in text.encode())


def drive_mistakes(server, record):
    with server.client() as client:
        for body in ({"identities": [{"kind": "phone", "value": DOCUMENT}]}, {"identities": [{"kind": "email", "value": UNIONID}]},
                     {"identities": [{"kind": "fax", "value": EMAIL}]}, {"realName": [REAL_NAME]},
                     {"identities": [{"kind": "phone", "platform": "wechat", "value": PHONES[0]}]},
                     {"identities": [{"kind": "unionid", "value": UNIONID}]}, {"realName": REAL_NAME * 100},
                     {"identities": [{"kind": "card", "platform": CARD, "value": CARD}]},
                     {"identities": [{"kind": "unionid", "platform": "wechat", "value": UNIONID + " " + OPENID}]},
                     {"gender": REAL_NAME}, {"birthDate": REAL_NAME}, {"id": PHONES[0]}):
            record("admin", "POST", "mistake", client.call("POST", "/v1/members", body), True)
        for body in (b'{"realName":"' + REAL_NAME.encode() + b'"', b'{"realName":"' + REAL_NAME.encode() + b'\xff"}',
                     (REAL_NAME + EMAIL).encode(), b'"' + EMAIL.encode() + b'"'):
            record("admin", "POST", "no JSON", client.call("POST", "/v1/members", body), True)
        for path in (f"/v1/members/{quoted(PHONES[0])}", f"/v1/members/{EMAIL}", f"/v1/{UNIONID}", f"/v1/members/1:{OPENID}",
                     f"/v1/members/1?minVersion={EMAIL}", f"/v1/members/1/history?pageToken={EMAIL}", f"/{CARD.replace(' ', '')}",
                     f"/v1/members:resolve?kind={UNIONID}&value={OPENID}"):
            for method in ("GET", "POST", "DELETE"):
                record("admin", method, path, client.call(method, path), True)
        record("admin", "GET", "headers", client.call("GET", "/v1/members/1", headers={
            "If-Match": EMAIL, "traceparent": EMAIL, "User-Agent": EMAIL, "X-Request-Timeout-Ms": EMAIL, "Referer": EMAIL,
            "Content-Type": EMAIL}), True)
        record("admin", "GET", "no key", client.call("GET", "/v1/members/1", headers={"Authorization": f"Bearer {EMAIL}"}), True)
    for text in (b"GET /v1/members/" + EMAIL.encode() + b" HTTP/1.1\r\nBroken " + EMAIL.encode() + b"\r\n\r\n",
                 EMAIL.encode() + b" / HTTP/1.1\r\n\r\n", request_bytes("GET", "/" + EMAIL + "a" * 10_000),
                 request_bytes("POST", "/v1/members", server.key(), b"", f"Content-Length: {EMAIL}")):
        with RawConnection(server.http) as raw:
            reply = raw.send(text).reply()
            record("nobody", "RAW", "raw", reply, True)


def drive_command_line(server, scratch, member_id):
    """The shell's own messages; import's rejects and export's lines are where the values belong."""
    messages = []
    lines = [json.dumps({"realName": REAL_NAME, "identities": [{"kind": "email", "value": "other" + EMAIL}]}),
             json.dumps({"identities": identities()}),
             '{"realName":"rejectedcanary', json.dumps({"identities": [{"kind": "phone", "value": "rejectedcanary"}]}),
             json.dumps({"rejected": "rejectedcanary"}), json.dumps({"id": "rejectedcanary"})]
    given, rejects = scratch / "given.jsonl", scratch / "rejects.jsonl"
    given.write_text("\n".join(lines) + "\n")
    done = run("import", given, "--rejects", rejects, data=server.data)
    assert done.returncode == 3, done
    assert len(rejects.read_text().splitlines()) == 5
    messages += [done.stdout, done.stderr]
    for arguments in (["member", "history", member_id], ["routes"], ["member", "resolve", f"phone={UNIONID}"],
                      ["member", "bind", member_id, f"email={UNIONID}"], ["callers", "list"]):
        done = run(*arguments, data=server.data)
        messages += [done.stdout, done.stderr]
    given.unlink()
    rejects.unlink()
    return messages


def test_personal_values_stay_where_they_belong():
    leaks = []

    def record(who, method, path, reply, must_be_clean=False):
        text = json.dumps(reply.headers).encode() + reply.body
        if reply.status >= 400 or must_be_clean:
            leaks.extend((f"{method} {path} for {who}: {reply.status}", mark, reply.body[:500]) for mark in found(text))

    with Scratch() as scratch:
        environment = {"MUSTER_LOG__LEVEL": "debug", "MUSTER_STORE__SQLITE__FILES": "2"}
        with Server(scratch / "data", extra_environment=environment) as server:
            with server.client(server.new_caller("masked", "members.read")) as masked:
                member_id = drive_members(server, masked, record)
            drive_mistakes(server, record)
            for message in drive_command_line(server, scratch, member_id):
                leaks.extend(("a message of the command line", mark, message[-500:]) for mark in found(message.encode()))
            with server.admin_client() as admin:
                record("admin", "GET", "metrics", admin.call("GET", "/metrics"), True)
                record("admin", "GET", "routes", admin.call("GET", "/admin/v1/routes"), True)
            # The files as a running server keeps them, write-ahead logs and all.
            files = [path for path in scratch.rglob("*") if path.is_file()]
            assert {"muster-0.db", "muster-0.db-wal", "endpoints.json", "data.log"} <= {path.name for path in files}, files
            for path in files:
                leaks.extend((path.name, mark, "") for mark in found(path.read_bytes()))
            log = server.log()
            assert log.strip()
        done = run("doctor", "--data", scratch / "data", "-o", "json")
        assert done.returncode == 0, done
        leaks.extend(("doctor", mark, "") for mark in found((done.stdout + done.stderr).encode()))
        for path in scratch.rglob("*"):
            if path.is_file():
                leaks.extend((path.name + " after the end", mark, "") for mark in found(path.read_bytes()))
    assert not leaks, "\n".join(map(str, leaks))


@pytest.mark.parametrize("spelling", [EMAIL.encode(), REAL_NAME.encode(), json.dumps(REAL_NAME).encode(),
                                      quoted(REAL_NAME).encode(), b"+8613975310001", b"CANARY776655"])
def test_the_search_finds_what_it_looks_for(spelling):
    assert list(found(b"log line with " + spelling + b" in it"))
