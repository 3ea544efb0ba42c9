#!/usr/bin/env python3
"""Resident memory of an idle custos-node, and what each idle keep-alive connection adds to it."""

import argparse
import pathlib
import re
import resource
import shutil
import socket
import ssl
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "system"))
from stack import Stack  # noqa: E402

NODE_MIB_MAX = 64
CONNECTION_KIB_MAX = 64
REQUEST = b"GET /.well-known/jwks.json HTTP/1.1\r\nHost: localhost\r\n\r\n"


def resident_kib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise SystemExit(f"no VmRSS of {pid}")


def ask(connection):
    """One request, and its whole answer."""
    connection.sendall(REQUEST)
    answer = b""
    while True:
        head, end, body = answer.partition(b"\r\n\r\n")
        if end:
            length = int(re.search(rb"(?i)content-length: (\d+)", head).group(1))
            if len(body) == length:
                break
        part = connection.recv(65536)
        if not part:
            raise SystemExit("a kept connection was closed")
        answer += part
    if not answer.startswith(b"HTTP/1.1 200"):
        raise SystemExit(f"unexpected answer: {answer[:80]!r}")


def connect(port, context):
    """A connection that has served one request and is kept."""
    raw = socket.create_connection(("127.0.0.1", port), 20)
    connection = context.wrap_socket(raw, server_hostname="localhost")
    ask(connection)
    return connection


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binaries", type=pathlib.Path, default="build/release/bin")
    parser.add_argument("--connections", type=int, default=1000)
    arguments = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = arguments.connections + 256
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise SystemExit(f"expected a limit of {wanted} open files, it is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    folder = pathlib.Path(tempfile.mkdtemp(prefix="custos-idle-"))
    stack = Stack(folder, arguments.binaries.resolve())
    kept = []
    try:
        stack.init_cluster("n1")
        pid = stack.children["n1"].pid
        idle = resident_kib(pid)
        context = ssl.create_default_context(cafile=str(stack.admin / "ca.crt"))
        # What the first connections make the process load and keep is the process's, not theirs.
        warm = [connect(stack.nodes["n1"]["port"], context) for _ in range(8)]
        base = resident_kib(pid)
        kept = [connect(stack.nodes["n1"]["port"], context) for _ in range(arguments.connections)]
        each = (resident_kib(pid) - base) / len(kept)
        for connection in (warm[0], kept[0], kept[-1]):
            ask(connection)  # they are still there
        print(f"idle node: {idle / 1024:.1f} MiB resident (at most {NODE_MIB_MAX})")
        print(f"{len(kept)} idle keep-alive connections: {each:.1f} KiB each "
              f"(at most {CONNECTION_KIB_MAX})")
        return 0 if idle / 1024 < NODE_MIB_MAX and each < CONNECTION_KIB_MAX else 1
    finally:
        for connection in kept:
            connection.close()
        stack.close()
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
