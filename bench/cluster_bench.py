#!/usr/bin/env python3
"""What a cluster of three real nodes does: changes acknowledged a second beside etcd of Debian, how soon
changes go on after the leader was killed, and a fleet of 100,000 endorsement keys and 1,000 images:
restart of a node, and a new node's way to everything.

Both clusters have their data on the same disk, TLS with client certificates, and answer a change when
a majority has synced it. Rounds of both alternate. etcd is taken from Debian's package into a folder
and not installed."""

import argparse
import base64
import contextlib
import hashlib
import json
import multiprocessing
import os
import pathlib
import re
import selectors
import shutil
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "system"))
from stack import Failed, Stack, free_ports, wait_for  # noqa: E402

NODES = ("n1", "n2", "n3")
CONNECTIONS = (1, 8, 32)  # a node takes so many changes at a time, and refuses more
CLIENT_PROCESSES = 2
KEYS_IN_FLEET = 100_000
IMAGES_IN_FLEET = 1_000
EVENTS_PER_IMAGE = 60
DIFFERENT_CERTIFICATES = 64


# ---- clients ------------------------------------------------------------------------------------

class Connection:
    """HTTP/1.1 over TLS, one request at a time, kept open."""

    def __init__(self, port, context):
        raw = socket.create_connection(("127.0.0.1", port), 20)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = context.wrap_socket(raw, server_hostname="127.0.0.1")
        self.received = b""

    def send(self, method, path, body):
        self.received = b""
        self.socket.sendall(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n"
                            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
                            .encode() + body)

    def answer(self):
        """Status and body once all of it is there, else None."""
        while True:
            try:
                part = self.socket.recv(65536)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return None
            if not part:
                raise Failed(f"the server closed a connection after {self.received[:200]}")
            self.received += part
            head, end, body = self.received.partition(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: (\d+)", head) if end else None
            if length and len(body) >= int(length.group(1)):
                return int(head.split()[1]), body

    def ask(self, method, path, body):
        self.send(method, path, body)
        return self.answer()


class Load:
    """Writes over some connections of one process for some seconds."""

    def __init__(self, target, connections, seconds, lane):
        self.target, self.count, self.seconds, self.lane = target, connections, seconds, lane
        self.sent, self.latencies, self.refused = 0, [], []

    def send_next(self, connection):
        self.sent += 1
        connection.send(*self.target.change(f"{self.lane}-{self.sent % 1000}", self.sent))
        return time.monotonic()

    def run(self):
        context = self.target.context()
        ready = selectors.DefaultSelector()
        connections = [Connection(self.target.port, context) for _ in range(self.count)]
        end = time.monotonic() + self.seconds
        for connection in connections:
            connection.socket.setblocking(False)
            ready.register(connection.socket, selectors.EVENT_READ,
                           [connection, self.send_next(connection)])
        while (now := time.monotonic()) < end:
            for key, _ in ready.select(end - now):
                connection, began = key.data
                answer = connection.answer()
                if answer is None:
                    continue
                if answer[0] in (200, 201):
                    self.latencies.append(time.monotonic() - began)
                else:
                    self.refused.append(answer)
                key.data[1] = self.send_next(connection)
        for connection in connections:
            connection.socket.close()
        return self.latencies, self.refused[:3]


def run_load(target, connections, seconds):
    """Changes a second, latencies."""
    processes = min(CLIENT_PROCESSES, connections)
    loads = [Load(target, connections // processes, seconds, f"c{connections}-{i}")
             for i in range(processes)]
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        done = pool.map(Load.run, loads)
    refused = [r for _, rs in done for r in rs]
    if refused:
        raise Failed(f"{target.name} refused: {refused[0]}")
    latencies = sorted(t for ts, _ in done for t in ts)
    return len(latencies) / seconds, latencies


def quantile(ordered, q):
    return ordered[min(len(ordered) - 1, int(len(ordered) * q))]


# ---- targets ------------------------------------------------------------------------------------

class Custos:
    name = "Custos"

    def __init__(self, folder, binaries):
        folder.mkdir()
        self.stack = Stack(folder, binaries)
        self.stack.node_log_level = "warning"
        self.stack.init_cluster(NODES[0])
        for name in NODES[1:]:
            self.stack.join(name, NODES[0])
        self.stack.wait_voters(NODES)

    def use_leader(self):
        self.port = self.stack.nodes[self.stack.leader(NODES[0])]["port"]

    def context(self):
        made = ssl.create_default_context(cafile=self.stack.admin / "ca.crt")
        made.load_cert_chain(self.stack.admin / "admin.crt", self.stack.admin / "admin.key")
        return made

    @staticmethod
    def change(name, number):
        digest = hashlib.sha256(f"{name}/{number}".encode()).hexdigest()
        return "PUT", f"/config/v1/endorsement-keys/{name}", json.dumps(
            {"spki_sha256": digest}).encode()

    def __getstate__(self):
        return {"port": self.port, "admin": self.stack.admin}

    def __setstate__(self, state):
        self.port = state["port"]
        self.stack = Stack(state["admin"].parent, ".")

    def close(self):
        self.stack.close()


class Etcd:
    name = "etcd"

    def __init__(self, folder, custos):
        """Its certificates are of the other cluster's authority."""
        folder.mkdir()
        subprocess.run(["apt-get", "download", "-q", "etcd-server"], cwd=folder, check=True,
                       stdout=subprocess.DEVNULL)
        subprocess.run(["dpkg", "-x", next(folder.glob("*.deb")), folder / "root"], check=True)
        self.admin = custos.stack.admin
        self._certificates(folder)
        self.children = []
        ports = {n: (free_ports(1), free_ports(1)) for n in NODES}
        members = ",".join(f"{n}=https://127.0.0.1:{p[1]}" for n, p in ports.items())
        tls = [f"--{who}{what}={folder / file}" for who in ("", "peer-")
               for what, file in (("cert-file", "etcd.crt"), ("key-file", "etcd.key"),
                                  ("trusted-ca-file", "ca.crt"))]
        for name, (client, peer) in ports.items():
            log = open(folder / f"{name}.log", "wb")
            self.children.append(subprocess.Popen(
                [folder / "root/usr/bin/etcd", "--name", name, "--data-dir", folder / name,
                 "--listen-client-urls", f"https://127.0.0.1:{client}",
                 "--advertise-client-urls", f"https://127.0.0.1:{client}",
                 "--listen-peer-urls", f"https://127.0.0.1:{peer}",
                 "--initial-advertise-peer-urls", f"https://127.0.0.1:{peer}",
                 "--initial-cluster", members, "--client-cert-auth", "--peer-client-cert-auth",
                 "--log-level", "error", *tls], stdout=log, stderr=log))
            log.close()
        self.ports = [client for client, _ in ports.values()]
        self.folder = folder
        wait_for("etcd has a leader", self.use_leader)

    @staticmethod
    def _openssl(folder, *command):
        subprocess.run(["openssl", *map(str, command)], cwd=folder, check=True, capture_output=True)

    def _certificates(self, folder):
        new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        self._openssl(folder, "req", "-x509", *new_key, "-keyout", "ca.key", "-out", "ca.crt",
                      "-subj", "/CN=bench", "-days", 2)
        self._openssl(folder, "req", *new_key, "-keyout", "etcd.key", "-out", "etcd.csr", "-subj",
                      "/CN=etcd")
        (folder / "san").write_text("subjectAltName=IP:127.0.0.1\n"
                                    "extendedKeyUsage=serverAuth,clientAuth\n")
        self._openssl(folder, "x509", "-req", "-in", "etcd.csr", "-CA", "ca.crt", "-CAkey", "ca.key",
                      "-CAcreateserial", "-out", "etcd.crt", "-days", 2, "-extfile", "san")

    def use_leader(self):
        for port in self.ports:
            try:
                _, body = Connection(port, self.context()).ask("POST", "/v3/maintenance/status", b"{}")
            except (OSError, Failed):
                continue  # it is starting
            status = json.loads(body)
            if status.get("leader") and status["leader"] == status["header"]["member_id"]:
                self.port = port
                return True
        return False

    def context(self):
        made = ssl.create_default_context(cafile=self.folder / "ca.crt")
        made.load_cert_chain(self.folder / "etcd.crt", self.folder / "etcd.key")
        return made

    @staticmethod
    def change(name, number):
        key, value = (base64.b64encode(part).decode() for part in (
            f"/config/v1/endorsement-keys/{name}".encode(), Custos.change(name, number)[2]))
        return "POST", "/v3/kv/put", json.dumps({"key": key, "value": value}).encode()

    def __getstate__(self):
        return {"port": self.port, "folder": self.folder}

    def close(self):
        for child in self.children:
            child.kill()
            child.wait()


# ---- what is measured ---------------------------------------------------------------------------

def writes(folder, options):
    custos = Custos(folder / "custos", options.binaries)
    with contextlib.closing(custos), contextlib.closing(Etcd(folder / "etcd", custos)) as etcd:
        print(f"{'connections':>11}  {'Custos/s':>9} {'p50 ms':>7} {'p99 ms':>7}   "
              f"{'etcd/s':>9} {'p50 ms':>7} {'p99 ms':>7}   ratio", flush=True)
        for connections in CONNECTIONS:
            found = {custos: [], etcd: []}
            for _ in range(options.rounds):
                for target, results in found.items():
                    target.use_leader()
                    results.append(run_load(target, connections, options.seconds))
            row = []
            for results in found.values():
                latencies = sorted(t for _, ts in results for t in ts)
                row.append((statistics.median(r for r, _ in results),
                            quantile(latencies, 0.5) * 1e3, quantile(latencies, 0.99) * 1e3))
            print(f"{connections:>11}  {row[0][0]:>9.0f} {row[0][1]:>7.1f} {row[0][2]:>7.1f}   "
                  f"{row[1][0]:>9.0f} {row[1][1]:>7.1f} {row[1][2]:>7.1f}   "
                  f"{row[0][0] / row[1][0]:.2f}", flush=True)


def failover(folder, options):
    """From the leader's SIGKILL to the next acknowledged change, through another node."""
    custos = Custos(folder / "custos", options.binaries)
    times = []
    with contextlib.closing(custos):
        s = custos.stack
        for i in range(options.kills):
            leader = s.leader(NODES[i % 3])
            other = next(n for n in NODES if n != leader)
            custos.port = s.nodes[other]["port"]
            connection = Connection(custos.port, custos.context())
            connection.ask(*custos.change("before", i))
            s.stop(leader, signal.SIGKILL)
            began = time.monotonic()
            wait_for("changes go on", lambda: connection.ask(*custos.change("after", i))[0] in (200, 201))
            times.append(time.monotonic() - began)
            s.start_node(leader)
            s.wait_voters(NODES)
            print(f"\r{i + 1} of {options.kills}", end="", file=sys.stderr, flush=True)
    times.sort()
    print(f"\nleader killed {len(times)} times, changes again after: p50 {quantile(times, 0.5):.2f} s, "
          f"p95 {quantile(times, 0.95):.2f} s, at most {times[-1]:.2f} s")


def certificates(folder):
    """PEM of different ones, as makers of TPMs issue them: RSA-2048, about 1 KB."""
    out = []
    for i in range(DIFFERENT_CERTIFICATES):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "/dev/null",
                        "-out", folder / "ek.crt", "-subj", f"/CN=EK {i}", "-days", "3650", "-addext",
                        f"subjectAltName=DNS:{'tpm' * 50}.example.org"], check=True,
                       capture_output=True)
        out.append((folder / "ek.crt").read_text())
    return out


def image(i):
    pcrs = [{"form": "ordered", "pcr": pcr, "events": [
        {"type": 13, "hint": f"event {i}/{pcr}/{e}",
         "digest": hashlib.sha256(f"{i}/{pcr}/{e}".encode()).hexdigest()}
        for e in range(EVENTS_PER_IMAGE // 6)]} for pcr in range(6)]
    return {"version": "12.8", "pcrs": pcrs}


class Fleet:
    """Changes that put keys and images, one after another."""
    name = "Custos"

    def __init__(self, custos, folder):
        self.custos = custos
        self.pems = certificates(folder)

    def changes(self):
        for i in range(KEYS_IN_FLEET):
            yield ("PUT", f"/config/v1/endorsement-keys/ek-{i}",
                   json.dumps({"certificate": self.pems[i % len(self.pems)]}).encode())
        for i in range(IMAGES_IN_FLEET):
            yield "PUT", f"/config/v1/base-images/image-{i}", json.dumps(image(i)).encode()

    def put_all(self):
        """Over as many connections as a node takes changes at a time."""
        context = self.custos.context()
        ready = selectors.DefaultSelector()
        left = self.changes()
        sent = done = 0
        total = KEYS_IN_FLEET + IMAGES_IN_FLEET
        for _ in range(CONNECTIONS[-1]):
            connection = Connection(self.custos.port, context)
            connection.socket.setblocking(False)
            connection.send(*next(left))
            sent += 1
            ready.register(connection.socket, selectors.EVENT_READ, connection)
        while done < total:
            for key, _ in ready.select():
                answer = key.data.answer()
                if answer is None:
                    continue
                if answer[0] not in (200, 201):
                    raise Failed(f"refused: {answer}")
                done += 1
                if done % 1000 == 0:
                    print(f"\r{done} of {total} objects", end="", file=sys.stderr, flush=True)
                if sent < total:
                    sent += 1
                    key.data.send(*next(left))
        print(file=sys.stderr)


def fleet(folder, options):
    custos = Custos(folder / "custos", options.binaries)
    with contextlib.closing(custos):
        s = custos.stack
        custos.use_leader()
        began = time.monotonic()
        Fleet(custos, folder).put_all()
        took = time.monotonic() - began
        print(f"{KEYS_IN_FLEET} keys and {IMAGES_IN_FLEET} images put in {took:.0f} s "
              f"({(KEYS_IN_FLEET + IMAGES_IN_FLEET) / took:.0f}/s)", flush=True)
        s.wait_agreed()
        follower = next(n for n in NODES if n != s.leader("n1"))
        for how in (signal.SIGTERM, signal.SIGKILL):
            s.stop(follower, how)
            began = time.monotonic()
            s.launch_node(follower)
            s.ready(follower, s.nodes[follower]["ops"], 300)
            print(f"restart after {how.name}: ready after {time.monotonic() - began:.1f} s", flush=True)
            s.wait_voters(NODES)
        want = s.cluster_status("n1")["revision"]
        s.new_node("n4")
        s.make_member("n4", "n1")
        began = time.monotonic()
        s.launch_node("n4")
        s.ready("n4", s.nodes["n4"]["ops"], 300)
        took = time.monotonic() - began
        if (has := s.cluster_status("n4").get("revision")) != want:
            raise Failed(f"n4 is ready and has revision {has}, not {want}")
        print(f"a new node has everything {took:.1f} s after its start", flush=True)
        for name in s.nodes:
            child = s.children[name].pid
            rss = re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{child}/status").read_text())
            print(f"{name}: {int(rss.group(1)) / 1024:.0f} MiB resident", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binaries", type=pathlib.Path, default="build/release/bin")
    parser.add_argument("--dir", help="where the data is; default: the temporary folder. On a disk: "
                        "in memory a sync costs nothing")
    parser.add_argument("--seconds", type=int, default=5, help="of a round of writes")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("what", nargs="*", default=["writes", "failover", "fleet"],
                        help="writes, failover, fleet; default: all")
    options = parser.parse_args()
    options.binaries = options.binaries.resolve()
    for what in options.what:
        measure = {"writes": writes, "failover": failover, "fleet": fleet}.get(what)
        if measure is None:
            parser.error(f"what: expected writes, failover or fleet, not {what}")
        folder = pathlib.Path(tempfile.mkdtemp(prefix="custos-bench-", dir=options.dir))
        on = subprocess.run(["findmnt", "-n", "-o", "FSTYPE", "-T", folder], capture_output=True,
                            text=True, check=True).stdout.strip()
        print(f"== {what} (data on {on}, {os.cpu_count()} cores)", flush=True)
        try:
            measure(folder, options)
        finally:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
