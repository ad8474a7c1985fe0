"""A way to a server of these tests that can be cut, so that the server seems to be away."""

import socket
import threading
from contextlib import suppress

from tests.servers import free_port

FAULT = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Proxy:
    """Hands connections on to a port of this machine, for as long as it is asked to."""

    def __init__(self, target: int) -> None:
        """Listen.

        Args:
            target: the server's port.
        """
        self._target = target
        self.port = free_port()
        self._fault: bytes | None = None
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=100)
        threading.Thread(target=self._serve, daemon=True).start()

    def cut(self, fault: bytes = b"") -> None:
        """Close all connections; answer each new one with a fault, or close it at once."""
        with self._lock:
            self._fault = fault
            for one in self._open:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
            self._open.clear()

    def mend(self) -> None:
        """Hand on again."""
        with self._lock:
            self._fault = None

    def close(self) -> None:
        """Listen no more."""
        self.cut()
        self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._handle, args=[client], daemon=True).start()

    def _handle(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            fault = self._fault
            if fault is not None:
                if fault:
                    client.recv(65536)
                    client.sendall(fault)
                return
            with socket.create_connection(("127.0.0.1", self._target)) as server:
                with self._lock:
                    self._open |= {client, server}
                back = threading.Thread(target=_hand_on, args=[server, client], daemon=True)
                back.start()
                _hand_on(client, server)
                back.join()
                with self._lock:
                    self._open -= {client, server}


def _hand_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while content := source.recv(65536):
            target.sendall(content)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
