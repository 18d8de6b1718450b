"""The OpenAPI documents against the server that serves them: schemathesis finds nothing."""
import json
import os
import re
import subprocess

import pytest

from member_client import STATUS_OF_CODE
from muster_process import ROOT, SCALE, tool

CONTRACT = ROOT / "tests" / "contract"
# Of one document, far above what it takes alone on a machine (a quarter of a minute).
MAX_TIME_S = 600
EXAMPLES = max(5, int(40 * SCALE))


@pytest.fixture(scope="module")
def schemathesis():
    return tool("schemathesis")


def document_of(connection):
    reply = connection.call("GET", "/openapi.json")
    assert reply.status == 200 and reply.headers["content-type"] == "application/json", reply
    return reply.json


def closed(document):
    """The same with answers that have nothing but what is documented: callers skip what they do not know, tests do not."""
    for schema in document["components"]["schemas"].values():
        if "properties" in schema:
            schema.setdefault("additionalProperties", False)
    return document


def run_schemathesis(program, document, address, key, scratch, **environment):
    path = scratch / "openapi.json"
    path.write_text(json.dumps(closed(document)))
    done = subprocess.run(
        [program, "--config-file", CONTRACT / "schemathesis.toml", "run", path, "--url", f"http://{address}", "--checks", "all",
         "--max-examples", str(EXAMPLES), "--no-color"],
        cwd=CONTRACT, env={**os.environ, "CONTRACT_KEY": key, "PYTHONDONTWRITEBYTECODE": "1",
                           "HYPOTHESIS_STORAGE_DIRECTORY": str(scratch / "hypothesis"), **environment},
        timeout=MAX_TIME_S, capture_output=True, text=True, check=False)
    print(done.stdout[-20_000:], done.stderr[-5_000:])
    assert done.returncode == 0, "schemathesis found something; see above"


def test_the_members_api_is_as_documented(schemathesis, server, scratch):
    # Not an import's: what only the server may set is then refused.
    key = server.new_caller("contract", "members.read", "members.write", "personal.read")
    with server.client() as client:
        run_schemathesis(schemathesis, document_of(client), server.http, key, scratch)


def test_the_admin_api_is_as_documented(schemathesis, server, scratch):
    with server.admin_client() as admin:
        range_start = admin.call("POST", "/admin/v1/imports:reserve", {"lines": 100_000_000}).json["rangeStart"]
        run_schemathesis(schemathesis, document_of(admin), server.admin, server.key(), scratch, CONTRACT_RANGE=range_start)


def test_idempotency_keys_are_documented_where_they_work(server, client):
    """TAKES_IDEMPOTENCY_KEYS of tools/openapi/generate.py says what the server does."""
    headers = {"Idempotency-Key": "contract-1"}
    first = client.call("POST", "/v1/members", {"city": "Suzhou"}, headers)
    second = client.call("POST", "/v1/members", {"city": "Suzhou"}, headers)
    works = first.json["id"] == second.json["id"] and second.headers.get("idempotent-replayed") == "true"
    assert ("IdempotencyKey" in document_of(client)["components"]["parameters"]) == works


def test_head_tells_what_get_would(client):
    get, head = client.call("GET", "/openapi.json"), client.call("HEAD", "/openapi.json")
    assert head.status == 200 and head.body == b""
    assert head.headers["content-length"] == str(len(get.body)) and head.etag == get.etag
    assert client.call("GET", "/openapi.json", headers={"If-None-Match": get.etag}).status == 304


def test_errors_are_those_of_the_interface(client, admin):
    """Against the table that these tests keep themselves: the documents have theirs from the code."""
    for document in (document_of(client), document_of(admin)):
        for name, response in document["components"]["responses"].items():
            status, *codes = name.split(".")
            schema = response["content"]["application/problem+json"]["schema"]
            assert schema["allOf"][1]["properties"] == {"code": {"enum": codes}, "status": {"const": int(status)}}
            for code in codes:
                assert STATUS_OF_CODE.get(code, int(status)) == int(status), name
        for path, operations in document["paths"].items():
            for operation in operations.values():
                assert "500" in operation["responses"] and all(name in document["components"]["responses"] for name in (
                    reference["$ref"].rsplit("/", 1)[1] for reference in operation["responses"].values() if "$ref" in reference))
                assert bool(operation["security"]) == path.startswith(("/v1/", "/admin/v1/")), path


def test_numbers_as_texts_have_exact_bounds(client):
    schemas = document_of(client)["components"]["schemas"]
    most = 2**63 - 1
    positive = re.compile(schemas["PositiveInt64"]["pattern"])
    assert all(positive.search(str(number)) for number in (1, 9, 10, most // 10, most - 1, most))
    assert not any(positive.search(text) for text in ("0", "01", "-1", "+1", "1.0", " 1", "", str(most + 1), str(most * 10)))
