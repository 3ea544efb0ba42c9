#!/usr/bin/env python3
"""A native provider from nothing, with a cluster of three: it gives no key before its primary key is in
a backup, then does so at every node; its primary key is changed, old ciphertexts open until their key
is retired, and a restored backup opens what it held. With a real TPM and real nodes, and no key
server."""

import pathlib
import shutil
import tempfile
import unittest

from foreign_host import ForeignHost, b64
from stack import Stack, test_arguments

BINARIES = None
GENERATE = "/keys/v1/providers/lab/generate"
DECRYPT = "/keys/v1/providers/lab/decrypt"
CONTEXT = b64(b"volume")


class NativeProvider(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="custos-native-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.stack = self.new_stack(self.folder / "first")
        self.phrase = self.folder / "phrase"
        self.phrase.write_text("a passphrase of many words\n")
        self.phrase.chmod(0o600)

    def new_stack(self, folder):
        folder.mkdir()
        stack = Stack(folder, BINARIES)
        self.addCleanup(stack.close)
        return stack

    def start(self):
        s = self.stack
        s.add_host("foreign", "kernel 6.1.0-28")
        s.start_cluster()
        s.trust_and_image("foreign")
        machine = s.hosts["foreign"]
        self.host = ForeignHost(self.folder / "host", machine["tcti"], "foreign", machine["log"],
                                s.admin / "ca.crt")
        self.host.make_keys()
        s.wait_agreed()
        self.host.enrol(s.nodes["n1"]["url"])
        self.token = self.host.attest(s.nodes["n1"]["url"], s.nodes["n2"]["url"])
        s.wait_agreed()

    def ask(self, node, path, **body):
        return self.host.ask_key(node["url"], path, {**body, "context": CONTEXT}, self.token)

    def generated(self, node):
        """A ciphertext and its key."""
        answer = self.ask(node, GENERATE)
        self.assertEqual(answer.status, 200, answer.body)
        return answer.json()["ciphertext"], self.host.open_jwe(answer.json()["jwe"])

    def opens(self, nodes, ciphertext, key):
        for node in nodes:
            answer = self.ask(node, DECRYPT, ciphertext=ciphertext)
            self.assertEqual(answer.status, 200, answer.body)
            self.assertEqual(self.host.open_jwe(answer.json()["jwe"]), key)

    def refused(self, answer, status, check):
        self.assertEqual(answer.status, status, answer.body)
        self.assertEqual(answer.json()["type"], f"urn:custos:check:{check}", answer.body)

    def keys(self):
        """Id to whether it is backed up; and which one is the primary key."""
        info = self.stack.custos_json("provider", "show", "lab")
        return ({k["id"]: k["backed_up"] for k in info["custos"]["primary_keys"]},
                info["master_key_id"])

    def backup(self, name):
        file = self.folder / name
        self.stack.custos("backup", "create", "--node", self.stack.nodes["n3"]["url"], "--out", file,
                          "--passphrase-file", self.phrase)
        return file

    def confirm(self, file, check=True):
        done = self.stack.custos("provider", "confirm-backup", "lab", file, "--passphrase-file",
                                 self.phrase, check=check)
        self.stack.wait_agreed()
        return done

    def test_from_nothing_to_a_restored_backup(self):
        self.start()
        s = self.stack
        nodes = list(s.nodes.values())
        early = self.backup("early")  # without the provider
        s.custos("provider", "create", "lab", "--native", "--host-pattern", "for*",
                 "--claim", "status=affirming", "--calls-per-second", "1000")
        s.wait_agreed()
        first, = self.keys()[0]
        for node in nodes:
            self.refused(self.ask(node, GENERATE), 403, "primary-key-not-backed-up")
        status = s.custos_json("provider", "status", "lab")
        self.assertEqual({one["health"] for one in status.values()}, {"warning"})

        self.assertNotEqual(self.confirm(early, check=False).returncode, 0)
        file = self.backup("with-the-first-key")
        wrong = self.folder / "wrong"
        wrong.write_text("another passphrase\n")
        wrong.chmod(0o600)
        done = s.custos("provider", "confirm-backup", "lab", file, "--passphrase-file", wrong,
                        check=False)
        self.assertEqual(done.returncode, 77, done.stderr)
        self.assertEqual(self.keys(), ({first: False}, first))
        self.confirm(file)
        self.assertEqual(self.keys(), ({first: True}, first))

        made = dict(self.generated(node) for node in nodes)
        for ciphertext, key in made.items():
            self.opens(nodes, ciphertext, key)
        status = s.custos_json("provider", "status", "lab")
        self.assertEqual({one["health"] for one in status.values()}, {"ok"})

        # The sealed keys follow the cluster's data key.
        s.custos("cluster", "rotate-data-key", "--node", nodes[1]["url"])
        s.wait_agreed()
        for ciphertext, key in made.items():
            self.opens(nodes, ciphertext, key)

        second = s.custos_json("provider", "rotate", "lab")
        s.wait_agreed()
        self.assertEqual(self.keys(), ({first: True, second: False}, first))
        self.generated(nodes[0])  # under the first key: nothing stops
        done = s.custos("provider", "retire", "lab", "--key", first, check=False)
        self.assertEqual(done.returncode, 1, done.stderr)
        later_file = self.backup("with-both-keys")
        self.confirm(later_file)
        self.assertEqual(self.keys(), ({first: True, second: True}, second))
        later, later_key = self.generated(nodes[2])
        self.opens(nodes, later, later_key)
        for ciphertext, key in made.items():
            self.opens(nodes, ciphertext, key)

        s.custos("provider", "retire", "lab", "--key", first)
        s.wait_agreed()
        for node in nodes:
            self.refused(self.ask(node, DECRYPT, ciphertext=next(iter(made))), 404,
                         "primary-key-unknown")
        self.opens(nodes, later, later_key)

        s.custos("provider", "set", "lab", "--host-pattern", "web-*")
        s.wait_agreed()
        for node in nodes:
            self.refused(self.ask(node, DECRYPT, ciphertext=later), 403, "gate-access")

        s.stop("coordinator")
        for name in list(s.nodes):
            s.stop(name)
        other = self.new_stack(self.folder / "restored")
        other.restore(later_file, self.phrase, s.admin)
        restored = list(other.nodes.values())
        self.opens(restored, later, later_key)
        for ciphertext, key in made.items():  # retired after the backup
            self.opens(restored, ciphertext, key)


if __name__ == "__main__":
    BINARIES = test_arguments().binaries
    unittest.main()
