"""How a server ends: what is under way is answered, then it exits with 0; and how it ends otherwise."""
import http.client
import json
import signal
import threading

import pytest

import people
from member_client import RawConnection, request_bytes
from muster_process import DEADLINE_S, Server, doctor, wait_for


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_an_idle_server(scratch, number):
    server = Server(scratch / "data").start()
    with RawConnection(server.http) as idle, RawConnection(server.http) as used:
        assert used.send(request_bytes("GET", "/livez")).reply().status == 200
        server.process.send_signal(number)
        assert server.wait() == 0, server.log_tail()
        assert idle.is_closed() and used.is_closed()
    assert doctor(scratch / "data")[0] == 0


def test_what_is_under_way_is_answered(scratch):
    server = Server(scratch / "data").start()
    key = server.key()
    body = json.dumps({"displayName": "in flight"}).encode()
    begun = [RawConnection(server.http) for _ in range(20)]
    request = request_bytes("POST", "/v1/members", key, body)
    for connection in begun:
        connection.send(request[:-10])
    with server.client() as other:  # the server has read what was sent before it
        assert other.register().status == 201
    server.process.send_signal(signal.SIGTERM)

    def refuses():
        try:
            with RawConnection(server.http) as late:
                return late.send(request_bytes("GET", "/readyz")).reply() is None
        except OSError:
            return True
    wait_for(refuses, "nobody new is let in")
    ids = []
    for connection in begun:
        reply = connection.send(request[-10:]).reply()
        assert reply is not None and reply.status == 201, reply
        assert reply.headers["connection"].lower() == "close"
        assert connection.is_closed()
        ids.append(reply.json["id"])
    assert server.wait() == 0, server.log_tail()
    with Server(scratch / "data") as again, again.client() as client:
        for member_id in ids:
            assert client.get(member_id).json["displayName"] == "in flight"


def test_nobody_holds_up_the_end_for_ever(scratch):
    server = Server(scratch / "data", extra_environment={"MUSTER_HTTP__DRAIN__TIMEOUT": "1s"}).start()
    with RawConnection(server.http) as stuck:
        stuck.send(request_bytes("POST", "/v1/members", server.key(), b'{"displayName":"stuck"}')[:-5])
        with server.client() as other:
            assert other.register().status == 201
        assert server.stop() == 0, server.log_tail()


def test_a_drain_under_load_loses_nothing(scratch):
    server = Server(scratch / "data").start()
    acknowledged, unanswered, counted = {}, [], threading.Condition()

    def load():
        with server.client() as client:
            while True:
                identity = people.phone_identity()
                try:
                    reply = client.register(identities=[identity])
                except (OSError, http.client.HTTPException) as error:
                    with counted:
                        unanswered.append((identity["value"], error))
                    return
                with counted:
                    acknowledged[reply.json.get("id")] = identity["value"]
                    counted.notify_all()
                if reply.headers.get("connection") == "close":
                    return
    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    with counted:
        assert counted.wait_for(lambda: len(acknowledged) >= 200, DEADLINE_S)
    assert server.stop() == 0, server.log_tail()
    for thread in threads:
        thread.join(DEADLINE_S)
        assert not thread.is_alive()
    assert None not in acknowledged, "a request was refused"
    assert doctor(scratch / "data")[0] == 0
    with Server(scratch / "data") as again, again.client() as client:
        for member_id, phone in acknowledged.items():
            assert client.resolve("phone", phone).json["id"] == member_id
        # A request may meet the end of its connection, but then nothing was done: no answer was lost.
        for phone, error in unanswered:
            assert not isinstance(error, (ConnectionResetError, TimeoutError)) or isinstance(
                error, http.client.RemoteDisconnected), error
            assert client.resolve("phone", phone).status == 404, error


def test_answers_survive_requests_that_are_not_taken_any_more(scratch):
    server = Server(scratch / "data", extra_environment={"MUSTER_HTTP__PIPELINE__MAX": "1"}).start()
    body = json.dumps({"displayName": "x" * 100}).encode()
    request = request_bytes("POST", "/v1/members", server.key(), body)
    connections = [RawConnection(server.http) for _ in range(8)]
    for connection in connections:
        connection.send(request * 300)  # most of them wait in the socket
    for connection in connections:
        assert connection.reply().status == 201
    server.process.send_signal(signal.SIGTERM)
    ids = []
    for connection in connections:
        while (reply := connection.reply()) is not None:
            assert reply.status == 201
            ids.append(reply.json["id"])
            last = reply
        assert last.headers.get("connection") == "close"
    assert server.wait() == 0, server.log_tail()
    with Server(scratch / "data") as again, again.client() as client:
        count = 0
        with again.admin_client() as admin:
            for line in admin.call("GET", "/metrics").body.decode().splitlines():
                count += int(float(line.rsplit(" ", 1)[1])) if line.startswith("muster_store_members") else 0
        assert count == len(ids) + len(connections)  # what was written was answered
        assert client.get(ids[-1]).status == 200


def test_kill_and_start_again(scratch):
    server = Server(scratch / "data").start()
    with server.client() as client:
        member = client.register(identities=[people.phone_identity()]).json
        assert server.kill() == -signal.SIGKILL
    with server.start().client() as client:
        assert client.get(member["id"]).json == member
    assert server.stop() == 0
