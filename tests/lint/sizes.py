#!/usr/bin/env python3
"""Refuses files past 500 lines and names those past 300, which want a reason (one idea a file)."""
import pathlib
import subprocess
import sys

HARD, SOFT = 500, 300


def main() -> int:
    root = pathlib.Path(__file__).resolve().parents[2]
    listed = subprocess.run(["git", "ls-files", "*.h", "*.cc", "*.py", "*.pml", "*.proto"], cwd=root, check=True,
                            capture_output=True, text=True).stdout.split()
    sizes = {name: len((root / name).read_text().splitlines()) for name in listed}
    for name, lines in sorted(sizes.items(), key=lambda item: -item[1]):
        if lines > SOFT:
            print(f"{'TOO LONG' if lines > HARD else 'long'}: {name}: {lines} lines")
    return 1 if any(lines > HARD for lines in sizes.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
