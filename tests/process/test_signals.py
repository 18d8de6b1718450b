"""What signals do to a server besides ending it, and what may not keep it from ending."""
import os
import signal

from muster_process import Server, wait_for


def test_hang_up_opens_the_log_file_again(scratch):
    log, renamed = scratch / "muster.log", scratch / "muster.log.1"
    with Server(scratch / "data", extra_environment={"MUSTER_LOG__FILE": str(log)}) as server, server.client() as client:
        wait_for(lambda: log.exists() and "server is ready" in log.read_text(), "the server logs")
        log.rename(renamed)
        server.process.send_signal(signal.SIGHUP)

        def logs_into_the_new_file():
            reply = client.register(displayName="after the hang-up")
            assert reply.status == 201
            return log.exists() and f"member_id={reply.json['id']}" in log.read_text()
        wait_for(logs_into_the_new_file, "it logs into the new file")


def test_a_log_that_nobody_reads_does_not_keep_it_from_ending(scratch):
    reader, writer = os.pipe()
    try:
        with Server(scratch / "data", prepare=lambda: os.dup2(writer, 2)) as server:
            # Each refusal is a line of more than 100 bytes, and a pipe takes 64 KiB.
            with server.client(key="mk_nobody") as client:
                for _ in range(1000):
                    assert client.call("GET", "/v1/members/1").status == 401
            assert server.stop() == 0
    finally:
        os.close(reader)
        os.close(writer)
