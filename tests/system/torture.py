"""Real nodes of one cluster under torture: killed, frozen, cut off, slowed, replaced, their disk
full, while clients change and read the configuration through all of them. At the end everything is
healed, and what the clients saw is judged (linearizable.py).

The faults are drawn from the seed: the same seed gives the same schedule, though no two runs meet
the same moments. Exit code 1: something that must not happen happened; it is said, and where the
logs are."""

import argparse
import dataclasses
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

from linearizable import CHANGES, Violation, check
from node_network import Network
from stack import Failed, Stack, wait_for
from torture_clients import Caller, Client, Refused, Shared, Unknown, last_reads
from torture_faults import Faults, free_octets, schedule

STANDBY = "standby"
PROGRESS_SECONDS = 10
HEAL_SECONDS_MAX = 120
RSS_MIB_MAX = 512
SMALL_DISK_BYTES = 96 << 20
LARGE_DISK_BYTES = 1 << 30
OWN_MOUNTS = "CUSTOS_TORTURE_OWN_MOUNTS"
# Said of a node: it stopped serving, although nothing was done to it that explains it.
FATAL_EVENTS = re.compile(r"cluster\.out_of_service|cluster\.identity_clash|cluster\.state_differs")


class Nodes:
    """The processes of the nodes, and what must not happen to them. Processes are started and
    ended by one thread."""

    def __init__(self, stack, names):
        self.stack = stack
        self.names = list(names)
        self.standby = STANDBY
        self.ports = {n: stack.nodes[n]["port"] for n in names}
        self.may_fail = set()  # what is done to them explains that they stop serving
        self.problems = []
        self.lives = {n: 1 for n in names}
        self.running = set(names)  # should be
        self.ending = {}  # name -> (until when, exit codes)
        self.offsets = {}  # of the logs: read up to there
        self.out_of_service = {}  # name -> in which life it said that it is
        self.errors = {}  # event -> how often it was logged as an error
        self.leader = None
        self.leader_changes = 0
        self.leaders_of_terms = {}
        self.rss_mib = {}
        self.notes = open(stack.folder / "events.log", "w", encoding="utf-8")
        self.lock = threading.Lock()
        self.stop = threading.Event()
        self.watcher = threading.Thread(target=self._watch, daemon=True)

    def note(self, text):  # in events.log, one line
        with self.lock:
            print(f"{time.monotonic():.3f} {text}".replace("\n", " / "), file=self.notes, flush=True)

    def problem(self, text):
        self.note("PROBLEM " + text)
        self.problems.append(text)

    # ---- processes ----------------------------------------------------------------------------

    def life(self, name):
        return self.lives.get(name)

    def leader_now(self):
        return self.leader

    def launch(self, name):
        self.lives[name] = self.lives.get(name, 0) + 1
        self.stack.launch_node(name)
        self.network_pids[name] = self.stack.children[name].pid
        self.running.add(name)
        self.note(f"  {name} started")

    def kill(self, name):
        self.running.discard(name)
        if name in self.stack.children:
            self.stack.stop(name, signal.SIGKILL)
        self.note(f"  {name} killed")

    def freeze(self, name):
        self.stack.children[name].send_signal(signal.SIGSTOP)

    def thaw(self, name):
        self.stack.children[name].send_signal(signal.SIGCONT)

    def terminate(self, name, exit_codes=(0,)):
        self.running.discard(name)
        self.ending[name] = (time.monotonic() + 20, exit_codes)
        self.stack.children[name].send_signal(signal.SIGTERM)
        self.note(f"  {name} asked to end")

    def has_ended(self, name):
        until, exit_codes = self.ending[name]
        code = self.stack.children[name].poll()
        if code is None and time.monotonic() < until:
            return False
        if code not in exit_codes:
            self.problem(f"{name} was asked to end: " + ("it did not within 20 s" if code is None
                                                         else f"exit code {code}"))
        self.stack.children.pop(name).kill()
        self.note(f"  {name} ended with {code}")
        return True

    def exit_code(self, name):
        return self.stack.children[name].poll()

    def gave_up(self, name):
        return self.out_of_service.get(name) == self.lives[name]

    def forget_process(self, name):
        self.stack.children.pop(name)

    def is_alive(self, name):
        try:
            url = f"http://127.0.0.1:{self.stack.nodes[name]['ops']}/healthz"
            with urllib.request.urlopen(url, timeout=2) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    # ---- watching -----------------------------------------------------------------------------

    def _metrics(self, name):
        url = f"http://127.0.0.1:{self.stack.nodes[name]['ops']}/metrics"
        with urllib.request.urlopen(url, timeout=0.5) as answer:
            text = answer.read().decode()
        return {key: float(value) for key, value in
                re.findall(r"^(custos_cluster_\w+) (\S+)$", text, re.MULTILINE)}

    def _look_for_leader(self):
        found = None
        for name in self.names:
            try:
                m = self._metrics(name)
            except (urllib.error.URLError, OSError, ValueError):
                continue
            if m.get("custos_cluster_leads") != 1:
                continue
            term = m["custos_cluster_term"]
            other = self.leaders_of_terms.setdefault(term, name)
            if other != name:
                self.problem(f"{name} and {other} both led in term {term:.0f}")
            if found is None or term > found[0]:
                found = (term, name)
        if found is not None and found[1] != self.leader:
            self.leader = found[1]
            self.leader_changes += 1
            self.note(f"  {found[1]} leads, term {found[0]:.0f}")

    def _look_at_logs(self):
        for name in [*self.names, self.standby]:
            try:
                with open(self.stack.folder / f"{name}.log", "rb") as log:
                    log.seek(self.offsets.get(name, 0))
                    text = log.read()
            except FileNotFoundError:
                continue
            whole = text.rfind(b"\n") + 1
            self.offsets[name] = self.offsets.get(name, 0) + whole
            for line in text[:whole].decode(errors="replace").splitlines():
                if FATAL_EVENTS.search(line):
                    self.out_of_service[name] = self.lives[name]
                    if name not in self.may_fail:
                        self.problem(f"{name} says {line}")
                if '"level":"error"' in line or '"level":"critical"' in line:
                    event = re.search(r'"event":"([^"]*)"', line)
                    event = event.group(1) if event else line[:80]
                    self.errors[event] = self.errors.get(event, 0) + 1

    def _look_at_processes(self):
        for name in list(self.running):
            child = self.stack.children.get(name)
            if child is None:
                continue
            code = child.poll()
            if code is not None and name in self.running and name not in self.may_fail:
                self.running.discard(name)
                self.problem(f"{name} ended by itself with {code}")
                continue
            try:
                with open(f"/proc/{child.pid}/status", encoding="ascii") as status:
                    rss = re.search(r"VmRSS:\s+(\d+)", status.read())
            except OSError:
                continue
            if rss:
                mib = int(rss.group(1)) >> 10
                self.rss_mib[name] = max(mib, self.rss_mib.get(name, 0))
                if mib > RSS_MIB_MAX:
                    self.problem(f"{name} takes {mib} MiB of memory")

    def _watch(self):
        while not self.stop.wait(0.4):
            self._look_for_leader()
            self._look_at_logs()
            self._look_at_processes()


class Torture:
    def __init__(self, arguments, own_mounts):
        self.arguments = arguments
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="custos-torture-"))
        self.names = [f"n{i + 1}" for i in range(arguments.nodes)]
        self.network = Network(arguments.seed)
        self.stack = Stack(self.folder, arguments.binaries.resolve(),
                           link_front=self.network.front)
        self.stack.node_log_level = "info"
        self.mounts = []
        self.disk = self._mount_disks() if own_mounts else None
        self.clients = []
        self.base = 0
        self.last = 0

    def _mount(self, name, octets):
        folder = self.folder / name
        folder.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={octets}", "tmpfs", folder],
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            print(f"no disk in memory: {done.stderr.strip()}")
            return None
        self.mounts.append(folder)
        return folder

    def _mount_disks(self):
        """The last node has a small disk, which is filled; the others' are in memory, too, unless
        the real one is wanted: faults shall be those of the schedule, whatever else this machine
        writes."""
        small = self._mount("small", SMALL_DISK_BYTES)
        if small:
            self.stack.data_dirs[self.names[-1]] = small / self.names[-1]
        large = None if self.arguments.real_disk else self._mount("large", LARGE_DISK_BYTES)
        if large:
            for name in [*self.names[:-1], STANDBY]:
                self.stack.data_dirs[name] = large / name
        return small

    def prepare(self):
        began = time.monotonic()
        s = self.stack
        self.network.pids = pids = {}
        self.network.start()
        s.init_cluster(self.names[0])
        pids[self.names[0]] = s.children[self.names[0]].pid
        for name in self.names[1:]:
            s.new_node(name)
            s.make_member(name, self.names[0])
            s.launch_node(name)
            pids[name] = s.children[name].pid
            s.ready(name, s.nodes[name]["ops"])
        s.new_node(STANDBY)
        s.wait_voters(self.names)
        self.nodes = Nodes(s, self.names)
        self.nodes.network_pids = pids
        self.base = s.node_json(self.names[0], "/config/v1/status", linearizable=True)["revision"]
        print(f"{self.arguments.nodes} nodes are a cluster after {time.monotonic() - began:.1f} s; "
              f"the logs are in {self.folder}", flush=True)

    def begin(self):
        without = () if self.disk else ("disk-full",)
        if not self.disk:
            print("disk full: left out, this needs a mount namespace of our own")
        self.plan = schedule(self.arguments.seed, self.arguments.minutes * 60, self.names, without)
        (self.folder / "schedule.txt").write_text("".join(f"{f}\n" for f in self.plan))
        keys = [f"reg-{i}" for i in range(self.arguments.registers)]
        self.shared = Shared(self.stack.admin, self.nodes.ports, self.nodes.life, keys,
                             self.arguments.seed)
        self.clients = [Client(self.shared, i, repeats=i % 2 == 1)
                        for i in range(self.arguments.clients)]
        self.faults = Faults(self.stack, self.nodes, self.network, self.disk)
        self.nodes.watcher.start()
        for client in self.clients:
            client.start()

    def progress(self, elapsed):
        c = self.shared.counts
        rss = " ".join(f"{n} {mib}" for n, mib in sorted(self.nodes.rss_mib.items()))
        disk = f", disk {free_octets(self.disk) >> 20} MiB free" if self.disk else ""
        print(f"{elapsed:5.0f} s: operations {c['ok']} ok, {c['unknown']} unknown, "
              f"{c['refused']} refused; {self.faults.begun} faults, "
              f"{self.nodes.leader_changes} leader changes; MiB at most: {rss}{disk}", flush=True)

    def failed_already(self):
        return bool(self.nodes.problems or self.shared.problems)

    def torture(self):
        began = time.monotonic()
        next_progress = PROGRESS_SECONDS
        left = list(self.plan)
        end = self.arguments.minutes * 60
        while (elapsed := time.monotonic() - began) < end and not self.failed_already():
            while left and left[0].at <= elapsed:
                self.faults.begin(left.pop(0))
            self.faults.go_on()
            if elapsed >= next_progress:
                self.progress(elapsed)
                next_progress += PROGRESS_SECONDS
            time.sleep(0.02)
        self.progress(elapsed)

    def heal(self):
        """What was begun ends, everybody runs, nothing disturbs."""
        self.nodes.note("healing")
        until = time.monotonic() + HEAL_SECONDS_MAX
        while self.faults.going_on():
            self.faults.go_on()
            if time.monotonic() > until:
                raise Failed(f"not healed within {HEAL_SECONDS_MAX} s: {self.faults.going_on()}")
            time.sleep(0.02)
        self.network.set_rules({})
        time.sleep(0.5)  # some changes after the last fault
        self.shared.stop.set()
        for client in self.clients:
            client.join(60)
            if client.is_alive():
                raise Failed(f"{client.label} hangs")

    def _statuses(self):
        caller = Caller(self.stack.admin, self.nodes.ports)
        try:
            return {n: caller.call(n, "GET", "/cluster/v1/status").body for n in self.names}
        except (Refused, Unknown):
            return {}
        finally:
            caller.close()

    def agree(self):
        """Until all nodes vote, have everything, and have the same state."""
        self.statuses = {}

        def agreed():
            self.statuses = self._statuses()
            all_of = list(self.statuses.values())
            return all_of and len({s.get("state_hash") for s in all_of}) == 1 and all(
                s.get("applied") == s.get("committed") and s.get("leader") and
                {m["node"] for m in s["members"]} == set(self.names) and
                all(m["lag"] == 0 and m["role"] in ("leader", "voter") for m in s["members"])
                for s in all_of)
        try:
            wait_for("all nodes agree", agreed, HEAL_SECONDS_MAX)
        except Failed as e:
            raise Violation(f"{e}: {json.dumps(self.statuses, indent=1)}") from None

    def judge(self):
        history = [o for c in self.clients for o in c.history]
        for i, name in enumerate(self.names):
            reads, self.last = last_reads(self.shared, name, 1000 + i)
            history += reads
        self.history = history
        began = time.monotonic()
        check(history, self.base, self.last)
        acknowledged = [o for o in history if o.kind in CHANGES and o.answered is not None]
        print(f"judged {len(history)} operations, {len(acknowledged)} acknowledged changes up to "
              f"revision {self.last}, in {time.monotonic() - began:.1f} s: correct")

    def report(self):
        c = self.shared
        print("answers: " + ", ".join(f"{k} {n}" for k, n in sorted(c.kinds.items())))
        print("no answer: " + ", ".join(f"{k} {n}" for k, n in sorted(c.checks.items())))
        print("errors logged by nodes: " +
              (", ".join(f"{k} {n}" for k, n in sorted(self.nodes.errors.items())) or "none"))

    def enough(self):
        """A run that did nothing proves nothing."""
        if self.shared.counts["ok"] < 2 * self.arguments.minutes * 60:
            raise Failed(f"only {self.shared.counts['ok']} operations got through")
        if not self.faults.begun or not self.nodes.leader_changes:
            raise Failed("nothing was disturbed")

    def run(self):
        self.prepare()
        self.begin()
        try:
            self.torture()
            if not self.failed_already():
                self.heal()
                self.agree()
        finally:
            self.shared.stop.set()
            self.nodes.stop.set()
            self.nodes.watcher.join()
            self.report()
        self._complain()
        self.judge()
        self._complain()
        self.enough()

    def _complain(self):
        problems = self.nodes.problems + self.shared.problems
        if problems:
            raise Violation("\n".join(problems))

    def keep_what_is_needed(self):
        """For whoever looks into a failure."""
        history = sorted((o for c in self.clients for o in c.history), key=lambda o: o.called)
        with open(self.folder / "history.jsonl", "w", encoding="utf-8") as out:
            for o in history:
                out.write(json.dumps(dataclasses.asdict(o)) + "\n")
        for mounted in self.mounts:  # they end with this process
            shutil.copytree(mounted, self.folder / f"{mounted.name}-kept")

    def close(self):
        for child in self.stack.children.values():
            child.send_signal(signal.SIGCONT)
            child.kill()
            child.wait()
        self.network.close()


def with_own_mounts():
    """Starts this program anew where it may mount a small disk that nobody else sees."""
    if os.environ.get(OWN_MOUNTS):
        return os.environ[OWN_MOUNTS] == "yes"
    command = ["unshare", "-m" if os.geteuid() == 0 else "-rm", "--propagation", "private"]
    able = shutil.which("unshare") and subprocess.run([*command, "true"], capture_output=True,
                                                      check=False).returncode == 0
    os.environ[OWN_MOUNTS] = "yes" if able else "no"
    if able:
        os.execvp(command[0], [*command, *sys.orig_argv])
    return False


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binaries", type=pathlib.Path, required=True, help="where custos is")
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--nodes", type=int, default=3, choices=(3, 5))
    parser.add_argument("--seed", type=int, default=None, help="default: of the time")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--registers", type=int, default=6, help="objects that are changed")
    parser.add_argument("--real-disk", action="store_true",
                        help="the nodes' data on the disk of the temporary folder, not in memory")
    parser.add_argument("--keep", action="store_true", help="keep the logs of a good run, too")
    arguments = parser.parse_args()
    own_mounts = with_own_mounts()
    if arguments.seed is None:
        arguments.seed = int(time.time())
    os.environ.pop(OWN_MOUNTS)  # it is not the nodes' matter
    print(f"torture: {arguments.nodes} nodes, {arguments.minutes:g} minutes, "
          f"--seed {arguments.seed}", flush=True)
    sys.setswitchinterval(0.0005)  # the network's thread shall not wait for the clients
    torture = Torture(arguments, own_mounts)
    failed = None
    try:
        torture.run()
    except (Failed, Violation) as e:
        failed = e
    except KeyboardInterrupt:
        failed = "interrupted"
    finally:
        torture.close()
        if failed:
            torture.keep_what_is_needed()
    if failed:
        print(f"\ntorture: FAILED with --seed {arguments.seed} --nodes {arguments.nodes} "
              f"--minutes {arguments.minutes:g}: {failed}\n(logs, schedule, events and history are "
              f"in {torture.folder})", file=sys.stderr)
        return 1
    if arguments.keep:
        print(f"the logs are in {torture.folder}")
    else:
        for mounted in torture.mounts:
            subprocess.run(["umount", mounted], check=True)
        shutil.rmtree(torture.folder)
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
