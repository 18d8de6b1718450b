"""docs/operating/ as a reader follows it: in the lab, each command as it stands, and what comes as it is shown."""
import pytest

from muster_process import ROOT, Scratch, run, wait_for
from page_shell import Shell, comes_as_shown, follow, steps_of
from test_documentation import shell_blocks
from test_lab import Lab, alive, require_engines

# Of a command: the longest wait that a page asks for is a minute, and `lab up` may take as long.
DEADLINE_S = 150.0
PAGES = ["failover.md", "faults.md"]
# Blocks that nobody follows here, by how many a page has of them, and why.
LEFT_OUT = {
    "chaos.md": (2, "twenty minutes; process_chaos does the same with fewer faults"),
    "lab.md": (3, "by name in test_lab"),
    "mariadb.md": (1, "on servers of the reader's; test_mariadb has them"),
    "two-centers.md": (6, "on servers of the reader's; what is done there is followed in the lab"),
}


@pytest.mark.parametrize("page", PAGES)
def test_a_reader_can_follow(page):
    require_engines()
    with Scratch() as path:
        lab = Lab(path / "muster-lab")
        pids = []
        try:
            with Shell(path) as shell:
                follow(f"docs/operating/{page}", shell, DEADLINE_S)
        finally:
            if run("lab", "status", "--dir", lab.directory).returncode == 0:
                pids = lab.pids()
                lab("down")
        wait_for(lambda: not any(alive(pid) for pid in pids), "all of the lab has ended")


def test_every_page_is_followed_or_says_why_not():
    pages = sorted(path.name for path in (ROOT / "docs/operating").glob("*.md"))
    followed = [page for page in pages if steps_of(f"docs/operating/{page}")]
    assert followed == sorted(PAGES)
    blocks = {page: len(shell_blocks(f"docs/operating/{page}")) for page in pages}
    assert {page: count for page, count in blocks.items() if count} == {page: count for page, (count, _) in LEFT_OUT.items()}


@pytest.mark.parametrize("shown, output, is_as_shown", [
    ([], "", True), ([], "a word\n", False), (["a word"], "", False),
    (["NAME  UP"], "NAME        UP\n", True), (["NAME  UP"], "NAMEUP\n", False),
    (["writes B"], "writes B\nhealth well\n", False), (["writes B", "…"], "writes B\nhealth well\n", True),
    (["…", "writes B"], "writes B\n", True), (["…", "writes B"], "writes A\n", False),
    (["since …, ended"], "since 10:00, ended\n", True), (["since …, ended"], "since 10:00\nended\n", False),
    (["a.b"], "aXb\n", False), (["a", "", "b"], "a\n\nb\n", True), (["a", "", "b"], "a\nb\n", False)])
def test_what_comes_is_compared(shown, output, is_as_shown):
    assert comes_as_shown(shown, output) == is_as_shown


def test_what_a_page_has_typed_is_told_from_what_it_shows(scratch):
    """A command that fails, or prints something else, ends the page there; `$ echo $?` says that it is to fail."""
    page = scratch / "page.md"
    with Shell(scratch) as shell:
        def says(text):
            page.write_text(f"```console\n{text}\n```\n\n```sh\nnot this\n```\n")
            return follow(page, shell, 30)
        assert says("$ export WORD=kept\n$ echo $WORD\nkept\n$ (exit 5)\n$ echo $?\n5") == 4
        for wrong in ["$ (exit 5)\n$ echo 5\n5", "$ (exit 5)\n$ echo $?\n4", "$ echo a\nb", "$ echo a", "no command"]:
            with pytest.raises(AssertionError, match="page.md"):
                says(wrong)
        with pytest.raises(AssertionError, match="has not ended"):
            page.write_text("```console\n$ tail -f /dev/null\n```\n")
            follow(page, shell, 0.2)
