"""The lines that README and the guide tell people to paste: each must work as it stands."""
import re
import subprocess

import pytest

from muster_process import DEADLINE_S, ROOT, Server, binary, environment, run, tool



def shell_blocks(page):
    return re.findall(r"^```sh\n(.*?)^```", (ROOT / page).read_text(), re.M | re.S)


def commands(block):
    """A block's commands; a quoted text may go over several lines."""
    command = ""
    for line in block.splitlines():
        command += line + "\n"
        if command.count("'") % 2 == 0 and not line.endswith("\\"):
            if command.strip():
                yield command.strip()
            command = ""


# The guide's lines are about members that are there.
@pytest.mark.parametrize("page, phone", [("README.md", None), ("docs/guide.md", "+8613800000001"),
                                         ("docs/benchmarking.md", "+8613800000001")])
def test_lines_to_paste(scratch, page, phone):
    with Server(scratch / "muster-data") as server, server.client() as client:
        identities = [{"kind": "phone", "value": phone}] if phone else []
        assert client.register(id="1", identities=identities).status == 201
        assert client.register(id="2").status == 201
        (scratch / "members.jsonl").write_text('{"displayName":"Han Meimei"}\n')
        variables = {"MUSTER_SERVER": server.http, "MUSTER_KEY_FILE": str(scratch / "muster-data" / "admin.key"),
                     "KEY": server.key(), "URL": f"http://{server.http}", "ID": "1", "OTHER": "2"}
        tried = 0
        script = f'set -e\nmuster() {{ {binary()} "$@"; }}\n'
        for command in (command for block in shell_blocks(page) for command in commands(block)):
            if command.startswith(("make ", "build/release/muster serve", "muster serve")):
                continue
            command = command.replace("127.0.0.1:7400", server.http).replace("build/release/muster ", "muster ")
            command = command.replace("127.0.0.1:7401", server.grpc)
            if command.startswith("grpcurl "):
                command = command.replace("grpcurl", tool("grpcurl"), 1)
            if "curl -sf" not in command:
                command = re.sub(r"(^| )curl ", r"\1curl --fail-with-body ", command)
            script += f"echo '# {tried}'\n{command}\n"
            tried += 1
        done = subprocess.run(["bash", "-c", script], cwd=scratch, env=environment(variables),
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
        assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
        assert tried > 0
    assert run("doctor", "--data", scratch / "muster-data").returncode == 0
