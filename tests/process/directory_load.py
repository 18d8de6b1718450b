"""Load that remembers what it was promised: members, and which identities they were acknowledged to hold."""
import http.client
import random
import threading

import people
from muster_process import DEADLINE_S

# What a server that is killed leaves its clients with.
GONE = (OSError, http.client.HTTPException)


class DirectoryLoad:
    """Each thread works on identities of its own (and sometimes on one that all fight for), so that after a crash every
    identity has either a known holder, no holder, or is one of the few whose last write was never answered."""

    def __init__(self, seed, threads=4):
        self.random = random.Random(seed)
        self.holder = {}  # phone → member id, None: acknowledged to be free
        self.unsure = set()  # phones whose last write has no answer
        self.versions = {}  # member id → the highest version that was acknowledged
        self.counted = threading.Condition()
        self.acknowledged = 0
        self.threads_count = threads
        self.threads = []
        self.failures = []
        self.contested = []

    def start(self, server):
        self.contested = [people.phone() for _ in range(8)]
        self.threads = [threading.Thread(target=self._run, args=(server, random.Random(self.random.random())))
                        for _ in range(self.threads_count)]
        for thread in self.threads:
            thread.start()

    def wait_for_more(self, count):
        """Until that many further writes have been acknowledged."""
        with self.counted:
            goal = self.acknowledged + count
            assert self.counted.wait_for(lambda: self.acknowledged >= goal or self.failures, DEADLINE_S), "no progress"
        assert not self.failures, self.failures

    def join(self):
        for thread in self.threads:
            thread.join(DEADLINE_S)
            assert not thread.is_alive(), "a client hangs"
        assert not self.failures, self.failures

    def _run(self, server, source):
        held = []  # (member id, phone) of this thread
        try:
            with server.client() as client:
                while True:
                    self._step(client, source, held)
        except GONE:
            pass
        except Exception as error:  # kept for the test's own thread
            with self.counted:
                self.failures.append(repr(error))
                self.counted.notify_all()

    def _step(self, client, source, held):
        choice = source.random()
        if choice < 0.4 or not held:
            phone = people.phone()
            reply = self._write([phone], lambda: client.register(identities=[{"kind": "phone", "value": phone}]))
            assert reply.status == 201, reply
            held.append((reply.json["id"], phone))
            self._note({phone: reply.json["id"]}, reply)
            return
        place = source.randrange(len(held))
        member_id, phone = held[place]
        identity = {"kind": "phone", "value": phone}
        if choice < 0.65:
            reply = self._write([phone], lambda: client.unbind(member_id, identity))
            assert reply.status == 200, reply
            self._note({phone: None}, reply)
            reply = self._write([phone], lambda: client.bind(member_id, identity))
            assert reply.status == 200, reply
            self._note({phone: member_id}, reply)
        elif choice < 0.8:
            reply = self._write([phone], lambda: client.verb(member_id, "close", {}))
            assert reply.status == 200, reply
            held.pop(place)
            self._note({phone: None}, reply)
        else:
            # Everybody wants these: who gets one gives it back at once. Their holders are the doctor's to judge.
            wanted = {"kind": "phone", "value": source.choice(self.contested)}
            reply = client.bind(member_id, wanted)
            assert reply.status in (200, 409), reply
            if reply.status == 200:
                self._note({}, reply)
                reply = client.unbind(member_id, wanted)
                assert reply.status == 200, reply
                self._note({}, reply)

    def _write(self, phones, send):
        with self.counted:
            self.unsure.update(phones)
        return send()

    def _note(self, holders, reply):
        member = reply.json
        with self.counted:
            self.unsure -= set(holders)
            self.holder.update(holders)
            self.versions[member["id"]] = max(int(member["version"]), self.versions.get(member["id"], 0))
            self.acknowledged += 1
            self.counted.notify_all()

    def check(self, server, sample):
        """What was acknowledged is there: every fresh promise and a sample of the old ones."""
        with server.client() as client:
            phones = [phone for phone in self.holder if phone not in self.unsure]
            for phone in self.random.sample(phones[:-100], min(sample, len(phones[:-100]))) + phones[-100:]:
                reply = client.resolve("phone", phone)
                if self.holder[phone] is None:
                    assert reply.status == 404, f"{phone} was given up, yet {reply}"
                    continue
                assert reply.status == 200, f"{phone} of {self.holder[phone]} is lost: {reply}"
                member = reply.json
                assert member["id"] == self.holder[phone], (phone, self.holder[phone], reply)
                assert phone in [identity["value"] for identity in member["identities"]]
                assert int(member["version"]) >= self.versions[member["id"]], reply
            for phone in self.unsure:
                reply = client.resolve("phone", phone)
                assert reply.status in (200, 404), reply
                if reply.status == 200:
                    assert phone in [identity["value"] for identity in reply.json["identities"]]
            for member_id in list(self.versions)[-50:]:
                assert int(client.get(member_id).json["version"]) >= self.versions[member_id]
