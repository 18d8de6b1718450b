"""Idempotency keys and searches over gRPC, beside the same over HTTP."""
import pytest

import people
from grpc_client import Calls, grpc, messages, phone  # noqa: F401
from muster_process import DEADLINE_S, wait_for

FILES = (1, 4)


@pytest.fixture
def calls(server, messages):  # noqa: F811
    with Calls(server.grpc, messages, server.key()) as calls:
        yield calls


def write(calls, method, key, **fields):
    """The answer, and whether it was given before."""
    request = calls.messages(f"muster.v1.{method}Request")(**fields)
    answer, call = calls.method(method, request, "Member").with_call(
        request, timeout=DEADLINE_S, metadata=[*calls.metadata, ("idempotency-key", key)])
    return answer, dict(call.initial_metadata()).get("idempotent-replayed") == "true"


def history_of(calls, member_id):
    return len(calls.call("ListMemberHistory", "ListMemberHistoryResponse", id=member_id).changes)


def test_every_write_is_done_once(calls):
    made, identity = f"made-{people.number()}", phone()
    first, replayed = write(calls, "RegisterMember", made, member={"display_name": "Lei", "identities": [phone(), identity]})
    assert not replayed
    for number, (method, fields) in enumerate([("UpdateMember", {"member": {"city": "Wuxi"}}), ("UnbindIdentity", {"identity": identity}),
                                               ("BindIdentity", {"identity": identity}), ("CloseMember", {})], start=1):
        key = f"write-{people.number()}"
        once = write(calls, method, key, id=first.id, expected_version=number, **fields)
        again = write(calls, method, key, id=first.id, expected_version=number, **fields)  # stale by now
        assert (once[1], again[1]) == (False, True) and once[0] == again[0]
    assert history_of(calls, first.id) == 5
    with pytest.raises(grpc.RpcError):
        write(calls, "RegisterMember", made, member={"display_name": "another"})


def test_both_ends_of_a_merge_name_the_other(calls):
    source, survivor = (calls.call("RegisterMember", member={"identities": [phone()]}) for _ in range(2))
    calls.call("MergeMembers", id=survivor.id, source_id=source.id)
    for one, other in ((source, survivor), (survivor, source)):
        changes = calls.call("ListMemberHistory", "ListMemberHistoryResponse", id=one.id).changes
        assert [change.other_member_id for change in changes] == [other.id, 0]


def test_what_must_be_there_once(calls):
    code, reason, details = calls.refused("RegisterMember")
    assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT")
    assert [violation.field for violation in details["google.rpc.BadRequest"].field_violations] == ["member"]
    with pytest.raises(grpc.RpcError) as failure:
        calls.call("GetMember", metadata=calls.metadata, id=1)
    assert failure.value.code() == grpc.StatusCode.INVALID_ARGUMENT and "twice" in failure.value.details()


def test_a_write_is_the_same_over_both_protocols(calls, client):
    number, key = people.phone_identity()["value"], f"both-{people.number()}"
    made = client.call("POST", "/v1/members", {"city": "Suzhou", "identities": [{"kind": "phone", "value": number}]},
                       {"Idempotency-Key": f'"{key}"'})
    assert made.status == 201, made
    again, replayed = write(calls, "RegisterMember", key, member={"city": "Suzhou", "identities": [{"kind": "phone", "value": number}]})
    assert replayed and str(again.id) == made.json["id"] and again.version == 1

    key = f"other-{people.number()}"
    once, replayed = write(calls, "UpdateMember", key, id=again.id, member={"city": "Wuxi"}, update_mask={"paths": ["city", "tier"]},
                           expected_version=1)
    assert not replayed
    twice = client.call("PATCH", f"/v1/members/{again.id}?updateMask=tier,city", {"city": "Wuxi"},
                        {"Idempotency-Key": key, "If-Match": '"1"'})
    assert twice.status == 200 and twice.headers.get("idempotent-replayed") == "true", twice
    assert twice.json["version"] == str(once.version) == "2"


def test_a_key_for_another_write_is_refused(calls):
    member, key = calls.call("RegisterMember", member={}).id, f"mismatch-{people.number()}"
    write(calls, "UpdateMember", key, id=member, member={"city": "Wuxi"})
    metadata = [("idempotency-key", key)]
    assert calls.refused("UpdateMember", id=member, member={"city": "Suzhou"}, metadata=metadata)[:2] == (
        grpc.StatusCode.INVALID_ARGUMENT, "IDEMPOTENCY_MISMATCH")
    _, reason, details = calls.refused("CloseMember", id=member, metadata=[("idempotency-key", "a b")])
    assert reason == "INVALID_ARGUMENT"
    assert [fault.field for fault in details["google.rpc.BadRequest"].field_violations] == ["Idempotency-Key"]


def search(calls, text, **fields):
    return calls.call("SearchMembers", "SearchMembersResponse", filter=text, **fields)


def test_a_search_and_its_pages(server, messages, calls, client):  # noqa: F811
    city = f"city-{people.number()}"
    ids = sorted(calls.call("RegisterMember", member={"city": city, "tier": "gold"}).id for _ in range(5))

    def found():
        try:
            return [member.id for member in search(calls, f'city = "{city}"').members] == ids
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.UNAVAILABLE, error  # while the index is built
            return False
    wait_for(found, "all are found")
    first = search(calls, f'city = "{city}"', order_by="id desc", page_size=2)
    assert [member.id for member in first.members] == ids[:-3:-1] and first.next_page_token
    rest = search(calls, f"city={city}", order_by="id desc", page_token=first.next_page_token)
    assert [member.id for member in rest.members] == ids[-3::-1] and not rest.next_page_token
    # A token is of its search, over whichever protocol.
    over_http = client.call("POST", "/v1/members:search", {"filter": f"city = {city}", "orderBy": "id desc",
                                                           "pageToken": first.next_page_token})
    assert [member["id"] for member in over_http.json["members"]] == [str(one) for one in ids[-3::-1]], over_http

    def fault(**fields):
        code, reason, details = calls.refused("SearchMembers", **fields)
        assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT")
        return [(one.field, one.description) for one in details["google.rpc.BadRequest"].field_violations]
    assert fault(filter="tier = gold", order_by="id desc", page_token=first.next_page_token)[0][0] == "page_token"
    assert fault(filter="city = ")[0][0] == "filter" and "column" in fault(filter="city = ")[0][1]
    assert fault(filter=" AND ".join(["city=a"] * 10_000))[0][0] == "filter"
    assert fault(filter="(" * 1000 + "city=a" + ")" * 1000)[0][0] == "filter"
    with Calls(server.grpc, messages, server.new_caller(f"search-{people.number()}", "members.read")) as foreign:
        assert foreign.refused("SearchMembers", filter=f"city={city}", order_by="id desc",
                               page_token=first.next_page_token)[1] == "INVALID_ARGUMENT"
