"""Leads an SDK with a built-in HTTPS address to a node on loopback, without touching the SDK.

`requests` honours HTTPS_PROXY and REQUESTS_CA_BUNDLE. The proxy named there accepts the tunnel to the built-in
address, but ends TLS itself, with a certificate made for this run, and passes the bytes on to the node.
"""

import os
import select
import socket
import ssl
import threading

BUILT_IN = b"CONNECT console.tim.qq.com:443 "


def serve(certificate, key, node):
    """Starts the proxy and points this process's environment at it; before the SDK is imported."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    listener = socket.create_server(("127.0.0.1", 0))
    os.environ["HTTPS_PROXY"] = "http://127.0.0.1:%d" % listener.getsockname()[1]
    os.environ["REQUESTS_CA_BUNDLE"] = certificate

    def accept():
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=tunnel, args=(connection, context, node), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


def tunnel(connection, context, node):
    head = b""
    while b"\r\n\r\n" not in head:
        head += connection.recv(4096)
    if not head.startswith(BUILT_IN):
        connection.sendall(b"HTTP/1.1 403 Forbidden\r\n\r\n")
        connection.close()
        return
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    host, port = node.rsplit(":", 1)
    with context.wrap_socket(connection, server_side=True) as client, socket.create_connection((host, int(port))) as upstream:
        while True:
            ready = [client] if client.pending() else select.select([client, upstream], [], [])[0]
            for source in ready:
                data = source.recv(65536)
                if not data:
                    return
                (upstream if source is client else client).sendall(data)
