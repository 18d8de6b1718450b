"""A reader of GET /v1/changes, byte by byte: what EventSource does, without its patience."""
import json
import time
import urllib.parse

from member_client import RawConnection, Reply, request_bytes
from muster_process import DEADLINE_S


class ChangeReader:
    """One stream. `head` is (status, headers); events are read on demand, so one that is not asked reads nothing."""

    def __init__(self, server, from_=None, last_event_id=None, key=None, timeout_s=60.0, method="GET", headers=(), **query):
        self.connection = RawConnection(server.http, timeout_s)
        if from_ is not None:
            query["from"] = from_
        target = "/v1/changes" + ("?" + urllib.parse.urlencode(query, safe=",") if query else "")
        extra = [*headers, *([f"Last-Event-ID: {last_event_id}"] if last_event_id is not None else [])]
        self.connection.send(request_bytes(method, target, key or server.key(), b"", *extra))
        self.last_id, self.problem, self.heartbeats, self.is_over = None, None, 0, False
        self._text = b""
        self.head = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.connection.socket.close()

    def open(self):
        """The head of the answer; whoever gets no stream gets the whole answer as `reply`."""
        if self.head is None:
            self.head = self.connection.head()
        return self

    def reply(self):
        """The answer of one who was refused."""
        status, headers = self.open().head
        length = int(headers["content-length"])
        while len(self.connection.buffer) < length:
            assert self.connection.more()
        return Reply(status, headers, self.connection.buffer[:length])

    def _chunk(self):
        """The next chunk; None: the stream was ended. Raises EOFError where the connection broke."""
        status, headers = self.open().head
        assert status == 200 and headers["content-type"] == "text/event-stream", self.head
        assert headers["transfer-encoding"] == "chunked" and "content-length" not in headers, self.head
        connection = self.connection
        while b"\r\n" not in connection.buffer:
            if not connection.more():
                raise EOFError("the connection broke")
        size_text, connection.buffer = connection.buffer.split(b"\r\n", 1)
        size = int(size_text, 16)
        while len(connection.buffer) < size + 2:
            if not connection.more():
                raise EOFError("the connection broke")
        chunk, connection.buffer = connection.buffer[:size], connection.buffer[size + 2:]
        return chunk if size else None

    def blocks(self):
        """One list of (field, value) for each event or heartbeat, until the stream is ended."""
        while True:
            while b"\n\n" in self._text:
                block, self._text = self._text.split(b"\n\n", 1)
                yield [tuple(line.split(": ", 1)) for line in block.decode().split("\n")]
            chunk = self._chunk()
            if chunk is None:
                assert not self._text, self._text
                self.is_over = True
                return
            self._text += chunk

    def events(self, end=None):
        """Changes, as dictionaries, until the stream is ended; heartbeats alone do not go on after `end`."""
        end = end or time.monotonic() + DEADLINE_S
        for block in self.blocks():
            assert time.monotonic() < end, "nothing but heartbeats comes"
            fields = dict(block)
            self.last_id = fields.get("id", self.last_id)
            if fields.get("event") == "problem":
                self.problem = json.loads(fields["data"])
            elif "data" in fields:
                event = json.loads(fields["data"])
                assert event["position"] == fields["id"] and set(fields) == {"id", "data"}, block
                yield event
            else:
                self.heartbeats += 1

    def take(self, count):
        """The next `count` changes."""
        taken = []
        end = time.monotonic() + DEADLINE_S
        for event in self.events(end):
            taken.append(event)
            if len(taken) == count:
                break
        assert len(taken) == count, f"the stream ended after {len(taken)} of {count}"
        return taken

    def await_heartbeat(self):
        """The id of the next heartbeat."""
        for block in self.blocks():
            fields = dict(block)
            if "data" not in fields:
                self.last_id = fields["id"]
                return fields["id"]
        raise AssertionError("the stream was ended")
