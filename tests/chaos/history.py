"""What was asked of a system and what it answered: one line of JSON for each call, and for each look at the system.

A call is a dictionary:

    op          register, update, bind, unbind, get, resolve; final: a get by the primary after everything
    begin, end  nanoseconds of this machine's monotonic clock; of a write that was sent again, of the first and the last try
    center, server, caller   where it was asked, and by whom
    outcome     ok: done, or answered (that there is nobody is an answer too); refused: certainly not done; unclear: may be done
    status      of HTTP; 0 without an answer. code: of the problem, or what became of the connection
    member      its id. identity: the value asked for, bound or unbound
    request     the Request-Id of a write, which the history of its member keeps
    number      what an update, a register writes into displayName. condition: the version in If-Match, or null
    version, value, identities   of the member that was answered
    holder      whom a resolve named; null: nobody
    source, age_ms   what a read says of where it is from, and how old it may be

Looks are dictionaries with `look`: topology, changes, database, line (checker.py says what is judged by each).
"""
import json
import threading

WRITES = ("register", "update", "bind", "unbind")


class History:
    """Kept in memory and written to a file as it comes. Thread-safe."""

    def __init__(self, path):
        self.events = []
        self._file = open(path, "w", encoding="utf-8")  # noqa: SIM115: for as long as this
        self._lock = threading.Lock()

    def add(self, **event):
        line = json.dumps(event, separators=(",", ":")) + "\n"
        with self._lock:
            self.events.append(event)
            self._file.write(line)

    def close(self):
        with self._lock:
            self._file.close()

    def calls(self):
        with self._lock:
            return [event for event in self.events if "op" in event]


def read(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def is_exact(call):
    """A read that declares no age: it promises all that was acknowledged before it began."""
    return call["op"] in ("get", "resolve", "final") and call["outcome"] == "ok" and call.get("age_ms") == 0
