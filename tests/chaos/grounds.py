"""The lab that is broken: who is what in it just now, whether it is whole, and what an operator does when it is not by itself."""
import json
import pathlib
import socket
import subprocess
import threading
import time

from member_client import Client
from muster_process import binary, environment, run, wait_for

CENTERS = ("A", "B")
# How long an operator waits before he helps: what comes back by itself has done so by then.
PATIENCE_S = 25.0
LOOK_EVERY_S = 0.25
COMMAND_DEADLINE_S = 120.0


class Grounds:
    """A running lab. Roles are asked for each time: they move."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.helped = []  # what an operator had to do since it was cleared
        self._process = None

    def up(self):
        """Starts it; it ends with this process, however that ends."""
        log = self.directory.with_name("lab.log")
        with open(log, "w", encoding="utf-8") as out:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", binary(), "lab", "up", "--foreground", "--dir", str(self.directory)],
                env=environment(), stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
        wait_for(lambda: self._process.poll() is not None or self.is_up(), "the lab is up", COMMAND_DEADLINE_S)
        if self._process.poll() is not None:
            raise RuntimeError(f"muster lab up has ended with {self._process.returncode}: {log.read_text()}")

    def is_up(self):
        done = run("lab", "status", "-o", "json", "--dir", self.directory)
        return done.returncode == 0 and all(one["up"] for one in json.loads(done.stdout)["components"])

    def down(self):
        if self._process.poll() is None:
            self.lab("down")
            self._process.wait(COMMAND_DEADLINE_S)

    def lab(self, *words):
        done = run("lab", words[0], "--dir", self.directory, *words[1:], deadline_s=COMMAND_DEADLINE_S)
        if done.returncode:
            raise RuntimeError(f"muster lab {' '.join(words)} answered {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def components(self):
        return {one["name"]: one for one in self.status()["components"]}

    def status(self):
        return json.loads(self.lab("status", "-o", "json"))

    @property
    def key(self):
        return (self.directory / "admin.key").read_text().strip()

    def doors(self):
        """center → [(name, HTTP address)] of its servers."""
        found = {center: [] for center in CENTERS}
        for one in self.components().values():
            if one["kind"] == "muster":
                found[one["center"]].append((one["name"], one["address"]))
        return found

    # The topology, as whichever server answers.

    def topology(self):
        """None while no server answers."""
        for one in self.components().values():
            if one["kind"] == "muster" and one["up"]:
                try:
                    return topology_of(one["admin"], self.key, deadline_s=2.0)
                except OSError:
                    continue
        return None

    def attention(self):
        """What needs somebody, as the controller says it, whichever server that is."""
        texts = []
        for one in self.components().values():
            if one["kind"] == "muster" and one["up"]:
                try:
                    texts += topology_of(one["admin"], self.key, deadline_s=2.0)["attention"]
                except OSError:
                    continue
        return texts

    def command(self, *words):
        """`muster topology WORDS` at a server that answers: the finished process."""
        server = next(one for one in self.components().values() if one["kind"] == "muster" and one["up"])
        return run("topology", *words, "--server", f"http://{server['address']}", "--key-file", self.directory / "admin.key",
                   deadline_s=COMMAND_DEADLINE_S)

    def databases(self):
        return [one for group in self.topology()["groups"] for one in group["databases"]]

    def primary(self):
        return next(one["name"] for one in self.databases() if one["role"] == "primary")

    def writing(self):
        return self.topology()["writer"]

    def other(self):
        return next(center for center in CENTERS if center != self.writing())

    def beside(self):
        """The replica in the primary's center, which acknowledges nothing."""
        return next(one["name"] for one in self.databases() if one["role"] == "replica" and one["center"] == self.writing())

    def ackers(self):
        return [one["name"] for one in self.databases() if one["acker"] == "in"]

    def of(self, kind, center):
        """Names of a center's components."""
        return [one["name"] for one in self.components().values() if one["kind"] == kind and one["center"] == center]

    def named(self, target):
        """A component's name, or those of center:A."""
        center = target.removeprefix("center:")
        return [target] if center == target else [one["name"] for one in self.components().values() if one["center"] == center]

    def leader(self):
        return next(one["name"] for one in self.components().values() if one["kind"] == "etcd" and one["role"] == "leader")

    # Whole, or what it lacks.

    def lacks(self):
        """What is not as it should be, as texts; empty: all is whole."""
        status = self.status()
        missing = [f"{one['name']} is {one['state']}" for one in status["components"] if not one["up"]]
        missing += [f"the link {link['from']} to {link['to']} is not healed" for link in status["links"]]
        topology = self.topology()
        if topology is None:
            return [*missing, "no server answers"]
        if not topology["writer"]:
            missing.append("no center writes")
        for group in topology["groups"]:
            if group["durability"] != "both-centers":
                missing.append(f"group {group['name']} is {group['durability']}")
            missing += [f"{one['name']} is {one['state'] or 'unseen'}" for one in group["databases"]
                        if not one["isUp"] or one["state"] != ("writing" if one["role"] == "primary" else "following")]
        missing += [f"the cache of {cache['center']} is {cache['mode']}" for cache in topology["caches"] if cache["mode"] != "on"]
        return missing

    def await_whole(self, deadline_s, check):
        """Whether all becomes whole in time, with an operator's help where it needs one (`helped`)."""
        begin = time.monotonic()
        while True:
            check()
            missing = self.lacks()
            passed = time.monotonic() - begin
            if not missing:
                return True
            if passed > deadline_s:
                return False
            self.help(missing, passed)
            time.sleep(LOOK_EVERY_S)

    def help(self, missing, passed):
        """What the documentation tells an operator to do, and no more."""
        states = dict(text.split(" is ", 1) for text in missing if text.startswith("mariadb-"))
        diverged = [name for name, state in states.items() if state == "diverged"]
        waiting = [name for name, state in states.items() if state == "writing" and any(
            text.startswith(name + " ") and "commits that wait for an acknowledgement" in text for text in self.attention())]
        if waiting or (diverged and len(diverged) == len(states)):
            database = (waiting or diverged)[0]
            if self.command("rebuild", database).returncode == 0:  # else it is asked for again at the next look
                self.helped.append(f"rebuild of {database}")
        elif passed > PATIENCE_S and "failover" not in self.helped and (self.topology() or {}).get("health") == "lost":
            self.command("failover")
            self.helped.append("failover")

    # Past muster.

    def sql(self, database, statement):
        """A client of a database as root, under way."""
        return subprocess.Popen(
            ["mariadb", "--no-defaults", "--socket=socket", "--user=root", "--batch", "--skip-column-names", "--unbuffered", "-e", statement],
            cwd=self.directory / database / "data", env=environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def ask(self, database, statement):
        client = self.sql(database, statement)
        out, err = client.communicate(timeout=60)
        if client.returncode:
            raise RuntimeError(f"{database} answered: {err.strip()}")
        return out

    def redis(self, name, *words):
        """One command to a Redis; its answer as text: of a bulk what is in it, else its line."""
        host, port = self.components()[name]["address"].rsplit(":", 1)
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(" ".join(words).encode() + b"\r\n")
            lines = connection.makefile("rb")
            answer = lines.readline().decode().strip()
            if answer.startswith("$"):
                return lines.read(int(answer[1:])).decode()
        if answer.startswith("-"):
            raise RuntimeError(f"{name} answered {answer} to {' '.join(words)}")
        return answer


def field(text, name):
    """Of Redis's INFO."""
    return int(next(line for line in text.splitlines() if line.startswith(name + ":")).partition(":")[2])


def topology_of(admin, key, deadline_s):
    with Client(admin, key) as client:
        client.connection.timeout = deadline_s
        reply = client.call("GET", "/admin/v1/topology")
    if reply.status != 200:
        raise OSError(f"the topology was answered {reply.status}")
    return reply.json


class Watch(threading.Thread):
    """Looks at the topology of one server again and again, and records it; a silent server is passed over."""

    def __init__(self, history, name, admin, key):
        super().__init__(name=f"watch {name}", daemon=True)
        self.history, self.server, self.admin, self.key = history, name, admin, key
        self.is_over = threading.Event()

    def run(self):
        while not self.is_over.wait(LOOK_EVERY_S):
            begin = time.monotonic_ns()
            try:
                topology = topology_of(self.admin, self.key, deadline_s=1.0)
            except OSError:
                continue
            self.history.add(look="topology", server=self.server, begin=begin, end=time.monotonic_ns(), writer=topology["writer"],
                             revision=int(topology["revision"]), epoch=int(topology["epoch"]))

    def stop(self):
        self.is_over.set()
        self.join(5)
