"""The checker of chaos runs: for each rule a good history, and one with a planted violation that is found."""
import checker

MS = checker.NS_PER_MS


def call(op, begin, end, **more):
    """Times in ms; what is not said is as it is as a rule."""
    made = {"op": op, "begin": begin * MS, "end": end * MS, "center": "A", "server": "a1", "caller": "c", "outcome": "ok", "status": 200,
            "code": "", "member": "1", **more}
    if op in ("register", "update", "bind", "unbind"):
        made.setdefault("request", f"{op}{begin}")
    elif made["outcome"] == "ok":
        made.setdefault("source", "primary")
        made.setdefault("age_ms", 0)
    if "version" in made:
        made.setdefault("value", f"v{made['version']}")
        made.setdefault("identities", [])
    return made


def changes(*writes, center="A"):
    return {"look": "changes", "center": center, "member": "1", "versions": {str(w["version"]): w["request"] for w in writes}}


def kinds(*events):
    return [found["kind"] for found in checker.check(list(events))]


FIRST = call("register", 0, 1, version=1)
SECOND = call("update", 10, 20, version=2)
THIRD = call("update", 30, 40, version=3)


def test_what_is_acknowledged_is_kept():
    assert kinds(FIRST, SECOND, changes(FIRST, SECOND), changes(FIRST, SECOND, center="B")) == []


def test_what_one_center_lacks_is_lost():
    assert kinds(FIRST, SECOND, changes(FIRST, SECOND), changes(FIRST, center="B")) == ["lost"]


def test_a_version_that_somebody_else_was_given_is_lost():
    other = {**SECOND, "request": "somebody"}
    assert kinds(FIRST, SECOND, changes(FIRST, other)) == ["lost"]


def test_a_member_that_nobody_knows_is_lost():
    assert kinds(FIRST, {"look": "changes", "center": "A", "member": "2", "versions": {}}) == ["lost"]


def test_what_is_unclear_may_be_kept_or_not():
    unclear = call("update", 10, 20, outcome="unclear", status=503, code="OUTCOME_UNKNOWN")
    assert kinds(FIRST, unclear, changes(FIRST)) == []
    assert kinds(FIRST, unclear, changes(FIRST, {**unclear, "version": 2})) == []


def test_a_bind_of_what_is_bound_changes_nothing():
    bind = call("bind", 10, 20, version=2, identity="K")
    again = call("bind", 30, 40, version=2, identity="K")
    assert kinds(FIRST, bind, again, changes(FIRST, bind)) == []
    assert kinds(FIRST, again, changes(FIRST, SECOND)) == ["lost"]


def test_a_database_has_what_was_acknowledged():
    def database(version):
        return {"look": "database", "name": "mariadb-b2", "versions": {"1": version}}
    assert kinds(FIRST, SECOND, database(2)) == kinds(FIRST, SECOND, database(3)) == []
    assert kinds(FIRST, SECOND, database(1)) == ["lost"]
    assert kinds(FIRST, {"look": "database", "name": "mariadb-b2", "versions": {}}) == ["lost"]


def test_what_was_refused_is_not_done():
    refused = call("update", 10, 20, outcome="refused", status=503, code="WRITES_UNAVAILABLE")
    assert kinds(FIRST, refused, changes(FIRST)) == []
    assert kinds(FIRST, refused, changes(FIRST, {**refused, "version": 2})) == ["undone"]


def test_a_read_shows_what_was_acknowledged_before():
    assert kinds(FIRST, SECOND, call("get", 21, 25, version=2)) == []
    assert kinds(FIRST, SECOND, call("get", 15, 25, version=1)) == []  # it began before
    assert kinds(FIRST, SECOND, call("get", 21, 25, version=1)) == ["stale"]
    assert kinds(FIRST, call("get", 21, 25, status=404, code="MEMBER_NOT_FOUND")) == ["stale"]


def test_an_age_excuses_what_it_covers():
    assert kinds(FIRST, SECOND, call("get", 51, 55, version=1, source="replica", age_ms=40)) == []
    assert kinds(FIRST, SECOND, call("get", 51, 55, version=1, source="replica", age_ms=20)) == ["stale"]


def test_a_resolve_shows_versions_too():
    bind = call("bind", 2, 3, version=2, identity="K")
    update = call("update", 10, 20, version=3)
    assert kinds(FIRST, bind, update, call("resolve", 21, 25, identity="K", holder="1", version=3)) == []
    assert kinds(FIRST, bind, update, call("resolve", 21, 25, identity="K", holder="1", version=2)) == ["stale"]


def test_what_nobody_was_told_may_be_seen_early_and_stays():
    # Nobody was told of version 2, but it has been seen.
    seen = call("get", 10, 20, version=2)
    assert kinds(FIRST, seen, call("get", 15, 25, version=1)) == []
    assert kinds(FIRST, seen, call("get", 21, 25, version=1)) == ["early"]
    assert kinds(FIRST, seen, call("final", 21, 25, version=2)) == []
    assert kinds(FIRST, seen, call("final", 21, 25, version=1)) == ["backwards"]
    # Once somebody was told of it, it is stale.
    assert kinds(FIRST, seen, call("update", 10, 22, version=2), call("get", 25, 26, version=1)) == ["stale"]


def test_a_version_has_one_content():
    assert kinds(FIRST, SECOND, call("get", 21, 25, version=2, value="v2")) == []
    assert kinds(FIRST, SECOND, call("get", 21, 25, version=2, value="another")) == ["backwards"]
    # Of a copy that may show what is taken back, which it says.
    assert kinds(FIRST, SECOND, call("get", 21, 25, version=2, value="another", source="replica", age_ms=30)) == []


BIND_1 = call("bind", 10, 20, version=2, identity="K", member="1", identities=["K"])
UNBIND_1 = call("unbind", 30, 40, version=3, identity="K", member="1")
BIND_2 = call("bind", 50, 60, version=2, identity="K", member="2", identities=["K"])


def resolve(begin, end, holder, **more):
    return call("resolve", begin, end, identity="K", holder=holder, **({"member": holder} if holder else {"status": 404, "member": None}), **more)


def test_an_identity_is_of_one_member():
    assert kinds(BIND_1, UNBIND_1, BIND_2, resolve(25, 26, "1"), resolve(35, 36, "1"), resolve(35, 36, None), resolve(45, 46, None),
                 resolve(55, 56, None), resolve(55, 56, "2"), resolve(65, 66, "2")) == []
    assert kinds(BIND_1, UNBIND_1, BIND_2, resolve(41, 42, "1")) == ["two"]  # given back
    assert kinds(BIND_1, UNBIND_1, BIND_2, resolve(65, 66, "1")) == ["two"]  # another one's
    assert kinds(BIND_1, UNBIND_1, BIND_2, resolve(5, 6, "1")) == ["two"]  # not yet
    assert kinds(BIND_1, resolve(25, 26, "2")) == ["two"]  # never


def test_who_took_it_has_it_although_the_unbind_is_unclear():
    unclear = {**UNBIND_1, "outcome": "unclear", "status": 0}
    assert kinds(BIND_1, unclear, BIND_2, resolve(55, 56, "1")) == []
    assert kinds(BIND_1, unclear, BIND_2, resolve(65, 66, "1")) == ["two"]


def test_nobody_holds_it_only_when_nobody_must():
    assert kinds(BIND_1, resolve(25, 26, None)) == ["two"]
    assert kinds(BIND_1, resolve(15, 26, None)) == []
    assert kinds(BIND_1, resolve(45, 46, None, source="replica", age_ms=30)) == []
    assert kinds(BIND_1, resolve(45, 46, None, source="replica", age_ms=10)) == ["two"]


def topology(server, at, revision, epoch, writer):
    return {"look": "topology", "server": server, "begin": at, "end": at, "revision": revision, "epoch": epoch, "writer": writer}


def test_an_epoch_is_of_one_writing_center():
    moved = [topology("a1", 1, 5, 2, "A"), topology("b1", 2, 6, 3, ""), topology("b1", 3, 7, 3, "B")]
    assert kinds(*moved, topology("a1", 4, 5, 2, "A")) == []  # who is cut off knows no better
    assert kinds(*moved, topology("a1", 4, 7, 3, "A")) == ["writers"]
    assert kinds(*moved, topology("b1", 4, 6, 3, "")) == ["writers"]


def line(name, *runs):
    return {"look": "line", "name": name, "at": 9, "runs": [list(run) for run in runs]}


def test_databases_have_one_history():
    assert kinds(line("a1", (1, 1, 10), (7, 11, 20), (1, 21, 30)), line("b1", (7, 15, 20), (1, 21, 25))) == []
    assert kinds(line("a1", (1, 1, 10)), line("b1", (1, 1, 9), (2, 10, 10))) == ["writers"]


def test_faults_of_whoever_answers_are_told():
    assert kinds(FIRST, call("update", 10, 20, outcome="unclear", status=503, code="OUTCOME_UNKNOWN")) == []
    assert kinds(FIRST, call("update", 10, 20, outcome="unclear", status=500, code="INTERNAL")) == ["strange"]
