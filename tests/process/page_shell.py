"""A page's `console` blocks, typed into one shell as a reader types them, and what comes compared with what the page shows.

In such a block a line that begins with `$ ` is typed, and the lines below it are what comes, on standard output and standard error.
`…` stands for what is different each time, within a line; a line of it alone stands for any lines, or none. How many spaces
columns are apart does not matter. A command ends with 0, unless the one after it is `$ echo $?`, whose line says with what."""
import os
import re
import select
import subprocess
import time
from typing import NamedTuple

from muster_process import ROOT, binary, environment

ANY = "…"
EXIT_CODE = "echo $?"


class Step(NamedTuple):
    place: str  # page:line of the command
    command: str
    shown: list  # the lines below it


def steps_of(page):
    """What a page has typed, from its first block to its last one."""
    steps, in_block = [], False
    for number, line in enumerate((ROOT / page).read_text().splitlines(), 1):
        if line.startswith("```"):
            in_block = line == "```console"
        elif in_block and line.startswith("$ "):
            steps.append(Step(f"{page}:{number}", line[2:], []))
        elif in_block:
            assert steps, f"{page}:{number}: a block begins with a command"
            steps[-1].shown.append(line)
    return steps


def pattern_of(shown):
    """A regular expression for an output, whose lines are all stripped and end with a newline."""
    lines = []
    for line in shown:
        words = re.sub(r"[ \t]+", " ", line.strip())
        if words == ANY:
            lines.append(r"(?:[^\n]*\n)*?")
        else:
            lines.append(r"[^\n]*".join(re.escape(part).replace(r"\ ", " ") for part in words.split(ANY)) + r"\n")
    return re.compile("".join(lines))


def comes_as_shown(shown, output):
    lines = [re.sub(r"[ \t]+", " ", line.strip()) for line in output.strip("\n").splitlines()]
    return pattern_of(shown).fullmatch("".join(line + "\n" for line in lines)) is not None


class Shell:
    """One bash in a directory, in whose PATH `muster` is the built one. Nobody can answer its commands' questions."""

    END = "page-shell-end"

    def __init__(self, directory):
        programs = directory / "programs"
        programs.mkdir()
        (programs / "muster").symlink_to(binary())
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", "bash", "--noprofile", "--norc"], cwd=directory, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env=environment({"PATH": f"{programs}:{os.environ['PATH']}", "NO_COLOR": "1"}))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def type(self, command, deadline_s):
        """Its exit code, and what it printed."""
        text = f"{{ {command}\n}} < /dev/null; status=$?; printf '\\n{self.END} %s\\n' $status; (exit $status)\n"
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()
        until, out = time.monotonic() + deadline_s, b""
        while not (ended := re.search(rf"\n{self.END} (\d+)\n$".encode(), out)):
            ready, _, _ = select.select([self.process.stdout], [], [], max(0.0, until - time.monotonic()))
            assert ready, f"`{command}` has not ended within {deadline_s:.0f} s:\n{out.decode()}"
            piece = os.read(self.process.stdout.fileno(), 65536)
            assert piece, f"`{command}` ended the shell:\n{out.decode()}"
            out += piece
        return int(ended[1]), out[:ended.start()].decode()


def follow(page, shell, deadline_s):
    """Does all that a page says, in its order; fails at the first step that comes otherwise."""
    steps = steps_of(page)
    assert steps, f"{page} has no console block"
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        began = time.monotonic()
        code, output = shell.type(step.command, deadline_s)
        print(f"{time.monotonic() - began:6.2f} s  {step.place}: {step.command}")
        is_told = following is not None and following.command == EXIT_CODE
        assert code == 0 or is_told, f"{step.place}: `{step.command}` ended with {code}:\n{output}"
        assert comes_as_shown(step.shown, output), (
            f"{step.place}: `{step.command}` printed\n{output}\nand the page shows\n" + "\n".join(step.shown))
    return len(steps)
