#!/usr/bin/env python3
"""clang-tidy over the sources named on stdin: tidy.py BUILD_DIR

What is examined is what the build compiles: most of the time goes into headers, and a unit of many sources reads them once.
"""
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys

TIDY = "clang-tidy-19"
# Headers are checked through the sources that include them; tests, what serves them, and benchmarks with what they compare
# with are left to the compiler's warnings.
LEFT_OUT = re.compile(r"_(test|test_client|bench|fuzz|reference)\.cc$|bench/\w+_load\.cc$|/testing/")


def sources_of(unit: pathlib.Path, root: pathlib.Path) -> set[str]:
    """What a file that the build compiles consists of: the sources that CMake put together, or itself."""
    included = re.findall(r'^#include "(.+)"$', unit.read_text(), re.MULTILINE) if unit.suffix == ".cxx" else [unit]
    return {os.path.relpath(source, root) for source in included}


def main() -> int:
    build = pathlib.Path(sys.argv[1]).resolve()
    root = pathlib.Path.cwd()
    named = sys.stdin.read().split()
    wanted = {source for source in named if re.match(r"src/.*\.cc$", source) and not LEFT_OUT.search(source)}
    compiled = {pathlib.Path(entry["file"]) for entry in json.loads((build / "compile_commands.json").read_text())}
    units = {unit: sources_of(unit, root) & wanted for unit in sorted(compiled) if unit.exists()}
    if missed := wanted - set().union(*units.values()):
        print(f"not examined, since no target of {build} compiles: {' '.join(sorted(missed))}")

    def examine(unit: pathlib.Path) -> str:
        """What clang-tidy finds; empty when nothing."""
        done = subprocess.run([TIDY, "--quiet", "-p", build, unit], capture_output=True, text=True, check=False)
        return "" if done.returncode == 0 else done.stdout or done.stderr

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        findings = [found for found in pool.map(examine, [unit for unit, sources in units.items() if sources]) if found]
    print("\n".join(findings), end="")
    return 1 if findings or (missed and os.environ.get("MUSTER_REQUIRE_TOOLS") == "1") else 0


if __name__ == "__main__":
    sys.exit(main())
