#!/usr/bin/env python3
"""clang-tidy over the sources named on stdin: tidy.py BUILD_DIR

Most of its time goes into headers, so sources of one target are examined several at a time, as one translation unit that
includes them; fewer at a time where their private names collide.
"""
import collections
import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

SOURCES_PER_UNIT = 8
TIDY = "clang-tidy-19"
# Headers are checked through the sources that include them; tests and benchmarks are left to the compiler's warnings, and
# so are the declarations of commands, where CLI11 takes half a minute a file.
LEFT_OUT = re.compile(r"_(test|bench|fuzz)\.cc$|^src/app/commands/")


def flags(command: str, source: str) -> list[str]:
    """What a source is compiled with, without the compiler, its launcher, the source and the output."""
    words = shlex.split(command)
    start = max(i for i, word in enumerate(words) if word.endswith("clang++-19")) + 1
    kept, skip = [], False
    for word in words[start:]:
        if skip:
            skip = False
        elif word in ("-o", "-MF", "-MT"):
            skip = True
        elif word not in ("-c", "-MD") and not word.endswith(source):
            kept.append(word)
    return kept


def neighbour(source: str, commands: dict) -> str:
    """Another source of its module, for one that the build compiles within a larger unit."""
    module = "/".join(source.split("/")[:2]) + "/"
    return next(known for known in commands if known.startswith(module) and not LEFT_OUT.search(known))


def examine(arguments: list[str]) -> str:
    """What clang-tidy finds; empty when nothing."""
    done = subprocess.run([TIDY, "--quiet", *arguments], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return ""
    return done.stdout or done.stderr


def main() -> int:
    build = pathlib.Path(sys.argv[1]).resolve()
    root = pathlib.Path.cwd()
    commands = {os.path.relpath(entry["file"], root): entry for entry in json.loads((build / "compile_commands.json").read_text())}
    targets = collections.defaultdict(list)
    for source in sys.stdin.read().split():
        if source.startswith("src/") and source.endswith(".cc") and not LEFT_OUT.search(source):
            command = commands[source if source in commands else neighbour(source, commands)]["command"]
            targets[re.search(r"-o \S*?(\S+\.dir)/", command).group(1)].append((source, command))

    units = build / "lint"
    units.mkdir(exist_ok=True)

    def check(sources: list) -> list[str]:
        source, command = sources[0]
        if len(sources) == 1 and source in commands:
            found = examine(["-p", str(build), source])
            return [found] if found else []
        unit = units / f"{source.removesuffix('.cc').replace('/', '_')}_{len(sources)}.cc"
        unit.write_text("".join(f'#include "{root / name}"  // NOLINT(bugprone-suspicious-include)\n' for name, _ in sources))
        found = examine([str(unit), "--", *flags(command, source)])
        if "[clang-diagnostic-error]" in found and len(sources) > 1:  # their private names collide, most likely
            half = len(sources) // 2
            return check(sources[:half]) + check(sources[half:])
        return [found] if found else []

    groups = [sources[i:i + SOURCES_PER_UNIT] for sources in targets.values() for i in range(0, len(sources), SOURCES_PER_UNIT)]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        findings = [text for texts in pool.map(check, groups) for text in texts]
    print("\n".join(findings), end="")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
