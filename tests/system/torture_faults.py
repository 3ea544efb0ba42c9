"""What is done to a cluster under torture, and when: a schedule drawn from a seed, and how each
fault is carried out. Faults overlap; what hits a node's process claims that node until it runs
again, so that one fault does not undo another."""

import concurrent.futures
import dataclasses
import heapq
import itertools
import os
import random
import shutil
import time

from node_network import CUT, HOLD, PASS
from stack import Failed
from torture_clients import Caller, Refused, Unknown

LEADER = "leader"
READY_SECONDS_MAX = 30
EXIT_UNAVAILABLE = 69
# What is done, and how often compared with the others.
WEIGHTS = {"kill": 5, "kill-leader": 4, "kill-many": 2, "kill-all": 1, "freeze": 4,
           "freeze-leader": 3, "restart": 2, "rolling": 1, "transfer": 3, "isolate": 4,
           "isolate-leader": 3, "one-way": 4, "pair": 3, "split": 2, "slow": 3, "flaky": 2,
           "disk-full": 2, "replace": 2, "remove": 1, "standby": 1}


@dataclasses.dataclass(frozen=True)
class Fault:
    at: float  # seconds after the beginning
    kind: str
    nodes: tuple  # names, or LEADER
    seconds: float
    how: str = ""

    def __str__(self):
        return (f"{self.at:7.2f} s  {self.kind} {','.join(self.nodes)} {self.how} "
                f"for {self.seconds:.2f} s")


def schedule(seed, seconds, names, without=()):
    """The faults of a run: the same for the same arguments."""
    rng = random.Random(f"{seed}/schedule")
    kinds = [k for k in WEIGHTS if k not in without]
    weights = [WEIGHTS[k] for k in kinds]
    faults, at = [], 2.0
    while at < seconds:
        kind = rng.choices(kinds, weights)[0]
        nodes = rng.sample(names, len(names))
        some = nodes[:rng.randint(2, len(names) - 1)]
        chosen = {"kill-many": some, "split": some[:len(names) // 2], "kill-all": nodes,
                  "pair": nodes[:2], "transfer": nodes[:2], "slow": nodes, "rolling": nodes,
                  "disk-full": names[-1:]}.get(kind, nodes[:1])
        if kind.endswith("-leader"):
            kind, chosen = kind.removesuffix("-leader"), [LEADER]
        longest = {"freeze": 5, "isolate": 8, "one-way": 8, "pair": 8, "split": 7}.get(kind, 4)
        how = {"isolate": rng.choice((HOLD, CUT)), "pair": rng.choice((HOLD, CUT)),
               "split": rng.choice((HOLD, CUT)), "one-way": rng.choice(("from", "to")),
               "disk-full": rng.choice(("running", "starting")),
               "slow": str(rng.choice((20, 80, 300)))}.get(kind, "")
        faults.append(Fault(at, kind, tuple(chosen), rng.uniform(0.1, longest), how))
        at += rng.uniform(0.8, 4.5) + (6 if rng.random() < 0.2 else 0)
    return faults


class Faults:
    """Carries a schedule out. `nodes` (torture.Nodes) has the processes, `network` the links."""

    def __init__(self, stack, nodes, network, disk=None):
        self.stack, self.nodes, self.network = stack, nodes, network
        self.disk = disk  # the folder of the small disk that the last node is on
        self.claimed = set()
        self.members_busy = False
        self.rules = {}  # of the faults that go on
        self.begun = 0
        self.pool = concurrent.futures.ThreadPoolExecutor(8)
        self.tasks = []  # a heap: (when to go on, number, name, generator)
        self.numbers = itertools.count()

    # ---- running ------------------------------------------------------------------------------

    def begin(self, fault):
        self.begun += 1
        self.nodes.note(f"fault: {fault}")
        work = getattr(self, "do_" + fault.kind.replace("-", "_"))(fault)
        heapq.heappush(self.tasks, (time.monotonic(), next(self.numbers), str(fault), work))

    def go_on(self):
        """Every fault whose time has come does its next step."""
        while self.tasks and self.tasks[0][0] <= time.monotonic():
            _, number, name, work = heapq.heappop(self.tasks)
            try:
                wait = next(work)
            except StopIteration:
                continue
            heapq.heappush(self.tasks, (time.monotonic() + wait, number, name, work))

    def going_on(self):
        return [name for _, _, name, _ in self.tasks]

    def _claim(self, names):
        wanted = [self.nodes.leader_now() if n == LEADER else n for n in names]
        got = [n for n in wanted if n is not None and n not in self.claimed]
        self.claimed.update(got)
        return got

    def _in_background(self, work, *arguments):
        """Waits for something that blocks; its result, or nothing."""
        future = self.pool.submit(work, *arguments)
        while not future.done():
            yield 0.05
        try:
            return future.result()
        except (Failed, Refused, Unknown) as e:
            self.nodes.note(f"  {str(e).strip()[-300:]}")
            return None

    def _back(self, name):
        """Starts a node, waits until it answers, and lets others have it."""
        self.nodes.launch(name)
        until = time.monotonic() + READY_SECONDS_MAX
        while time.monotonic() < until and not (
                yield from self._in_background(self.nodes.is_alive, name)):
            yield 0.1
        self.claimed.discard(name)

    def _together(self, works):
        """Several at a time."""
        works = list(works)
        while works:
            for work in list(works):
                try:
                    next(work)
                except StopIteration:
                    works.remove(work)
            yield 0.05

    # ---- processes ----------------------------------------------------------------------------

    def do_kill(self, fault):
        names = self._claim(fault.nodes)
        for name in names:
            self.nodes.kill(name)
        yield fault.seconds
        yield from self._together(self._back(n) for n in names)

    do_kill_many = do_kill
    do_kill_all = do_kill

    def do_freeze(self, fault):
        names = self._claim(fault.nodes)
        for name in names:
            self.nodes.freeze(name)
        yield fault.seconds
        for name in names:
            self.nodes.thaw(name)
            self.claimed.discard(name)

    def do_restart(self, fault):
        for name in fault.nodes:
            if not self._claim([name]):
                continue
            self.nodes.terminate(name)
            while not self.nodes.has_ended(name):
                yield 0.05
            yield from self._back(name)

    do_rolling = do_restart

    def do_disk_full(self, fault):
        """While the node runs, or so that it starts on a full disk."""
        names = self._claim(fault.nodes)
        if not names:
            return
        name = names[0]
        self.nodes.may_fail.add(name)
        if fault.how == "starting":
            self.nodes.kill(name)
        filler = self.disk / "filler"
        fill(filler)
        if fault.how == "starting":
            self.nodes.launch(name)
        yield 2 + fault.seconds
        filler.unlink()
        yield 1  # its last words are read
        until = time.monotonic() + 20
        while self.nodes.gave_up(name) and self.nodes.exit_code(name) is None and \
                time.monotonic() < until:
            yield 0.1
        code = self.nodes.exit_code(name)
        self.nodes.note(f"  {name} with a full disk: exit code {code}")
        if code is not None:
            if code != EXIT_UNAVAILABLE:
                self.nodes.problem(f"{name} ended with {code} when its disk was full, expected "
                                   f"{EXIT_UNAVAILABLE}")
            self.nodes.forget_process(name)
            yield from self._back(name)
        elif self.nodes.gave_up(name):
            self.nodes.problem(f"{name} gave up when its disk was full, and did not end")
        self.nodes.may_fail.discard(name)
        self.claimed.discard(name)

    # ---- the network --------------------------------------------------------------------------

    def _pairs(self, some, others):
        return [(a, b) for a in some for b in others if a != b]

    def _apply(self, number, rules):
        if rules:
            self.rules[number] = rules
        else:
            self.rules.pop(number, None)
        merged = {}
        order = (PASS, HOLD, CUT)
        for one in self.rules.values():
            for pair, (what, delay) in one.items():
                before = merged.get(pair, (PASS, 0.0))
                merged[pair] = (max(what, before[0], key=order.index), max(delay, before[1]))
        self.network.set_rules(merged)

    def _disturb(self, seconds, pairs, rule):
        number = next(self.numbers)
        self._apply(number, {pair: rule for pair in pairs})
        yield seconds
        self._apply(number, None)

    def _resolve(self, name):
        return (self.nodes.leader_now() or self.nodes.names[0]) if name == LEADER else name

    def _all(self):
        return list(self.network.ports)

    def do_isolate(self, fault):
        one = [self._resolve(fault.nodes[0])]
        yield from self._disturb(fault.seconds, self._pairs(one, self._all()) +
                                 self._pairs(self._all(), one), (fault.how, 0.0))

    def do_one_way(self, fault):
        one = [self._resolve(fault.nodes[0])]
        pairs = self._pairs(one, self._all()) if fault.how == "from" else \
            self._pairs(self._all(), one)
        yield from self._disturb(fault.seconds, pairs, (HOLD, 0.0))

    def do_split(self, fault):
        rest = [n for n in self._all() if n not in fault.nodes]
        yield from self._disturb(fault.seconds, self._pairs(fault.nodes, rest) +
                                 self._pairs(rest, fault.nodes), (fault.how, 0.0))

    def do_pair(self, fault):
        yield from self._disturb(fault.seconds, self._pairs(fault.nodes, fault.nodes),
                                 (fault.how, 0.0))

    def do_slow(self, fault):
        yield from self._disturb(fault.seconds, self._pairs(self._all(), self._all()),
                                 (PASS, int(fault.how) / 1000))

    def do_flaky(self, fault):
        one = [self._resolve(fault.nodes[0])]
        pairs = self._pairs(one, self._all()) + self._pairs(self._all(), one)
        until = time.monotonic() + fault.seconds
        while time.monotonic() < until:
            yield from self._disturb(0.15, pairs, (CUT, 0.0))
            yield 0.35

    # ---- the membership -----------------------------------------------------------------------

    def _ask_any(self, but, method, path, body=None):
        """Asks the nodes, one after another, until one agrees."""
        caller = Caller(self.stack.admin, self.nodes.ports)
        try:
            for name in random.sample(self.nodes.names, len(self.nodes.names)):
                if name == but:
                    continue
                try:
                    answer = caller.call(name, method, path, body)
                except (Refused, Unknown):
                    continue
                if answer.status == 200:
                    return True
                self.nodes.note(f"  {method} {path} at {name}: {answer.status} {answer.body}")
        finally:
            caller.close()
        return False

    def do_transfer(self, fault):
        to, through = fault.nodes
        caller = Caller(self.stack.admin, self.nodes.ports)
        yield from self._in_background(caller.call, through, "POST", "/cluster/v1/transfer",
                                       {"to": to})
        caller.close()  # whatever became of it

    def _make_member(self, name, through):
        self.stack.make_member(name, through, "--replace")
        return True

    def _join(self, name):
        """The node's process does not run; tries until it belongs to the cluster again."""
        others = [n for n in self.nodes.names if n != name]
        for through in itertools.cycle(others):
            if (yield from self._in_background(self._make_member, name, through)):
                return
            yield 0.5

    def _remove(self, name):
        self.nodes.may_fail.add(name)  # it says that it was removed, and serves no more
        while not (yield from self._in_background(self._ask_any, name, "DELETE",
                                                  f"/cluster/v1/members/{name}")):
            yield 0.5

    def _replaced(self, fault, removed_first):
        if self.members_busy or not (names := self._claim(fault.nodes)):
            return
        self.members_busy = True
        name = names[0]
        if removed_first:
            yield from self._remove(name)
            yield 0.5
        self.nodes.kill(name)
        yield 1  # its last words are read
        self.nodes.may_fail.discard(name)
        yield from self._join(name)
        yield from self._back(name)
        self.members_busy = False

    def do_replace(self, fault):
        yield from self._replaced(fault, removed_first=False)

    def do_remove(self, fault):
        yield from self._replaced(fault, removed_first=True)

    def do_standby(self, fault):
        """One more node comes, stands by, and goes."""
        if self.members_busy:
            return
        self.members_busy = True
        name = self.nodes.standby
        yield from self._join(name)
        yield from self._back(name)
        yield fault.seconds
        yield from self._remove(name)
        yield 0.5
        self.nodes.terminate(name, exit_codes=(0,))
        while not self.nodes.has_ended(name):
            yield 0.05
        yield 1  # its last words are read
        shutil.rmtree(self.stack.nodes[name]["dir"])
        self.nodes.may_fail.discard(name)
        self.members_busy = False


def free_octets(folder):
    """Of the disk that a folder is on."""
    stats = os.statvfs(folder)
    return stats.f_bavail * stats.f_frsize


def fill(path):
    """A file that takes what is left of its disk."""
    with open(path, "wb", buffering=0) as out:
        while left := free_octets(path.parent):
            try:
                os.posix_fallocate(out.fileno(), out.seek(0, os.SEEK_END), left)
            except OSError:
                pass  # somebody was faster; what is left now is taken
