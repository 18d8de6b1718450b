"""A MariaDB server of the test's own: on 127.0.0.1, with a temporary data directory, and settings that are safe to write to."""
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess

import pytest

from muster_process import environment, wait_for

ACCOUNT, PASSWORD = "muster", "open sesame"
GRANTS = "SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX"


def program(name):
    """Its path; where there is none the test skips with the reason."""
    found = shutil.which(name, path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if not found:
        pytest.skip(f"{name} is not installed (apt-get install mariadb-server)")
    return found


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class MariadbServer:
    """`start` and `kill` as often as a test likes; one that is killed leaves its data to the next start."""

    def __init__(self, path, *arguments):
        self.path = pathlib.Path(path)
        self.arguments = arguments
        self.port = free_port()
        self.process = None
        # Temporary tables of its own: a server that starts deletes all those in their directory, also another's.
        self.common = [f"--tmpdir={self.path}"]
        if os.geteuid() == 0:
            self.common.append(f"--user={pwd.getpwuid(os.geteuid()).pw_name}")
        install, self.program, self.client = program("mariadb-install-db"), program("mariadbd"), program("mariadb")
        self.path.mkdir()
        subprocess.run([install, "--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db",
                        "--innodb-log-file-size=8M", f"--datadir={self.path}/data", *self.common],
                       check=True, capture_output=True, env=environment())

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        if self.process is not None:
            self.kill()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def start(self):
        with open(self.path / "log", "ab") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", self.program, "--no-defaults", f"--datadir={self.path}/data",
                 f"--socket={self.path}/socket", f"--pid-file={self.path}/pid", "--bind-address=127.0.0.1", f"--port={self.port}",
                 "--skip-name-resolve", "--innodb-buffer-pool-size=64M", "--innodb-log-file-size=8M", "--innodb-use-native-aio=0",
                 "--character-set-server=utf8mb4", *self.common, *self.arguments],
                env=environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)

        def answers():
            assert self.process.poll() is None, (self.path / "log").read_text(errors="replace")[-2000:]
            return self.ask("SELECT 1").returncode == 0
        wait_for(answers, "the database server answers")
        return self

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process = None

    def ask(self, statement, database=""):
        return subprocess.run([self.client, "--no-defaults", f"--socket={self.path}/socket", "--user=root", "--batch",
                               "--skip-column-names", *([database] if database else [])],
                              input=statement, capture_output=True, text=True, check=False, env=environment())

    def execute(self, statement, database=""):
        """What it answers, as lines of tab-separated values."""
        done = self.ask(statement, database)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    def make_databases(self, *names, grants=GRANTS, account=ACCOUNT):
        """Empty ones, and an account for them as the operator's page says."""
        self.execute(f"CREATE USER IF NOT EXISTS {account}@'127.0.0.1' IDENTIFIED BY '{PASSWORD}';" + "".join(
            f"CREATE DATABASE {name} CHARACTER SET utf8mb4; GRANT {grants} ON {name}.* TO {account}@'127.0.0.1';" for name in names))


def write_settings(folder, server, *databases, more="", password=PASSWORD, account=ACCOUNT, address=None):
    """A configuration in a folder; answers the path of its file."""
    folder = pathlib.Path(folder)
    (folder / "password").write_text(password + "\n")
    groups = "".join(f'[[store.mariadb.groups]]\nprimary = "{address or server.address}"\ndatabase = "{name}"\n' for name in databases)
    path = folder / "muster.toml"
    path.write_text(f'store.kind = "mariadb"\n{more}\nstore.mariadb.user = "{account}"\n'
                    f'store.mariadb.password_file = "{folder}/password"\n{groups}')
    return path
