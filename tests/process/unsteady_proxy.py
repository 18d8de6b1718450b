"""A proxy for HTTP/1.1 on loopback that fails as networks and overloaded servers do, on purpose and by count."""
import http.client
import http.server
import threading

HOP_HEADERS = {"connection", "transfer-encoding", "content-length"}


class UnsteadyProxy:
    """`faults`: what happens to the first requests, one each: "refuse" (503 OVERLOADED with Retry-After, the server is not
    asked), "lose" (the server does it, the answer is lost), "pass". All later ones pass."""

    def __init__(self, address, faults):
        self._address, self._faults, self._lock = address, list(faults), threading.Lock()
        self.seen = []  # (method, path, headers) of every request
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def handle_any(self):
                proxy.handle(self)

            do_GET = do_POST = do_PATCH = handle_any

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def address(self):
        return f"127.0.0.1:{self._server.server_address[1]}"

    def handle(self, request):
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        with self._lock:
            self.seen.append((request.command, request.path, dict(request.headers)))
            fault = self._faults.pop(0) if self._faults else "pass"
        if fault == "refuse":
            problem = (b'{"type":"urn:muster:problem:OVERLOADED","title":"-","status":503,"code":"OVERLOADED","detail":"-",'
                       b'"retryable":true,"requestId":"-"}')
            return self._send(request, 503, [("Content-Type", "application/problem+json"), ("Retry-After", "1")], problem)
        host, port = self._address.rsplit(":", 1)
        connection = http.client.HTTPConnection(host, int(port), timeout=30)
        connection.request(request.command, request.path, body or None, dict(request.headers))
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        if fault == "lose":
            request.close_connection = True
            return None
        return self._send(request, answer.status, answer.getheaders(), content)

    @staticmethod
    def _send(request, status, headers, content):
        request.send_response_only(status)
        for name, value in headers:
            if name.lower() not in HOP_HEADERS:
                request.send_header(name, value)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)
