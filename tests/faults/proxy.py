"""A TCP proxy that cuts a connection after so many bytes, as a failing network does."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit, urlunsplit


@contextmanager
def cutting(address: str, after: int) -> Iterator[str]:
    """The address of a proxy that resets the connection once the server has sent `after` bytes."""
    parts = urlsplit(address)
    server = (str(parts.hostname), int(parts.port or 5432))
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]

    def forward(source: socket.socket, sink: socket.socket, left: float) -> None:
        with suppress(OSError):
            while left > 0 and (data := source.recv(16_384)):
                sink.sendall(data)
                left -= len(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)  # wakes the other direction's thread
            with suppress(OSError):
                # No lingering: the peer meets a reset, not an orderly end.
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                end.close()

    def serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                upstream = socket.create_connection(server)
                for source, sink, left in (
                    (client, upstream, float("inf")),
                    (upstream, client, after),
                ):
                    threading.Thread(target=forward, args=(source, sink, left), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    login = parts.netloc.rpartition("@")[0]
    try:
        yield urlunsplit(parts._replace(netloc=f"{login}@127.0.0.1:{port}"))
    finally:
        listener.close()
