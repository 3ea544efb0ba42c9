#!/usr/bin/env python3
"""Keys made and opened a second by one real node over kept HTTPS connections, the primary key in the
node's memory, beside what nginx of Debian serves of a static answer of the same size to the same
clients in the same run, rounds alternating. Every key is on the synced audit log before it leaves.
nginx is taken from Debian's package into a folder and not installed."""

import argparse
import base64
import contextlib
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "system"))
from foreign_host import ForeignHost  # noqa: E402
from stack import Stack, free_ports, wait_for  # noqa: E402

PROVIDER = "disk"
CONNECTIONS = (1, 16, 64)
CALLS_PER_SECOND, BURST = 10_000, 100_000  # the highest: one host asks for all of them here


def b64(octets):
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


class Node:
    """A cluster of one with a key server, and a host that was attested."""
    name = "custos"

    def __init__(self, folder, binaries):
        folder.mkdir()
        self.stack = Stack(folder, binaries)
        self.folder = folder
        try:
            self._start()
        except BaseException:
            self.stack.close()
            raise

    def _start(self):
        s = self.stack
        s.add_host("foreign", "kernel 6.1.0-28")
        s.start_kmip()
        s.start_cluster(("n1",))
        s.trust_and_image("foreign")
        s.create_provider(PROVIDER, "--mode", "local")
        s.custos("provider", "set", PROVIDER, "--calls-per-second", CALLS_PER_SECOND, "--burst",
                 BURST)
        self.url = s.nodes["n1"]["url"]
        self.ca = s.admin / "ca.crt"
        machine = s.hosts["foreign"]
        self.host = ForeignHost(self.folder / "host", machine["tcti"], "foreign", machine["log"],
                                self.ca)
        self.host.make_keys()
        self.host.enrol(self.url)
        self.token = self.host.attest(self.url, self.url)
        answer = self.host.ask_key(self.url, f"/keys/v1/providers/{PROVIDER}/generate", {},
                                   self.token)
        assert answer.status == 200, answer.body
        self.ciphertext = answer.json()["ciphertext"]
        (self.folder / "generate").write_text("{}")
        (self.folder / "decrypt").write_text(json.dumps({"ciphertext": self.ciphertext}))

    def load(self, what):
        return {"port": self.url.rsplit(":", 1)[1], "ca": self.ca, "method": "POST",
                "target": f"/keys/v1/providers/{PROVIDER}/{what}", "body-file": self.folder / what,
                "header": f"Authorization: Bearer {self.token}",
                "certificate": self.host.folder / "tls.crt", "key": self.host.folder / "tls.key"}

    def close(self):
        self.stack.close()


class Nginx:
    """A static answer, over TLS with a key of the same kind, a client certificate asked for."""
    name = "nginx"

    def __init__(self, folder, node):
        folder.mkdir()
        self.port = free_ports(1)
        self.node = node
        subprocess.run(["apt-get", "download", "-q", "nginx"], cwd=folder, check=True,
                       stdout=subprocess.DEVNULL)
        subprocess.run(["dpkg", "-x", next(folder.glob("*.deb")), folder / "root"], check=True)
        program = folder / "root/usr/sbin/nginx"
        self._certificate(folder)
        (folder / "www").mkdir()
        self.folder = folder
        (folder / "logs").mkdir()
        (folder / "nginx.conf").write_text(f"""
daemon off;
worker_processes auto;
pid {folder}/pid;
error_log {folder}/logs/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  keepalive_requests 100000000;
  open_file_cache max=16;
  server {{
    listen 127.0.0.1:{self.port} ssl;
    ssl_certificate {folder}/server.crt; ssl_certificate_key {folder}/server.key;
    ssl_protocols TLSv1.3; ssl_verify_client optional_no_ca;
    root {folder}/www;
  }}
}}
""")
        with open(folder / "logs" / "out", "wb") as log:
            self.child = subprocess.Popen([program, "-p", folder, "-c", folder / "nginx.conf"],
                                          stdout=log, stderr=log)
        wait_for("nginx has begun", lambda: (folder / "pid").exists())

    def _certificate(self, folder):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-keyout", folder / "server.key",
                        "-out", folder / "server.crt", "-subj", "/CN=127.0.0.1", "-addext",
                        "subjectAltName=IP:127.0.0.1", "-days", "2"], check=True,
                       capture_output=True)

    def serve(self, octets):
        (self.folder / "www" / f"{octets}.json").write_text("x" * octets)

    def load(self, octets):
        theirs = self.node.load("generate")
        return {"port": self.port, "ca": self.folder / "server.crt", "target": f"/{octets}.json",
                "certificate": theirs["certificate"], "key": theirs["key"]}

    def close(self):
        self.child.terminate()
        self.child.wait(20)


def measure(program, load, connections, seconds):
    options = [f"--{name}={value}" for name, value in load.items()]
    done = subprocess.run([program, *options, f"--connections={connections}",
                           f"--seconds={seconds}"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"https_load: {done.stdout}{done.stderr}")
    found = json.loads(done.stdout)
    if set(found["statuses"]) != {"200"}:
        raise SystemExit(f"answers other than 200: {found['statuses']}")
    return found


def compare(program, node, nginx, rounds, seconds):
    print(f"{'call':>9} {'connections':>11} {'custos/s':>9} {'p50 ms':>7} {'p99 ms':>7} "
          f"{'nginx/s':>9} {'p99 ms':>7}   ratio", flush=True)
    for what in ("generate", "decrypt"):
        octets = measure(program, node.load(what), 1, 0.5)["answer_bytes"]
        nginx.serve(octets)
        for connections in CONNECTIONS:
            ours, theirs = [], []
            for _ in range(rounds):
                ours.append(measure(program, node.load(what), connections, seconds))
                theirs.append(measure(program, nginx.load(octets), connections, seconds))
            def median(found, member):
                return statistics.median(one[member] for one in found)
            ratio = median(ours, "per_second") / median(theirs, "per_second")
            print(f"{what:>9} {connections:>11} {median(ours, 'per_second'):>9.0f} "
                  f"{median(ours, 'p50_ms'):>7.2f} {median(ours, 'p99_ms'):>7.2f} "
                  f"{median(theirs, 'per_second'):>9.0f} {median(theirs, 'p99_ms'):>7.2f} "
                  f"{ratio:>7.2f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binaries", type=pathlib.Path, default=ROOT / "build/release/bin")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4)
    a = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="custos-keys-"))
    # What nginx runs as when root starts it must read its page, too.
    os.chmod(folder, 0o755)
    try:
        with contextlib.closing(Node(folder / "custos", a.binaries.resolve())) as node, \
                contextlib.closing(Nginx(folder / "nginx", node)) as nginx:
            compare(a.binaries.resolve() / "https_load", node, nginx, a.rounds, a.seconds)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
