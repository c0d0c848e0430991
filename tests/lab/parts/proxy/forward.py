"""An HTTP proxy that prints a line for each request: the client's address, the method and the URL."""

import contextlib
import socket
import socketserver
import threading

PORT = 3128


class Proxy(socketserver.StreamRequestHandler):
    """A connection, with a single request."""

    def handle(self):
        with contextlib.suppress(OSError, ValueError):
            self._forward()
        # Ends the thread that reads from the client.
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def _forward(self):
        method, url, version = self.rfile.readline().decode().split()
        print(self.client_address[0], method, url, flush=True)
        headers = []
        while (line := self.rfile.readline()) not in (b"\r\n", b""):
            if not line.lower().startswith((b"connection:", b"proxy-connection:")):
                headers.append(line)
        place, _, path = url.removeprefix("http://").partition("/")
        host, _, port = place.partition(":")
        with socket.create_connection((host, int(port or 80)), timeout=60) as server:
            if method == "CONNECT":
                self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
            else:
                request = f"{method} /{path} {version}\r\n".encode(), *headers, b"Connection: close\r\n\r\n"
                server.sendall(b"".join(request))
            threading.Thread(target=copy, args=(self.rfile.read1, server.sendall), daemon=True).start()
            copy(server.recv, self.wfile.write)


def copy(read, write):
    """Copy until one of the two ends."""
    with contextlib.suppress(OSError, ValueError):
        while content := read(1 << 16):
            write(content)


if __name__ == "__main__":
    socketserver.ThreadingTCPServer.allow_reuse_address = True
    socketserver.ThreadingTCPServer(("", PORT), Proxy).serve_forever()
