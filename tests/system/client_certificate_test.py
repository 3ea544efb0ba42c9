#!/usr/bin/env python3
"""The client certificate of a provider is changed for another while a host uses keys: a real KMIP server
refuses one that nobody signed, and takes one that its owner signed."""

import pathlib
import shutil
import tempfile
import unittest

from foreign_host import ForeignHost, b64
from stack import HERE, Stack, test_arguments, wait_for

BINARIES = None
GENERATE = "/keys/v1/providers/disk/generate"
DECRYPT = "/keys/v1/providers/disk/decrypt"
CONTEXT = b64(b"volume")


class ClientCertificate(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="custos-client-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.stack = Stack(self.folder / "stack", BINARIES)
        (self.folder / "stack").mkdir()
        self.addCleanup(self.stack.close)
        s = self.stack
        s.add_host("foreign", "kernel 6.1.0-28")
        s.start_kmip()
        s.start_cluster(("n1", "n2", "n3"))
        s.trust_and_image("foreign")
        s.create_provider("disk")
        machine = s.hosts["foreign"]
        self.host = ForeignHost(self.folder / "host", machine["tcti"], "foreign", machine["log"],
                                s.admin / "ca.crt")
        self.host.make_keys()
        s.wait_agreed()
        self.host.enrol(s.nodes["n1"]["url"])
        self.token = self.host.attest(s.nodes["n1"]["url"], s.nodes["n2"]["url"])
        s.wait_agreed()

    def works_everywhere(self):
        """A key made at each node opens at each."""
        for maker in self.stack.nodes.values():
            made = self.ask(maker, GENERATE)
            for opener in self.stack.nodes.values():
                self.assertEqual(self.ask(opener, DECRYPT, ciphertext=made[0])[1], made[1])

    def ask(self, node, path, **body):
        answer = self.host.ask_key(node["url"], path, {**body, "context": CONTEXT}, self.token)
        self.assertEqual(answer.status, 200, answer.body)
        return answer.json().get("ciphertext"), self.host.open_jwe(answer.json()["jwe"])

    def uses(self):
        status = self.stack.custos_json("provider", "status", "disk")
        return {one["client_certificate"] for one in status.values()}

    def current(self):
        return self.stack.custos_json("provider", "client-certificate", "disk")

    def test_is_changed_without_an_outage(self):
        s = self.stack
        self.works_everywhere()
        self.assertEqual(self.uses(), {"current"})
        before = self.current()

        # Nobody signed it: the key server ends every connection that is made with it.
        s.custos("provider", "client-certificate", "disk", "--generate", "--out",
                 self.folder / "self-signed.crt")
        s.wait_agreed()
        self.works_everywhere()
        status = s.custos_json("provider", "status", "disk")
        for one in status.values():
            self.assertEqual(one["client_certificate"], "current")
            self.assertFalse(one["next_client_certificate"]["servers"][0]["server_trust_client"])
        done = s.custos("provider", "client-certificate", "disk", "--promote", check=False)
        self.assertEqual(done.returncode, 69, done.stderr)
        s.custos("provider", "client-certificate", "disk", "--drop-next")
        self.assertEqual(self.current(), before)

        # The owner of the key server signs it.
        csr = s.kmip / "next.csr"
        s.custos("provider", "csr", "disk", "--out", csr)
        s.run(HERE / "make_client_cert.sh", s.kmip, "next", csr)
        done = s.custos("provider", "client-certificate", "disk", "--certificate",
                        s.admin / "admin.crt", check=False)
        self.assertEqual(done.returncode, 1, done.stderr)  # of another key
        s.custos("provider", "client-certificate", "disk", "--certificate", s.kmip / "next.crt")
        s.wait_agreed()
        self.works_everywhere()
        wait_for("every node uses the next certificate", lambda: self.uses() == {"next"})
        self.works_everywhere()
        s.custos("provider", "client-certificate", "disk", "--promote")
        s.wait_agreed()
        self.works_everywhere()
        self.assertEqual(self.uses(), {"current"})
        self.assertNotEqual(self.current(), before)

        # A pair that was made elsewhere, and a new primary key.
        s.run(HERE / "make_client_cert.sh", s.kmip, "custos-disk")  # PyKMIP knows clients by CN
        s.custos("provider", "client-certificate", "disk", "--certificate", s.kmip / "custos-disk.crt",
                 "--private-key", s.kmip / "custos-disk.key")
        wait_for("every node uses the uploaded one", lambda: self.uses() == {"next"})
        s.custos("provider", "client-certificate", "disk", "--promote")
        made = self.ask(s.nodes["n1"], GENERATE)
        first = s.custos_json("provider", "show", "disk")["master_key_id"]
        second = s.custos_json("provider", "rotate", "disk")
        self.assertNotEqual(first, second)
        s.wait_agreed()
        for node in s.nodes.values():
            self.assertEqual(self.ask(node, DECRYPT, ciphertext=made[0])[1], made[1])
        self.works_everywhere()


if __name__ == "__main__":
    BINARIES = test_arguments().binaries
    unittest.main()
