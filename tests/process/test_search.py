"""POST /v1/members:search: filters, orders, pages and tokens, how soon a write is found, and the life of its index."""
import contextlib
import json
import select
import threading
import time

import pytest

from member_client import RawConnection, assert_problem, request_bytes
from muster_process import Server, doctor, run, scaled, wait_for


def search(client, filter_text="", **fields):
    return client.call("POST", "/v1/members:search", {"filter": filter_text, **fields})


def found(client, filter_text, **fields):
    """Ids of the first page; None while the index is being built."""
    reply = search(client, filter_text, **fields)
    if reply.status == 503:
        assert_problem(reply, "OVERLOADED")
        assert int(reply.headers["retry-after"]) >= 1, reply
        return None
    assert reply.status == 200, reply
    return [int(member["id"]) for member in reply.json["members"]]


def wait_found(client, filter_text, ids, **fields):
    wait_for(lambda: found(client, filter_text, **fields) == ids, f"{filter_text} finds {ids}")


def pages(client, filter_text, **fields):
    """All members of all pages, in their order, and how many pages there were."""
    members, token, count = [], "", 0
    while True:
        reply = search(client, filter_text, pageToken=token, **fields)
        assert reply.status == 200, reply
        members += reply.json["members"]
        token, count = reply.json["nextPageToken"], count + 1
        if not token:
            return members, count


def register(client, **member):
    reply = client.register(**member)
    assert reply.status == 201, reply
    return int(reply.json["id"])


def fault(reply, field="filter"):
    problem = assert_problem(reply, "INVALID_ARGUMENT")
    assert [error["field"] for error in problem["errors"]] == [field], reply
    return problem["errors"][0]["detail"]


# Filters.

def test_each_kind_of_comparison(client):
    first = register(client, displayName="Lei", city="苏州 \"east\"", tier="gold", gender="MALE", birthDate="1990-05-17",
                     tags=["s-frequent", "s-b"], attributes={"my store": "12"},
                     identities=[{"kind": "unionid", "platform": "sp1", "value": "s1"}])
    second = register(client, city="苏州 \"east\"", tier="silver", tags=["s-frequent"])
    wait_found(client, "tags:s-frequent", [first, second])
    base = "tags:s-frequent AND "
    for text, ids in (
            ('city = "苏州 \\"east\\""', [first, second]),
            ('tier = gold OR tier = silver', [first, second]),
            ("-tier = gold", [second]), ("NOT tags:s-b", [second]), ("tier != gold", [second]),
            ("displayName = Lei", [first]), ("gender = MALE", [first]), ("gender:*", [first]),
            ("birthDate >= 1990-05-17", [first]), ("birthDate < 1990-05-17", []),
            ('attributes."my store" = 12', [first]), ('attributes:"my store"', [first]),
            ("identities.platform = sp1", [first]), ("identities.kind:phone", []),
            ("state = ACTIVE", [first, second]), ("version = 1", [first, second]), (f"id > {first}", [second]),
            ("createTime > 2020-01-01T00:00:00Z", [first, second]),
            ('updateTime < "2020-01-01T00:00:00+08:00"', []),
            ("(tier = gold AND gender = MALE) OR tier = silver", [first, second])):
        assert found(client, base + text) == ids, text


@pytest.mark.parametrize("text, says", [
    ("cty = a", "column 1: cty is no field that members are searched by; did you mean city?"),
    ("city = a AND AND tier = b", "column 14: "),
    ("city = \"苏州\" AND tir = b", "column 17: tir is no field"),
    ("city > a", "column 6: city is a text"),
    ("city = \"a", "column 8: this text has no end"),
    ("tags:a and tags:b", "column 8: write AND"),
    ("updateTime > yesterday", "column 14: updateTime is compared with a time"),
    ("realName = \"Li Lei\"", "column 1: realName is personal"),
    ("tags:a identities.value = 13800000001", "column 8: the values of identities are personal"),
    ("(" * 1000 + "id = 1" + ")" * 1000, "column 33: parentheses stand in each other more than 32 deep"),
    (" OR ".join(["id=1"] * 300), "column 2049: a filter has at most 256 comparisons"),
    (" OR ".join(["city = a"] * 10_000), "has more than 4096 bytes"),
])
def test_a_mistake_is_pointed_at(client, text, says):
    assert says in fault(search(client, text)), text


def test_nothing_that_may_be_personal_is_repeated(client):
    for text in ("13800000001", "li.lei@example.com = 3", "city = 'Li Lei'"):
        reply = search(client, text)
        fault(reply)
        assert b"Lei" not in reply.body and b"1380" not in reply.body and b"li.lei" not in reply.body


def test_what_no_index_serves_is_refused_with_what_would_help(client):
    wait_for(lambda: found(client, "") is not None, "the index serves")
    for text in ("gender = MALE", "NOT city = a", "state = ACTIVE", "city = a OR version > 3"):
        assert "add a comparison that every one of them passes, as city = " in fault(search(client, text)), text
    detail = fault(search(client, "updateTime > 2026-01-01T00:00:00Z"))
    assert "or order by updateTime" in detail
    assert search(client, "updateTime > 2026-01-01T00:00:00Z", orderBy="updateTime desc").status == 200


def test_orders_and_bodies_are_read_strictly(client):
    assert "members are ordered by id" in fault(search(client, orderBy="city"), "orderBy")
    assert "write updateTime, id desc" in fault(search(client, orderBy="updateTime, id"), "orderBy")
    fault(search(client, pageSize=-1), "pageSize")
    fault(search(client, sortBy="id"), "sortBy")
    assert_problem(client.call("GET", "/v1/members:search"), "METHOD_NOT_ALLOWED")
    assert_problem(client.call("POST", "/v1/members:search", b"{}", {"Content-Type": "text/plain"}),
                   "UNSUPPORTED_MEDIA_TYPE")


def test_scope_and_mask(server, client):
    phone = "+8613712340001"
    member = register(client, realName="Han Meimei", city="masked", identities=[{"kind": "phone", "value": phone}])
    wait_found(client, "city = masked", [member])
    assert search(client, "city = masked").json["members"][0]["identities"][0]["value"] == phone
    with server.client(server.new_caller("search-reader", "members.read")) as reader:
        reply = search(reader, "city = masked")
        assert reply.status == 200 and phone.encode() not in reply.body and b"Meimei" not in reply.body, reply
    with server.client(server.new_caller("search-writer", "members.write")) as writer:
        assert_problem(search(writer, "city = masked"), "PERMISSION_DENIED")


# Pages.

def members_file(path, count, **fields):
    with path.open("w") as out:
        for number in range(count):
            out.write(json.dumps({"displayName": f"m{number}", "tags": [f"w{number % 7}"], **fields}) + "\n")
    return path


def import_members(server, path):
    done = server.begin_import(path)
    _, errors = done.communicate(timeout=120)
    assert done.returncode == 0, errors


def test_pages_have_no_gaps_and_no_repeats_while_members_change(server, client, scratch):
    count = scaled(1500, least=200)
    import_members(server, members_file(scratch / "paged.jsonl", count, city="paged", tier="gold"))
    wait_for(lambda: len(pages(client, "city = paged", pageSize=1000)[0]) == count if found(client, "city = paged")
             is not None else False, "all members are in the index")
    wanted = {int(member["id"]) for member in pages(client, "city = paged AND tier = gold", pageSize=1000)[0]}
    assert len(wanted) == count
    stop = threading.Event()

    def disturb():
        with server.client() as writer:
            for number, member in enumerate(sorted(wanted) * 10):
                if stop.is_set():
                    return
                assert writer.patch(member, "tags", {"tags": [f"n{number}"]}).status == 200
                register(writer, city="elsewhere", tier="gold")

    writer = threading.Thread(target=disturb)
    writer.start()
    try:
        for fields in ({}, {"orderBy": "id desc"}, {"orderBy": "createTime desc"}, {"orderBy": "createTime, id desc"}):
            members, page_count = pages(client, "city = paged AND tier = gold", pageSize=37, **fields)
            ids = [int(member["id"]) for member in members]
            assert len(ids) == len(set(ids)) and set(ids) == wanted, fields
            assert page_count >= count // 37
            if "createTime" in fields.get("orderBy", ""):
                times = [member["createTime"] for member in members]
                assert times == sorted(times, reverse="desc, id" in fields["orderBy"] or fields["orderBy"].endswith("e desc"))
            else:
                assert ids == sorted(ids, reverse="desc" in fields.get("orderBy", ""))
    finally:
        stop.set()
        writer.join()
    # The newest first: whoever was changed last.
    last = sorted(wanted)[3]
    assert client.patch(last, "tags", {"tags": ["last"]}).status == 200
    wait_for(lambda: found(client, "city = paged", orderBy="updateTime desc", pageSize=1) == [last], "the last change leads")


def test_a_token_is_good_for_its_caller_and_its_question_only(server, client):
    ids = [register(client, city="tokens") for _ in range(3)]
    wait_found(client, "city = tokens", ids)
    token = search(client, "city = tokens", pageSize=1).json["nextPageToken"]
    assert found(client, 'city="tokens"', pageSize=2, pageToken=token) == ids[1:]
    refused = "is not a token that this list gave you"
    for changed in (token[:-2] + ("AA" if token[-2:] != "AA" else "BB"), "A" + token[1:] if token[0] != "A" else "B" + token[1:],
                    token + "A", token[:-1], "x", "A" * len(token), "🙂"):
        assert refused in fault(search(client, "city = tokens", pageToken=changed), "pageToken"), changed
    assert refused in fault(search(client, "city = other", pageToken=token), "pageToken")
    assert refused in fault(search(client, "city = tokens", orderBy="id desc", pageToken=token), "pageToken")
    history = client.history(ids[0], f"?pageToken={token}")
    assert refused in fault(history, "pageToken")
    with server.client(server.new_caller("token-reader", "members.read")) as other:
        assert refused in fault(search(other, "city = tokens", pageToken=token), "pageToken")


# The index.

def test_a_write_is_found_soon_after_its_answer(client):
    member = register(client, city="soon-1")
    wait_found(client, "city = soon-1", [member])
    assert client.patch(member, "city", {"city": "soon-2"}).status == 200
    # At once nobody is shown under a city that is not theirs any more.
    assert found(client, "city = soon-1") == []
    wait_found(client, "city = soon-2", [member])
    assert client.bind(member, {"kind": "unionid", "platform": "soon", "value": "s"}).status == 200
    wait_found(client, "identities.platform:soon", [member])
    assert client.verb(member, "close", {}).status == 200
    wait_found(client, "state = CLOSED AND city = soon-2", [member])
    wait_found(client, "identities.platform:soon", [])


@pytest.mark.parametrize("files", [1, 4])
def test_the_index_outlives_its_server_and_can_be_made_again(scratch, files):
    data = scratch / "data"
    environment = {"MUSTER_STORE__SQLITE__FILES": str(files)}
    with Server(data, extra_environment=environment) as server:
        with server.client() as client:
            first = [register(client, city="kept") for _ in range(5)]
            wait_found(client, "city = kept", first)
        assert server.stop() == 0
        assert (data / "search.db").exists()
        assert doctor(data)[0] == 0
        server.start()
        with server.client() as client:
            wait_found(client, "city = kept", first)
            first.append(register(client, city="kept"))
            server.kill()
        server.start()
        with server.client() as client:
            wait_found(client, "city = kept", first)
        assert server.stop() == 0
        for path in data.glob("search.db*"):
            path.unlink()
        server.start()
        with server.client() as client:
            wait_found(client, "city = kept", first)
        assert server.stop() == 0
        (data / "search.db").write_bytes(b"not a database" * 1000)
        server.start()
        with server.client() as client:
            wait_found(client, "city = kept", first)
        assert server.stop() == 0
    assert doctor(data)[0] == 0
    content = b"".join(path.read_bytes() for path in data.glob("search.db*"))
    assert b"kept" in content


def test_who_sends_many_heavy_searches_waits_behind_his_own_and_no_longer_than_asked(scratch):
    # Each looks at everybody in the city and finds nobody.
    heavy = {"filter": "city = heavy AND (" + " OR ".join(f"tags:q{number}" for number in range(200)) + " OR version > 9)",
             "orderBy": "updateTime desc"}
    members, searches = scaled(20_000, least=4000), 20
    environment = {"MUSTER_SEARCH__THREADS": "1", "MUSTER_SEARCH__EXAMINED_MAX": "1000000"}
    with contextlib.ExitStack() as ends:
        server = ends.enter_context(Server(scratch / "data", extra_environment=environment))
        import_members(server, members_file(scratch / "heavy.jsonl", members, city="heavy"))
        client = ends.enter_context(server.client())
        other = ends.enter_context(server.client(server.new_caller("other", "members.read")))
        wait_for(lambda: found(client, f"city = heavy AND displayName = m{members - 1}"), "all members are in the index")
        begun = time.monotonic()
        assert search(client, heavy["filter"], orderBy=heavy["orderBy"]).json["members"] == []
        takes_ms = int((time.monotonic() - begun) * 1000)

        waiting = [ends.enter_context(RawConnection(server.http)) for _ in range(searches)]
        for connection in waiting:
            connection.send(request_bytes("POST", "/v1/members:search", server.key(), json.dumps(heavy).encode()))
        assert found(other, "city = heavy", pageSize=1)
        assert count_answered(waiting) < searches / 2
        late = client.call("POST", "/v1/members:search", heavy, {"X-Request-Timeout-Ms": str(2 * takes_ms + 10)})
        assert_problem(late, "DEADLINE_EXCEEDED")
        assert count_answered(waiting) < searches
        for connection in waiting:
            assert connection.reply().status == 200

        # Nor does one go on that has begun.
        before = rows_examined(server)
        assert_problem(client.call("POST", "/v1/members:search", heavy, {"X-Request-Timeout-Ms": "1"}), "DEADLINE_EXCEEDED")
        assert rows_examined(server) - before < members


def count_answered(connections):
    return len(select.select([connection.socket for connection in connections], [], [], 0)[0])


def rows_examined(server):
    with server.admin_client() as admin:
        for line in admin.call("GET", "/metrics").body.decode().splitlines():
            if line.startswith("muster_search_rows_examined_total "):
                return float(line.split()[1])
    raise AssertionError("no muster_search_rows_examined_total")


def test_data_that_went_back_to_a_backup_is_indexed_anew(scratch):
    data = scratch / "data"
    with Server(data) as server:
        with server.client() as client:
            ids = [register(client, city="old") for _ in range(3)]
            wait_found(client, "city = old", ids)
        assert server.stop() == 0
        backup = (data / "muster-0.db").read_bytes()
        server.start()
        with server.client() as client:
            lost = register(client, city="lost")
            wait_found(client, "city = lost", [lost])
        assert server.stop() == 0
        (data / "muster-0.db").write_bytes(backup)
        server.start()
        with server.client() as client:
            new = register(client, city="new")
            wait_found(client, "city = new", [new])
            assert found(client, "city = lost") == []
            assert found(client, "city = old") == ids


def test_a_server_without_search_says_so(scratch):
    with Server(scratch / "data", extra_environment={"MUSTER_SEARCH__ENABLED": "false"}) as server:
        with server.client() as client:
            assert_problem(search(client, ""), "NOT_IMPLEMENTED")
        assert not (scratch / "data" / "search.db").exists()


def test_metrics_tell_how_far_behind_it_is(server, client, admin):
    member = register(client, city="measured")
    wait_found(client, "city = measured", [member])
    text = admin.call("GET", "/metrics").body.decode()
    for name in ("muster_search_lag_changes", "muster_search_lag_seconds", "muster_search_indexed_total",
                 "muster_search_rows_examined_total"):
        assert f"\n{name} " in text, name
    assert 'muster_api_requests_total{code="OK",rpc="SearchMembers"}' in text


def test_the_shell(server, client):
    ids = [register(client, city="shell", displayName=f"Member {number}") for number in range(3)]
    wait_found(client, "city = shell", ids)
    done = run("member", "search", "city = shell", "--page-size", "2", data=server.data)
    assert done.returncode == 0 and str(ids[0]) in done.stdout and "Member 1" in done.stdout, done
    token = done.stderr.split("more: --page-token ")[1].split()[0]
    done = run("member", "search", "city = shell", "--page-token", token, "-o", "json", data=server.data)
    assert [int(member["id"]) for member in json.loads(done.stdout)["members"]] == ids[2:]
    done = run("member", "search", "city = shell", "--order-by", "id desc", "-o", "json", data=server.data)
    assert [int(member["id"]) for member in json.loads(done.stdout)["members"]] == ids[::-1]
    done = run("member", "search", "cty = shell", data=server.data)
    assert done.returncode != 0 and "column 1: " in done.stderr, done
