#!/usr/bin/env python3
"""The gate before the keys, through HTTP, with real tokens: who must not pass is refused at every
operation and stands in the audit log with the reason; and what hosts do with keys of their own.
Run by ctest; --binaries says where the programs are."""

import datetime
import json
import pathlib
import shutil
import tempfile
import unittest

import jwt
from authlib.jose import JsonWebEncryption, JsonWebKey
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from foreign_host import ForeignHost, b64, curl
from stack import Stack, test_arguments, wait_for

BINARIES = None
PROVIDER = "disk"
BASE = f"/keys/v1/providers/{PROVIDER}"
TOKEN_LIFE_S = 60


class Gate(unittest.TestCase):
    """One node, two hosts; who breaks something mends it."""

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="custos-gate-"))
        cls.stack = s = Stack(cls.folder, BINARIES)
        try:
            for name in ("one", "two"):
                s.add_host(name, "6.1.0-1")
            s.start_kmip()
            s.start_cluster(("n1",))
            s.trust_and_image("one")
            s.create_provider(PROVIDER)
            cls.ca = s.admin / "ca.crt"
            cls.url = s.nodes["n1"]["url"]
            cls.hosts = {}
            for name, h in s.hosts.items():
                host = ForeignHost(cls.folder / f"{name}-state", h["tcti"], name, h["log"], cls.ca)
                host.make_keys()
                host.enrol(cls.url)
                cls.hosts[name] = host
            cls.one, cls.two = cls.hosts["one"], cls.hosts["two"]
            cls.short = cls.token_of_life(TOKEN_LIFE_S)
            cls.token = cls.token_of_life(8 * 3600)
            cls.token_of_two = cls.two.attest(cls.url, cls.url)
            made = cls.one.ask_key(cls.url, BASE + "/generate", {}, cls.token)
            assert made.status == 200, made.body
            cls.ciphertext = made.json()["ciphertext"]
        except BaseException:
            s.close()
            raise

    @classmethod
    def tearDownClass(cls):
        cls.stack.close()
        shutil.rmtree(cls.folder)

    @classmethod
    def token_of_life(cls, seconds):
        cls.stack.custos("trust", "settings", "--token-life-s", str(seconds))
        return cls.one.attest(cls.url, cls.url)

    # ---- helpers ------------------------------------------------------------------------------

    def operations(self):
        """Every call of a host that asks for something, by the action that is recorded."""
        return {"key.generate": (BASE + "/generate", {}),
                "key.decrypt": (BASE + "/decrypt", {"ciphertext": self.ciphertext}),
                "key.encrypt": (BASE + "/encrypt", {"jwe": self.jwe(b"k" * 32)}),
                "key.rewrap": (BASE + "/rewrap", {"keys": [{"ciphertext": self.ciphertext}]}),
                "key.list": ("/keys/v1/providers", None)}

    def ask(self, path, body, token, host=None, certificate=None, bare=False):
        host = host or self.one
        options = [] if token is None else ["--header", f"Authorization: Bearer {token}"]
        if not bare:
            pair = certificate or (host.folder / "tls.crt", host.folder / "tls.key")
            options += ["--cert", pair[0], "--key", pair[1]]
        return curl(self.url + path, "--cacert", self.ca, *options,
                    method="GET" if body is None else "POST",
                    body=None if body is None else json.dumps(body))

    def jwe(self, key):
        """A key of the host's own, for the service, by a library of others."""
        jwk = curl(self.url + "/keys/v1/encryption-key", "--cacert", self.ca).json()
        self.assertEqual((jwk["alg"], jwk["use"]), ("ECDH-ES+A256KW", "enc"))
        header = {"alg": jwk["alg"], "enc": "A256GCM", "kid": jwk["kid"]}
        return JsonWebEncryption().serialize_compact(
            header, key, JsonWebKey.import_key(jwk)).decode()

    def refused(self, token, check, status, reason, **how):
        """Every operation says no for this check, and the record says why."""
        for action, (path, body) in self.operations().items():
            with self.subTest(action=action, check=check):
                before = len(self.stack.audit_records("n1"))
                answer = self.ask(path, body, token, **how)
                self.assertEqual(answer.status, status, answer.body)
                problem = answer.json()
                self.assertEqual(problem["type"], f"urn:custos:check:{check}", answer.body)
                self.assertNotIn("jwe", problem)
                records = [r for r in self.stack.audit_records("n1")[before:]
                           if r["action"] == action]
                self.assertEqual(len(records), 1)
                self.assertEqual(records[0]["outcome"], problem["code"])
                self.assertTrue(records[0]["detail"].startswith(check + ": "), records[0])
                self.assertIn(reason, records[0]["detail"])

    def passes(self, token, host=None):
        for action, (path, body) in self.operations().items():
            if action != "key.decrypt" and action != "key.rewrap" or host is None:
                answer = self.ask(path, body, token, host)
                self.assertEqual(answer.status, 200, f"{action}: {answer.body}")

    def forged(self, key, algorithm="ES256", **claims):
        """The claims of a good token, signed by somebody else under the same key id."""
        header = jwt.get_unverified_header(self.token)
        good = jwt.decode(self.token, options={"verify_signature": False})
        return jwt.encode({**good, **claims}, key, algorithm=algorithm,
                          headers={"kid": header["kid"], "typ": header["typ"]})

    # ---- who must not pass --------------------------------------------------------------------

    def test_a_good_token_passes(self):
        self.passes(self.token)
        self.passes(self.token_of_two, self.two)

    def test_no_token(self):
        self.refused(None, "gate-token", 401, "a bearer token is needed")

    def test_another_hosts_token(self):
        self.refused(self.token_of_two, "gate-binding", 401, "belongs to another key")

    def test_a_connection_of_another_key_or_none(self):
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "one")])
        now = datetime.datetime.utcnow()
        certificate = (x509.CertificateBuilder().subject_name(name).issuer_name(name)
                       .public_key(key.public_key()).serial_number(1).not_valid_before(now)
                       .not_valid_after(now + datetime.timedelta(days=1)).sign(key, hashes.SHA256()))
        pair = (self.folder / "other.crt", self.folder / "other.key")
        pair[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        pair[1].write_bytes(key.private_bytes(serialization.Encoding.PEM,
                                              serialization.PrivateFormat.PKCS8,
                                              serialization.NoEncryption()))
        self.refused(self.token, "gate-binding", 401, "belongs to another key", certificate=pair)
        self.refused(self.token, "gate-binding", 401, "without a client key", bare=True)

    def test_a_token_that_somebody_else_signed(self):
        key = ec.generate_private_key(ec.SECP256R1())
        self.refused(self.forged(key), "gate-token", 401, "jws-signature")

    def test_a_token_that_nobody_signed(self):
        self.refused(self.forged(None, "none"), "gate-token", 401, "jws-")
        # And with the public key taken for a secret (CVE-2015-9235).
        jwks = curl(self.url + "/.well-known/jwks.json", "--cacert", self.ca).body
        self.refused(self.forged(jwks, "HS256"), "gate-token", 401, "jws-")

    def test_an_expired_token(self):
        wait_for("the short token has expired",
                 lambda: "expired" in self.ask("/keys/v1/providers", None, self.short).body,
                 2 * TOKEN_LIFE_S)
        self.refused(self.short, "gate-token", 401, "expired")

    def test_quarantine_counts_at_once(self):
        self.stack.custos("host", "quarantine", "one", "on")
        try:
            self.refused(self.token, "gate-host", 403, "quarantined")
            self.passes(self.token_of_two, self.two)
        finally:
            self.stack.custos("host", "quarantine", "one", "off")
        self.passes(self.token)

    def test_a_denied_tpm_counts_at_once(self):
        for option, value in (("--ek", self.one.folder / "ek.der"),
                              ("--ak-name", self.one.read("ak.name").hex())):
            self.stack.custos("trust", "deny", "stolen", option, value, "--reason", "left a rack")
            try:
                self.refused(self.token, "gate-host", 403, "left a rack")
            finally:
                self.stack.custos("trust", "allow", "stolen")
            self.passes(self.token)

    def test_a_removed_image_counts_at_once(self):
        self.stack.custos("image", "delete", "web")
        try:
            self.refused(self.token, "gate-image", 403, "not configured any more")
        finally:
            self.stack.custos("image", "import", self.folder / "image.json")
        self.passes(self.token)

    def test_a_reboot_ends_older_tokens(self):
        # Alphabetically behind the tests that need the token of before.
        old = self.token
        self.stack.boot("one", "6.1.0-1")
        self.one.make_keys()
        self.stack.custos("host", "forget", "one")
        self.one.enrol(self.url)
        type(self).token = self.one.attest(self.url, self.url)
        self.passes(self.token)
        self.refused(old, "gate-boot", 401, "; attest again")

    # ---- keys of their own --------------------------------------------------------------------

    def test_a_key_of_the_hosts_own_comes_back(self):
        key, context = b"a key that was made elsewhere.32", b64(b"volume-9")
        sealed = self.ask(BASE + "/encrypt", {"jwe": self.jwe(key), "context": context}, self.token)
        self.assertEqual(sealed.status, 200, sealed.body)
        self.assertEqual(list(sealed.json()), ["ciphertext"])
        opened = self.ask(BASE + "/decrypt", {**sealed.json(), "context": context}, self.token)
        self.assertEqual(opened.status, 200, opened.body)
        self.assertEqual(self.one.open_jwe(opened.json()["jwe"]), key)
        without = self.ask(BASE + "/decrypt", sealed.json(), self.token)
        self.assertNotEqual(without.status, 200)

    def test_an_older_encryption_key_is_told_apart(self):
        key = JsonWebKey.generate_key("EC", "P-256", is_private=True)
        jwe = JsonWebEncryption().serialize_compact(
            {"alg": "ECDH-ES+A256KW", "enc": "A256GCM", "kid": key.thumbprint()}, b"k" * 32,
            key).decode()
        answer = self.ask(BASE + "/encrypt", {"jwe": jwe}, self.token)
        self.assertEqual(answer.status, 400, answer.body)
        self.assertEqual(answer.json()["field"], "/jwe")
        self.assertEqual(answer.json()["type"], "urn:custos:check:encryption-key")

    def test_the_encryption_key_follows_the_data_key(self):
        def kid():
            return curl(self.url + "/keys/v1/encryption-key", "--cacert", self.ca).json()["kid"]
        before, old = self.jwe(b"k" * 16), kid()
        self.stack.custos("cluster", "rotate-data-key", "--node", self.url)
        wait_for("another key is published", lambda: kid() != old)
        for jwe in (before, self.jwe(b"k" * 16)):
            answer = self.ask(BASE + "/encrypt", {"jwe": jwe}, self.token)
            self.assertEqual(answer.status, 200, answer.body)

    def test_a_change_of_the_primary_key(self):
        s = self.stack
        def name_of_primary():
            listed = self.ask("/keys/v1/providers", None, self.token).json()["providers"]
            return next(p["primary_key"] for p in listed if p["name"] == PROVIDER)
        items, keys = [], []
        for n in range(30):
            context = b64(f"volume-{n}".encode())
            made = self.ask(BASE + "/generate", {"context": context}, self.token).json()
            items.append({"ciphertext": made["ciphertext"], "context": context})
            keys.append(self.one.open_jwe(made["jwe"]))
        old, old_id = name_of_primary(), s.custos_json("provider", "show", PROVIDER)["master_key_id"]
        same = self.ask(BASE + "/rewrap", {"keys": items}, self.token).json()["keys"]
        self.assertEqual([(k["ciphertext"], k["changed"]) for k in same],
                         [(i["ciphertext"], False) for i in items])
        s.custos("provider", "primary-key", PROVIDER, "--create")
        self.assertNotEqual(name_of_primary(), old)
        items[7]["context"] = b64(b"another volume")
        out = self.ask(BASE + "/rewrap", {"keys": items}, self.token)
        self.assertEqual(out.status, 200, out.body)
        for n, one in enumerate(out.json()["keys"]):
            if n == 7:
                self.assertEqual(one["error"]["field"], "context")
                continue
            self.assertTrue(one["changed"])
            opened = self.ask(BASE + "/decrypt", {**items[n], "ciphertext": one["ciphertext"]},
                              self.token)
            self.assertEqual(self.one.open_jwe(opened.json()["jwe"]), keys[n])
        record = [r for r in s.audit_records("n1") if r["action"] == "key.rewrap"][-1]
        self.assertIn("keys=30 changed=29 unchanged=0 refused=1", record["detail"])
        self.assertIn("key 7: ", record["detail"])
        uses = s.node_json("n1", f"/keys/v1/admin/providers/{PROVIDER}/uses")
        counted = {k["primary_key_id"]: k for k in uses["primary_keys"]}
        self.assertGreaterEqual(counted[old_id]["rewraps"], 29)
        self.assertEqual(counted[old_id]["primary_key"], old)
        for by in ((), ("--node", self.url)):
            judged = s.custos("--output", "json", "provider", "retire-check", PROVIDER, "--key",
                              old_id, *by, check=False)
            self.assertEqual(judged.returncode, 75, judged.stdout + judged.stderr)
            told = json.loads(judged.stdout)[0]
            self.assertFalse(told["may_be_retired"])
            self.assertGreater(told["last_used"], 0)
        # What was counted outlives the process.
        s.stop("n1")
        s.start_node("n1")
        again = s.node_json("n1", f"/keys/v1/admin/providers/{PROVIDER}/uses")
        self.assertEqual(again["since"], uses["since"])
        self.assertEqual({k["primary_key_id"]: k["rewraps"] for k in again["primary_keys"]},
                         {k["primary_key_id"]: k["rewraps"] for k in uses["primary_keys"]})

    def test_too_many_at_once_are_413(self):
        answer = self.ask(BASE + "/rewrap", {"keys": [{"ciphertext": "AQ"}] * 1001}, self.token)
        self.assertEqual(answer.status, 413, answer.body)
        self.assertEqual(answer.json()["field"], "/keys")
        self.assertIn("1000", answer.json()["detail"])


if __name__ == "__main__":
    BINARIES = test_arguments().binaries
    unittest.main()
