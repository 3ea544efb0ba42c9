#!/usr/bin/env python3
"""A backup of a cluster of three is restored to clusters of one and of five nodes, and everything a
host had goes on: its ciphertexts open to the same keys, its tokens count, it attests without a new
enrolment, and tokens are signed by the same key. With real TPM, key server and nodes."""

import pathlib
import shutil
import tempfile
import unittest

import jwt

from foreign_host import ForeignHost, b64
from stack import Stack, test_arguments

BINARIES = None
GENERATE = "/keys/v1/providers/disk/generate"
DECRYPT = "/keys/v1/providers/disk/decrypt"
CONTEXT = b64(b"volume")


class Restored(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="custos-restore-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.first = self.new_stack(self.folder / "first")

    def new_stack(self, folder):
        folder.mkdir()
        stack = Stack(folder, BINARIES)
        self.addCleanup(stack.close)
        return stack

    def whole_path(self):
        s = self.first
        s.add_host("foreign", "kernel 6.1.0-28")
        s.start_kmip()
        s.start_cluster()
        s.trust_and_image("foreign")
        s.create_provider("disk")
        machine = s.hosts["foreign"]
        self.host = ForeignHost(self.folder / "host", machine["tcti"], "foreign", machine["log"],
                                s.admin / "ca.crt")
        self.host.make_keys()
        s.wait_agreed()
        self.host.enrol(s.nodes["n1"]["url"])

    def key_through(self, node, path, body, token):
        answer = self.host.ask_key(node["url"], path, {**body, "context": CONTEXT}, token)
        self.assertEqual(answer.status, 200, answer.body)
        return self.host.open_jwe(answer.json()["jwe"]), answer.json()

    def attest(self, stack):
        """A token, and what signed it."""
        urls = [n["url"] for n in stack.nodes.values()]
        token = self.host.attest(urls[0], urls[-1])
        stack.wait_agreed()
        return token, jwt.get_unverified_header(token)["kid"]

    def backup(self):
        phrase = self.folder / "phrase"
        phrase.write_text("a passphrase of many words\n")
        phrase.chmod(0o600)
        file = self.folder / "prod.custos-backup"
        self.first.custos("backup", "create", "--node", self.first.nodes["n3"]["url"], "--out", file,
                          "--passphrase-file", phrase)
        return file, phrase

    def test_hosts_go_on_where_they_were(self):
        s = self.first
        self.whole_path()
        made = {}  # ciphertext -> key, each under what sealed the provider's secrets then
        token, kid = self.attest(s)
        tokens = [token]
        key, answer = self.key_through(s.nodes["n1"], GENERATE, {}, token)
        made[answer["ciphertext"]] = key
        s.custos("cluster", "rotate-data-key", "--node", s.nodes["n2"]["url"])
        new_kid = s.custos_json("token", "rotate", "--algorithm", "ES384", "--signs-in-seconds", "0")
        s.wait_agreed()
        token, kid = self.attest(s)
        self.assertEqual(kid, new_kid)
        tokens.append(token)
        key, answer = self.key_through(s.nodes["n2"], GENERATE, {}, token)
        made[answer["ciphertext"]] = key
        file, phrase = self.backup()
        s.stop("coordinator")
        for name in list(s.nodes):
            s.stop(name)

        for count in (1, 5):
            other = self.new_stack(self.folder / f"restored-{count}")
            other.restore(file, phrase, s.admin)
            for i in range(2, count + 1):
                other.join(f"n{i}", "n1")
            other.wait_voters(list(other.nodes))
            other.wait_agreed()
            for node in other.nodes.values():
                for ciphertext, key in made.items():
                    for token in tokens:
                        self.assertEqual(self.key_through(node, DECRYPT, {"ciphertext": ciphertext},
                                                          token)[0], key)
            token, kid = self.attest(other)
            self.assertEqual(kid, new_kid)
            tokens.append(token)  # the next cluster of the same authority takes it, too
            key, answer = self.key_through(other.nodes["n1"], GENERATE, {}, token)
            made[answer["ciphertext"]] = key
            for name in list(other.nodes):
                other.stop(name)


if __name__ == "__main__":
    BINARIES = test_arguments().binaries
    unittest.main()
