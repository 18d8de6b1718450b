"""What JSON Schema cannot say of a valid request, for schemathesis: its requests that are meant to be valid become so.

Nothing here changes what is meant to be invalid, nor an answer; no check is left out.
"""
import os

import schemathesis
from hypothesis import strategies as st

FILTERS = ["", 'city = "Suzhou"', 'tags:"frequent" AND tier = "gold"']
PLATFORM_KINDS = ("unionid", "openid", "card", "account")

# Formats of the document whose values only the server makes, or that a pattern describes too loosely.
schemathesis.openapi.format("page-token", st.just(""))
schemathesis.openapi.format("entity-tags", st.sampled_from(["*", '"1"', '"2", "3"', 'W/"1"', '"a"']))
schemathesis.openapi.format("idempotency-key", st.from_regex(r"\A[A-Za-z0-9_-]{1,64}\Z"))
schemathesis.openapi.format("change-position", st.sampled_from(["earliest", "latest"]))
schemathesis.openapi.format("member-filter", st.sampled_from(FILTERS))
schemathesis.openapi.format("member-order", st.sampled_from(["", "id", "updateTime desc"]))
for name in ("identity-kind", "identity-platform", "identity-value"):
    schemathesis.openapi.format(name, st.from_regex(r"\A[a-z][a-z0-9_]{0,31}\Z"))
schemathesis.openapi.format("int64", st.integers(min_value=1, max_value=2**63 - 1).map(str))


@schemathesis.serializer("application/x-ndjson")
def json_lines(_, value):
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")


@schemathesis.hook
def map_case(context, case):
    # The keys that these requests are sent with go on.
    if (case.path_parameters or {}).get("name") in ("admin", "contract"):
        case.path_parameters["name"] = "somebody"
    end_stream(case)
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return case
    if case.query and "rangeStart" in case.query:
        case.query = {**case.query, "rangeStart": os.environ["CONTRACT_RANGE"]}
    if case.operation.definition.raw.get("operationId") == "ResolveMember" and case.query:
        case.query = {**case.query, **identity_like(case.query)}
        if case.query.get("platform") is None:
            case.query.pop("platform", None)
    if isinstance(case.body, (dict, list)) and (body := fit(case.body)) != case.body:
        case.body = body
    if case.operation.definition.raw.get("operationId") == "SearchMembers" and case.body.get("filter") not in (None, *FILTERS):
        case.body = {**case.body, "filter": FILTERS[len(case.body["filter"]) % len(FILTERS)]}
    fit_mask(case)
    fit_source(case)
    fit_position(case)
    return case


@schemathesis.hook
def before_add_examples(context, examples):
    for case in examples:
        map_case(context, case)


def end_stream(case):
    """A stream of changes goes on for ever; this one soon ends, unless its time is what is wrong with the request (none is no wrong one)."""
    if case.operation.definition.raw.get("operationId") != "WatchChanges":
        return
    headers = dict(case.headers or {})
    name = next((name for name in headers if name.lower() == "x-request-timeout-ms"), "X-Request-Timeout-Ms")
    text = str(headers.get(name, "1"))
    if not text.strip() or (text.isascii() and text.isdigit() and 1 <= int(text) <= 600_000):
        case.headers = {**headers, name: "1"}


def fit_position(case):
    """A text of the right length is no position that a stream gave."""
    if case.operation.definition.raw.get("operationId") != "WatchChanges":
        return
    if "from" in (case.query or {}) and case.query["from"] not in ("earliest", "latest", ""):
        case.query = {**case.query, "from": "earliest"}
    for name, value in dict(case.headers or {}).items():
        if name.lower() == "last-event-id" and value not in ("earliest", "latest", ""):
            case.headers = {**case.headers, name: "latest"}


def fit(value):
    """A body with identities as an installation declares them, and texts that are not longer in bytes than in characters."""
    if isinstance(value, list):
        return unlike([fit(item) for item in value])
    if isinstance(value, str):
        return "".join(c if c.isascii() else "x" for c in value)
    if not isinstance(value, dict):
        return value
    if "kind" in value and "value" in value:
        value = {**value, **identity_like(value)}
    names = {name: fit(name) for name in value}
    if len(set(names.values())) != len(names):
        names = {name: f"n{index}" for index, name in enumerate(value)}
    return {names[name]: fit(item) for name, item in value.items()}


def unlike(items):
    """An identity is listed once, whatever else is said of it."""
    kept = {}
    for index, item in enumerate(items):
        is_identity = isinstance(item, dict) and "kind" in item and "value" in item
        kept.setdefault((item["kind"], item["platform"], item["value"]) if is_identity else index, item)
    return list(kept.values())


def identity_like(given):
    """An identity that exists, chosen by what was given, so that the same one comes again: taken, bound twice."""
    number = sum(map(ord, str(given.get("kind")) + str(given.get("value"))))
    if number % 3 == 0:
        return {"kind": "phone", "platform": None, "value": f"+86138{number % 100_000_000:08}"}
    if number % 3 == 1:
        return {"kind": "email", "platform": None, "value": f"n{number}@example.com"}
    return {"kind": PLATFORM_KINDS[number % 2], "platform": "wechat", "value": f"o{number:05}"}


def fit_source(case):
    """A member is not merged into itself."""
    source = case.body.get("sourceId") if isinstance(case.body, dict) else None
    if source is not None and str(source) == str((case.path_parameters or {}).get("id")):
        case.body = {**case.body, "sourceId": "9007199254740991"}


def fit_mask(case):
    """A state cannot be cleared, neither by a mask that names it nor by a null."""
    mask = (case.query or {}).get("updateMask") or []
    names = mask.split(",") if isinstance(mask, str) else mask
    if "state" not in names or not isinstance(case.body, dict):
        return
    if case.body.get("state") is None:
        case.body = {**case.body, "state": "ACTIVE"}
