"""10,000 half-open and garbage connections to the cluster port of a node that may have 256 files
open: it keeps its links to the others and answers meanwhile, and afterwards all is as before."""

import argparse
import os
import pathlib
import random
import resource
import shutil
import socket
import sys
import tempfile
import threading
import time
import urllib.request

from stack import Failed, Stack, wait_for
from torture_clients import Caller

CONNECTIONS = 10_000
FILES_MAX = 256
AT_A_TIME = 400
SECONDS_MAX = 120
VICTIM = "n2"
# The beginning of a TLS 1.3 ClientHello: a record that promises 512 octets and has 64.
HELLO = bytes.fromhex("160301020001000 1fc0303".replace(" ", "")) + bytes(range(55))


class Flood(threading.Thread):
    """Opens connections, of which some stay silent, some talk nonsense, some stop in the middle of
    a hello; at most so many at a time."""

    def __init__(self, port, seed):
        super().__init__(daemon=True)
        self.port = port
        self.rng = random.Random(seed)
        self.opened = self.refused = 0
        self.failure = None

    def run(self):
        held = []
        try:
            while self.opened + self.refused < CONNECTIONS:
                one = socket.socket()
                one.settimeout(2)
                try:
                    one.connect(("127.0.0.1", self.port))
                    self.opened += 1
                    one.setblocking(False)
                    talk = self.rng.choice((b"", HELLO, self.rng.randbytes(300), b"GET / HTTP/1.1\r\n"))
                    if talk:
                        one.send(talk)
                    held.append(one)
                except OSError:  # the queue of the port is full, or it was ended already
                    self.refused += 1
                    one.close()
                if len(held) >= AT_A_TIME:
                    self.rng.shuffle(held)
                    for other in held[AT_A_TIME // 2:]:
                        other.close()
                    del held[AT_A_TIME // 2:]
        except Exception as e:  # pylint: disable=broad-except
            self.failure = e
        finally:
            for one in held:
                one.close()


class Test:
    def __init__(self, stack):
        self.stack = stack
        self.caller = None

    def metrics(self):
        url = f"http://127.0.0.1:{self.stack.nodes[VICTIM]['ops']}/metrics"
        with urllib.request.urlopen(url, timeout=5) as answer:
            lines = [line.rsplit(" ", 1) for line in answer.read().decode().splitlines()
                     if line and not line.startswith("#")]
        return {key: float(value) for key, value in lines}

    def links(self):
        """How often the links to the others came up, by peer; Failed if one is down."""
        status = self.caller.call(VICTIM, "GET", "/cluster/v1/status").body
        down = [m["node"] for m in status["members"] if m["link"] not in ("up", "self")]
        if down:
            raise Failed(f"{VICTIM} has no link to {down}: {status}")
        return status

    def files(self):
        return len(os.listdir(f"/proc/{self.stack.children[VICTIM].pid}/fd"))

    def rss_kib(self):
        with open(f"/proc/{self.stack.children[VICTIM].pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))

    def one_change(self, number):
        answer = self.caller.call(VICTIM, "PUT", f"/config/v1/denials/flood-{number % 5}",
                                  {"model": "m", "reason": str(number)})
        if answer.status != 200:
            raise Failed(f"a change was answered {answer.status} {answer.body}")
        read = self.caller.call(VICTIM, "GET", f"/config/v1/denials/flood-{number % 5}",
                                headers={"Custos-Consistency": "linearizable"})
        if read.status != 200 or read.body["object"]["reason"] != str(number):
            raise Failed(f"a read was answered {read.status} {read.body}")

    def prepare(self):
        s = self.stack
        s.init_cluster("n1")
        s.join("n2", "n1")
        s.join("n3", "n1")
        s.wait_voters(["n1", "n2", "n3"])
        s.stop(VICTIM)
        s.start_node(VICTIM, "prlimit", f"--nofile={FILES_MAX}:{FILES_MAX}")
        s.wait_voters(["n1", "n2", "n3"])
        self.caller = Caller(s.admin, {VICTIM: s.nodes[VICTIM]["port"]})
        self.one_change(0)
        self.links()

    def run(self):
        self.prepare()
        before, files, rss = self.metrics(), self.files(), self.rss_kib()
        link_losses = self.stack.log_of(VICTIM).count('"link.down"')
        flood = Flood(self.stack.nodes[VICTIM]["link"], 1)
        began = time.monotonic()
        flood.start()
        number = slowest = half_open = 0
        while flood.is_alive():
            number += 1
            asked = time.monotonic()
            self.one_change(number)
            self.links()
            slowest = max(slowest, time.monotonic() - asked)
            half_open = max(half_open, self.metrics()["custos_link_half_open"])
            if time.monotonic() - began > SECONDS_MAX:
                raise Failed(f"{flood.opened} connections took more than {SECONDS_MAX} s")
            time.sleep(0.02)
        took = time.monotonic() - began
        if flood.failure:
            raise Failed(f"the flood itself failed: {flood.failure}")
        if flood.opened < CONNECTIONS * 9 // 10 or number < 5 or half_open < 2:
            raise Failed(f"too little happened: {flood.opened} connections, {number} changes, at "
                         f"most {half_open:.0f} half open")
        lost = self.stack.log_of(VICTIM).count('"link.down"') - link_losses
        if lost:
            raise Failed(f"{lost} links were lost")
        wait_for("nothing is left of the flood",
                 lambda: self.metrics()["custos_link_half_open"] == 0 and self.files() <= files + 4,
                 30)
        after = self.metrics()
        grown = self.rss_kib() - rss
        if grown > 64 << 10:
            raise Failed(f"the node took {grown} KiB of memory and kept them")
        self.one_change(number + 1)
        turned_away = sum(after[k] - before[k] for k in ("custos_link_shed_total",
                                                         "custos_link_handshake_failures_total"))
        print(f"{flood.opened} connections in {took:.1f} s ({flood.refused} not taken), "
              f"{turned_away:.0f} turned away, at most {half_open:.0f} half open; {number} changes "
              f"meanwhile, the slowest {slowest:.2f} s; memory grew by {grown} KiB")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binaries", type=pathlib.Path, required=True, help="where custos is")
    arguments = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * AT_A_TIME
    resource.setrlimit(resource.RLIMIT_NOFILE,
                       (max(soft, wanted if hard < 0 else min(hard, wanted)), hard))
    folder = tempfile.mkdtemp(prefix="custos-flood-")
    stack = Stack(folder, arguments.binaries.resolve())
    try:
        Test(stack).run()
    except Failed as e:
        print(f"link flood: FAILED: {e}\n(the logs are in {folder})", file=sys.stderr)
        return 1
    finally:
        stack.close()
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
