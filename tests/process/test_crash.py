"""kill -9 under load, again and again: nothing acknowledged is lost, no identity is held twice."""
import os
import random

import pytest

from directory_load import DirectoryLoad
from muster_process import Scratch, Server, doctor, run, scaled

ROUNDS = scaled(50, 5)
ROUNDS_BETWEEN_EXAMINATIONS = 10
# Writes that are acknowledged before the kill: 20 to 400 ms of load, whatever the machine does meanwhile.
WRITES_MIN, WRITES_MAX = 5, 250


@pytest.mark.parametrize("files", [1, 4])
def test_kill_under_load(files):
    seed = int(os.environ.get("PROCESS_TEST_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"seed {seed}: PROCESS_TEST_SEED={seed} repeats it, except for what the machine's own timing adds")
    source = random.Random(seed)
    load = DirectoryLoad(seed)
    with Scratch() as scratch:
        server = Server(scratch / "data", extra_environment={"MUSTER_STORE__SQLITE__FILES": str(files)})
        for round_number in range(1, ROUNDS + 1):
            server.start()
            try:
                load.check(server, sample=50)
                load.start(server)
                load.wait_for_more(source.randint(WRITES_MIN, WRITES_MAX))
            finally:
                server.kill()
            load.join()
            if round_number % ROUNDS_BETWEEN_EXAMINATIONS == 0 or round_number == ROUNDS:
                # As the crash left it: dangling lookup rows are allowed, damage is not.
                code, report = doctor(scratch / "data")
                assert code == 0, (round_number, report)
        print(f"{ROUNDS} kills, {load.acknowledged} acknowledged writes, {len(load.unsure)} never answered")
        assert load.acknowledged >= ROUNDS * WRITES_MIN
        with server:
            load.check(server, sample=len(load.holder))
        code, report = doctor(scratch / "data")
        assert code == 0, report


@pytest.mark.parametrize("instead", [None, "copy.db", "muster-copy.db"])
def test_a_directory_whose_data_files_are_gone_is_not_begun_anew(scratch, instead):
    data = scratch / "data"
    with Server(data) as server, server.client() as client:
        assert client.register(id="1").status == 201
    for name in ("muster-0.db", "muster-0.db-wal", "muster-0.db-shm"):
        (data / name).unlink(missing_ok=True)
    if instead:
        (data / instead).write_bytes(b"a backup that was not renamed")
    done = run("serve", "--data", str(data), "--http", "127.0.0.1:0", "--admin", "127.0.0.1:0")
    assert done.returncode != 0 and "are gone" in done.stderr, done
    assert not (data / "muster-0.db").exists()
