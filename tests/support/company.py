"""A company's network on loopback: a server with a certificate of its own authority, and a proxy that leads to it."""

from __future__ import annotations

import select
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import BaseRequestHandler, ThreadingTCPServer

from tests.support.certificates import Certificate


class _Echo(BaseHTTPRequestHandler):
    """Answers with the body of the request, or with `ok`, as a dashboard, a codec server and a bucket would."""

    def do_GET(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"ok"
        self.send_response(200)
        self.send_header("Content-Type", self.headers.get("Content-Type") or "text/plain")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Last-Modified", "Sun, 29 Nov 2026 20:00:00 GMT")
        self.send_header("ETag", '"1"')
        self.end_headers()
        self.wfile.write(content)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *given: object) -> None:
        """Say nothing."""


@contextmanager
def serving(certificate: Certificate) -> Iterator[int]:
    """Serve HTTPS with a certificate, and yield the port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Echo)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.file, certificate.key_file)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def _tunnel(client: socket.socket, port: int) -> None:
    """Pass everything on in both directions until one side ends."""
    with socket.create_connection(("127.0.0.1", port)) as server:
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        while True:
            for readable in select.select([client, server], [], [])[0]:
                if not (part := readable.recv(65_536)):
                    return
                (server if readable is client else client).sendall(part)


class Proxy:
    """An HTTP proxy that leads all that it is asked for to one port, and notes what that was."""

    def __init__(self, port: int) -> None:
        self.asked: list[str] = []
        asked = self.asked

        class Tunnel(BaseRequestHandler):
            def handle(self) -> None:
                head = b""
                while b"\r\n\r\n" not in head and (part := self.request.recv(4096)):
                    head += part
                asked.append(head.partition(b"\r\n")[0].decode())
                _tunnel(self.request, port)

        class Server(ThreadingTCPServer):
            daemon_threads = True

        self._server = Server(("127.0.0.1", 0), Tunnel)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Proxy:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *given: object) -> None:
        self._server.shutdown()
        self._server.server_close()
