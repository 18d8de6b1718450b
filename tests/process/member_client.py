"""A plain HTTP client, a raw one for requests that no client would send, and what every problem must look like."""
import http.client
import json
import socket

TIMEOUT_S = 60.0

# The closed table of the interface: code → status.
STATUS_OF_CODE = {
    "INVALID_ARGUMENT": 400, "UNAUTHENTICATED": 401, "PERMISSION_DENIED": 403, "NOT_FOUND": 404,
    "MEMBER_NOT_FOUND": 404, "IDENTITY_NOT_FOUND": 404, "METHOD_NOT_ALLOWED": 405, "REQUEST_TIMEOUT": 408, "MEMBER_EXISTS": 409,
    "IDENTITY_TAKEN": 409, "STATE_CONFLICT": 409, "LIMIT_EXCEEDED": 409, "VERSION_MISMATCH": 412,
    "BODY_TOO_LARGE": 413, "URI_TOO_LONG": 414, "UNSUPPORTED_MEDIA_TYPE": 415, "RATE_LIMITED": 429,
    "EXPECTATION_FAILED": 417,
    "HEADERS_TOO_LARGE": 431, "INTERNAL": 500, "NOT_IMPLEMENTED": 501, "HTTP_VERSION_NOT_SUPPORTED": 505, "OVERLOADED": 503, "WRITES_UNAVAILABLE": 503, "OUTCOME_UNKNOWN": 503,
    "IDEMPOTENCY_IN_PROGRESS": 409, "IDEMPOTENCY_MISMATCH": 422, "POSITION_EXPIRED": 410, "STALE": 503, "DEADLINE_EXCEEDED": 504,
}
RETRYABLE = {"REQUEST_TIMEOUT", "IDEMPOTENCY_IN_PROGRESS", "RATE_LIMITED", "OVERLOADED", "WRITES_UNAVAILABLE", "OUTCOME_UNKNOWN", "STALE", "DEADLINE_EXCEEDED"}


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body  # names of headers in lower case

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def etag(self):
        return self.headers.get("etag")

    @property
    def source(self):
        return self.headers.get("x-muster-source")

    def __repr__(self):
        return f"<{self.status} {self.headers} {self.body[:2000]!r}>"


class Client:
    """One kept-alive connection; not for several threads."""

    def __init__(self, address, key=None):
        host, port = address.rsplit(":", 1)
        self.connection = http.client.HTTPConnection(host, int(port), timeout=TIMEOUT_S)
        self.key = key

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.connection.close()

    def call(self, method, path, body=None, headers=None):
        """`body`: bytes as they are, anything else as JSON. Raises OSError or HTTPException without an answer."""
        sent = {}
        if self.key:
            sent["Authorization"] = f"Bearer {self.key}"
        if body is not None:
            if not isinstance(body, bytes):
                body = json.dumps(body, ensure_ascii=False).encode()
            sent["Content-Type"] = "application/json"
        sent.update(headers or {})
        try:
            self.connection.request(method, path, body, {n: v for n, v in sent.items() if v is not None})
            answer = self.connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException):
            self.connection.close()
            raise
        return Reply(answer.status, {n.lower(): v for n, v in answer.getheaders()}, content)

    # The API by its names.
    def register(self, **member):
        return self.call("POST", "/v1/members", member)

    def get(self, member_id, query="", **headers):
        return self.call("GET", f"/v1/members/{member_id}{query}", headers=http_names(headers))

    def resolve(self, kind, value, platform=None, **headers):
        path = f"/v1/members:resolve?kind={kind}&value={value}" + (f"&platform={platform}" if platform else "")
        return self.call("GET", path, headers=http_names(headers))

    def patch(self, member_id, mask, body, **headers):
        query = "" if mask is None else f"?updateMask={mask}"
        return self.call("PATCH", f"/v1/members/{member_id}{query}", body, http_names(headers))

    def verb(self, member_id, verb, body, **headers):
        return self.call("POST", f"/v1/members/{member_id}:{verb}", body, http_names(headers))

    def bind(self, member_id, identity, **headers):
        return self.verb(member_id, "bind", {"identity": identity}, **headers)

    def unbind(self, member_id, identity, **headers):
        return self.verb(member_id, "unbind", {"identity": identity}, **headers)

    def history(self, member_id, query=""):
        return self.call("GET", f"/v1/members/{member_id}/history{query}")


def http_names(headers):
    return {name.replace("_", "-"): value for name, value in headers.items()}


def assert_problem(reply, code, status=None):
    """RFC 9457 with the interface's members, consistent with the table of codes; answers the document."""
    assert reply.headers.get("content-type", "").startswith("application/problem+json"), reply
    problem = reply.json
    assert problem["code"] == code, reply
    assert reply.status == problem["status"] == (status or STATUS_OF_CODE[code]), reply
    for name in ("type", "title", "detail", "requestId"):
        assert isinstance(problem[name], str) and problem[name], (name, reply)
    if "request-id" in reply.headers:
        assert reply.headers["request-id"] == problem["requestId"], reply
    assert problem["retryable"] is (code in RETRYABLE), reply
    for fault in problem.get("errors", []):
        assert isinstance(fault["field"], str) and isinstance(fault["detail"], str) and fault["detail"], reply
    assert set(problem) <= {"type", "title", "status", "detail", "code", "requestId", "retryable", "errors"}, reply
    return problem


class RawConnection:
    """Bytes in, answers out."""

    def __init__(self, address, timeout_s=TIMEOUT_S):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=timeout_s)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        """Sends what the server takes: one that has refused already may have hung up."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass
        return self

    def finish_sending(self):
        self.socket.shutdown(socket.SHUT_WR)
        return self

    def more(self):
        """Reads what has come; false at the end of the connection."""
        try:
            data = self.socket.recv(1 << 16)
        except ConnectionResetError:
            data = b""
        self.buffer += data
        return bool(data)

    def head(self):
        """The next status line and headers, or None when the connection ended before any byte of them."""
        while b"\r\n\r\n" not in self.buffer:
            if not self.more():
                assert not self.buffer, f"the connection ended in the middle of an answer: {self.buffer!r}"
                return None
        text, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        first, *lines = text.decode("latin-1").split("\r\n")
        version, status, *_ = first.split(" ", 2)
        assert version == "HTTP/1.1", first
        return int(status), {n.strip().lower(): v.strip() for n, _, v in (line.partition(":") for line in lines)}

    def reply(self, to_head=False):
        """The next final answer, or None when there is none before the end of the connection."""
        head = self.head()
        if head is None:
            return None
        status, headers = head
        if status < 200:
            return Reply(status, headers, b"")
        assert "content-length" in headers or status == 304, headers
        length = 0 if to_head or status == 304 else int(headers["content-length"])
        while len(self.buffer) < length:
            assert self.more(), "the connection ended in the middle of a body"
        body, self.buffer = self.buffer[:length], self.buffer[length:]
        return Reply(status, headers, body)

    def is_closed(self):
        """Waits for the end of the connection; true unless something else comes instead."""
        return not self.buffer and not self.more()


def request_bytes(method, target, key=None, body=b"", *headers, version="HTTP/1.1"):
    """A well-formed request, to be made worse by its user."""
    lines = [f"{method} {target} {version}", "Host: localhost"]
    if key:
        lines.append(f"Authorization: Bearer {key}")
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, *headers, "", ""]).encode("latin-1") + body
