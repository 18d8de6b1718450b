"""Many callers at the same moment: one identity has one holder, one version has one successor, nothing is lost."""
import threading

import pytest

import people
from member_client import assert_problem
from muster_process import DEADLINE_S, scaled

FILES = (1, 4)
THREADS = 8


class Together:
    """Runs `work(client, number)` in THREADS threads, each with a connection of its own, all beginning at once."""

    def __init__(self, server):
        self.clients = [server.client() for _ in range(THREADS)]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for client in self.clients:
            client.close()

    def run(self, work):
        answers, start = [None] * THREADS, threading.Barrier(THREADS)

        def one(number):
            start.wait(DEADLINE_S)
            try:
                answers[number] = work(self.clients[number], number)
            except Exception as error:  # told by the caller's assertion
                answers[number] = error
        threads = [threading.Thread(target=one, args=(number,)) for number in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DEADLINE_S)
            assert not thread.is_alive()
        failures = [answer for answer in answers if isinstance(answer, Exception)]
        assert not failures, failures
        return answers


@pytest.fixture
def together(server):
    with Together(server) as callers:
        yield callers


def send_again(replies, send):
    """When everybody wants an identity at once, some hear that they should come again."""
    for n, reply in enumerate(replies):
        if reply.status == 503:
            assert_problem(reply, "OVERLOADED")
            replies[n] = send(n)


def test_one_identity_is_registered_once(together, client):
    for _ in range(scaled(40, 5)):
        phone, others = people.phone_identity(), [people.email_identity() for _ in range(THREADS)]
        replies = together.run(lambda c, n: c.register(identities=[others[n], phone]))
        winners = [n for n, reply in enumerate(replies) if reply.status == 201]
        assert len(winners) == 1, replies
        send_again(replies, lambda n: client.register(identities=[others[n], phone]))
        assert {reply.json["code"] for n, reply in enumerate(replies) if n not in winners} == {"IDENTITY_TAKEN"}
        assert client.resolve("phone", phone["value"]).json["id"] == replies[winners[0]].json["id"]
        for n, other in enumerate(others):  # what the losers had reserved is free
            assert client.resolve("email", other["value"]).status == (200 if n in winners else 404)
            if n not in winners:
                assert client.register(identities=[other]).status == 201


def test_one_identity_is_bound_once(together, client):
    members = [client.register().json["id"] for _ in range(THREADS)]
    for _ in range(scaled(40, 5)):
        identity = people.scoped_identity("openid", "wechat")
        replies = together.run(lambda c, n: c.bind(members[n], identity))
        send_again(replies, lambda n: client.bind(members[n], identity))
        winners = [members[n] for n, reply in enumerate(replies) if reply.status == 200]
        assert len(winners) == 1, replies
        assert {reply.json["code"] for reply in replies if reply.status != 200} == {"IDENTITY_TAKEN"}
        assert client.resolve("openid", identity["value"], "wechat").json["id"] == winners[0]
        replies = together.run(lambda c, n: c.unbind(members[n], identity))
        assert sorted(reply.status for reply in replies) == [200] + [404] * (THREADS - 1)
        assert client.resolve("openid", identity["value"], "wechat").status == 404


def test_binding_the_same_to_the_same_changes_it_once(together, client):
    for _ in range(scaled(20, 3)):
        member, identity = client.register().json, people.email_identity()
        replies = together.run(lambda c, n: c.bind(member["id"], identity))
        assert {(reply.status, reply.json["version"]) for reply in replies} == {(200, "2")}


def test_limits_hold_in_a_crowd(together, client):
    for _ in range(scaled(20, 3)):
        member = client.register().json["id"]
        replies = together.run(lambda c, n: c.bind(member, people.phone_identity()))
        assert sorted(reply.status for reply in replies) == [200] * 3 + [409] * (THREADS - 3)
        held = client.get(member).json["identities"]
        assert len(held) == 3
        for number, reply in enumerate(replies):
            assert reply.status == 200 or reply.json["code"] == "LIMIT_EXCEEDED", (number, reply)


def test_one_version_has_one_successor(together, client):
    member = client.register().json["id"]
    for version in range(1, scaled(60, 10)):
        replies = together.run(lambda c, n: c.patch(member, "city", {"city": f"{version}-{n}"}, If_Match=f'"{version}"'))
        winners = [reply for reply in replies if reply.status == 200]
        assert len(winners) == 1 and {r.status for r in replies} == {200, 412}, replies
        assert client.get(member).json == winners[0].json


def test_no_update_is_lost(together, client):
    member = client.register().json["id"]

    def add(connection, number):
        for step in range(scaled(20, 3)):
            while True:
                seen = connection.get(member)
                attributes = {**seen.json.get("attributes", {}), f"a{number}": str(step)}
                if connection.patch(member, "attributes", {"attributes": attributes}, If_Match=seen.etag).status == 200:
                    break
    together.run(add)
    final = client.get(member).json
    assert final["attributes"] == {f"a{n}": str(scaled(20, 3) - 1) for n in range(THREADS)}
    assert final["version"] == str(1 + THREADS * scaled(20, 3))


def test_versions_never_go_back_for_a_reader(together, client):
    """Writers raise the version while readers look from other connections; an identity moves to and fro meanwhile."""
    identity, homes = people.card_identity(), [client.register().json["id"] for _ in range(2)]
    client.bind(homes[0], identity)
    done = threading.Event()

    def work(connection, number):
        if number == 0:
            for step in range(scaled(150, 20)):
                source, target = homes[step % 2], homes[1 - step % 2]
                assert connection.unbind(source, identity).status == 200
                assert connection.bind(target, identity).status == 200
            done.set()
            return
        seen = {home: 0 for home in homes}
        while not done.is_set():
            for home in homes:
                version = int(connection.get(home).json["version"])
                assert version >= seen[home], (home, seen, version)
                seen[home] = version
            reply = connection.resolve("card", identity["value"], "store")
            assert reply.status in (200, 404), reply
            if reply.status == 200:
                assert identity["value"] in [i["value"] for i in reply.json["identities"]], reply
                assert int(reply.json["version"]) >= seen[reply.json["id"]]
                seen[reply.json["id"]] = int(reply.json["version"])
    together.run(work)
