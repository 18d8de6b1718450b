"""Headers of requests and answers, and what is no message of the contract: the probes and the document itself."""
from decimals import decimal_pattern

REQUEST = {
    "If-Match": {
        "description": "The version that the member must have, as an ETag gives it; \"*\" or absent: any. VERSION_MISMATCH "
                       "when it has another.",
        "schema": {"type": "string", "maxLength": 1024,
                   "pattern": r'^(\*|(W/)?"[\x21\x23-\x7e]*"([ \t]*,[ \t]*(W/)?"[\x21\x23-\x7e]*")*)$', "format": "entity-tags"},
        "example": '"3"',
    },
    "If-None-Match": {
        "description": "Entity tags, as an ETag gives them: 304 when the answer would have one of them.",
        "schema": {"type": "string"},
        "example": '"3"',
    },
    "Cache-Control": {
        "description": "`no-cache` asks the store's primary, whatever the caches hold; anything else is ignored.",
        "schema": {"type": "string"},
        "example": "no-cache",
    },
    "Idempotency-Key": {
        "description": "1 to 128 visible ASCII characters of the caller's choice, raw or in quotes. The same request with the "
                       "same key is done once; its repetition within 24 h answers what the first one answered, with "
                       "`Idempotent-Replayed: true`. Needed where the caller's account demands it, but for a dry run.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 130, "pattern": r'^([!#-~]{1,128}|"[!#-~]{1,128}")$',
                   "format": "idempotency-key"},
        "example": '"8e03978e-40d5-43dd-bc93-6894a57f9324"',
    },
    "Last-Event-ID": {
        "description": "The position of the last event that was seen; wins over `from`.",
        "schema": {"type": "string", "maxLength": 256, "format": "change-position"},
    },
    "X-Request-Timeout-Ms": {
        "description": "How long the caller waits, in milliseconds; 30,000 when absent, unless the server is configured otherwise. When it passes first the answer is "
                       "DEADLINE_EXCEEDED.",
        "schema": {"type": "string", "pattern": f"^({decimal_pattern(1, 600_000)})?$"},
        "example": "2000",
    },
    "Request-Id": {
        "description": "Names the request in answers, logs and the member's history: 1 to 64 of A-Z, a-z, 0-9, '_', '.', '-', "
                       "and no key. Anything else is replaced.",
        "schema": {"type": "string"},
    },
    "traceparent": {
        "description": "W3C Trace Context; ignored when it is malformed.",
        "schema": {"type": "string"},
    },
}

ANSWER = {
    "Request-Id": {"description": "Names the request in logs: the caller's own, or a new one.", "required": True,
                   "schema": {"type": "string", "pattern": "^[A-Za-z0-9_.-]{1,64}$"}},
    "ETag": {"description": "The version, for If-Match and If-None-Match.", "required": True,
             "schema": {"type": "string", "pattern": '^"[^"]+"$'}},
    "Location": {"description": "Where the new member is.", "required": True,
                 "schema": {"type": "string", "pattern": "^/v1/members/[1-9][0-9]*$"}},
    "Vary": {"description": "What is shown depends on the caller's scopes.", "required": True, "schema": {"type": "string"}},
    "Cache-Control": {"description": "Whether the answer may be kept.", "required": True, "schema": {"type": "string"}},
    "X-Muster-Source": {"description": "Which tier answered; for a batch, the oldest of its answers.",
                        "schema": {"type": "string", "enum": ["near", "redis", "replica", "primary"]}},
    "X-Muster-Age-Ms": {"description": "The answer, also that there is nobody, was true at least this recently; 0: it is true now.",
                        "schema": {"type": "integer", "minimum": 0}},
    "Retry-After": {"description": "Seconds to wait before the request is sent again.", "required": True,
                    "schema": {"type": "integer", "minimum": 1}},
    "WWW-Authenticate": {"description": "How to say who calls.", "required": True, "schema": {"type": "string"}},
    "Idempotent-Replayed": {"description": "`true`: this is what an earlier request with the same Idempotency-Key was answered.",
                            "schema": {"type": "string", "enum": ["true"]}},
}

TEXT = {"text/plain": {"schema": {"type": "string"}}}

# Rpcs of src/api/rpc.cc that are no messages of the contract: name, path, what it is, statuses with content and headers.
FIXED = [
    ("Live", "/livez", "Whether the process answers.", {200: ("It does.", TEXT, [])}, []),
    ("Ready", "/readyz", "Whether reads and writes work now.",
     {200: ("They do.", TEXT, []), 503: ("Something does not; the text says what.", TEXT, ["Retry-After"])},
     [{"name": "verbose", "in": "query", "description": "Lists every check.", "allowEmptyValue": True,
       "schema": {"type": "string"}}]),
    ("Metrics", "/metrics", "Counters in Prometheus' text format.", {200: ("The exposition.", TEXT, [])}, []),
    ("GetOpenApi", "/openapi.json", "This document.",
     {200: ("OpenAPI 3.1.", {"application/json": {"schema": {"type": "object"}}}, ["ETag", "Cache-Control"]),
      304: ("The caller has it already.", None, ["ETag", "Cache-Control"])}, []),
]
