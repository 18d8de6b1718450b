#!/usr/bin/env python3
"""Counts the verbs of ports: a port has at most six, its own and those it inherits.

A port is a class with virtual functions in src/domain/ports/ or src/topology/. Its verbs are its virtual functions, also
those with a default; destructors and functions that are not virtual are none. Exit 0 when no port has more; else one line
a port: file:line: what it has.
"""
import pathlib
import re
import sys

VERBS_MAX = 6
FOLDERS = ("src/domain/ports", "src/topology")
NOT_PORTS = ("_contract.h", "_testing.h")

COMMENT = re.compile(r"//[^\n]*")
HEAD = re.compile(r"\b(?:class|struct)\s+(\w+)(?:\s+final)?(?:\s*:\s*([^{;]+?))?\s*\{")
VERB = re.compile(r"\bvirtual\b([^;{]*?)([\w~]+)\s*\(")


def body_of(text: str, opening: int) -> str:
    depth = 0
    for at in range(opening, len(text)):
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        if depth == 0:
            return text[opening + 1 : at]
    return text[opening + 1 :]


def without_nested_classes(body: str) -> str:
    while match := HEAD.search(body):
        opening = match.end() - 1
        body = body[: match.start()] + body[opening + len(body_of(body, opening)) + 2 :]
    return body


def classes(root: pathlib.Path):
    """Of every class: its name, file, line, the names of its bases and of its own verbs."""
    for folder in FOLDERS:
        for path in sorted((root / folder).glob("*.h")):
            if path.name.endswith(NOT_PORTS):
                continue
            text = COMMENT.sub("", path.read_text())
            for match in HEAD.finditer(text):
                body = without_nested_classes(body_of(text, match.end() - 1))
                verbs = [name for _, name in VERB.findall(body) if not name.startswith("~")]
                bases = [base.split()[-1] for base in (match.group(2) or "").split(",") if base.split()]
                line = text.count("\n", 0, match.start()) + 1
                yield match.group(1), f"{path.relative_to(root)}:{line}", bases, verbs


def main() -> int:
    found = {name: (place, bases, verbs) for name, place, bases, verbs in classes(pathlib.Path(__file__).resolve().parents[2])}

    def verbs_of(name: str) -> list[str]:
        if name not in found:
            return []
        _, bases, verbs = found[name]
        return [verb for base in bases for verb in verbs_of(base)] + verbs

    ports = {name: verbs for name in found if (verbs := verbs_of(name))}
    if not ports:
        print("ports: none found, so this lint looks in the wrong place")
        return 1
    failures = [
        f"{found[name][0]}: {name} has {len(verbs)} verbs, a port at most {VERBS_MAX}; split it by who needs what: {', '.join(verbs)}"
        for name, verbs in ports.items()
        if len(verbs) > VERBS_MAX
    ]
    print("\n".join(failures) if failures else f"ports: {len(ports)} with at most {VERBS_MAX} verbs each")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
