"""Judges a history (history.py): nothing acknowledged is lost, no answer is older than it says, nobody is two, nobody writes twice.

Each rule answers violations; all are judged by what callers were promised, and by one clock. Kinds:

    lost        an acknowledged write is not in the history of its member, or in a database, when all is over
    stale       a read is older than what was acknowledged before it began, less the age that it declares
    backwards   in the end less is there than an exact read showed, or one version has two contents: what was shown was taken back
    two         an identity is answered with a member that cannot hold it then, or with nobody while somebody holds it
    writers     one epoch with two writing centers, an epoch that goes back, or two histories of databases
    undone      a write was refused, and done all the same
    strange     an answer that no fault of others excuses

    early       no fault: a read is older than what another caller had seen of a write that nobody had acknowledged. Nobody promises
                that all see a write at once; who needs that asks the primary (no-cache), and porcupine judges what it answers
"""
import bisect
import collections
import math

import history

NS_PER_MS = 1_000_000
# What a caller of this load may be told; INTERNAL and the like are faults of whoever answers.
EXPECTED = {"", "VERSION_MISMATCH", "IDENTITY_TAKEN", "IDENTITY_NOT_FOUND", "MEMBER_NOT_FOUND", "LIMIT_EXCEEDED", "WRITES_UNAVAILABLE",
            "OUTCOME_UNKNOWN", "OVERLOADED", "STALE", "DEADLINE_EXCEEDED", "IDEMPOTENCY_IN_PROGRESS", "RATE_LIMITED"}


def violation(kind, at, text):
    return {"kind": kind, "at": at, "text": text}


def name_of(call):
    what = call.get("identity") or call.get("member")
    return f"{call['op']} of {what} at {call['server']} by {call['caller']} ({call['begin']}..{call['end']} ns)"


def seen_by(call):
    """The moment whose acknowledgements the read has to show: its begin, or as much earlier as it says (in whole ms, rounded down)."""
    age = call.get("age_ms")
    return call["begin"] - (age + 1) * NS_PER_MS if age else call["begin"]


def check(events):
    calls = [event for event in events if "op" in event]
    rules = [lost, in_databases, undone, old_reads, contents, holders, writers, lines, strange]
    return sorted((found for rule in rules for found in rule(calls, events)), key=lambda one: one["at"])


def looks(events, kind):
    return [event for event in events if event.get("look") == kind]


def kept_changes(events):
    """member → version → request, from each center's last answer of its history."""
    kept = collections.defaultdict(dict)
    for look in looks(events, "changes"):
        kept[look["center"]][look["member"]] = {int(version): request for version, request in look["versions"].items()}
    return kept


def acknowledged(calls):
    return [call for call in calls if call["op"] in history.WRITES and call["outcome"] == "ok"]


def lost(calls, events):
    kept, writes = kept_changes(events), acknowledged(calls)
    binds = collections.defaultdict(list)
    for call in calls:
        if call["op"] == "bind" and call["outcome"] != "refused":
            binds[call["member"], call["identity"]].append(call)
    for center, members in kept.items():
        for call in writes:
            changes = members.get(call["member"])
            if changes is None:
                yield violation("lost", call["end"], f"center {center} knows no member of {name_of(call)}")
            elif changes.get(call["version"]) != call["request"] and not was_so_before(call, changes, binds):
                yield violation("lost", call["end"], f"center {center} has {changes.get(call['version'])} as version "
                                f"{call['version']}, which was acknowledged to {call['request']}: {name_of(call)}")


def was_so_before(call, changes, binds):
    """A bind of what the member already holds is acknowledged and changes nothing; another one has done it."""
    if call["op"] != "bind" or call["version"] not in changes or call["request"] in changes.values():
        return False
    return any(other is not call and other["begin"] < call["end"] and other["request"] in changes.values()
               for other in binds[call["member"], call["identity"]])


def in_databases(calls, events):
    newest = {}
    for call in acknowledged(calls):
        if call["version"] > newest.get(call["member"], (0, None))[0]:
            newest[call["member"]] = (call["version"], call)
    for look in looks(events, "database"):
        for member, (version, call) in newest.items():
            there = look["versions"].get(member)
            if there is None or there < version:
                yield violation("lost", call["end"], f"{look['name']} has version {there} of what is {version}: {name_of(call)}")


def undone(calls, events):
    done = {request for members in kept_changes(events).values() for changes in members.values() for request in changes.values()}
    for call in calls:
        if call["op"] in history.WRITES and call["outcome"] == "refused" and call["request"] in done:
            yield violation("undone", call["end"], f"was refused with {call['status']} {call['code']} and is done: {name_of(call)}")


def shows(call):
    """The version of `member` that a call shows; 0: that there is none. None: it shows nothing of a version."""
    if call["outcome"] != "ok":
        return None
    if call["op"] in ("get", "final") and call["status"] == 404:
        return 0
    return call.get("version")


def old_reads(calls, _):
    """Each read against the highest version that was acknowledged, and that was shown, before the moment that it has to show."""
    of_member = collections.defaultdict(list)
    for call in calls:
        if call.get("member") and shows(call) is not None:
            of_member[call["member"]].append(call)
    for mine in of_member.values():
        told = Highest(call for call in mine if call["op"] in history.WRITES)
        seen = Highest(call for call in mine if history.is_exact(call))
        for call in mine:
            if call["op"] in history.WRITES:
                continue
            for highest, kind in ((told, "stale"), (seen, "backwards" if call["op"] == "final" else "early")):
                before = highest.before(seen_by(call))
                if before and shows(before) > shows(call):
                    yield violation(kind, call["begin"], f"shows version {shows(call)} from {call.get('source')} aged {call.get('age_ms')} ms, "
                                    f"but {shows(before)} was shown before: {name_of(call)} after {name_of(before)}")
                    break


class Highest:
    """The call with the highest version of those that had ended at a moment."""

    def __init__(self, calls):
        ended = sorted(calls, key=lambda call: call["end"])
        self._ends, self._highest = [call["end"] for call in ended], []
        for call in ended:
            self._highest.append(call if not self._highest or shows(call) > shows(self._highest[-1]) else self._highest[-1])

    def before(self, moment):
        place = bisect.bisect_left(self._ends, moment)
        return self._highest[place - 1] if place else None


def contents(calls, _):
    """A version of a member has one content, whoever shows it; only what declares an age may show what was taken back."""
    values = {}
    for call in calls:
        if not shows(call) or "member" not in call or not (call["op"] in history.WRITES or history.is_exact(call)):
            continue
        key, value = (call["member"], call["version"]), (call["value"], tuple(call["identities"]))
        first_value, first = values.setdefault(key, (value, call))
        if first_value != value:
            yield violation("backwards", call["end"], f"version {call['version']} has two contents, {first_value} and {value}: "
                            f"{name_of(first)} and {name_of(call)}")


def holders(calls, _):
    """Each resolve is held to who may, and who must, hold the identity in the time that it tells of."""
    of_identity = collections.defaultdict(list)
    for call in calls:
        if call.get("identity") and call["outcome"] != "refused":
            of_identity[call["identity"]].append(call)
    for mine in of_identity.values():
        binds = [call for call in mine if call["op"] == "bind"]
        may = [(call["member"], *may_hold(call, mine)) for call in binds]
        must = [span for call in binds if call["outcome"] == "ok" and (span := must_hold(call, mine))]
        for call in mine:
            if call["op"] != "resolve" or "holder" not in call:
                continue
            begin, end = seen_by(call), call["end"]
            if call["holder"] is None:
                if any(first < begin and end < last for first, last in must):
                    yield violation("two", begin, f"nobody, while somebody holds it: {name_of(call)}, {call.get('source')}")
            elif not any(member == call["holder"] and first <= end and begin <= last for member, first, last in may):
                yield violation("two", begin, f"{call['holder']}, who cannot hold it: {name_of(call)}, {call.get('source')}")


def may_hold(bind, calls):
    """From its begin until somebody certainly took it away afterwards; one that is unclear may be done at any later time."""
    if bind["outcome"] == "unclear":
        return bind["begin"], math.inf
    ends = [call["end"] for call in calls if call["outcome"] == "ok" and call["begin"] >= bind["end"] and (
        call["op"] == "unbind" and call["member"] == bind["member"] or call["op"] == "bind" and call["member"] != bind["member"])]
    return bind["begin"], min(ends, default=math.inf)


def must_hold(bind, calls):
    """From its end until anybody may have begun to take it away."""
    until = min((call["begin"] for call in calls if call["op"] == "unbind" and call["member"] == bind["member"]
                 and (call["outcome"] == "unclear" or call["end"] > bind["begin"])), default=math.inf)
    return (bind["end"], until) if until > bind["end"] else None


def writers(_, events):
    """An epoch belongs to one writing center (or to none, while the right is on its way), and none goes back."""
    writer_of, newest = {}, {}
    for look in sorted(looks(events, "topology"), key=lambda look: look["end"]):
        if look["writer"]:
            first = writer_of.setdefault(look["epoch"], look)
            if first["writer"] != look["writer"]:
                yield violation("writers", look["end"], f"in epoch {look['epoch']} {first['server']} says that {first['writer']} writes, "
                                f"{look['server']} that {look['writer']} does")
        if look["revision"] < newest.get(look["server"], 0):
            yield violation("writers", look["end"], f"the topology of {look['server']} went back from {newest[look['server']]} to {look['revision']}")
        newest[look["server"]] = max(look["revision"], newest.get(look["server"], 0))


def lines(_, events):
    """Databases that are whole have one history: what one of them has as a transaction, no other has of another writer."""
    owner = {}
    for look in looks(events, "line"):
        for server, first, last in look["runs"]:
            for sequence in range(first, last + 1):
                other, name = owner.setdefault(sequence, (server, look["name"]))
                if other != server:
                    yield violation("writers", look["at"], f"transaction {sequence} is of server {other} in {name}, of {server} in {look['name']}")
                    break


def strange(calls, _):
    for call in calls:
        if call["status"] and call["code"] not in EXPECTED:
            yield violation("strange", call["end"], f"was answered {call['status']} {call['code']}: {name_of(call)}")
