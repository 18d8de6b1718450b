"""Callers in both centers that write and read few members (hot) and more (cold), and record each call (history.py).

Half of them read only, so that it is seen how long reads are not answered while writes wait. Each caller keeps to the servers of its center and goes to the next one when one does not answer, as behind a load balancer.
"""
import http.client
import json
import random
import threading
import time

from member_client import Client

HOT_MEMBERS, COLD_MEMBERS, IDENTITIES = 3, 24, 6
CALLERS, PAUSE_S = 2, 0.025  # Load's; from the begin of a call to that of the next
# What a server may take, and what a caller waits for its answer: a little more, so that servers say what became of it.
SERVER_DEADLINE_MS, CALLER_DEADLINE_S = 1500, 2.0
TRIES_MAX = 8
PLATFORM = "chaos"
# Answers that promise that nothing was written; every other one of a write that is not 2xx is unclear.
NOTHING_WRITTEN = {"WRITES_UNAVAILABLE", "OVERLOADED", "RATE_LIMITED", "DEADLINE_EXCEEDED", "STALE"}


def card(index):
    return f"CHAOS{index:04d}"


class Caller(threading.Thread):
    """One caller, one call after the other, until `stop`. `doors`: (server's name, address) of its center, tried in turn."""

    server_deadline_ms, caller_deadline_s = SERVER_DEADLINE_MS, CALLER_DEADLINE_S

    def __init__(self, load, name, center, doors, door, is_reader=False):
        super().__init__(name=name, daemon=True)
        self.load, self.center, self.doors, self.door, self.is_reader = load, center, doors, door, is_reader
        self.random = random.Random(f"{load.seed}/{name}")
        self.clients = {}
        self.known = {}  # member → the last version that this caller saw
        self.failure = None

    def run(self):
        try:
            while not self.load.is_over.is_set():
                begin = time.monotonic()
                self.step()
                self.load.is_over.wait(max(0.0, self.load.pause_s - (time.monotonic() - begin)))
        except Exception as failure:  # what a test does not foresee has to fail it, from whichever thread
            self.failure = failure
            raise
        finally:
            for client in self.clients.values():
                client.close()

    def step(self):
        choice = self.random.random()
        member = self.load.choose(self.random)
        if choice < (0.7 if self.is_reader else 0.2):
            self.get(member)
        elif self.is_reader or choice < 0.3:
            self.resolve(card(self.random.randrange(IDENTITIES)))
        elif choice < 0.75:
            self.update(member)
        else:
            self.hand_over(card(self.random.randrange(IDENTITIES)))

    # The calls.

    def send(self, method, path, body=None, **headers):
        """(begin, end, status, code, headers, document); status 0 without an answer."""
        name, address = self.doors[self.door]
        client = self.clients.get(name)
        if client is None:
            client = self.clients[name] = Client(address, self.load.key)
            client.connection.timeout = self.caller_deadline_s
        sent = {"X-Request-Timeout-Ms": str(self.server_deadline_ms), **{n.replace("_", "-"): v for n, v in headers.items()}}
        begin = time.monotonic_ns()
        try:
            reply = client.call(method, path, body, sent)
        except ConnectionRefusedError:
            return self.unanswered(begin, "unreachable")
        except (OSError, http.client.HTTPException) as error:
            return self.unanswered(begin, type(error).__name__)
        end = time.monotonic_ns()
        document = json.loads(reply.body) if reply.body else {}
        code = document.get("code", "") if reply.status >= 400 else ""
        if reply.status >= 500:
            self.door = (self.door + 1) % len(self.doors)
        return begin, end, reply.status, code, reply.headers, document

    def unanswered(self, begin, code):
        """The next call goes to the next server."""
        self.door = (self.door + 1) % len(self.doors)
        return begin, time.monotonic_ns(), 0, code, {}, {}

    def record(self, op, sent, **more):
        begin, end, status, code, headers, document = sent
        event = {"op": op, "begin": begin, "end": end, "center": self.center, "server": more.pop("server"), "caller": self.name,
                 "status": status, "code": code, **more}
        if code and "detail" in document:
            event["message"] = document["detail"]
        if "x-muster-source" in headers:
            event["source"], event["age_ms"] = headers["x-muster-source"], int(headers["x-muster-age-ms"])
        if 200 <= status < 300:
            self.known[document["id"]] = int(document["version"])
            event.update(version=int(document["version"]), value=document.get("displayName", ""),
                         identities=sorted(i["value"] for i in document.get("identities", [])))
            if op == "resolve":
                event["holder"] = document["id"]
            event.setdefault("member", document["id"])
        self.load.history.add(**event)
        return event

    def read(self, op, path, **what):
        """One in five asks the primary."""
        server = self.doors[self.door][0]
        sent = self.send("GET", path, **({"Cache_Control": "no-cache"} if self.random.random() < 0.2 else {}))
        if sent[2] == 404 and op == "resolve":
            what["holder"] = None
        return self.record(op, sent, server=server, outcome="ok" if sent[2] in (200, 404) else "refused", **what)

    def get(self, member):
        return self.read("get", f"/v1/members/{member}", member=member)

    def resolve(self, value):
        return self.read("resolve", f"/v1/members:resolve?kind=card&platform={PLATFORM}&value={value}", identity=value)

    def write(self, op, method, path, body, condition=None, is_repeated=False, **what):
        """With an Idempotency-Key (`is_repeated`) it is sent again while its outcome is unclear, and is one call."""
        server, request = self.doors[self.door][0], self.load.next_request(self.name)
        headers = {"Request_Id": request}
        if condition is not None:
            headers["If_Match"] = f'"{condition}"'
        if is_repeated:
            headers["Idempotency_Key"] = f'"{request}"'
        begin, outcome, was_unclear = None, "unclear", False
        for _ in range(TRIES_MAX if is_repeated else 1):
            sent = self.send(method, path, body, **headers)
            begin = begin or sent[0]
            outcome = outcome_of(sent[2], sent[3])
            # A first try may be done after a later one was refused.
            if outcome == "refused" and was_unclear:
                outcome = "unclear"
            was_unclear = was_unclear or outcome == "unclear"
            if outcome != "unclear" or self.load.is_over.wait(0.05):
                break
        return self.record(op, (begin, *sent[1:]), server=server, outcome=outcome, request=request, condition=condition, **what)

    def register(self, number):
        return self.write("register", "POST", "/v1/members", {"displayName": str(number)}, number=str(number))

    def update(self, member):
        number = self.load.next_number()
        condition = self.known.get(member) if self.random.random() < 0.4 else None
        return self.write("update", "PATCH", f"/v1/members/{member}?updateMask=displayName", {"displayName": number}, condition,
                          self.random.random() < 0.3, member=member, number=number)

    def hand_over(self, value):
        """An identity goes from whoever holds it to another member."""
        holder = self.resolve(value)
        if holder["outcome"] != "ok":
            return
        body = {"identity": {"kind": "card", "platform": PLATFORM, "value": value}}
        if holder["holder"]:
            self.write("unbind", "POST", f"/v1/members/{holder['holder']}:unbind", body, member=holder["holder"], identity=value)
        taker = self.load.choose(self.random)
        self.write("bind", "POST", f"/v1/members/{taker}:bind", body, member=taker, identity=value)


def outcome_of(status, code):
    if 200 <= status < 300:
        return "ok"
    if code == "IDEMPOTENCY_IN_PROGRESS":  # the try before is under way
        return "unclear"
    if code == "unreachable" or code in NOTHING_WRITTEN or 400 <= status < 500:
        return "refused"
    return "unclear"


class Load:
    """The callers of all centers. `doors`: center → [(server's name, address)]. `callers`: a center's that read, and as many that write."""

    def __init__(self, history, doors, key, seed, caller=Caller, callers=CALLERS):
        self.history, self.key, self.seed = history, key, seed
        self.pause_s = PAUSE_S
        self.is_over = threading.Event()
        self._lock = threading.Lock()
        self._number = 0
        self.hot, self.cold = [], []
        self.callers = [caller(self, f"{center}-{what}{index}", center, doors[center], index % len(doors[center]), what == "reads")
                        for center in sorted(doors) for what in ("reads", "writes") for index in range(callers)]

    def next_number(self):
        with self._lock:
            self._number += 1
            return str(self._number)

    def next_request(self, caller):
        return f"{caller}-{self.next_number()}"

    def choose(self, source):
        """Half of all calls are for the few hot members."""
        return source.choice(self.hot if source.random() < 0.5 else self.cold)

    def fresh(self, count, deadline_s=60.0):
        """New members, whoever of the callers can have them; before they run, or while they do with a caller of its own."""
        caller = Caller(self, "starter", self.callers[0].center, self.callers[0].doors, 0)
        made, end = [], time.monotonic() + deadline_s
        while len(made) < count:
            done = caller.register(self.next_number())
            if done["outcome"] == "ok":
                made.append(done["member"])
            assert time.monotonic() < end, f"for {deadline_s:.0f} s no member could be registered: {done}"
        return made

    def start(self):
        self.cold = self.fresh(COLD_MEMBERS)
        self.hot = self.fresh(HOT_MEMBERS)
        for caller in self.callers:
            caller.start()

    def renew(self):
        """Other hot members: what happens to these is a history of its own."""
        self.hot = self.fresh(HOT_MEMBERS)

    def check(self):
        for caller in self.callers:
            if caller.failure:
                raise RuntimeError(f"caller {caller.name} has failed") from caller.failure

    def stop(self):
        self.is_over.set()
        for caller in self.callers:
            caller.join(CALLER_DEADLINE_S * TRIES_MAX)
            assert not caller.is_alive(), f"caller {caller.name} has not ended"
        self.check()
