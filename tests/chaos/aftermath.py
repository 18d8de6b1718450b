"""What is there when all is over, recorded for the checker: by callers of both centers, and in each database itself."""
import itertools
import re
import subprocess
import time

import history
from member_client import Client
from muster_process import environment, wait_for

CENTERS = ("A", "B")
PATIENCE_S = 60.0
PAGE = 1000


def record(grounds, recorded):
    members = sorted({call["member"] for call in recorded.calls() if call["op"] in history.WRITES and call["outcome"] == "ok"})
    identities = sorted({call["identity"] for call in recorded.calls() if call.get("identity")})
    for center in CENTERS:
        name, address = grounds.doors()[center][0]
        with Client(address, grounds.key) as client:
            for member in members:
                of_member(recorded, client, center, name, member)
            for identity in identities:
                of_identity(recorded, client, center, name, identity)
    names = [one["name"] for one in grounds.databases()]
    wait_for(lambda: len({grounds.ask(name, "SELECT @@gtid_binlog_pos") for name in names}) == 1, "all databases have all", PATIENCE_S)
    for name in names:
        of_database(grounds, recorded, name)


def answered(send):
    """(begin, end, reply) of the first time that it is answered: on a machine with a lot to do a lease may just have run out."""
    def once():
        begin = time.monotonic_ns()
        reply = send()
        return reply.status in (200, 404) and (begin, time.monotonic_ns(), reply)
    return wait_for(once, "a read in the end is answered", PATIENCE_S)


def read_of(op, center, server, begin, end, reply):
    answer = reply.json
    event = {"op": op, "begin": begin, "end": end, "center": center, "server": server, "caller": "final", "outcome": "ok",
             "status": reply.status, "code": answer.get("code", ""), "source": reply.source, "age_ms": int(reply.headers["x-muster-age-ms"])}
    if reply.status == 200:
        event |= {"member": answer["id"], "version": int(answer["version"]), "value": answer["displayName"],
                  "identities": sorted(one["value"] for one in answer.get("identities", []))}
    return event


def of_member(recorded, client, center, server, member):
    event = read_of("final", center, server, *answered(lambda: client.get(member, Cache_Control="no-cache")))
    if event["status"] == 200:
        recorded.add(look="changes", center=center, member=member, versions=changes(client, member))
    recorded.add(**{"member": member, **event})


def changes(client, member):
    """version → Request-Id."""
    found, token = {}, ""
    while True:
        *_, reply = answered(lambda: client.history(member, f"?pageSize={PAGE}&pageToken={token}"))  # noqa: B023
        assert reply.status == 200, f"the history of {member} was answered {reply}"
        found |= {change["version"]: change["requestId"] for change in reply.json["changes"]}
        token = reply.json["nextPageToken"]
        if not token:
            return found


def of_identity(recorded, client, center, server, identity):
    event = read_of("resolve", center, server, *answered(lambda: client.resolve("card", identity, "chaos", Cache_Control="no-cache")))
    recorded.add(**event, identity=identity, holder=event.get("member"))


def of_database(grounds, recorded, name):
    rows = [line.split("\t") for line in grounds.ask(name, "SELECT id, version FROM muster.member").splitlines()]
    recorded.add(look="database", name=name, versions={member: int(version) for member, version in rows})
    written = runs(transactions(grounds, name))
    assert written, f"the binlogs of {name} show no transaction"
    recorded.add(look="line", name=name, at=time.monotonic_ns(), runs=written)


def transactions(grounds, name):
    """(sequence, server) of each transaction in its binlogs."""
    folder = grounds.directory / name / "data"
    logs = sorted(path.name for path in folder.glob("binlog.[0-9]*"))
    done = subprocess.run(["mariadb-binlog", "--no-defaults", "--base64-output=never", *logs], cwd=folder, capture_output=True,
                          env=environment(), check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    for head in re.finditer(rb"^#.*\tGTID \d+-(\d+)-(\d+)", done.stdout, re.MULTILINE):
        yield int(head[2]), int(head[1])


def runs(pairs):
    """[server, first, last] for each stretch of transactions that one server wrote."""
    found = []
    for server, stretch in itertools.groupby(sorted(pairs), key=lambda pair: pair[1]):
        sequences = [sequence for sequence, _ in stretch]
        found.append([server, sequences[0], sequences[-1]])
    return found
