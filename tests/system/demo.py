#!/usr/bin/env python3
"""Shows the whole path on real parts, step by step, and what each step proves."""

import argparse
import base64
import json
import pathlib
import shutil
import signal
import sys
import tempfile
import time

from stack import Failed, Stack

PROVIDER = "disk"


class Demo:
    def __init__(self, stack):
        self.stack = stack
        self.started = time.monotonic()
        self.steps = 0
        self.proofs = []

    def step(self, text):
        self.steps += 1
        print(f"\n\033[1m[{self.steps}] {text}\033[0m   ({time.monotonic() - self.started:.1f} s)",
              flush=True)

    def show(self, text):
        for line in str(text).rstrip().splitlines():
            print(f"    {line}", flush=True)

    def prove(self, text):
        self.proofs.append(text)
        print(f"    \033[32m=> {text}\033[0m", flush=True)

    def run(self):
        s = self.stack
        self.machines()
        self.authority()
        self.trust()
        self.hosts()
        ciphertext = self.key_through_first_node()
        self.changed_kernel()
        self.node_lost(ciphertext)
        self.leader_lost(ciphertext)
        self.majority_lost(ciphertext)
        self.summary()
        return s

    def machines(self):
        s = self.stack
        self.step("Two machines boot: a software TPM each, with an endorsement certificate of its "
                  "maker")
        for name in ("host-a", "host-b"):
            s.add_host(name, "6.1.0-1")
            self.show(f"{name}: kernel 6.1.0-1, boot log of "
                      f"{s.hosts[name]['log'].stat().st_size} bytes, PCRs extended in its TPM")
        self.step("A key server: PyKMIP over mutual TLS")
        s.start_kmip()
        self.show(f"listens on port {s.kmip_port}; knows clients by certificates of its own "
                  "authority")

    def authority(self):
        s = self.stack
        self.step("A trust authority cluster of three nodes, and its coordinator")
        s.start_cluster()
        self.show("$ custos cluster init ... ; custos cluster token ; custos cluster join ...")
        for name, node in s.nodes.items():
            self.show(f"{name}: {node['url']}")
        self.show(f"coordinator: https://127.0.0.1:{s.coordinator_port}")
        refused = s.custos("cluster", "status", check=False,
                           environment={"CUSTOS_CERT": "", "CUSTOS_KEY": ""})
        if refused.returncode != 77:
            raise Failed(f"a caller without a certificate got exit {refused.returncode}")
        self.show(f"without a client certificate: {refused.stderr.strip()}")
        self.prove("nodes join with one-time tokens; nobody unknown gets in")

    def trust(self):
        s = self.stack
        self.step("The administrator says what is trusted; the coordinator tells every node")
        s.trust_and_image("host-a")
        self.show("$ custos trust add-ca tpm-maker --file tpm-maker.pem")
        self.show("$ custos image export --event-log host-a/binary_bios_measurements ...")
        self.show("$ custos image import image.json")
        key = s.create_provider(PROVIDER)
        self.show(f"$ custos provider create {PROVIDER} --server localhost:{s.kmip_port} ; csr ; "
                  "client-certificate ; trust-server ; primary-key --create")
        self.show(f"primary key on the key server: {key}")
        self.show(s.custos("provider", "status", PROVIDER))
        revisions = {name: json.loads(json.dumps(one))["status"]["revision"]
                     for name, one in s.custos_json("cluster", "status").items()}
        if len(revisions) != 3 or len(set(revisions.values())) != 1:
            raise Failed(f"the nodes do not agree: {revisions}")
        self.prove(f"every node has configuration revision {revisions['n1']}; the key server's "
                   "credentials never left the nodes")

    def hosts(self):
        s = self.stack
        self.step("The hosts start, are told which services to use, and attest")
        for name in s.hosts:
            s.start_host(name)
        s.connect_hosts()
        for name in s.hosts:
            status = s.wait_state(name, "attested")
            self.show(f"{name}: {status['state']}, image {status['image']['name']} "
                      f"{status['image']['version']}, token good for "
                      f"{(status['token_expires'] - int(time.time()) + 1800) // 3600} h")
        self.prove("endorsement certificate from the TPM, attestation key by credential "
                   "activation, fresh quote, boot log replayed to the quoted PCRs, every event as "
                   "approved")

    def key_through_first_node(self):
        s = self.stack
        folder = s.hosts["host-a"]["dir"]
        self.step("Host A gets a new key for its disk")
        s.agent("host-a", "get-key", "--provider", PROVIDER, "--context", "volume 1",
                "--ciphertext-out", folder / "volume.kek", "--out", folder / "volume.key")
        self.show(f"$ custos-host get-key --provider {PROVIDER} --context 'volume 1' "
                  "--ciphertext-out volume.kek --out volume.key")
        self.show(f"volume.key: {(folder / 'volume.key').stat().st_size} bytes, kept nowhere; "
                  f"volume.kek: {(folder / 'volume.kek').stat().st_size} bytes, to be kept")
        again = folder / "again.key"
        s.agent("host-a", "get-key", "--provider", PROVIDER, "--context", "volume 1",
                "--ciphertext", folder / "volume.kek", "--out", again)
        if again.read_bytes() != (folder / "volume.key").read_bytes():
            raise Failed("another key came back")
        wrong = s.agent("host-a", "get-key", "--provider", PROVIDER, "--context", "volume 2",
                        "--ciphertext", folder / "volume.kek", check=False)
        if wrong.returncode == 0:
            raise Failed("the ciphertext opened for another context")
        self.show(f"for another volume: {wrong.stderr.strip()}")
        self.prove("the ciphertext opens to the same key, for this host and this purpose")
        return folder / "volume.kek"

    def changed_kernel(self):
        s = self.stack
        self.step("Host B boots a changed kernel")
        s.stop("host-b")
        s.boot("host-b", "6.1.0-evil")
        s.start_host("host-b")
        status = s.wait_state("host-b", "failed")
        self.show(status["error"])
        if status.get("check") != "base-image" or "pcr" not in status or "event" not in status:
            raise Failed(f"refused for something else: {status}")
        refused = s.agent("host-b", "get-key", "--provider", PROVIDER, "--ciphertext-out",
                          s.hosts["host-b"]["dir"] / "volume.kek", check=False)
        if refused.returncode == 0:
            raise Failed("host B got a key")
        self.show(f"get-key: {refused.stderr.strip()}")
        self.prove(f"host B is refused: check {status['check']}, PCR {status['pcr']}, event "
                   f"{status['event']}; no token, no key")

    def node_lost(self, ciphertext):
        s = self.stack
        used = s.node_that_generated_for("host-a")
        left = " and ".join(n for n in s.nodes if n != used)
        self.step(f"Node {used}, through which the key was made, is killed")
        s.stop(used, signal.SIGKILL)
        self.opens(ciphertext)
        self.show(f"$ custos-host get-key --ciphertext volume.kek ...   ({left} are left)")
        s.agent("host-a", "attest")
        self.show("$ custos-host attest")
        self.prove(f"the key that was made through {used} opens through another node, and host A "
                   "attests anew")
        s.start_node(used)
        s.wait_voters(list(s.nodes))
        self.show(f"{used} is started again and has caught up")

    def opens(self, ciphertext):
        """The host opens its ciphertext to the key that it was made with."""
        opened = self.stack.hosts["host-a"]["dir"] / "after.key"
        opened.unlink(missing_ok=True)
        self.stack.agent("host-a", "get-key", "--provider", PROVIDER, "--context", "volume 1",
                         "--ciphertext", ciphertext, "--out", opened)
        if opened.read_bytes() != ciphertext.with_name("volume.key").read_bytes():
            raise Failed("another key came back")

    def deny(self, name):
        """Changes the configuration: a TPM model that is refused from now on."""
        return self.stack.custos("trust", "deny", name, "--model", "flawed", "--reason", "demo",
                                 check=False)

    def leader_lost(self, ciphertext):
        s = self.stack
        leader = s.leader("n1")
        self.step(f"The leader of the cluster, {leader}, is killed while the configuration is "
                  "changed")
        self.show(s.custos("cluster", "status", "--node", s.nodes[leader]["url"]))
        acknowledged = []
        for i in range(6):
            if i == 2:
                s.stop(leader, signal.SIGKILL)
                self.show(f"{leader} is gone")
            began = time.monotonic()
            done = self.deny(f"flaw-{i}")
            if done.returncode != 0:
                raise Failed(f"a change was refused although two nodes live: {done.stderr}")
            acknowledged.append(f"flaw-{i}")
            self.show(f"$ custos trust deny flaw-{i} ...   {time.monotonic() - began:.2f} s")
        self.opens(ciphertext)
        s.start_node(leader)
        s.wait_voters(list(s.nodes))
        self.has_all(acknowledged)
        self.prove(f"another node leads; every change that was acknowledged is on all three nodes, "
                   f"{leader} included")

    def has_all(self, names):
        s = self.stack
        for node in s.nodes:
            held = s.node_json(node, "/config/v1/denials", linearizable=True)
            missing = set(names) - {one["name"] for one in held["objects"]}
            if missing:
                raise Failed(f"{node} lacks {missing}")

    def majority_lost(self, ciphertext):
        s = self.stack
        names = list(s.nodes)
        left, gone = names[0], names[1:]
        self.step(f"Two of three nodes are killed: {' and '.join(gone)}")
        for name in gone:
            s.stop(name, signal.SIGKILL)
        done = self.deny("too-few")
        if done.returncode == 0:
            raise Failed("a change was acknowledged by one node of three")
        self.show(f"$ custos trust deny too-few ...\n{done.stderr.strip()}")
        s.node_json(left, "/config/v1/denials")
        self.opens(ciphertext)
        s.agent("host-a", "attest")
        self.prove("no change is taken; reading goes on, hosts attest and get their keys")
        s.start_node(gone[0])
        s.wait_voters([left, gone[0]])
        if (done := self.deny("again")).returncode != 0:
            raise Failed(f"two of three nodes take no change: {done.stderr}")
        self.prove(f"{gone[0]} is back: changes go on")
        s.start_node(gone[1])
        s.wait_voters(names)
        self.has_all(["again", "flaw-0", "flaw-5"])

    def summary(self):
        s = self.stack
        key = (s.hosts["host-a"]["dir"] / "volume.key").read_bytes()
        forms = [key, key.hex().encode(), base64.b64encode(key).rstrip(b"="),
                 base64.urlsafe_b64encode(key).rstrip(b"=")]
        keys = {s.hosts["host-a"]["dir"] / n for n in ("volume.key", "again.key", "after.key")}
        looked = 0
        for path in s.folder.rglob("*"):
            if path.is_file() and path not in keys:
                looked += 1
                content = path.read_bytes()
                if any(form in content for form in forms):
                    raise Failed(f"the key is in {path}")
        self.step("Where is the key?")
        self.prove(f"in none of {looked} other files: logs, databases, state of TPMs and key server")
        print("\n\033[1mProven\033[0m")
        for proof in self.proofs:
            print(f"  - {proof}")


def leave_running(stack):
    admin = stack.admin
    print(f"""
Everything is left running under {stack.folder}. Try:

  export CUSTOS_COORDINATOR=https://127.0.0.1:{stack.coordinator_port} CUSTOS_CA={admin}/trusted.pem
  export CUSTOS_CERT={admin}/admin.crt CUSTOS_KEY={admin}/admin.key
  export PATH={stack.binaries.resolve()}:$PATH
  custos cluster status
  custos host status
  custos provider status {PROVIDER}
  custos-host status --socket {stack.hosts['host-a']['socket']}
  curl --cacert {admin}/ca.crt {next(n['url'] for name, n in stack.nodes.items() if name in stack.children)}/.well-known/jwks.json

Press Control-C to end it.""", flush=True)
    try:
        signal.pause()
    except KeyboardInterrupt:
        print()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binaries", type=pathlib.Path, required=True, help="where custos is")
    parser.add_argument("--keep", action="store_true",
                        help="leave it running afterwards, and say what to try")
    arguments = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="custos-demo-")
    stack = Stack(folder, arguments.binaries.resolve())
    demo = Demo(stack)
    failed = None
    try:
        demo.run()
        if arguments.keep:
            leave_running(stack)
    except Failed as e:
        failed = e
        print(f"\ndemo: FAILED: {e}\n(the logs are in {folder})", file=sys.stderr)
    except KeyboardInterrupt:
        failed = "interrupted"
    finally:
        stack.close()
    if failed:
        return 1
    shutil.rmtree(folder)
    print(f"\nDone in {time.monotonic() - demo.started:.0f} s; all processes ended, {folder} removed.")
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
