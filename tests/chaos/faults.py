"""What is done to the lab: each fault as steps with their undoing, chosen by the roles of the moment, and what has to be true all the while.

"True" is beyond what holds always (nothing lost, stale, two, written twice): it is for the reader of the table.
"""
import dataclasses
import random
from collections.abc import Callable

from grounds import CENTERS, Grounds, field


@dataclasses.dataclass
class Step:
    do: Callable[[], object]
    undo: Callable[[], object] | None = None
    order: int = 2  # of undoing: links, then voters of etcd, then what asks them at its start
    what: frozenset = frozenset()  # names of the components that it stops; two faults of a pair stop none twice


@dataclasses.dataclass
class Fault:
    name: str
    promise: str
    steps: Callable[[Grounds], list[Step]]
    gone: Callable[[Grounds], set[str]] = lambda grounds: set()  # centers that cannot answer while it lasts


def stop(grounds, target, verb, undoing):
    return Step(lambda: grounds.lab(verb, target), lambda: grounds.lab(undoing, target), 1 if "etcd" in target else 2,
                frozenset(grounds.named(target)))


def kill(grounds, target):
    return stop(grounds, target, "kill", "start")


def freeze(grounds, target):
    return stop(grounds, target, "freeze", "thaw")


def link(grounds, verb, one, other, *value):
    return Step(lambda: grounds.lab(verb, one, other, *value), lambda: grounds.lab("heal", one, other), 0)


def cut_off(grounds, center):
    return [link(grounds, "partition", center, other) for other in (*CENTERS, "W") if other != center]


def voters_to_lose(grounds):
    """Two of three, those outside the writing center."""
    return ["etcd-w", f"etcd-{grounds.other().lower()}"]


def held_table(grounds, database):
    """A replica that receives and cannot apply: a session of its own keeps a lock."""
    client = []

    def hold():
        client.append(grounds.sql(database, "LOCK TABLES muster.member READ; SELECT 'held'; SELECT SLEEP(600)"))
        assert client[0].stdout.readline().strip() == "held", client[0].stderr.read()

    def let_go():
        client[0].kill()
        client[0].communicate()
        for process in grounds.ask(database, "SELECT id FROM information_schema.processlist WHERE info LIKE '%SLEEP(600)%' "
                                             "AND id <> CONNECTION_ID()").split():
            grounds.ask(database, f"KILL {process}")
    return Step(hold, let_go, what=frozenset([database]))


def eviction(grounds, redis):
    """No room for more than there is: values go, floors stay."""
    before = []

    def shrink():
        before.append(field(grounds.redis(redis, "INFO", "stats"), "evicted_keys"))
        grounds.redis(redis, "CONFIG", "SET", "maxmemory", str(field(grounds.redis(redis, "INFO", "memory"), "used_memory")))

    def grow():
        evicted = field(grounds.redis(redis, "INFO", "stats"), "evicted_keys") - before[0]
        grounds.redis(redis, "CONFIG", "SET", "maxmemory", "256mb")
        if evicted <= 0:
            raise RuntimeError(f"{redis} has evicted nothing, so nothing was tried")
    return Step(shrink, grow, what=frozenset([redis]))


def flush(grounds, redis):
    return Step(lambda: grounds.redis(redis, "FLUSHALL"), what=frozenset([redis]))


def all_redis(grounds):
    return [name for center in CENTERS for name in grounds.of("redis", center)]


def full_disk(grounds, database):
    """It looks for room each minute, so it is started again once there is some."""
    def give_room():
        grounds.lab("empty", database)
        grounds.lab("kill", database)
        grounds.lab("start", database)
    return Step(lambda: grounds.lab("fill", database), give_room, what=frozenset([database]))


def clock(grounds, component, offset):
    return Step(lambda: grounds.lab("clock", component, offset), lambda: grounds.lab("clock", component, "0s"),
                what=frozenset([component]))


def ordered(grounds, *words):
    done = grounds.command(*words)
    if done.returncode:
        raise RuntimeError(f"muster topology {' '.join(words)} was refused: {done.stderr.strip()}")


FAULTS = [
    Fault("none", "nothing is wrong", lambda g: []),
    # A component of each kind, dead and silent.
    Fault("kill-server", "the other servers answer", lambda g: [kill(g, g.of("muster", g.writing())[0])]),
    Fault("freeze-server", "the other servers answer", lambda g: [freeze(g, g.of("muster", g.other())[0])]),
    Fault("kill-primary", "the other center writes within seconds", lambda g: [kill(g, g.primary())]),
    Fault("freeze-primary", "the other center writes within seconds", lambda g: [freeze(g, g.primary())]),
    Fault("kill-acker", "the other acker goes on", lambda g: [kill(g, g.ackers()[0])]),
    Fault("freeze-acker", "the other acker goes on", lambda g: [freeze(g, g.ackers()[0])]),
    Fault("kill-ackers", "the group is degraded and goes on", lambda g: [kill(g, name) for name in g.ackers()]),
    Fault("kill-beside", "nothing waits for it", lambda g: [kill(g, g.beside())]),
    Fault("freeze-beside", "nothing waits for it", lambda g: [freeze(g, g.beside())]),
    Fault("kill-redis-writing", "bypassed; reads from the databases", lambda g: [kill(g, g.of("redis", g.writing())[0])]),
    Fault("freeze-redis-other", "bypassed; reads from the databases", lambda g: [freeze(g, g.of("redis", g.other())[0])]),
    Fault("flush-redis", "what it had is not believed any more", lambda g: [flush(g, name) for name in all_redis(g)]),
    Fault("evict-redis", "values go, floors stay", lambda g: [eviction(g, name) for name in all_redis(g)]),
    # etcd.
    Fault("kill-voter", "two voters are enough", lambda g: [kill(g, f"etcd-{g.other().lower()}")]),
    Fault("kill-leader", "another one is elected", lambda g: [kill(g, g.leader())]),
    Fault("freeze-leader", "another one is elected", lambda g: [freeze(g, g.leader())]),
    Fault("kill-witness", "two voters are enough", lambda g: [kill(g, "etcd-w")]),
    Fault("lose-etcd", "writes stop after a lease, reads go on", lambda g: [kill(g, name) for name in voters_to_lose(g)]),
    Fault("freeze-etcd", "writes stop after a lease, reads go on", lambda g: [freeze(g, name) for name in voters_to_lose(g)]),
    # A center.
    Fault("kill-center", "the other one writes within seconds", lambda g: [kill(g, f"center:{g.writing()}")], lambda g: {g.writing()}),
    Fault("freeze-center", "the other one writes within seconds", lambda g: [freeze(g, f"center:{g.writing()}")], lambda g: {g.writing()}),
    Fault("kill-other-center", "the writing one goes on, degraded", lambda g: [kill(g, f"center:{g.other()}")], lambda g: {g.other()}),
    Fault("freeze-other-center", "the writing one goes on, degraded", lambda g: [freeze(g, f"center:{g.other()}")], lambda g: {g.other()}),
    Fault("cut-off-center", "the other one writes; this one says the age of its answers", lambda g: cut_off(g, g.writing())),
    Fault("cut-off-other-center", "the writing one goes on; this one says the age of its answers", lambda g: cut_off(g, g.other())),
    # Links.
    Fault("partition", "the writing center goes on, degraded", lambda g: [link(g, "partition", "A", "B")]),
    Fault("loss-to-other", "as a partition", lambda g: [link(g, "loss", g.writing(), g.other())]),
    Fault("loss-from-other", "as a partition", lambda g: [link(g, "loss", g.other(), g.writing())]),
    Fault("mute-center", "as if it were cut off", lambda g: [link(g, "loss", g.writing(), other) for other in (g.other(), "W")]),
    Fault("deaf-center", "as if it were cut off", lambda g: [link(g, "loss", other, g.writing()) for other in (g.other(), "W")]),
    Fault("partition-witness", "nothing is decided there", lambda g: [link(g, "partition", g.writing(), "W")]),
    Fault("delay", "all takes longer", lambda g: [link(g, "delay", "A", "B", "40ms")]),
    Fault("throttle", "copies lag, and say so", lambda g: [link(g, "throttle", "A", "B", "128KiB")]),
    # Replicas, disks, clocks.
    Fault("lag-acker", "its center's reads go to others", lambda g: [held_table(g, g.ackers()[0])]),
    Fault("lag-center", "its center's reads go to the primary", lambda g: [held_table(g, name) for name in g.ackers()]),
    Fault("fill-acker", "the other acker goes on", lambda g: [full_disk(g, g.ackers()[0])]),
    Fault("fill-primary", "writes wait for room, or the other center writes", lambda g: [full_disk(g, g.primary())]),
    Fault("clock-server", "two seconds are allowed for", lambda g: [clock(g, g.of("muster", g.writing())[0], "+1500ms")]),
    Fault("clock-acker", "two seconds are allowed for", lambda g: [clock(g, g.ackers()[0], "-1500ms")]),
    # Asked for.
    Fault("drain", "a pause of less than a second", lambda g: [Step(lambda: ordered(g, "drain", g.writing()))]),
]
BY_NAME = {fault.name: fault for fault in FAULTS}
# What is combined: without those that do nothing or that an operator orders.
PAIRABLE = [fault.name for fault in FAULTS if fault.name not in ("none", "drain")]


def pair(first, second):
    def both(grounds):
        steps = first.steps(grounds)
        stopped = frozenset().union(*(step.what for step in steps))
        return steps + [step for step in second.steps(grounds) if not step.what & stopped]
    return Fault(f"{first.name} + {second.name}", f"{first.promise}; {second.promise}", both, lambda g: first.gone(g) | second.gone(g))


def choose(names, pairs, seed):
    """The faults of a schedule: those named, then random pairs of different ones. The same for the same seed."""
    unknown = [name for name in names if name not in BY_NAME]
    if unknown:
        raise ValueError(f"no fault is called {', '.join(unknown)}; there are {', '.join(BY_NAME)}")
    source = random.Random(seed)
    chosen = [BY_NAME[name] for name in names]
    return chosen + [pair(*(BY_NAME[name] for name in source.sample(PAIRABLE, 2))) for _ in range(pairs)]


def undo(steps):
    """Each step's undoing, links first; all are tried, and what failed is raised after."""
    failed = []
    for step in sorted((step for step in steps if step.undo), key=lambda step: step.order):
        try:
            step.undo()
        except RuntimeError as error:
            failed.append(error)
    if failed:
        raise failed[0]
