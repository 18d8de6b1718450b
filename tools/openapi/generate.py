#!/usr/bin/env python3
"""Writes OpenAPI 3.1 from proto/muster/v1: one document for the callers' port, one for the admin port.

generate.py --descriptors SET --python-root DIR --facts FACTS --version VERSION --out DIR
writes DIR/member.json, DIR/admin.json, and both as C++ in DIR/openapi_documents.cc (src/api/openapi.h).
An rpc of the contract that the server does not know yet is left out; one that only the server knows is an error.
"""
import argparse
import hashlib
import json
import pathlib
import sys

from descriptors import Contract
from headers import FIXED
from operations import Operations

# Whether the server honours Idempotency-Key; tests/process/test_contract.py tries it.
TAKES_IDEMPOTENCY_KEYS = True

PORTS = {
    "member": ("MemberService", "muster", "The members of a group of companies: any identity of a person in, the member and all "
               "bound accounts out."),
    "admin": ("AdminService", "muster admin", "What operators do: callers, routes, import and export."),
}

CPP = """// Written by tools/openapi/generate.py; not to be changed by hand.
#include "api/openapi.h"

namespace muster {{

{documents}
}}  // namespace muster
"""
CPP_DOCUMENT = """const OpenApiDocument& {function}() {{
  static constexpr OpenApiDocument kDocument = {{.json = R"openapi({text})openapi",
                                                .etag = "\\"{tag}\\""}};
  return kDocument;
}}
"""


def make_document(contract, facts, port, version):
    service_name, title, about = PORTS[port]
    service = contract.services[service_name]
    operations = Operations(contract, facts["errors"], TAKES_IDEMPOTENCY_KEYS)
    paths = {}
    for rpc in service.rpcs:
        if rpc.name in facts["rpcs"]:
            paths.setdefault(rpc.rule.path, {})[rpc.rule.method.lower()] = operations.operation(rpc, service_name)
    for name, path, description, answers, parameters in FIXED:
        if name in facts["rpcs"]:
            paths.setdefault(path, {})["get"] = operations.fixed(name, description, answers, parameters)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version, "summary": about, "description": service.comment,
                 "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}},
        "servers": [{"url": "/", "description": "This server."}],
        "tags": [{"name": service_name, "description": about},
                 {"name": "Probes", "description": "For those who watch the server; without a key."}],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(operations.schemas.components.items())),
            "responses": dict(sorted(operations.responses.items())),
            "parameters": dict(sorted(operations.parameters.items())),
            "headers": dict(sorted(operations.headers.items())),
            "securitySchemes": {"callerKey": {
                "type": "http", "scheme": "bearer", "bearerFormat": "mk_…",
                "description": "The key of a caller's account, made with `muster callers create`. The names beside it are the "
                               "scopes that the account needs."}},
        },
    }


# Of grpc.health.v1 and grpc.reflection; not over HTTP.
GRPC_ONLY = {"CheckHealth", "WatchHealth", "Reflect"}


def check_all_known(contract, facts):
    known = {rpc.name for service in contract.services.values() for rpc in service.rpcs} | {row[0] for row in FIXED} | GRPC_ONLY
    unknown = [name for name in facts["rpcs"] if name not in known]
    if unknown:
        sys.exit(f"src/api/rpc.cc serves {', '.join(unknown)}, which proto/muster/v1 does not declare: write it there first")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("descriptors", "python-root", "facts", "out"):
        parser.add_argument("--" + name, type=pathlib.Path, required=True)
    parser.add_argument("--version", required=True)
    arguments = parser.parse_args()
    contract = Contract(arguments.descriptors, arguments.python_root)
    facts = json.loads(arguments.facts.read_text())
    check_all_known(contract, facts)

    documents = []
    arguments.out.mkdir(parents=True, exist_ok=True)
    for port in PORTS:
        text = json.dumps(make_document(contract, facts, port, arguments.version), ensure_ascii=False, separators=(",", ":"))
        (arguments.out / f"{port}.json").write_text(text + "\n")
        tag = hashlib.sha256(text.encode()).hexdigest()[:32]
        documents.append(CPP_DOCUMENT.format(function=f"{port.capitalize()}OpenApi", text=text, tag=tag))
    (arguments.out / "openapi_documents.cc").write_text(CPP.format(documents="\n".join(documents)))


if __name__ == "__main__":
    main()
