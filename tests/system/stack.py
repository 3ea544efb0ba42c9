"""A whole Custos on this machine, of real parts: software TPMs with endorsement certificates of a
local TPM maker, a KMIP server with mutual TLS, nodes, a coordinator, hosts. Everything is on
loopback, lives under one folder, and ends when the stack is closed. Used by the demo and by the
system tests."""

import argparse
import json
import os
import pathlib
import random
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
START_SECONDS_MAX = 60
STOP_SECONDS_MAX = 60


class Failed(Exception):
    """A command or process did not do what it had to."""


def free_ports(count):
    """The first of `count` neighbouring free ports. Below those that connections get by themselves:
    a program that is started again finds its port free."""
    while True:
        port = random.randrange(15000, 32000)
        taken = []
        try:
            for offset in range(count):
                one = socket.socket()
                taken.append(one)
                one.bind(("127.0.0.1", port + offset))
            return port
        except OSError:
            continue
        finally:
            for one in taken:
                one.close()


def wait_for(what, condition, seconds=START_SECONDS_MAX):
    """Polls until the condition gives something true; that is returned."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failed(f"not within {seconds} s: {what}")
        time.sleep(0.05)


def test_arguments(**more):
    """What a program of tests was given: --binaries, and a number for each of `more`, which says the
    default. The rest is left to unittest."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--binaries", type=pathlib.Path, required=True, help="where custos is")
    for name, default in more.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    known, rest = parser.parse_known_args()
    known.binaries = known.binaries.resolve()
    sys.argv[1:] = ["-v", *rest]
    return known


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


class Relay:
    """Passes one port's connections on to another and keeps every byte that went by."""

    def __init__(self, target_port, record):
        self.target_port = target_port
        self.record = open(record, "ab")  # closed with the relay
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self.target_port), 5)
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source, sink):
        try:
            while data := source.recv(65536):
                with self.lock:
                    self.record.write(data)
                    self.record.flush()
                sink.sendall(data)
        except (OSError, ValueError):
            pass  # the other side went away, or the relay is closed
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it was shut down from the other direction
        source.close()  # each direction closes the socket it reads from

    def close(self):
        self.listener.close()
        with self.lock:
            self.record.close()


class Stack:
    """`link_front`: gives, for a node and the port of its link, the port that its peers dial."""

    def __init__(self, folder, binaries, say=lambda text: None, relays=False, link_front=None):
        self.folder = pathlib.Path(folder)
        self.binaries = pathlib.Path(binaries)
        self.say = say
        self.with_relays = relays
        self.link_front = link_front or (lambda name, port: port)
        self.node_log_level = "debug"
        self.data_dirs = {}  # of nodes that have theirs elsewhere than in the folder
        self.children = {}  # name -> Popen
        self.pids = {}  # name -> pid of what a script started
        self.nodes = {}  # name -> {"port", "ops", "dir", "seen"}: `seen` is the port hosts use
        self.hosts = {}  # name -> {"port", "ops", "dir", "tpm", "log"}
        self.relays = []
        self.admin = self.folder / "admin"
        self.maker = self.folder / "tpm-maker"
        self.kmip = self.folder / "kmip"

    # ---- processes ----------------------------------------------------------------------------

    def run(self, *command, check=True, env=None, timeout=90):
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False,
                              timeout=timeout, env={**os.environ, **(env or {})})
        if check and done.returncode != 0:
            raise Failed(f"{' '.join(str(c) for c in command)}: exit {done.returncode}\n"
                         f"{done.stdout}{done.stderr}")
        return done

    def start(self, name, *command, env=None):
        log = open(self.folder / f"{name}.log", "ab")
        self.children[name] = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL,
                                               stdout=log, stderr=log,
                                               env={**os.environ, **(env or {})})
        log.close()

    def log_of(self, name):
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def stop(self, name, how=signal.SIGTERM):
        """Ends one process and returns its exit code (None for what a script started)."""
        if name in self.children:
            child = self.children.pop(name)
            if child.poll() is None:
                child.send_signal(how)
            try:
                return child.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
                raise Failed(f"{name} did not stop within {STOP_SECONDS_MAX} s") from None
        pid = self.pids.pop(name)
        try:
            # The key server has a process of its own for what its sessions share.
            if os.getpgid(pid) == pid:
                os.killpg(pid, how)
            else:
                os.kill(pid, how)
        except ProcessLookupError:
            return None
        wait_for(f"{name} ends", lambda: not alive(pid), STOP_SECONDS_MAX)
        return None

    def close(self):
        failures = []
        for name in list(self.children) + list(self.pids):
            try:
                self.stop(name, signal.SIGKILL if name == "kmip" else signal.SIGTERM)
            except (Failed, OSError) as e:
                failures.append(str(e))
        for relay in self.relays:
            relay.close()
        if failures:
            raise Failed("; ".join(failures))

    def ready(self, name, ops_port, seconds=START_SECONDS_MAX):
        def answers():
            if self.children[name].poll() is not None:
                raise Failed(f"{name} ended:\n{self.log_of(name)}")
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{ops_port}/readyz", timeout=2) as r:
                    return r.status == 200
            except (urllib.error.URLError, OSError):
                return False
        wait_for(f"{name} is ready (its log: {self.log_of(name)[-2000:]})", answers, seconds)

    # ---- the parts ----------------------------------------------------------------------------

    def start_tpm(self, host):
        h = self.hosts[host]
        done = self.run(HERE / "start_swtpm.sh", h["tpm_dir"], h["tpm_port"], self.maker)
        self.pids[f"tpm-{host}"] = int(done.stdout.split()[-1])

    def boot(self, host, kernel):
        """The machine comes up: PCRs begin anew, firmware and boot loader measure."""
        h = self.hosts[host]
        if f"tpm-{host}" in self.pids:
            self.stop(f"tpm-{host}")
        self.start_tpm(host)
        self.run(self.binaries / "measured-boot", "--tcti", h["tcti"], "--log", h["log"],
                 "--kernel", kernel)

    def add_host(self, name, kernel):
        folder = self.folder / name
        folder.mkdir()
        tpm_port = free_ports(2)
        self.hosts[name] = {"dir": folder, "port": free_ports(1), "ops": free_ports(1),
                            "tpm_dir": self.folder / f"tpm-{name}", "tpm_port": tpm_port,
                            "tcti": f"swtpm:host=127.0.0.1,port={tpm_port}",
                            "log": folder / "binary_bios_measurements",
                            "ima": folder / "binary_runtime_measurements",
                            "reporting": folder / "reporting.jwt",
                            "socket": folder / "agent.sock", "options": ()}
        self.boot(name, kernel)

    def start_host(self, name):
        h = self.hosts[name]
        self.start(name, self.binaries / "custos-host", "--name", name, "--data-dir", h["dir"] / "data",
                   "--listen", f"127.0.0.1:{h['port']}", "--addresses", "127.0.0.1",
                   "--management-ca", self.admin / "ca.crt", "--socket", h["socket"],
                   "--tcti", h["tcti"], "--event-log", h["log"], "--ima-log", h["ima"],
                   "--reporting-token", h["reporting"],
                   "--ops-listen", f"127.0.0.1:{h['ops']}", "--log-format", "json",
                   "--log-level", "debug", *h["options"])
        wait_for(f"{name} has its certificate", (h["dir"] / "data" / "host.crt").exists)

    def start_kmip(self, port=0):
        done = self.run(HERE / "start_kmip_server.sh", self.kmip, port)
        self.pids["kmip"] = int(done.stdout.split()[-1])
        self.kmip_port = int((self.kmip / "port").read_text())
        self.kmip_seen = self._relay("kmip", self.kmip_port)

    def _relay(self, name, port):
        if not self.with_relays:
            return port
        relay = Relay(port, self.folder / f"wire-{name}.bin")
        self.relays.append(relay)
        return relay.port

    def launch_node(self, name, *before, move=False):
        """Starts the process and does not wait. `before`: a command that ends by running another,
        as prlimit does; `move`: the others have to be told where its link is now."""
        n = self.nodes[name]
        moved = ()
        if move:
            n["link_seen"] = self.link_front(name, n["link"])
            moved = ("--cluster-address", f"127.0.0.1:{n['link_seen']}")
        self.start(name, *before, self.binaries / "custos-node", "--data-dir", n["dir"],
                   "--listen", f"127.0.0.1:{n['port']}", "--ops-listen", f"127.0.0.1:{n['ops']}",
                   "--cluster-listen", f"127.0.0.1:{n['link']}",
                   *moved, "--log-format", "json", "--log-level", self.node_log_level)

    def start_node(self, name, *before, ready=True, move=False):
        self.launch_node(name, *before, move=move)
        if ready:
            self.ready(name, self.nodes[name]["ops"])

    def wait_end(self, name, seconds=START_SECONDS_MAX):
        """The exit code of a process that ends by itself."""
        child = self.children.pop(name)
        try:
            return child.wait(seconds)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
            raise Failed(f"{name} goes on:\n{self.log_of(name)[-3000:]}") from None

    def new_node(self, name):
        port, link = free_ports(1), free_ports(1)
        self.nodes[name] = {"dir": self.data_dirs.get(name, self.folder / name), "port": port,
                            "ops": free_ports(1), "link": link,
                            "link_seen": self.link_front(name, link),
                            "url": f"https://127.0.0.1:{port}", "seen": self._relay(name, port)}
        return self.nodes[name]

    def init_cluster(self, name):
        n = self.new_node(name)
        self.custos("cluster", "init", "--data-dir", n["dir"], "--name", "demo", "--node-name", name,
                    "--issuer", n["url"], "--addresses", "127.0.0.1,localhost",
                    "--cluster-address", f"127.0.0.1:{n['link_seen']}",
                    "--admin-dir", self.admin)
        self.start_node(name)

    def make_member(self, name, through, *options):
        """The node's identity and data directory; it is not started."""
        n = self.nodes[name]
        token = self.folder / f"{name}.token"
        try:
            self.custos("cluster", "token", "--node", self.nodes[through]["url"], "--out", token)
            self.custos("cluster", "join", "--data-dir", n["dir"], "--token-file", token,
                        "--node-name", name, "--addresses", "127.0.0.1,localhost",
                        "--cluster-address", f"127.0.0.1:{n['link_seen']}", *options)
        finally:
            token.unlink(missing_ok=True)

    def join(self, name, through, replace=False):
        if not replace:
            self.new_node(name)
        self.make_member(name, through, *(("--replace",) if replace else ()))
        self.start_node(name)

    def restore(self, file, phrase, admin):
        """The first node of a new cluster from a backup; administrators as they were."""
        self.admin = admin
        n = self.new_node("n1")
        self.custos("backup", "restore", file, "--passphrase-file", phrase, "--data-dir", n["dir"],
                    "--node-name", "n1", "--addresses", "127.0.0.1,localhost",
                    "--cluster-address", f"127.0.0.1:{n['link_seen']}")
        self.start_node("n1")

    def cluster_status(self, node):
        """The cluster as a node sees it; nothing while the node does not say."""
        text = self.custos("--output", "json", "cluster", "status", "--node",
                           self.nodes[node]["url"], check=False).stdout
        return json.loads(text) if text else {}

    def wait_voters(self, names):
        """Until these nodes vote, one of them leads, and all have what is committed."""
        def all_vote():
            status = self.cluster_status(names[0])
            members = {m["node"]: m for m in status.get("members", [])}
            return status.get("leader") in names and all(
                n in members and members[n]["role"] in ("voter", "leader") and
                members[n]["lag"] == 0 for n in names) and status
        return wait_for(f"{', '.join(names)} vote", all_vote)

    def wait_agreed(self, nodes=None):
        """Until these nodes, or all, show every change that was acknowledged before."""
        nodes = list(nodes or self.nodes)
        def one_state():
            told = [self.cluster_status(n) for n in nodes]
            states = {(t.get("state_hash"), t.get("applied_index")) for t in told}
            return len(states) == 1 and all("state_hash" in t for t in told)
        wait_for(f"{', '.join(nodes)} have one state", one_state)

    def _context(self):
        context = ssl.create_default_context(cafile=self.admin / "ca.crt")
        context.load_cert_chain(self.admin / "admin.crt", self.admin / "admin.key")
        return context

    def _ask(self, node, path, method="GET", body=None, headers=None):
        """Status and JSON of a node's answer to the administrator."""
        request = urllib.request.Request(
            self.nodes[node]["url"] + path, method=method, headers=headers or {},
            data=None if body is None else json.dumps(body).encode())
        try:
            with urllib.request.urlopen(request, timeout=20, context=self._context()) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as refused:
            return refused.code, json.loads(refused.read())

    def get_json(self, node, path, linearizable=False):
        headers = {"Custos-Consistency": "linearizable"} if linearizable else {}
        return self._ask(node, path, headers=headers)

    def put_json(self, node, path, body):
        return self._ask(node, path, "PUT", body)

    def node_json(self, node, path, linearizable=False):
        """The same, which has to be a good answer."""
        status, body = self.get_json(node, path, linearizable)
        if status != 200:
            raise Failed(f"{node} {path}: {status} {body}")
        return body

    def server_certificate(self, node):
        return ssl.get_server_certificate(("127.0.0.1", self.nodes[node]["port"]))

    def leader(self, ask):
        return wait_for("there is a leader", lambda: self.cluster_status(ask).get("leader"))

    def start_coordinator(self):
        folder = self.folder / "coordinator"
        folder.mkdir(exist_ok=True)
        if not (folder / "coordinator-client.crt").exists():
            self.custos("cluster", "certificate", "--name", "coordinator", "--out-dir", folder,
                        "--node", next(iter(self.nodes.values()))["url"])
            (folder / "coordinator.crt").rename(folder / "coordinator-client.crt")
            (folder / "coordinator.key").rename(folder / "coordinator-client.key")
            self.coordinator_port = free_ports(1)
            self.coordinator_ops = free_ports(1)
        self.start("coordinator", self.binaries / "custos-coordinator", "--data-dir", folder / "data",
                   "--listen", f"127.0.0.1:{self.coordinator_port}",
                   "--client-ca", self.admin / "ca.crt",
                   "--client-certificate", folder / "coordinator-client.crt",
                   "--client-key", folder / "coordinator-client.key",
                   "--ops-listen", f"127.0.0.1:{self.coordinator_ops}", "--log-format", "json")
        self.ready("coordinator", self.coordinator_ops)
        pem = (folder / "data" / "coordinator.crt").read_text()
        (self.admin / "trusted.pem").write_text((self.admin / "ca.crt").read_text() + pem)

    # ---- the command line ---------------------------------------------------------------------

    def custos(self, *arguments, check=True, environment=None):
        """`custos` as the administrator; its answer as text."""
        trusted = self.admin / "trusted.pem"
        env = {"CUSTOS_CA": str(trusted if trusted.exists() else self.admin / "ca.crt"),
               "CUSTOS_CERT": str(self.admin / "admin.crt"),
               "CUSTOS_KEY": str(self.admin / "admin.key")}
        if hasattr(self, "coordinator_port"):
            env["CUSTOS_COORDINATOR"] = f"https://127.0.0.1:{self.coordinator_port}"
        env.update(environment or {})
        done = self.run(self.binaries / "custos", *arguments, check=check, env=env)
        return done.stdout if check else done

    def custos_json(self, *arguments):
        text = self.custos("--output", "json", *arguments)
        return json.loads(text) if text else None

    def agent_command(self, host, *arguments):
        """`custos-host` as a local consumer. Tests keep keys on a disk, which it does not like."""
        forced = ("--force",) if arguments[0] == "get-key" and "--out" in arguments else ()
        return [str(a) for a in (self.binaries / "custos-host", "--socket",
                                 self.hosts[host]["socket"], arguments[0], *forced,
                                 *arguments[1:])]

    def agent(self, host, *arguments, check=True):
        return self.run(*self.agent_command(host, *arguments), check=check)

    # ---- the whole path -----------------------------------------------------------------------

    def start_cluster(self, names=("n1", "n2", "n3")):
        self.folder.mkdir(parents=True, exist_ok=True)
        self.init_cluster(names[0])
        for name in names[1:]:
            self.join(name, names[0])
        if len(names) % 2 == 1:
            self.wait_voters(names)
        self.start_coordinator()
        self.custos("inventory", "add-cluster", "demo", "--type", "trust-authority")
        for name in names:
            self.custos("inventory", "add-member", "demo", name, "--url", self.nodes[name]["url"],
                        "--certificate", self.admin / "ca.crt")

    def trust_and_image(self, golden):
        """Trusts the maker of the TPMs and approves what the golden host booted."""
        chain = self.folder / "tpm-maker.pem"
        chain.write_text((self.maker / "swtpm-localca-rootca-cert.pem").read_text() +
                         (self.maker / "issuercert.pem").read_text())
        self.custos("trust", "add-ca", "tpm-maker", "--file", chain)
        image = self.folder / "image.json"
        self.custos("image", "export", "--event-log", self.hosts[golden]["log"], "--name", "web",
                    "--image-version", "12.8", "--out", image)
        self.custos("image", "import", image)

    def create_provider(self, name="disk", *options):
        """A trusted key provider with a certificate that the key server's owner issued."""
        self.custos("provider", "create", name, "--server", f"localhost:{self.kmip_seen}", *options)
        csr = self.kmip / f"{name}.csr"
        csr.write_text(self.custos("provider", "csr", name))
        self.run(HERE / "make_client_cert.sh", self.kmip, name, csr)
        self.custos("provider", "client-certificate", name, "--certificate",
                    self.kmip / f"{name}.crt")
        self.custos("provider", "trust-server", name, "--certificate", self.kmip / "ca.crt")
        return self.custos("provider", "primary-key", name, "--create").strip()

    def connect_hosts(self):
        self.custos("inventory", "add-cluster", "fleet", "--type", "trusted")
        for name, h in self.hosts.items():
            self.custos("inventory", "add-member", "fleet", name,
                        "--url", f"https://127.0.0.1:{h['port']}",
                        "--certificate", h["dir"] / "data" / "host.crt")
        self.custos("services", "register", "--service-ca", self.admin / "ca.crt",
                    "--trust-authority-cluster", "demo", "--address",
                    ",".join(f"127.0.0.1:{n['seen']}" for n in self.nodes.values()))
        self.custos("services", "use", "--trust-authority-cluster", "demo")

    def audit_records(self, node):
        path = self.nodes[node]["dir"] / "audit" / "audit.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()]

    def node_that_generated_for(self, host):
        """The node whose audit log has the latest key made for that host."""
        times = {}
        for node in self.nodes:
            for record in self.audit_records(node):
                text = json.dumps(record)
                if '"key.generate"' in text and f'"{host}"' in text:
                    times[node] = record["time"]
        if not times:
            raise Failed(f"no node has a record of a key for {host}")
        return max(times, key=times.get)

    def status_of(self, host):
        done = self.agent(host, "status", check=False)
        return json.loads(done.stdout) if done.stdout else {"state": "away", "error": done.stderr}

    def wait_state(self, host, state, seconds=START_SECONDS_MAX):
        def reached():
            now = self.status_of(host)
            return now if now.get("state") == state else None
        try:
            return wait_for(f"{host} is {state}", reached, seconds)
        except Failed as e:
            raise Failed(f"{e}; it says {self.status_of(host)}\n"
                         f"{self.log_of(host)[-3000:]}") from None
