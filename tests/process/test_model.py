"""Long random walks through the member API beside a model of it: every answer, version and cached read must agree."""
import os
import random

import pytest

import people
from directory_model import Model
from muster_process import Scratch, Server, doctor, scaled

STEPS = scaled(4_000, 400)
NOBODY = "123456789"
SETUPS = {
    "one file": {"MUSTER_STORE__SQLITE__FILES": "1"},
    "four files": {"MUSTER_STORE__SQLITE__FILES": "4"},
    "four files, small cache": {"MUSTER_STORE__SQLITE__FILES": "4", "MUSTER_CACHE__NEAR__BYTES": "1MiB"},
    "no cache": {"MUSTER_CACHE__NEAR__ENABLED": "false"},
}


class Walk:
    """One seeded walk. A few members and identities, so that they meet often."""

    def __init__(self, server, source):
        self.server, self.random, self.model = server, source, Model()
        self.clients = [server.client() for _ in range(3)]
        self.pool = [("phone", people.phone()) for _ in range(12)] + [("email", f"p{n}@example.com") for n in range(12)]
        self.living = []  # ids to choose from; closed ones leave after a while

    def client(self):
        return self.random.choice(self.clients)

    def some_member(self):
        return NOBODY if not self.living or self.random.random() < 0.02 else self.random.choice(self.living)

    def some_fields(self):
        names = self.random.sample(["displayName", "city", "tier", "tags"], self.random.randint(1, 3))
        return {name: self.random.choice(["", "x", "Suzhou"]) if name != "tags" else self.random.choice([[], ["a"], ["a", "b"]])
                for name in names}

    def condition(self, member_id):
        """(If-Match as a number or None, headers)"""
        member = self.model.members.get(member_id)
        if member is None or self.random.random() < 0.6:
            return None, {}
        version = self.random.choice([member.version, member.version, member.version + 1, max(1, member.version - 1)])
        return version, {"If_Match": f'"{version}"'}

    def step(self):
        action = self.random.choices(
            [self.register, self.patch, self.freeze, self.bind, self.unbind, self.close, self.get, self.resolve, self.batch],
            [10, 8, 2, 16, 12, 2, 20, 24, 4])[0]
        action()

    def settle(self, reply, codes, apply):
        """Holds an answer to a write against what the model allows."""
        code = "OK" if reply.status < 300 else reply.json["code"]
        assert code in codes, (codes, reply)
        if code == "OK":
            apply(reply.json)
            self.agree(reply.json)
            assert reply.etag == f'"{reply.json["version"]}"'

    def agree(self, shown):
        member = self.model.members[shown["id"]]
        assert int(shown["version"]) == member.version, (vars(member), shown)
        assert shown["state"] == member.state
        assert [(i["kind"], i["value"]) for i in shown.get("identities", [])] == member.identities, (vars(member), shown)
        assert {name: shown[name] for name in ("displayName", "city", "tier", "tags") if shown.get(name)} == \
            {name: value for name, value in member.fields.items() if value}, (vars(member), shown)

    def register(self):
        identities = self.random.sample(self.pool, self.random.choice([0, 1, 1, 2, 3]))
        fields = self.some_fields()
        reply = self.client().register(**fields, identities=[{"kind": kind, "value": value} for kind, value in identities])

        def apply(shown):
            self.model.register(shown["id"], fields, identities)
            self.living = [*self.living, shown["id"]][-20:]
        self.settle(reply, self.model.register_codes(identities), apply)

    def patch(self):
        member_id, fields = self.some_member(), self.some_fields()
        if_match, headers = self.condition(member_id)
        body = {name: value for name, value in fields.items() if value or self.random.random() < 0.5}
        reply = self.client().patch(member_id, ",".join(fields), body, **headers)
        self.settle(reply, self.model.patch_codes(member_id, fields, if_match), lambda _: self.model.patch(member_id, fields))

    def freeze(self):
        member_id, fields = self.some_member(), {"state": self.random.choice(["ACTIVE", "FROZEN", "ACTIVE"])}
        if_match, headers = self.condition(member_id)
        reply = self.client().patch(member_id, "state", fields, **headers)
        self.settle(reply, self.model.patch_codes(member_id, fields, if_match), lambda _: self.model.patch(member_id, fields))

    def bind(self):
        member_id, (kind, value) = self.some_member(), self.random.choice(self.pool)
        if_match, headers = self.condition(member_id)
        reply = self.client().bind(member_id, {"kind": kind, "value": value}, **headers)
        self.settle(reply, self.model.bind_codes(member_id, (kind, value), if_match),
                    lambda _: self.model.bind(member_id, (kind, value)))

    def unbind(self):
        member_id, (kind, value) = self.some_member(), self.random.choice(self.pool)
        held = self.model.members[member_id].identities if member_id in self.model.members else []
        if held and self.random.random() < 0.7:
            kind, value = self.random.choice(held)
        if_match, headers = self.condition(member_id)
        reply = self.client().unbind(member_id, {"kind": kind, "value": value}, **headers)
        self.settle(reply, self.model.unbind_codes(member_id, (kind, value), if_match),
                    lambda _: self.model.unbind(member_id, (kind, value)))

    def close(self):
        member_id = self.some_member()
        if_match, headers = self.condition(member_id)
        reply = self.client().verb(member_id, "close", {}, **headers)
        self.settle(reply, self.model.close_codes(member_id, if_match), lambda _: self.model.close(member_id))

    def get(self):
        member_id = self.some_member()
        member = self.model.members.get(member_id)
        headers = {"Cache_Control": "no-cache"} if self.random.random() < 0.2 else {}
        floor = self.random.choice([None, None, 1, member.version if member else 1, member.version + 1 if member else 1])
        reply = self.client().get(member_id, "" if floor is None else f"?minVersion={floor}", **headers)
        if member is None:
            assert reply.status == 404 and reply.json["code"] == "MEMBER_NOT_FOUND", reply
        elif floor is not None and floor > member.version:
            assert reply.status == 503 and reply.json["code"] == "STALE", reply
        else:
            assert reply.status == 200, reply
            self.agree(reply.json)

    def resolve(self):
        kind, value = self.random.choice(self.pool)
        headers = {"Cache_Control": "no-cache"} if self.random.random() < 0.2 else {}
        reply = self.client().resolve(kind, value, **headers)
        holder = self.model.holder.get((kind, value))
        assert reply.status == (200 if holder else 404), (holder, reply)
        if holder:
            assert reply.json["id"] == holder
            self.agree(reply.json)

    def batch(self):
        identities = self.random.choices(self.pool, k=self.random.randint(0, 30))
        body = {"identities": [{"kind": kind, "value": value} for kind, value in identities]}
        results = self.client().call("POST", "/v1/members:batchResolve", body).json["results"]
        assert [r["member"]["id"] if "member" in r else None for r in results] == list(map(self.model.holder.get, identities))
        ids = [self.some_member() for _ in range(self.random.randint(0, 30))]
        results = self.client().call("POST", "/v1/members:batchGet", {"ids": ids}).json["results"]
        assert len(results) == len(ids)
        for member_id, result in zip(ids, results):
            if member_id in self.model.members:
                self.agree(result["member"])
            else:
                assert result["error"]["code"] == "MEMBER_NOT_FOUND", result

    def restart(self):
        for client in self.clients:
            client.close()
        if self.random.random() < 0.5:
            self.server.kill()
        else:
            assert self.server.stop() == 0
        self.server.start()
        self.clients = [self.server.client() for _ in range(3)]

    def end(self):
        with self.server.client() as client:
            for member_id in self.model.members:
                self.agree(client.get(member_id, Cache_Control="no-cache").json)
                self.agree(client.get(member_id).json)


@pytest.mark.parametrize("setup", SETUPS)
def test_a_random_walk_agrees_with_the_model(setup):
    seed = int(os.environ.get("PROCESS_TEST_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"PROCESS_TEST_SEED={seed} repeats it")
    with Scratch() as scratch:
        with Server(scratch / "data", extra_environment=SETUPS[setup]) as server:
            walk = Walk(server, random.Random(seed))
            for step in range(1, STEPS + 1):
                walk.step()
                if step % (STEPS // 4) == 0:
                    walk.restart()
            walk.end()
            assert len(walk.model.members) >= STEPS // 50
        code, report = doctor(scratch / "data")
        assert code == 0, report
