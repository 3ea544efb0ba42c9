#!/usr/bin/env python3
"""docs/operations.md, its blocks run as they stand, on machines with the names, ports and folders
that the page speaks of; what each procedure is for is looked at afterwards. A block that is neither
run nor listed here with the reason is a failure. Exit code 77: no machines can be made here."""

import argparse
import json
import pathlib
import re
import shutil
import socket
import ssl
import sys
import tempfile
import time
import urllib.error
import urllib.request

from machines import DOMAIN, TREE, Network, enter, inside, why_not
from stack import Failed, wait_for

PAGE = TREE / "docs" / "operations.md"
SKIPPED = 77
# The last octet of each address. The machines that the page does not name: the administrator's,
# and the one that keeps the backups' key.
NAMES = {"admin": 10, "safe": 11, "coordinator": 12, "n1": 21, "n2": 22, "n3": 23, "n2.link": 32,
         "m1": 41}
PLACES = {"the administrator's machine": "admin", "the coordinator's machine": "coordinator",
          "the machine that keeps backup.key": "safe"}
SOURCE_TREE = "/usr/src/custos"
NOT_RUN = {
    "Keys at rest 1": "no commands but a choice of options; the dots stand for those of init",
    "Keys at rest 2": "systemd-creds and systemd-run take a running systemd",
    "Changing the node key 1": "takes a TPM in /dev; node_key_tpm_test.cpp does it with swtpm",
}
# All kinds of objects but the data keys, which take in the nodes of the new cluster.
KINDS = ("base-images", "denials", "endorsement-keys", "hosts", "key-providers", "principals",
         "settings", "token-keys", "tpm-cas")
IMAGE_LOG = TREE / "tests" / "data" / "attestation" / "eventlogs" / "ubuntu-2104-no-dbx.bin"


def read_blocks():
    """The page's `sh` blocks: "Grow 2" is the second below that heading or bold beginning."""
    blocks, title, lines = {}, "", None
    for line in PAGE.read_text().splitlines():
        if lines is not None:
            if line == "```":
                number = sum(1 for name in blocks if name.rsplit(" ", 1)[0] == title) + 1
                blocks[f"{title} {number}"] = "\n".join(lines) + "\n"
                lines = None
            else:
                lines.append(line)
        elif line == "```sh":
            lines = []
        elif found := re.match(r"(?:## |\*\*)([A-Z][^*.]*)", line):
            title = found[1].strip()
    return blocks


class Test:
    def __init__(self, network):
        self.network = network
        self.machines = network.machines
        self.blocks = read_blocks()
        self.left = set(self.blocks) - set(NOT_RUN)
        self.written = []  # names of denials
        self.saved = {}  # backup -> what it has to hold
        for name in NOT_RUN:
            if name not in self.blocks:
                raise Failed(f"{PAGE.name} has no block {name!r}")

    # ---- running the page ---------------------------------------------------------------------

    def block(self, name, on=None, **instead):
        """Runs one block where it says, or on the machine given where it says "each". `instead`:
        the reader does the same with another name."""
        text = self.blocks[name]
        self.left.discard(name)
        for old, new in instead.items():
            text = re.sub(rf"\b{old}\b", new, text)
        place = re.match(r"# on ([^,\n]+)", text)
        if not place:
            raise Failed(f"block {name!r} does not begin with the machine it is for")
        machine = PLACES.get(place[1], place[1])
        if on is not None:
            if not machine.startswith("each ") and machine != on:
                raise Failed(f"block {name!r} is for {machine}, not {on}")
            machine = on
        folder = SOURCE_TREE if "in the source tree" in text.splitlines()[0] else "/root"
        return self.machines[machine].run(text, folder).stdout

    def take(self, source, target, *files, to=None):
        """Files move from one home to another: a token is used once."""
        for file in files:
            self.copy(source, target, file, to=to)
            (self.machines[source].home / file).unlink()

    def copy(self, source, target, *files, to=None):
        for file in files:
            path = self.machines[target].home / (to or pathlib.Path(file).name)
            shutil.copy2(self.machines[source].home / file, path)

    def new_machine(self, name, program="node"):
        self.network.add(name)
        self.block("Install 1", on=name, **({} if program == "node" else {"node": program}))

    # ---- what is looked at --------------------------------------------------------------------

    def ask(self, node, path, method="GET", body=None, admin=None):
        """A node's answer to the administrator: status and JSON."""
        home = admin or self.machines["admin"].home / "custos"
        context = ssl.create_default_context(cafile=home / "ca.crt")
        context.load_cert_chain(home / "admin.crt", home / "admin.key")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}),
                                             urllib.request.HTTPSHandler(context=context))
        request = urllib.request.Request(
            f"https://{node}.{DOMAIN}{path}", method=method,
            headers={"Custos-Consistency": "linearizable"} if method == "GET" else {},
            data=None if body is None else json.dumps(body).encode())
        try:
            with opener.open(request, timeout=20) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as refused:
            return refused.code, json.loads(refused.read())

    def good(self, *arguments, **options):
        status, body = self.ask(*arguments, **options)
        if status not in (200, 201):
            raise Failed(f"{arguments}: {status} {body}")
        return body

    def write(self, node):
        """A change that has to be found ever after."""
        name = f"written-{len(self.written)}"
        self.good(node, f"/config/v1/denials/{name}", "PUT", {"model": name})
        self.written.append(name)

    def has_everything(self, *nodes, admin=None):
        for node in nodes:
            held = self.good(node, "/config/v1/denials", admin=admin)["objects"]
            missing = set(self.written) - {one["name"] for one in held}
            if missing or not self.written:
                raise Failed(f"{node} has not {missing}")

    def status(self, node):
        try:
            return self.ask(node, "/cluster/v1/status")[1]
        except OSError:
            return {}

    def members(self, node):
        return {one["node"]: one for one in self.status(node).get("members", [])}

    def voters(self, *names):
        """Waits until these are the members, all vote, none lags; then a change reaches all."""
        def all_vote():
            members = self.members(names[0])
            return set(members) == set(names) and all(
                one["role"] in ("voter", "leader") and one["lag"] == 0 for one in members.values())
        wait_for(f"{', '.join(names)} vote", all_vote)
        self.write(names[-1])
        self.has_everything(*names)

    def data_keys(self, node):
        return self.good(node, "/config/v1/data-keys")["objects"]

    def data_key_changed(self, node, before):
        def ended():
            names = {one["name"] for one in self.data_keys(node)}
            return len(names) == 1 and not names & {one["name"] for one in before}
        wait_for("one data key, another than before", ended)

    def pid(self, name):
        return self.machines[name].process("custos-node")

    def same(self, what, got, expected):
        if got != expected:
            raise Failed(f"{what}: {got}, expected {expected}")

    def different(self, what, got, before):
        if got == before:
            raise Failed(f"{what} is as before: {got}")

    # ---- the procedures -----------------------------------------------------------------------

    def first_node(self):
        for name in ("admin", "safe"):
            self.network.add(name).run("install -m 755 build/release/bin/custos /usr/bin/",
                                       SOURCE_TREE)
        self.new_machine("n1")
        self.block("The first node 1")
        (self.machines["admin"].home / "custos").mkdir(mode=0o700)
        for file in ("ca.crt", "admin.crt", "admin.key"):
            self.take("n1", "admin", f"custos/{file}", to=f"custos/{file}")
        if "n1" not in self.block("The first node 2"):
            raise Failed("the status does not tell of n1")
        self.voters("n1")

    def join(self, name):
        self.block("Grow 1", n2=name)
        self.take("admin", name, f"{name}.token")
        self.copy("admin", name, "custos/ca.crt")
        self.block("Grow 2", n2=name)
        if name not in self.block("Grow 3"):
            raise Failed(f"the status does not tell of {name}")

    def grow(self):
        self.new_machine("n2")
        self.join("n2")
        self.same("roles of two", {n: m["role"] for n, m in self.members("n1").items()},
                  {"n1": "leader", "n2": "standby"})
        self.new_machine("n3")
        self.join("n3")
        self.voters("n1", "n2", "n3")

    def transfer(self):
        self.block("Transfer 1")
        wait_for("n2 leads", lambda: self.status("n1").get("leader") == "n2")
        self.voters("n1", "n2", "n3")

    def move(self):
        self.block("Move 1")
        address = f"n2.link.{DOMAIN}:7443"
        for name in ("n1", "n3"):
            wait_for(f"{name} knows where n2 is",
                     lambda n=name: self.members(n).get("n2", {}).get("address") == address)
        # For n1 the former address is gone.
        n1, former = self.machines["n1"], socket.gethostbyname(f"n2.{DOMAIN}")
        n1.run(f"ip route add blackhole {former}\nsystemctl restart custos-node")
        wait_for("n1 has a link to n2",
                 lambda: self.members("n1").get("n2", {}).get("link") == "up")
        n1.run(f"ip route delete blackhole {former}")
        self.voters("n1", "n2", "n3")

    def shrink(self):
        self.block("Shrink 1")
        wait_for("n3 serves nobody", lambda: "removed" in self.status("n3").get("problem", ""))
        self.block("Shrink 2")
        if (self.machines["n3"].root / "var/lib/custos-node").exists():
            raise Failed("n3 has its data directory still")
        self.same("members", set(self.members("n1")), {"n1", "n2"})
        self.write("n1")
        self.join("n3")
        self.voters("n1", "n2", "n3")

    def lose(self):
        self.machines["n3"].kill("custos-node")
        self.write("n1")
        self.network.add("n3")  # the machine is gone with all it had
        before = self.data_keys("n1")
        self.block("Lose a node 1")
        self.same("members", set(self.members("n1")), {"n1", "n2"})
        self.data_key_changed("n1", before)
        self.block("Install 1", on="n3")
        self.join("n3")
        self.voters("n1", "n2", "n3")

    def replace(self):
        n3 = self.machines["n3"]
        n3.kill("custos-node")
        for path in (n3.root / "var/lib/custos-node/node/db").glob("*.sst"):
            path.write_bytes(bytes(path.stat().st_size))
        number = self.members("n1")["n3"]["id"]
        self.write("n1")
        self.block("Replace 1")
        self.take("admin", "n3", "n3.token")
        self.copy("admin", "n3", "custos/ca.crt")
        self.block("Replace 2")
        self.voters("n1", "n2", "n3")
        self.different("the number of n3", self.members("n1")["n3"]["id"], number)

    def upgrade(self):
        for name in ("n1", "n2", "n3"):
            program = self.machines[name].root / "usr/bin/custos-node"
            inode, pid = program.stat().st_ino, self.pid(name)
            self.block("Upgrade 1", on=name)
            self.different("the program", program.stat().st_ino, inode)
            self.different("the process", self.pid(name), pid)
            self.block("Upgrade 2")
            self.voters("n1", "n2", "n3")

    def renew(self):
        def shown():
            return ssl.get_server_certificate((f"n1.{DOMAIN}", 443))
        before = shown()
        self.block("Renew 1")
        self.different("the certificate of n1", shown(), before)
        self.voters("n1", "n2", "n3")

    def node_key(self):
        """Its source: file, passphrase, another passphrase, file."""
        home = self.machines["n2"].home
        (home / "phrase").write_text("a passphrase of many words\n")
        (home / "new-phrase").write_text("another one of as many words\n")
        data = self.machines["n2"].root / "var/lib/custos-node"
        for number, in_file in ((2, False), (3, False), (4, True)):
            pid = self.pid("n2")
            self.block(f"Changing the node key {number}")
            self.different("the process", self.pid("n2"), pid)
            self.same("there is a node.key", bool(list(data.rglob("node.key"))), in_file)
            self.voters("n1", "n2", "n3")

    def data_key(self):
        before = self.data_keys("n1")
        self.block("Changing the data key 1")
        self.data_key_changed("n1", before)
        self.voters("n1", "n2", "n3")

    def coordinator(self):
        self.block("The coordinator 1")
        self.set_up_coordinator()
        shutil.copy2(self.machines["coordinator"].root /
                     "var/lib/custos-coordinator/coordinator.crt",
                     self.machines["admin"].home / "coordinator-tls.crt")
        told = self.block("The coordinator 3")
        for name in ("n1", "n2", "n3"):
            if name not in told:
                raise Failed(f"the coordinator does not tell of {name}: {told}")
        # An image, for the backup to hold.
        shutil.copy(IMAGE_LOG, self.machines["admin"].home / "boot.log")
        self.machines["admin"].run("custos image export --name web --image-version 12.8 "
                                   "--event-log boot.log --out web.json\n"
                                   "custos image import web.json\n")

    def set_up_coordinator(self, restore=False):
        """A machine for it. The administrator keeps what it is given as files."""
        self.new_machine("coordinator", "coordinator")
        self.copy("admin", "coordinator", "custos/ca.crt", "coordinator.crt", "coordinator.key")
        if restore:
            self.copy("admin", "coordinator", "coordinator.custos-backup")
            self.copy("safe", "coordinator", "backup.key")
            self.block("Restore 3")
        self.block("The coordinator 2")

    def first_backup(self):
        """Before the data key is changed for the first time."""
        self.block("Back up 1")
        self.copy("safe", "admin", "backup.pub")
        self.back_up_as("first")

    def back_up_as(self, name):
        """A backup for whoever has backup.key, and what it has to hold."""
        self.saved[name] = {"denials": list(self.written), **self.described("n1")}
        self.block("Back up 2")
        self.take("admin", "safe", "prod.custos-backup", to=f"{name}.custos-backup")

    def described(self, node):
        """What must be the same after a restore, and the cluster's id, which must not."""
        status = self.good(node, "/config/v1/status")
        return {"id": status["cluster_id"], "fingerprint": status["fingerprint"],
                "keys": self.good(node, "/.well-known/jwks.json"),
                "objects": {kind: self.good(node, f"/config/v1/{kind}")["objects"]
                            for kind in KINDS}}

    def back_up(self):
        admin = self.machines["admin"]
        self.back_up_as("last")
        self.copy("safe", "admin", "last.custos-backup", to="prod.custos-backup")
        (admin.home / "phrase").write_text("a passphrase of many words\n")
        self.block("Back up 3")
        self.block("Back up 4")
        told = self.block("Back up 5")
        if self.saved["last"]["fingerprint"] not in told:
            raise Failed(f"the backup has another fingerprint than {self.saved['last']}: {told}")
        self.copy("admin", "safe", "prod.custos-backup", "coordinator.custos-backup")
        self.block("Back up 6")

    def recover(self):
        home = self.machines["admin"].home / "custos"
        before = (home / "admin.crt").read_text()
        self.block("Recover 1")
        for file in ("admin.crt", "admin.key"):
            shutil.move(self.machines["n1"].root / "run/custos-recovered" / file, home / file)
        self.different("the administrator's certificate", (home / "admin.crt").read_text(), before)
        self.voters("n1", "n2", "n3")

    def restore_object(self):
        admin = self.machines["admin"]
        image = self.good("n1", "/config/v1/base-images/web")["object"]
        admin.run("custos image delete web")
        self.same("the image is gone", self.ask("n1", "/config/v1/base-images/web")[0], 404)
        self.copy("safe", "admin", "backup.key")
        self.block("Restore 4")
        (admin.home / "backup.key").unlink()
        for name in ("n1", "n2", "n3"):
            self.same(f"the image on {name}",
                      self.good(name, "/config/v1/base-images/web")["object"], image)

    def restore_coordinator(self):
        def inventory():
            return self.machines["admin"].run("custos --output json inventory list").stdout
        before = inventory()
        self.set_up_coordinator(restore=True)
        self.same("the inventory", json.loads(inventory()), json.loads(before))

    def restore(self):
        """The old cluster is gone for good: its machines are switched off."""
        for name in ("n1", "n2", "n3"):
            self.machines.pop(name).off()
        for name in ("first", "last"):
            self.new_machine("m1")
            self.copy("safe", "m1", f"{name}.custos-backup", to="prod.custos-backup")
            self.copy("safe", "m1", "backup.key")
            self.block("Restore 1")
            self.is_restored(name)
        self.block("Restore 2")
        if "m1" not in self.machines["admin"].run("custos cluster status").stdout:
            raise Failed("the coordinator does not tell of m1")

    def is_restored(self, name):
        was, now = self.saved[name], self.described("m1")
        self.different("the cluster's id", now["id"], was["id"])
        self.same("the signing keys", now["keys"], was["keys"])
        self.same("the objects", now["objects"], was["objects"])
        self.written = was["denials"]
        self.has_everything("m1")
        self.has_everything("m1", admin=self.machines["m1"].home / "custos")
        if not self.data_keys("m1"):
            self.same("the fingerprint", now["fingerprint"], was["fingerprint"])
            return
        wait_for("the data key is for m1, too", lambda: all(
            "m1" in one["object"]["wrapped"] for one in self.data_keys("m1")))

    PROCEDURES = (first_node, grow, transfer, move, first_backup, shrink, lose, replace, upgrade,
                  renew, recover, node_key, data_key, coordinator, back_up, restore_object,
                  restore_coordinator, restore)

    def run(self):
        began = time.monotonic()
        for procedure in self.PROCEDURES:
            at = time.monotonic()
            try:
                procedure(self)
            except Exception as e:
                raise Failed(f"{procedure.__name__}: {e}{self.network.logs()}") from e
            print(f"{procedure.__name__}: {time.monotonic() - at:.1f} s", flush=True)
        if self.left:
            raise Failed(f"not run, and no reason given: {sorted(self.left)}")
        print(f"{len(self.blocks) - len(NOT_RUN)} of {len(self.blocks)} blocks run in "
              f"{time.monotonic() - began:.1f} s; not run:")
        for name, reason in NOT_RUN.items():
            print(f"  {name}: {reason}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binaries", type=pathlib.Path, required=True, help="where custos is")
    arguments = parser.parse_args()
    if not inside():
        if reason := why_not():
            print(f"skipped: {reason}")
            return SKIPPED
        enter()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="custos-operations-"))
    network = Network(folder, arguments.binaries.resolve(), NAMES)
    try:
        network.up()
        Test(network).run()
    except Failed as e:
        print(f"operations: FAILED: {e}", file=sys.stderr)
        return 1
    finally:
        network.close()
        shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
