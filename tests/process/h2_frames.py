"""HTTP/2 by hand (RFC 9113), for what no real client sends: frames as they are written, and nothing read into those that arrive."""
import socket
import struct

from muster_process import DEADLINE_S

DATA, HEADERS, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 5, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS = 1, 1, 4
ENHANCE_YOUR_CALM = 11
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind, flags=0, stream=0, payload=b"", length=None):
    length = len(payload) if length is None else length
    return struct.pack(">IBBI", length, kind, flags, stream)[1:] + payload


def _text(text):
    """A string of HPACK without Huffman's code (RFC 7541, 5.2)."""
    raw, out = text.encode("latin-1"), b""
    if len(raw) < 127:
        return bytes([len(raw)]) + raw
    rest, out = len(raw) - 127, b"\x7f"
    while rest >= 128:
        out += bytes([rest % 128 + 128])
        rest //= 128
    return out + bytes([rest]) + raw


def block(*fields):
    """A header block whose fields enter no table."""
    return b"".join(b"\0" + _text(name) + _text(value) for name, value in fields)


def head(method, key=None, *more):
    """What a call of the member API begins with; no deadline."""
    return head_of(f"/muster.v1.MemberService/{method}", key, *more)


def head_of(path, key=None, *more):
    """What any gRPC call begins with."""
    fields = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "x"),
              ("content-type", "application/grpc"), ("te", "trailers")]
    if key:
        fields.append(("authorization", f"Bearer {key}"))
    return block(*fields, *more)


def message(protobuf):
    return b"\0" + struct.pack(">I", len(protobuf)) + protobuf


class RawConnection:
    """A connection that has greeted."""

    def __init__(self, address, settings=b"", receive_bytes=None):
        host, port = address.rsplit(":", 1)
        self.socket = socket.socket(socket.AF_INET)
        if receive_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.settimeout(DEADLINE_S)
        self.socket.connect((host, int(port)))
        self._received = b""
        self.send(PREFACE + frame(SETTINGS, payload=settings))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, raw):
        """False: the server has ended the connection."""
        try:
            self.socket.sendall(raw)
            return True
        except (BrokenPipeError, ConnectionResetError):
            return False

    def call(self, stream, method, protobuf, key=None, *more):
        return self.send(frame(HEADERS, END_HEADERS, stream, head(method, key, *more)) +
                         frame(DATA, END_STREAM, stream, message(protobuf)))

    def frames(self):
        """(kind, flags, stream, payload) of each, until the server ends the connection."""
        while True:
            while len(self._received) >= 9:
                length = int.from_bytes(self._received[:3], "big")
                if len(self._received) < 9 + length:
                    break
                kind, flags, stream = struct.unpack(">BBI", self._received[3:9])
                payload, self._received = self._received[9:9 + length], self._received[9 + length:]
                yield kind, flags, stream, payload
            try:
                more = self.socket.recv(1 << 16)
            except ConnectionResetError:
                more = b""
            if not more:
                return
            self._received += more

    def end(self):
        """The error code of the last GOAWAY before the connection ended; None without one."""
        codes = [int.from_bytes(payload[4:8], "big") for kind, _, _, payload in self.frames() if kind == GOAWAY]
        return codes[-1] if codes else None
