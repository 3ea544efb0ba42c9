#!/usr/bin/env python3
"""The main job while somebody kills nodes: at any moment one of the three is killed, started again,
and as soon as it has caught up the next. No command of the administrator and of the host may fail,
and nothing that was acknowledged may be missing at the end. The moments come from --seed."""

import pathlib
import random
import shutil
import signal
import tempfile
import threading
import time
import unittest

from stack import Failed, Stack, test_arguments, wait_for

BINARIES = None
SEED = 1
PROVIDER = "disk"
KILLS_MIN = 8
ROUNDS_MAX = 500
LAG_MAX = 10  # entries
PAUSE_SECONDS_MAX = 0.7  # between what happens to nodes


class Saboteur:
    """Kills one node after another, in a thread of its own."""

    def __init__(self, stack, seed):
        self.stack = stack
        self.random = random.Random(seed)
        self.ended = threading.Event()
        self.killed = []
        self.failure = None
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _pause(self):
        self.ended.wait(self.random.uniform(0, PAUSE_SECONDS_MAX))

    def _all_take_part(self):
        """Changes go on meanwhile: a node that has caught up may be behind by the newest."""
        status = self.stack.cluster_status(random.choice(list(self.stack.nodes)))
        members = status.get("members", [])
        return status.get("leader") and len(members) == len(self.stack.nodes) and all(
            m["role"] in ("voter", "leader") and m["lag"] < LAG_MAX for m in members)

    def _run(self):
        s = self.stack
        began = time.monotonic()
        try:
            while not self.ended.is_set():
                self._pause()
                name = self.random.choice(list(s.nodes))
                self.killed.append(f"{name} at {time.monotonic() - began:.2f} s")
                s.stop(name, signal.SIGKILL)
                self._pause()
                s.start_node(name)
                wait_for("all three take part", self._all_take_part)
        except (Failed, OSError) as e:
            self.failure = e

    def end(self):
        """After the node that is away has come back."""
        self.ended.set()
        self.thread.join()
        if self.failure:
            raise self.failure


class AnyMoment(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="custos-any-moment-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.rounds = 0
        self.stack = Stack(self.folder, BINARIES)
        self.addCleanup(self.stack.close)

    def the_main_job(self, saboteur):
        """Everything from the first trust to keys, which go on until nodes were killed often enough."""
        s = self.stack
        s.trust_and_image("host-a")
        s.create_provider(PROVIDER)
        s.start_host("host-a")
        s.connect_hosts()
        s.wait_state("host-a", "attested")
        folder = s.hosts["host-a"]["dir"]
        while len(saboteur.killed) < KILLS_MIN and self.rounds < ROUNDS_MAX:
            i = self.rounds
            s.custos("trust", "deny", f"flaw-{i}", "--model", "flawed", "--reason", "test")
            s.agent("host-a", "get-key", "--provider", PROVIDER, "--ciphertext-out",
                    folder / f"{i}.kek", "--out", folder / f"{i}.key")
            s.agent("host-a", "attest")
            s.custos("trust", "settings", "--evidence-hosts-max", 1000 + i)
            self.rounds += 1

    def nothing_is_lost(self):
        s = self.stack
        for node in s.nodes:
            held = {kind: {o["name"] for o in s.node_json(node, f"/config/v1/{kind}",
                                                          linearizable=True)["objects"]}
                    for kind in ("denials", "tpm-cas", "base-images", "key-providers")}
            self.assertEqual(held["denials"], {f"flaw-{i}" for i in range(self.rounds)}, node)
            self.assertTrue({"tpm-maker"} <= held["tpm-cas"], held)
            self.assertEqual((held["base-images"], held["key-providers"]), ({"web"}, {PROVIDER}), node)
        s.wait_agreed()
        self.assertEqual(s.custos_json("trust", "settings")["evidence_hosts_max"],
                         999 + self.rounds)
        folder = s.hosts["host-a"]["dir"]
        for i in range(self.rounds):
            s.agent("host-a", "get-key", "--provider", PROVIDER, "--ciphertext", folder / f"{i}.kek",
                    "--out", folder / f"{i}.again")
            self.assertEqual((folder / f"{i}.again").read_bytes(),
                             (folder / f"{i}.key").read_bytes())

    def test_nothing_fails_and_nothing_is_lost(self):
        s = self.stack
        s.add_host("host-a", "6.1.0-1")
        s.start_kmip()
        s.start_cluster()
        saboteur = Saboteur(s, SEED)
        try:
            self.the_main_job(saboteur)
        except Failed as e:
            self.fail(f"seed {SEED}, killed {', '.join(saboteur.killed)}: {e}")
        finally:
            saboteur.end()
        print(f"killed: {', '.join(saboteur.killed)}", flush=True)
        self.assertGreaterEqual(len(saboteur.killed), KILLS_MIN)
        self.nothing_is_lost()


if __name__ == "__main__":
    given = test_arguments(seed=SEED)
    BINARIES, SEED = given.binaries, given.seed
    unittest.main()
