#!/usr/bin/env python3
"""Holds every #include of src/ and sim/ to the import graph of ARCHITECTURE.md.

Exit 0 when all are allowed; else one line a violation: file:line: module A may not import module B.
"""
import pathlib
import re
import sys

# Module: what it may import (transitively closed by hand, so that the table can be read on its own).
GRAPH = {
    "base": set(),
    "domain": {"base"},
    "topology": {"base", "domain"},
    "store": {"base", "domain", "topology"},
    "search": {"base", "domain", "topology", "store"},
    "cache": {"base", "domain", "topology"},
    "routing": {"base", "domain", "topology"},
    "traffic": {"base", "domain", "topology"},
    "api": {"base", "domain", "topology", "traffic"},
    "bench": {"base", "domain"},
    "lab": {"base", "domain", "topology", "store"},
}
EVERYTHING = {"app"}
SIMULATION = {"base", "domain", "store"}
# What a benchmark is measured against writes the index that search reads.
REFERENCES = {"src/bench/sqlite_reference.cc": {"search"}}

# Libraries whose headers stay in .cc files, because including them costs every user seconds of compilation.
HEAVY = re.compile(r'#include\s+[<"](asio|google/protobuf|muster/.*\.pb\.h|simdjson|sqlite3|mysql|openssl|hiredis|CLI/|curl/|toml|unicode/)')
INCLUDE = re.compile(r'#include\s+"([a-z_]+)/')

# A module's tests may build on these modules too.
TEST_EXTRA = {"api": {"store", "cache", "routing"}, "routing": {"cache"}, "cache": {"store"}, "store": {"cache"}}


def violations(root: pathlib.Path):
    for path in sorted(path for pattern in ("src/**/*.h", "src/**/*.cc", "sim/*.h", "sim/*.cc") for path in root.glob(pattern)):
        module = path.relative_to(root / "src").parts[0] if path.is_relative_to(root / "src") else "sim"
        if module in EVERYTHING:
            continue
        allowed = SIMULATION if module == "sim" else GRAPH[module] | {module}
        allowed = allowed | REFERENCES.get(str(path.relative_to(root)), set())
        if path.stem.endswith(("_test", "_fuzz", "_bench")):
            allowed = allowed | TEST_EXTRA.get(module, set())
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = INCLUDE.match(line)
            if match and match.group(1) in GRAPH.keys() | EVERYTHING and match.group(1) not in allowed:
                yield f"{path.relative_to(root)}:{number}: {module} may not import {match.group(1)}"
            if path.suffix == ".h" and HEAVY.match(line):
                yield f"{path.relative_to(root)}:{number}: include this in a .cc file only: {line.strip()}"


def main() -> int:
    found = list(violations(pathlib.Path(__file__).resolve().parents[2]))
    print("\n".join(found) if found else "imports: all as in ARCHITECTURE.md")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
