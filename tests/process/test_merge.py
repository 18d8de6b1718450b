"""Merge and unmerge: what moves, what reads and writes say afterwards, what is refused."""
import pytest

import people
from member_client import assert_problem

FILES = (1, 4)


@pytest.fixture
def pair(client):
    """A survivor and a source, with two identities each."""
    return [client.register(identities=[people.phone_identity(), people.email_identity()]).json for _ in range(2)]


def merge(client, survivor, source, verb="merge", **fields):
    headers = {name: fields.pop(name) for name in list(fields) if name[0].isupper()}
    return client.verb(survivor["id"], verb, {"sourceId": source["id"], **fields}, **headers)


def holders(client, members):
    return [client.resolve(identity["kind"], identity["value"]).json["id"]
            for member in members for identity in member["identities"]]


def test_merge_and_take_it_back(client, pair):
    survivor, source = pair
    reply = merge(client, survivor, source)
    assert reply.status == 200 and reply.etag == '"2"', reply
    assert reply.json["id"] == survivor["id"] and len(reply.json["identities"]) == 4
    assert client.get(survivor["id"]).json == reply.json
    assert holders(client, pair) == [survivor["id"]] * 4
    gone = client.get(source["id"]).json
    assert (gone["state"], gone["mergedInto"], gone["version"]) == ("MERGED", survivor["id"], "2")
    assert not gone.get("identities")
    assert merge(client, survivor, source).json == reply.json, "again: nothing changes"

    reply = merge(client, survivor, source, "unmerge")
    assert reply.status == 200 and reply.etag == '"3"', reply
    assert reply.json["id"] == source["id"] and reply.json["state"] == "ACTIVE" and "mergedInto" not in reply.json
    assert holders(client, pair) == [survivor["id"]] * 2 + [source["id"]] * 2
    for member in pair:
        changes = client.history(member["id"]).json["changes"]
        assert [change["type"] for change in changes] == ["UNMERGED", "MERGED", "REGISTERED"]
        assert [len(change["identities"]) for change in changes[:2]] == [2, 2]
        other = source if member is survivor else survivor
        assert [change.get("otherMemberId") for change in changes] == [other["id"], other["id"], None]


def test_only_what_is_where_the_merge_put_it_comes_back(client, pair):
    survivor, source = pair
    assert merge(client, survivor, source).status == 200
    anew, stays = source["identities"]
    assert client.unbind(survivor["id"], anew).status == 200
    assert client.bind(survivor["id"], {name: anew[name] for name in ("kind", "value")}).status == 200
    reply = merge(client, survivor, source, "unmerge")
    assert [identity["value"] for identity in reply.json["identities"]] == [stays["value"]]
    assert client.resolve(anew["kind"], anew["value"]).json["id"] == survivor["id"]


def test_a_dry_run_changes_nothing(client, pair):
    survivor, source = pair
    reply = merge(client, survivor, source, dryRun=True)
    assert reply.status == 200 and reply.json["version"] == "2" and len(reply.json["identities"]) == 4
    assert [client.get(member["id"]).json for member in pair] == pair
    assert merge(client, survivor, source).status == 200
    reply = merge(client, survivor, source, "unmerge", dryRun=True)
    assert reply.json["id"] == source["id"] and reply.json["state"] == "ACTIVE"
    assert client.get(source["id"]).json["state"] == "MERGED"


def test_refusals_say_what_to_do(client, pair):
    survivor, source = pair
    assert_problem(merge(client, survivor, survivor), "INVALID_ARGUMENT")
    assert_problem(merge(client, survivor, {"id": "5"}), "MEMBER_NOT_FOUND")
    assert_problem(merge(client, survivor, source, "unmerge"), "STATE_CONFLICT")
    assert_problem(merge(client, survivor, source, If_Match='"7"'), "VERSION_MISMATCH")
    assert client.patch(source["id"], "state", {"state": "FROZEN"}).status == 200
    assert_problem(merge(client, survivor, source), "STATE_CONFLICT")
    assert_problem(merge(client, source, survivor), "STATE_CONFLICT")
    assert client.patch(source["id"], "state", {"state": "ACTIVE"}).status == 200
    assert merge(client, survivor, source, If_Match='"1"').status == 200
    reply = client.bind(source["id"], people.phone_identity())
    assert_problem(reply, "STATE_CONFLICT")
    assert survivor["id"] in reply.json["detail"], "names the survivor"


def test_the_limits_of_kinds_are_those_of_the_union(client):
    phones = [client.register(identities=[people.phone_identity() for _ in range(2)]).json for _ in range(2)]
    assert_problem(merge(client, *phones), "LIMIT_EXCEEDED")
    assert [client.get(member["id"]).json for member in phones] == phones


def test_a_chain_comes_back_from_its_end(client):
    first, second, third = (client.register(identities=[people.phone_identity()]).json for _ in range(3))
    assert merge(client, second, first).status == 200
    assert merge(client, third, second).status == 200
    reply = merge(client, second, first, "unmerge")
    assert_problem(reply, "STATE_CONFLICT")
    assert third["id"] in reply.json["detail"], "names whom to unmerge first"
    assert merge(client, third, second, "unmerge").status == 200
    assert merge(client, second, first, "unmerge").status == 200
    assert holders(client, [first, second, third]) == [first["id"], second["id"], third["id"]]


def test_a_repeated_request_is_answered_as_the_first(client, pair):
    survivor, source = pair
    keys = {verb: f"{verb}-{people.number()}" for verb in ("merge", "unmerge")}
    replies = {verb: merge(client, survivor, source, verb, Idempotency_Key=key) for verb, key in keys.items()}
    for verb, key in keys.items():
        again = merge(client, survivor, source, verb, Idempotency_Key=key)
        assert again.json == replies[verb].json and again.headers["idempotent-replayed"] == "true"
    assert client.get(source["id"]).json["state"] == "ACTIVE"
