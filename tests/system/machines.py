"""Machines for operations_test.py: each has network, mounts, host name and processes of its own
(namespaces(7)), on one network that only they and the test see."""

import os
import pathlib
import subprocess
import sys

from stack import Failed

HERE = pathlib.Path(__file__).resolve().parent
TREE = HERE.parents[1]
DOMAIN = "example.org"
BRIDGE = "machines"
NETWORK = "10.7.43"
INSIDE = "CUSTOS_OPERATIONS_INSIDE"
BLOCK_SECONDS_MAX = 120
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# What a login session is: variables that a block exports are there for the next one.
SESSION = """[ ! -e ~/.session ] || . ~/.session
trap 'export -p > ~/.session' EXIT
cd "$1"
"""
PROBE = """ip link add probe type bridge
ip link add near type veth peer name far
mount -t tmpfs probe /mnt
mkdir /mnt/upper /mnt/work /mnt/both
mount -t overlay -o lowerdir=/etc,upperdir=/mnt/upper,workdir=/mnt/work overlay /mnt/both
"""


def why_not():
    """Why no machines can be made here; nothing if they can."""
    if os.geteuid() != 0:
        return "machines are made of namespaces, which takes root"
    done = subprocess.run(["unshare", "--mount", "--net", "--uts", "--pid", "--fork",
                           "bash", "-euc", PROBE], capture_output=True, text=True, check=False)
    return done.stderr.strip() if done.returncode != 0 else ""


def inside():
    return INSIDE in os.environ


def enter():
    """This program begins anew in a network of its own, with mounts that nobody else sees."""
    os.environ[INSIDE] = "1"
    os.execvp("unshare", ["unshare", "--mount", "--net", sys.executable, *sys.argv])


def command(*words):
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failed(f"{' '.join(str(w) for w in words)}: {done.stderr}")


class Machine:
    def __init__(self, network, name, address, aliases):
        self.name = name
        folder = network.folder / name
        folder.mkdir()
        self.init = subprocess.Popen(  # pylint: disable=consider-using-with
            ["unshare", "--mount", "--net", "--uts", "--pid", "--fork", "--kill-child",
             HERE / "machine.sh", name, folder, TREE, network.binaries, network.hosts],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        line = self.init.stdout.readline().strip()
        if not line:
            self.off()
            raise Failed(f"{name} did not come up")
        self.pid = int(line)
        self._connect(address, aliases)
        self.root = pathlib.Path("/proc", str(self.pid), "root")
        self.home = self.root / "root"

    def _connect(self, address, aliases):
        port = f"to-{self.name}"[:15]
        # A new machine of an old name has its hardware address, too: the others remember it.
        hardware = f"02:00:00:00:00:{int(address.rsplit('.', 1)[1]):02x}"
        command("ip", "link", "add", port, "type", "veth", "peer", "name", "eth0",
                "address", hardware, "netns", self.pid)
        command("ip", "link", "set", port, "master", BRIDGE, "up")
        within = ("nsenter", "--target", self.pid, "--net", "ip")
        for one in (address, *aliases):
            command(*within, "address", "add", f"{one}/24", "dev", "eth0")
        command(*within, "link", "set", "lo", "up")
        command(*within, "link", "set", "eth0", "up")

    def run(self, script, folder="/root", check=True):
        """A block, in a session of root's. The machine's name stands before what went wrong."""
        done = subprocess.run(
            ["nsenter", "--target", str(self.pid), "--mount", "--net", "--uts", "--pid", "--root",
             "env", "-i", "HOME=/root", "LANG=C.UTF-8", f"PATH={PATH}",
             "bash", "-euo", "pipefail", "-c", SESSION + script, "block", folder],
            capture_output=True, text=True, check=False, timeout=BLOCK_SECONDS_MAX,
            stdin=subprocess.DEVNULL)
        if check and done.returncode != 0:
            raise Failed(f"on {self.name}: exit {done.returncode}\n{script}\n{done.stdout}"
                         f"{done.stderr}")
        return done

    def logs(self):
        return "".join(f"\n{self.name}, {log.name}: {log.read_text(errors='replace')[-2000:]}"
                       for log in (self.root / "var/log").glob("custos-*.log"))

    def process(self, unit):
        """The id, on the machine, of a unit's main process."""
        return int((self.root / f"run/{unit}.pid").read_text())

    def kill(self, unit):
        self.run(f"kill -KILL {self.process(unit)}")

    def off(self):
        """All at once, as when the power goes; what was on its disks is gone."""
        self.init.kill()
        self.init.wait()
        self.init.stdin.close()
        self.init.stdout.close()


class Network:
    """`names`: host names (without the domain) -> the last octet of their addresses."""

    def __init__(self, folder, binaries, names):
        self.folder, self.binaries, self.names = folder, binaries, names
        self.machines = {}
        self.hosts = folder / "hosts"

    def up(self):
        self.hosts.write_text("127.0.0.1 localhost\n" + "".join(
            f"{NETWORK}.{octet} {name}.{DOMAIN}\n" for name, octet in self.names.items()))
        command("mount", "--bind", self.hosts, "/etc/hosts")
        command("ip", "link", "set", "lo", "up")
        command("ip", "link", "add", BRIDGE, "type", "bridge")
        command("ip", "address", "add", f"{NETWORK}.1/24", "dev", BRIDGE)
        command("ip", "link", "set", BRIDGE, "up")

    def add(self, name):
        """A new machine of that name; an earlier one is thrown away."""
        if name in self.machines:
            self.machines.pop(name).off()
            (self.folder / name).rmdir()
        addresses = [f"{NETWORK}.{octet}" for other, octet in self.names.items()
                     if other == name or other.startswith(f"{name}.")]
        self.machines[name] = Machine(self, name, addresses[0], addresses[1:])
        return self.machines[name]

    def logs(self):
        return "".join(machine.logs() for machine in self.machines.values())

    def close(self):
        for machine in self.machines.values():
            machine.off()
