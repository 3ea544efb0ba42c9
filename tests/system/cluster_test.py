#!/usr/bin/env python3
"""The life of a cluster as docs/operations.md has it, each procedure with real nodes: grow, shrink, lose,
replace, upgrade, move, renew, back up, restore, and what must not work."""

import pathlib
import shutil
import signal
import tempfile
import unittest

from stack import Stack, free_ports, test_arguments, wait_for

BINARIES = None


class ClusterLife(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="custos-cluster-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.stack = self.new_stack(self.folder)
        self.written = []

    def new_stack(self, folder):
        stack = Stack(folder, BINARIES)
        folder.mkdir(exist_ok=True)
        self.addCleanup(stack.close)
        return stack

    # ---- what every procedure must keep -------------------------------------------------------

    def write(self, node, name, check=True):
        """A change through that node; what was acknowledged is looked for ever after."""
        done = self.stack.put_json(node, f"/config/v1/denials/{name}", {"model": name})
        if done[0] == 200 or done[0] == 201:
            self.written.append(name)
        if check:
            self.assertIn(done[0], (200, 201), done)
        return done

    def has_everything(self, nodes, stack=None):
        for node in nodes:
            held = (stack or self.stack).node_json(node, "/config/v1/denials", linearizable=True)
            names = {one["name"] for one in held["objects"]}
            self.assertEqual(set(self.written) - names, set(), f"{node} has lost changes")

    def roles(self, node):
        return {m["node"]: m["role"] for m in self.stack.cluster_status(node)["members"]}

    def grow_to(self, count):
        s = self.stack
        if not s.nodes:
            s.init_cluster("n1")
        for i in range(len(s.nodes) + 1, count + 1):
            s.join(f"n{i}", "n1")
        s.wait_voters(list(s.nodes))

    # ---- grow, shrink -------------------------------------------------------------------------

    def test_grows_from_one_to_five_and_shrinks_again(self):
        s = self.stack
        self.grow_to(1)
        self.write("n1", "alone")
        s.join("n2", "n1")
        self.assertEqual(self.roles("n1"), {"n1": "leader", "n2": "standby"})
        s.join("n3", "n1")
        s.wait_voters(["n1", "n2", "n3"])
        self.write("n3", "three")
        self.grow_to(5)
        self.write("n5", "five")
        self.stack.wait_agreed(list(s.nodes))

        leaving = s.leader("n1")
        s.custos("cluster", "leave", "--node", s.nodes[leaving]["url"])
        wait_for(f"{leaving} serves nobody", lambda: "removed" in s.cluster_status(leaving).get(
            "problem", ""))
        status, body = s.get_json(leaving, "/config/v1/denials")
        self.assertEqual((status, body["type"]), (503, "urn:custos:check:cluster-out-of-service"))
        s.stop(leaving)
        left = [n for n in s.nodes if n != leaving]
        self.write(left[0], "four")
        self.assertEqual(sorted(self.roles(left[0])), left)
        wait_for("three of four vote", lambda: sorted(self.roles(left[0]).values()).count(
            "standby") == 1)

        s.stop(left[-1], signal.SIGKILL)
        s.custos("cluster", "remove", left[-1], "--node", s.nodes[left[0]]["url"])
        s.wait_agreed(left[:-1])
        self.assertEqual(sorted(self.roles(left[0])), left[:-1])
        s.wait_voters(left[:-1])
        self.write(left[1], "three-again")
        self.has_everything(left[:-1])
        # Who was away when it was removed hears of it when it is back.
        s.start_node(left[-1], ready=False)
        wait_for("it hears that it was removed", lambda: "removed" in s.cluster_status(
            left[-1]).get("problem", ""))
        s.stop(left[-1])
        s.start_node(left[-1], ready=False)
        self.assertEqual(s.wait_end(left[-1]), 78, "it must not come back as it is")

    # ---- lose, replace ------------------------------------------------------------------------

    def test_a_lost_node_comes_back_and_a_damaged_one_is_replaced(self):
        s = self.stack
        self.grow_to(3)
        self.write("n2", "before")
        s.stop("n3", signal.SIGKILL)
        for i in range(5):
            self.write("n1", f"without-{i}")
        s.start_node("n3")
        s.wait_voters(["n1", "n2", "n3"])
        self.has_everything(["n1", "n2", "n3"])

        s.stop("n2")
        tables = sorted((s.nodes["n2"]["dir"] / "node" / "db").glob("*.sst"))
        logs = sorted((s.nodes["n2"]["dir"] / "node" / "db").glob("*.log"))
        for path in tables + logs:
            content = bytearray(path.read_bytes())
            for at in range(len(content) // 3, len(content) // 2):
                content[at] ^= 0xff
            path.write_bytes(content)
        s.start_node("n2", ready=False)
        self.assertEqual(s.wait_end("n2"), 78, s.log_of("n2")[-2000:])
        self.write("n1", "while-damaged")
        s.join("n2", "n1", replace=True)
        s.wait_voters(["n1", "n2", "n3"])
        self.has_everything(["n1", "n2", "n3"])
        self.stack.wait_agreed(["n1", "n2", "n3"])
        ids = {m["node"]: m["id"] for m in s.cluster_status("n1")["members"]}
        self.assertGreater(ids["n2"], ids["n3"], "a replica's number is never used twice")

    def test_without_a_majority_nothing_changes_and_reading_goes_on(self):
        s = self.stack
        self.grow_to(3)
        self.write("n1", "kept")
        for name in ("n2", "n3"):
            s.stop(name, signal.SIGKILL)
        status, body = self.write("n1", "refused", check=False)
        self.assertEqual(status, 503)
        self.assertIn(body["type"], ("urn:custos:check:cluster-no-quorum",
                                     "urn:custos:check:cluster-outcome-unknown"))
        status, body = self.write("n1", "refused-again", check=False)
        self.assertEqual((status, body["type"]), (503, "urn:custos:check:cluster-no-quorum"))
        status, body = s.get_json("n1", "/config/v1/denials")
        self.assertEqual(status, 200)
        self.assertIn("kept", {o["name"] for o in body["objects"]})
        status, body = s.get_json("n1", "/config/v1/denials", linearizable=True)
        self.assertEqual((status, body["type"]), (503, "urn:custos:check:cluster-no-quorum"))
        s.start_node("n2")
        s.wait_voters(["n1", "n2"])
        self.write("n2", "resumed")
        s.start_node("n3")
        s.wait_voters(["n1", "n2", "n3"])
        self.has_everything(["n1", "n2", "n3"])

    # ---- upgrade, move, renew -----------------------------------------------------------------

    def test_nodes_restart_one_after_another_and_move(self):
        s = self.stack
        self.grow_to(3)
        for name in list(s.nodes):
            others = [n for n in s.nodes if n != name]
            self.write(name, f"before-{name}")
            self.assertEqual(s.stop(name), 0)
            self.write(others[0], f"without-{name}")
            s.start_node(name)
            s.wait_voters(list(s.nodes))
        s.custos("cluster", "transfer", "n2", "--node", s.nodes["n1"]["url"])
        wait_for("n2 leads", lambda: s.cluster_status("n1").get("leader") == "n2")

        s.stop("n3")
        s.nodes["n3"]["link"] = free_ports(1)
        s.start_node("n3", move=True)
        address = f"127.0.0.1:{s.nodes['n3']['link']}"
        wait_for("the others know where it is", lambda: address in {
            m["address"] for m in s.cluster_status("n1")["members"]})
        s.wait_voters(list(s.nodes))
        s.stop("n1", signal.SIGKILL)
        self.write("n3", "moved")
        s.start_node("n1")
        self.has_everything(list(s.nodes))

    def test_certificates_and_keys_change_while_it_runs(self):
        s = self.stack
        self.grow_to(3)
        before = s.server_certificate("n1")
        s.custos("cluster", "renew-certificate", "--node", s.nodes["n1"]["url"])
        self.assertNotEqual(s.server_certificate("n1"), before)
        self.write("n1", "renewed")
        for name in ("n2", "n3"):
            s.stop(name)
            s.start_node(name)  # new links, with the new certificate
        s.wait_voters(list(s.nodes))
        self.write("n2", "linked-anew")
        first = s.node_json("n1", "/config/v1/data-keys")["objects"]
        self.assertEqual(first, [])
        s.stop("n3")
        s.custos("cluster", "rotate-data-key", "--node", s.nodes["n1"]["url"])
        self.write("n1", "rotated")
        s.start_node("n3")
        s.wait_voters(list(s.nodes))
        self.stack.wait_agreed(list(s.nodes))
        for name in s.nodes:
            s.stop(name)
        for name in s.nodes:
            s.start_node(name)
        s.wait_voters(list(s.nodes))
        self.has_everything(list(s.nodes))

    # ---- what must not work -------------------------------------------------------------------

    def test_a_copied_data_directory_is_noticed(self):
        s = self.stack
        self.grow_to(3)
        s.stop("n3")
        copy = self.folder / "copy"
        shutil.copytree(s.nodes["n3"]["dir"], copy)
        s.start_node("n3")
        s.nodes["twin"] = {**s.nodes["n3"], "dir": copy, "port": free_ports(1),
                           "ops": free_ports(1), "link": free_ports(1)}
        s.start_node("twin", ready=False)
        self.assertEqual({s.wait_end("n3"), s.wait_end("twin")}, {69})
        self.assertIn("cluster.identity_clash", s.log_of("n3"))
        self.assertIn("cluster.identity_clash", s.log_of("twin"))
        self.write("n1", "two-are-left")

    # ---- back up, restore ---------------------------------------------------------------------

    def test_a_backup_becomes_clusters_of_one_and_of_five(self):
        s = self.stack
        self.grow_to(3)
        self.write("n1", "saved")
        phrase = self.folder / "phrase"
        phrase.write_text("a passphrase of many words\n")
        phrase.chmod(0o600)
        file = self.folder / "prod.custos-backup"
        s.custos("backup", "create", "--node", s.nodes["n2"]["url"], "--out", file,
                 "--passphrase-file", phrase)
        s.custos("backup", "verify", file, "--passphrase-file", phrase)
        was = s.cluster_status("n1")
        keys = s.node_json("n1", "/.well-known/jwks.json")
        for name in list(s.nodes):
            s.stop(name)
        for count in (1, 5):
            other = self.new_stack(self.folder / f"restored-{count}")
            other.restore(file, phrase, s.admin)
            for i in range(2, count + 1):
                other.join(f"n{i}", "n1")
            other.wait_voters(list(other.nodes))
            for name in other.nodes:
                wait_for(f"{name} has it", lambda n=name: other.cluster_status(n).get(
                    "fingerprint") == was["fingerprint"])
                self.assertEqual(other.node_json(name, "/.well-known/jwks.json"), keys)
            self.assertNotEqual(other.cluster_status("n1")["cluster_id"], was["cluster_id"])
            self.has_everything(list(other.nodes), other)
            for name in list(other.nodes):
                other.stop(name)


if __name__ == "__main__":
    BINARIES = test_arguments().binaries
    unittest.main()
