import os

import pytest

from muster_process import Scratch, Server, doctor


def pytest_generate_tests(metafunc):
    """A module that says FILES = (1, 4) is run with that many data files, so that bindings cross shards."""
    files = getattr(metafunc.module, "FILES", None)
    if files and "server" in metafunc.fixturenames:
        metafunc.parametrize("server", files, indirect=True, scope="module", ids=lambda count: f"{count}-files")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Where all tools are required (MUSTER_REQUIRE_TOOLS=1, as .ci/run says), a test that skips has failed."""
    report = (yield).get_result()
    if report.skipped and os.environ.get("MUSTER_REQUIRE_TOOLS") == "1":
        report.outcome = "failed"
        report.longrepr = f"{item.name} skips where nothing may be missing: {report.longrepr}"


@pytest.fixture
def scratch():
    with Scratch() as path:
        yield path


@pytest.fixture(scope="module")
def server(request):
    """One server for all tests of a module; that it ends by itself, with 0 and sound data, is part of every module."""
    files = getattr(request, "param", 1)
    with Scratch() as path:
        with Server(path / "data", extra_environment={"MUSTER_STORE__SQLITE__FILES": str(files)}) as running:
            yield running
        code, report = doctor(path / "data")
        assert code == 0, report


@pytest.fixture
def client(server):
    with server.client() as connection:
        yield connection


@pytest.fixture
def admin(server):
    with server.admin_client() as connection:
        yield connection
