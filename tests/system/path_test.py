#!/usr/bin/env python3
"""The whole path on real parts: programs, TPMs, key server, sockets. Foreign tools do what a host,
an administrator and a relying party do. Run by ctest; --binaries says where the programs are."""

import base64
import json
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import unittest

import jsonschema
import jwt
from authlib.jose import JsonWebKey, JsonWebToken

from foreign_host import ForeignHost, b64, curl, unb64
from stack import Failed, Stack, alive, test_arguments, wait_for

BINARIES = None
PROVIDER = "disk"
GENERATE = f"/keys/v1/providers/{PROVIDER}/generate"
DECRYPT = f"/keys/v1/providers/{PROVIDER}/decrypt"


class WholePath(unittest.TestCase):
    """One stack for all tests; who breaks something mends it."""

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="custos-system-"))
        cls.stack = s = Stack(cls.folder, BINARIES, relays=True)
        try:
            for name in ("host-a", "host-b", "foreign"):
                s.add_host(name, "6.1.0-1")
            s.start_kmip()
            s.start_cluster()
            s.trust_and_image("host-a")
            s.create_provider(PROVIDER)
            machine = s.hosts.pop("foreign")
            for name in s.hosts:
                s.start_host(name)
            s.connect_hosts()
            for name in s.hosts:
                s.wait_state(name, "attested")
            cls.ca = s.admin / "ca.crt"
            cls.urls = [n["url"] for n in s.nodes.values()]
            cls.foreign = ForeignHost(cls.folder / "foreign-state", machine["tcti"], "foreign",
                                      machine["log"], cls.ca)
            cls.foreign.make_keys()
            cls.foreign.enrol(cls.urls[0])
            cls.token = cls.foreign.attest(cls.urls[0], cls.urls[1])
        except BaseException:
            s.close()
            raise

    @classmethod
    def tearDownClass(cls):
        cls.stack.close()
        shutil.rmtree(cls.folder)

    # ---- helpers ------------------------------------------------------------------------------

    def problem(self, answer, status, field=None):
        """A problem document (RFC 9457) of that status that names the field."""
        self.assertEqual(answer.status, status, answer.body)
        self.assertEqual(answer.headers["content-type"], "application/problem+json")
        document = answer.json()
        self.assertEqual(document["status"], status)
        self.assertTrue(document["detail"])
        if field is not None:
            self.assertEqual(document.get("field"), field, answer.body)
        return document

    def as_admin(self, url, path, method="GET", body=None, who="admin", folder=None):
        folder = folder or self.stack.admin
        return curl(url + path, "--cacert", self.ca, "--cert", folder / f"{who}.crt",
                    "--key", folder / f"{who}.key", method=method, body=body)

    def audit_records(self, node="n1"):
        return self.stack.audit_records(node)

    def get_key(self, host, *arguments, check=True):
        return self.stack.agent(host, "get-key", "--provider", PROVIDER, *arguments, check=check)

    # ---- the path -----------------------------------------------------------------------------

    def test_a_foreign_host_gets_keys_from_any_node(self):
        made = self.foreign.ask_key(self.urls[2], GENERATE, {"context": b64(b"volume")}, self.token)
        self.assertEqual(made.status, 200, made.body)
        key = self.foreign.open_jwe(made.json()["jwe"])
        self.assertEqual(len(key), 32)
        for url in self.urls:
            opened = self.foreign.ask_key(url, DECRYPT, {"ciphertext": made.json()["ciphertext"],
                                                         "context": b64(b"volume")}, self.token)
            self.assertEqual(opened.status, 200, opened.body)
            self.assertEqual(self.foreign.open_jwe(opened.json()["jwe"]), key)
        other = self.foreign.ask_key(self.urls[0], DECRYPT,
                                     {"ciphertext": made.json()["ciphertext"],
                                      "context": b64(b"another")}, self.token)
        self.assertNotEqual(other.status, 200)

    def test_a_host_attests_by_hand_as_documented(self):
        page = pathlib.Path(__file__).parents[2] / "docs" / "attestation-by-hand.md"
        blocks = re.findall(r"^```sh\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
        self.assertGreater(len(blocks), 5)
        self.addCleanup(self.stack.custos, "host", "forget", self.foreign.name)
        for kind in ("rsa", "ecc"):
            # Each makes another attestation key, and a host is bound to one.
            self.stack.custos("host", "forget", self.foreign.name)
            self.stack.wait_agreed()
            folder = self.folder / f"by-hand-{kind}"
            folder.mkdir()
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", "\n".join(blocks)], cwd=folder, text=True,
                env={**self.foreign.env, "NODE": self.urls[0], "CA": str(self.ca), "AK": kind,
                     "HOST": self.foreign.name, "LOG": str(self.foreign.log)},
                capture_output=True, check=False)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            keys = curl(self.urls[1] + "/.well-known/jwks.json", "--cacert", self.ca).json()
            claims = JsonWebToken(["ES256"]).decode((folder / "token").read_text().strip(),
                                                    JsonWebKey.import_key_set(keys))
            self.assertEqual(claims["sub"], self.foreign.name)

    def test_foreign_verifiers_accept_the_token(self):
        answer = curl(self.urls[2] + "/.well-known/jwks.json", "--cacert", self.ca)
        self.assertEqual(answer.status, 200)
        keys = answer.json()
        header = jwt.get_unverified_header(self.token)
        self.assertEqual(header["alg"], "ES256")
        jwk = next(k for k in keys["keys"] if k["kid"] == header["kid"])
        audience = jwt.decode(self.token, options={"verify_signature": False})["aud"]
        claims = jwt.decode(self.token, jwt.PyJWK(jwk).key, algorithms=["ES256"], audience=audience)
        self.assertEqual(claims["sub"], "foreign")
        self.assertEqual(claims["submods"]["host"]["ear.status"], "affirming")
        self.assertEqual(claims["submods"]["host"]["custos"]["image"],
                         {"name": "web", "version": "12.8"})
        self.assertEqual(unb64(claims["cnf"]["jkt"]), self.foreign.thumbprint())
        discovery = curl(self.urls[0] + "/.well-known/openid-configuration", "--cacert", self.ca)
        self.assertEqual(discovery.json()["issuer"], claims["iss"])
        again = JsonWebToken(["ES256"]).decode(self.token, JsonWebKey.import_key_set(keys))
        again.validate()
        self.assertEqual(again["jti"], claims["jti"])
        head, body, signature = self.token.split(".")
        forged = json.loads(unb64(body))
        forged["sub"] = "host-a"
        changed = ".".join((head, b64(json.dumps(forged).encode()), signature))
        with self.assertRaises(jwt.InvalidSignatureError):
            jwt.decode(changed, jwt.PyJWK(jwk).key, algorithms=["ES256"], audience=audience)
        self.problem(self.foreign.ask_key(self.urls[0], GENERATE, {}, changed), 401)

    # ---- tokens and their keys ----------------------------------------------------------------

    def verified(self, token, audience="custos-keys"):
        """The claims, as two foreign libraries find them good that know the issuer's URL alone."""
        issuer = self.urls[0]
        found = curl(issuer + "/.well-known/openid-configuration", "--cacert", self.ca).json()
        self.assertEqual(found["issuer"], issuer)
        keys = curl(found["jwks_uri"], "--cacert", self.ca).json()
        algorithms = found["id_token_signing_alg_values_supported"]
        self.assertEqual(set(algorithms), {k["alg"] for k in keys["keys"]})
        header = jwt.get_unverified_header(token)
        self.assertEqual(header["typ"], "custos-attestation+jwt")
        jwk = next(k for k in keys["keys"] if k["kid"] == header["kid"])
        claims = jwt.decode(token, jwt.PyJWK(jwk).key, algorithms=algorithms, audience=audience,
                            issuer=issuer)
        again = JsonWebToken(algorithms).decode(token, JsonWebKey.import_key_set(keys))
        again.validate()
        self.assertEqual(dict(again), claims)
        return claims

    def opens(self, token):
        """Every node's gate takes the token."""
        return all(self.foreign.ask_key(u, GENERATE, {}, token).status == 200 for u in self.urls)

    def test_signing_keys_rotate_and_older_tokens_live_on(self):
        s = self.stack
        tokens, kids = [self.token], []
        try:
            for algorithm in ("ES384", "PS256", "RS256", "ES256"):
                kids.append(s.custos_json("token", "rotate", "--algorithm", algorithm,
                                          "--signs-in-seconds", "0"))
                s.wait_agreed()
                token = self.foreign.attest(self.urls[1], self.urls[2])
                header = jwt.get_unverified_header(token)
                self.assertEqual((header["alg"], header["kid"]), (algorithm, kids[-1]))
                tokens.append(token)
                for one in tokens:
                    self.verified(one)
                    self.assertTrue(self.opens(one), jwt.get_unverified_header(one))
            file = self.folder / "rotated.jwt"
            file.write_text(tokens[2])
            verify = ("token", "verify", file, "--issuer", self.urls[0], "--audience")
            self.assertEqual(s.custos_json(*verify, "custos-keys")["verdict"], "accepted")
            self.assertEqual(s.custos(*verify, "custos-reporting", check=False).returncode, 1)

            ahead = s.custos_json("token", "rotate", "--signs-in-seconds", "3600")
            kids.append(ahead)
            wait_for("another node publishes it", lambda: ahead in {
                k["kid"] for k in curl(self.urls[1] + "/.well-known/jwks.json", "--cacert",
                                       self.ca).json()["keys"]}, 5)
            token = self.foreign.attest(self.urls[0], self.urls[1])
            self.assertEqual(jwt.get_unverified_header(token)["kid"], kids[3], "not yet its time")
            states = {k["kid"]: k["state"] for k in s.custos_json("token", "keys")}
            self.assertEqual(states, {**{k: "signs" for k in kids[:4]}, ahead: "published"})

            s.custos("token", "forget", kids[1])
            for url in self.urls:
                wait_for(f"{url} refuses it", lambda u=url: self.foreign.ask_key(
                    u, GENERATE, {}, tokens[2]).status == 401, 5)
            with self.assertRaises(StopIteration):
                self.verified(tokens[2])
            self.assertEqual(s.custos(*verify, "custos-keys", check=False).returncode, 1)
            self.assertTrue(self.opens(tokens[1]) and self.opens(tokens[3]))
            kids.pop(1)
        finally:
            for kid in kids:
                s.custos("token", "forget", kid)
            s.wait_agreed()
        self.assertTrue(self.opens(self.token), "the key made with the cluster is there for ever")
        self.assertEqual(jwt.get_unverified_header(self.foreign.attest(*self.urls[:2]))["alg"],
                         "ES256")

    def test_a_token_for_reporting_opens_nothing(self):
        granted = self.foreign.granted(self.urls[0], self.urls[1], reporting=True)
        claims = self.verified(granted["reporting_token"], "custos-reporting")
        self.assertEqual(claims["submods"]["host"]["ear.status"], "affirming")
        for url in self.urls:
            self.problem(self.foreign.ask_key(url, GENERATE, {}, granted["reporting_token"]), 401)
        self.assertTrue(self.opens(granted["token"]))

    def test_tokens_are_what_their_schema_says_in_every_spelling(self):
        def closed(schema):
            """The schema, which allows members of later versions, without that."""
            if isinstance(schema, list):
                return [closed(s) for s in schema]
            if not isinstance(schema, dict):
                return schema
            more = {"additionalProperties": False} if isinstance(schema.get("type"), str) and \
                "properties" in schema else {}
            return {**{k: closed(v) for k, v in schema.items()}, **more}

        docs = pathlib.Path(__file__).parents[2] / "docs"
        schema = json.loads((docs / "token.schema.json").read_text())
        jsonschema.Draft202012Validator.check_schema(schema)
        validator = jsonschema.Draft202012Validator(closed(schema))
        settings = "/config/v1/settings/settings"
        before = self.as_admin(self.urls[0], settings)
        document = before.json()["object"] if before.status == 200 else {}
        try:
            for spelling in ("dotted", "underscored", "both"):
                for url in self.urls:
                    put = self.as_admin(url, settings, "PUT",
                                        json.dumps({**document, "ear_claims": spelling}))
                    self.assertEqual(put.status, 200, put.body)
                granted = self.foreign.granted(self.urls[0], self.urls[1], reporting=True)
                for member, audience in (("token", "custos-keys"),
                                         ("reporting_token", "custos-reporting")):
                    claims = self.verified(granted[member], audience)
                    validator.validate(claims)
                    self.assertEqual("ear.verifier-id" in claims, spelling != "underscored")
                    self.assertEqual("ear_verifier_id" in claims, spelling != "dotted")
                    claims["submods"]["host"]["custos"]["surprise"] = 1
                    with self.assertRaises(jsonschema.ValidationError):
                        validator.validate(claims)
                self.assertTrue(self.opens(granted["token"]), spelling)
        finally:
            for url in self.urls:
                self.as_admin(url, settings, "PUT", json.dumps(document))

    def test_the_gate_wants_token_and_its_key(self):
        bare = curl(self.urls[0] + GENERATE, "--cacert", self.ca, method="POST", body="{}")
        self.problem(bare, 401)
        without_key = self.foreign.post(self.urls[0], GENERATE, {}, "--header",
                                        f"Authorization: Bearer {self.token}")
        self.assertIn(without_key.status, (401, 403), without_key.body)
        stolen = self.foreign.ask_key(self.urls[0], GENERATE, {}, self.token,
                                      (self.stack.admin / "admin.crt",
                                       self.stack.admin / "admin.key"))
        self.assertIn(stolen.status, (401, 403), stolen.body)
        unknown = self.foreign.ask_key(self.urls[0], "/keys/v1/providers/none/generate", {},
                                       self.token)
        self.assertIn(unknown.status, (403, 404), unknown.body)

    def test_challenges_are_good_once_on_the_node_that_took_them(self):
        challenge = self.foreign.challenge(self.urls[0])
        evidence = self.foreign.evidence(challenge)
        first = self.foreign.post(self.urls[1], "/attestation/v1/tokens", evidence)
        self.assertEqual(first.status, 200, first.body)
        again = self.foreign.post(self.urls[1], "/attestation/v1/tokens", evidence)
        self.assertNotEqual(again.status, 200)
        self.problem(again, again.status)

    def test_tampered_evidence_is_refused_by_check(self):
        def changed(**members):
            evidence = self.foreign.evidence(self.foreign.challenge(self.urls[0]))
            evidence.update({k: v(evidence[k]) for k, v in members.items()})
            return self.foreign.post(self.urls[0], "/attestation/v1/tokens", evidence)

        def flip(text, at):
            octets = bytearray(unb64(text))
            octets[at] ^= 1
            return b64(bytes(octets))

        self.problem(changed(quote=lambda q: flip(q, 60)), 403)
        self.problem(changed(signature=lambda q: flip(q, -1)), 403)
        self.problem(changed(quote=lambda q: b64(unb64(q)[:-9])), 400, "/quote")
        self.problem(changed(event_log=lambda q: flip(q, -40)), 403)
        self.problem(changed(event_log=lambda q: b64(unb64(q)[:-3])), 400,
                     "/event_log")
        self.problem(changed(ticket=lambda t: flip(t, 20)), 403)
        values = changed(pcrs=lambda p: [{**v, "value": "00" * (len(v["value"]) // 2)} if v["pcr"] == 4 else v for v in p])
        self.assertIn("pcr", self.problem(values, 403)["type"] + values.body)
        # A genuine quote with a log that does not fit says something of the host: what was granted
        # before counts no more at this node, until the host passes again.
        self.problem(self.foreign.ask_key(self.urls[0], GENERATE, {}, self.token), 401)
        self.foreign.attest(self.urls[0], self.urls[0])
        self.assertEqual(self.foreign.ask_key(self.urls[0], GENERATE, {}, self.token).status, 200)

    # ---- bad input ----------------------------------------------------------------------------

    def test_bad_bodies_name_the_field(self):
        post = self.foreign.post
        node = self.urls[0]
        keys = "/attestation/v1/attestation-keys"
        good = self.foreign.key_request()
        self.problem(post(node, keys, "{"), 400)
        self.problem(post(node, keys, '{"host":"foreign"'), 400)
        self.problem(post(node, keys, "[]"), 400)
        self.problem(post(node, keys, {k: v for k, v in good.items() if k != "ek_public"}), 400,
                     "/ek_public")
        self.problem(post(node, keys, {**good, "ek_public": "###"}), 400, "/ek_public")
        self.problem(post(node, keys, {**good, "surprise": 1}), 400, "/surprise")
        self.problem(post(node, keys, {**good, "host": 7}), 400, "/host")
        bad = post(node, keys, {**good, "ek_certificate": b64(b"\x30\x03\x02\x01")})
        self.assertIn(bad.status, (400, 403), bad.body)
        self.assertIn("ek_certificate", bad.json()["field"])
        huge = post(node, keys, {**good, "host": "x" * (7 << 20)})
        self.assertEqual(huge.status, 413, huge.body)
        evidence = self.foreign.evidence(self.foreign.challenge(node))
        self.problem(post(node, "/attestation/v1/tokens", {**evidence, "event_log": "!"}), 400,
                     "/event_log")
        self.problem(post(node, "/attestation/v1/tokens", {**evidence, "pcrs": [{"bank": "md5"}]}),
                     400)
        self.problem(curl(node + "/none", "--cacert", self.ca), 404)
        wrong_method = curl(node + "/attestation/v1/tokens", "--cacert", self.ca, method="DELETE")
        self.problem(wrong_method, 405)
        self.assertIn("POST", wrong_method.headers["allow"])

    def test_bad_configuration_is_never_half_written(self):
        before = {u: self.as_admin(u, "/config/v1/status").json() for u in self.urls}
        for body in ("{", '{"certificates":["nonsense"]}', '{"certificates":[]}', "[1]",
                     '{"certificates":[' + '"x",' * 100 + '"x"]}'):
            answer = self.as_admin(self.urls[0], "/config/v1/tpm-cas/bad", "PUT", body)
            self.assertGreaterEqual(answer.status, 400, answer.body)
            self.assertLess(answer.status, 500, answer.body)
        failed = self.stack.custos("trust", "add-ca", "bad", "--file",
                                   self.stack.hosts["host-a"]["log"], check=False)
        self.assertEqual(failed.returncode, 65, failed.stderr)
        image = self.folder / "bad-image.json"
        image.write_text('{"name":"bad","pcrs":[{"pcr":99}]}')
        failed = self.stack.custos("image", "import", image, check=False)
        self.assertEqual(failed.returncode, 65, failed.stderr)
        self.assertIn("bad-image.json", failed.stderr)
        for url, status in before.items():
            self.assertEqual(self.as_admin(url, "/config/v1/status").json(), status)

    def test_plain_text_and_old_tls_get_nowhere(self):
        port = self.stack.nodes["n1"]["port"]
        plain = subprocess.run(["curl", "--silent", "--max-time", "10",
                                f"http://127.0.0.1:{port}/"], capture_output=True, check=False)
        self.assertNotEqual(plain.returncode, 0)
        old = subprocess.run(["curl", "--silent", "--max-time", "10", "--tls-max", "1.2", "--cacert",
                              str(self.ca), f"https://127.0.0.1:{port}/"], capture_output=True,
                             check=False)
        self.assertEqual(old.returncode, 35)  # the handshake failed
        self.assertEqual(curl(self.urls[0] + "/.well-known/jwks.json", "--cacert", self.ca).status,
                         200)

    def test_a_wrong_client_certificate_is_refused_and_audited(self):
        folder = self.folder / "stranger"
        folder.mkdir()
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=admin", "-days", "1",
                        "-keyout", str(folder / "admin.key"), "-out", str(folder / "admin.crt")],
                       check=True, capture_output=True)
        count = len(self.audit_records())
        answer = self.as_admin(self.urls[0], "/config/v1/tpm-cas", folder=folder)
        self.problem(answer, 403)
        record = wait_for("the audit record", lambda: next(
            (r for r in self.audit_records()[count:] if "forbidden" in json.dumps(r)), None), 10)
        self.assertIn("/config/v1/tpm-cas", json.dumps(record))
        self.problem(curl(self.urls[0] + "/config/v1/tpm-cas", "--cacert", self.ca), 401)
        self.stack.custos("cluster", "certificate", "--name", "looker", "--role", "auditor",
                          "--node", self.urls[0], "--out-dir", folder)
        self.assertEqual(self.as_admin(self.urls[0], "/config/v1/tpm-cas", who="looker",
                                       folder=folder).status, 200)
        self.problem(self.as_admin(self.urls[0], "/config/v1/tpm-cas/x", "DELETE", who="looker",
                                   folder=folder), 403)

    # ---- partial failure ----------------------------------------------------------------------

    def test_key_server_away_is_503_and_comes_back(self):
        s = self.stack
        made = self.foreign.ask_key(self.urls[0], GENERATE, {}, self.token).json()
        s.stop("kmip", signal.SIGKILL)
        try:
            answer = self.foreign.ask_key(self.urls[0], DECRYPT,
                                          {"ciphertext": made["ciphertext"]}, self.token)
            self.problem(answer, 503)
            self.assertGreater(int(answer.headers["retry-after"]), 0)
        finally:
            done = s.run(pathlib.Path(__file__).parent / "start_kmip_server.sh", s.kmip, s.kmip_port)
            s.pids["kmip"] = int(done.stdout.split()[-1])

        def opens():
            again = self.foreign.ask_key(self.urls[0], DECRYPT,
                                         {"ciphertext": made["ciphertext"]}, self.token)
            return again.status == 200 and again
        opened = wait_for("the key server is used again", opens)
        self.assertEqual(self.foreign.open_jwe(opened.json()["jwe"]),
                         self.foreign.open_jwe(made["jwe"]))

    def test_a_changed_kernel_is_refused_and_the_old_one_accepted_again(self):
        s = self.stack
        s.stop("host-b")
        s.boot("host-b", "6.1.0-2")
        s.start_host("host-b")
        status = s.wait_state("host-b", "failed")
        self.assertEqual((status["check"], status["pcr"]), ("base-image", 4))
        self.assertIsInstance(status["event"], int)
        seen = s.custos_json("host", "status")["host-b"]["status"]
        self.assertEqual((seen["check"], seen["pcr"], seen["event"]),
                         ("base-image", 4, status["event"]))
        refused = self.get_key("host-b", "--ciphertext-out", self.folder / "none.kek", check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertFalse((self.folder / "none.kek").exists())
        s.stop("host-b")
        s.boot("host-b", "6.1.0-1")
        s.start_host("host-b")
        s.wait_state("host-b", "attested")

    def test_administrators_see_what_a_change_of_images_would_do(self):
        s = self.stack
        s.agent("host-a", "attest")
        web = next(i for i in s.custos_json("image", "list") if i["name"] == "web")
        self.assertEqual((web["version"], web["bank"], web["audit_only"], web["health"]),
                         ("12.8", "sha256", False, "OK"))
        self.assertRegex(web["last_attested_time"], r"^20\d\d-.*Z$")
        self.assertIn("0-", s.custos("image", "list"))
        told = s.custos_json("image", "explain", "host-a")
        self.assertTrue(told["now"]["accepted"])
        self.assertEqual([i["image"] for i in told["images"] if i["matches"]], ["web"])
        self.assertIn("matched", s.custos("image", "explain", "host-a"))
        # The same boot under another name, reported only: it grants nothing.
        packed = self.folder / "watched.tgz"
        s.custos("image", "export", "--event-log", s.hosts["host-a"]["log"], "--name", "watched",
                 "--image-version", "1", "--audit-only", "--out", packed)
        self.assertIn("same: false", s.custos("image", "diff", packed, "web"))
        failing = s.custos("--json", "image", "simulate", "--add", packed, "--remove", "web",
                           check=False)
        self.assertEqual(failing.returncode, 1, failing.stderr)
        answer = json.loads(failing.stdout)
        host = next(h for h in answer["hosts"] if h["host"] == "host-a")
        self.assertTrue(host["before"]["accepted"])
        self.assertEqual(host["after"]["check"], "base-image")
        self.assertGreater(answer["would_fail"], 0)
        harmless = s.custos("image", "simulate", "--add", packed, "--settings", "allow_sha1=false",
                            check=False)
        self.assertEqual(harmless.returncode, 0, harmless.stderr)
        try:
            s.custos("image", "import", packed)
            s.wait_agreed()
            s.agent("host-a", "attest")
            s.custos("image", "audit", "watched", "off")
            watched = s.custos_json("image", "show", "watched")
            self.assertFalse(watched.get("audit_only", False))
        finally:
            s.custos("image", "delete", "watched")
            s.wait_agreed()
            s.agent("host-a", "attest")
        self.assertEqual([i["name"] for i in s.custos_json("image", "list")], ["web"])

    def test_a_tpm_that_is_away_is_said_and_tried_again(self):
        s = self.stack
        s.stop("host-b")
        s.stop("tpm-host-b")
        s.start_host("host-b")
        status = s.wait_state("host-b", "failed")
        self.assertIn("TPM", status["error"])
        self.assertGreater(status["next_attempt"], 0)
        s.boot("host-b", "6.1.0-1")
        s.wait_state("host-b", "attested")

    def test_a_host_keeps_its_key_across_restarts_and_reboots(self):
        s = self.stack
        before = s.status_of("host-b")
        self.assertEqual(before["state"], "attested", before)
        self.assertRegex(before["ak_name"], "^000b[0-9a-f]{64}$")
        s.stop("host-b")
        s.start_host("host-b")
        again = s.wait_state("host-b", "attested")
        self.assertEqual(again["ak_name"], before["ak_name"])
        self.assertEqual(again["boot"], before["boot"])
        s.stop("host-b")
        s.boot("host-b", "6.1.0-1")
        (s.hosts["host-b"]["dir"] / "data" / "ak.tpm").unlink()
        s.start_host("host-b")
        rebooted = s.wait_state("host-b", "attested")
        self.assertEqual(rebooted["ak_name"], before["ak_name"])
        self.assertNotEqual(rebooted["boot"]["reset_count"], before["boot"]["reset_count"])
        self.assertIn("host.ak_taken_over", s.log_of("host-b"))

    def test_a_killed_node_is_missed_by_nobody(self):
        s = self.stack
        keys = [self.folder / "before.key", self.folder / "after.key"]
        kek = self.folder / "killed.kek"
        self.get_key("host-a", "--ciphertext-out", kek, "--out", keys[0])
        used = s.node_that_generated_for("host-a")
        s.stop(used, signal.SIGKILL)
        try:
            self.get_key("host-a", "--ciphertext", kek, "--out", keys[1])
            self.assertEqual(keys[0].read_bytes(), keys[1].read_bytes())
            s.agent("host-a", "attest")
            answer = self.stack.custos("cluster", "status", check=False)
            self.assertEqual(answer.returncode, 0, answer.stderr)
            self.stack.custos("trust", "settings", "--require-endorsement-keys", "false")
        finally:
            s.start_node(used)
            s.wait_voters(list(s.nodes))

    def test_every_program_stops_cleanly_and_starts_again(self):
        s = self.stack
        self.assertEqual(s.stop("coordinator"), 0)
        s.start_coordinator()
        self.assertEqual(len(s.custos_json("inventory", "list")["demo"]["members"]), 3)
        self.assertEqual(s.stop("n3"), 0)
        s.start_node("n3")
        self.assertEqual(s.stop("host-a"), 0)
        s.start_host("host-a")
        s.wait_state("host-a", "attested")

    def test_a_join_token_is_good_once(self):
        s = self.stack
        token = self.folder / "once.token"
        s.custos("cluster", "token", "--node", self.urls[0], "--out", token)
        self.assertEqual(token.stat().st_mode & 0o777, 0o600)
        join = ("cluster", "join", "--token-file", token, "--addresses", "127.0.0.1", "--data-dir")
        s.custos(*join, self.folder / "n4", "--node-name", "n4")
        again = s.custos(*join, self.folder / "n5", "--node-name", "n5", check=False)
        self.assertEqual(again.returncode, 77, again.stderr)
        self.assertFalse((self.folder / "n5").exists())
        s.wait_agreed()
        members = {m["node"]: m["role"] for m in s.cluster_status("n2")["members"]}
        self.assertEqual(members["n4"], "standby", "it votes when it has caught up, not before")
        s.custos("cluster", "remove", "n4", "--node", self.urls[1])
        s.wait_agreed()
        self.assertNotIn("n4", {m["node"] for m in s.cluster_status("n2")["members"]})

    # ---- secrets ------------------------------------------------------------------------------

    def test_keys_are_nowhere_in_clear(self):
        """Every byte to and from nodes and key server is kept by relays; every file is searched."""
        out = self.folder / "secret.key"
        kek = self.folder / "secret.kek"
        self.get_key("host-a", "--ciphertext-out", kek, "--out", out)
        made = self.foreign.ask_key(f"https://127.0.0.1:{self.stack.nodes['n2']['seen']}", GENERATE,
                                    {"bytes": 64}, self.token).json()
        keys = [out.read_bytes(), self.foreign.open_jwe(made["jwe"])]
        forms = []
        for key in keys:
            for data in (key, key[:16]):
                forms += [data, data.hex().encode(), data.hex().upper().encode(),
                          base64.b64encode(data).rstrip(b"=")[:-1],
                          base64.urlsafe_b64encode(data).rstrip(b"=")[:-1]]
        recorded = 0
        for path in self.folder.rglob("*"):
            if not path.is_file() or path == out:
                continue
            content = path.read_bytes()
            recorded += len(content) if path.name.startswith("wire-") else 0
            for form in forms:
                self.assertNotIn(form, content, f"a key is in {path}")
        self.assertGreater(recorded, 10000, "the relays saw nothing")
        # The search finds what is there.
        self.assertIn(forms[0], out.read_bytes())

    def test_the_client_key_for_the_key_server_is_not_on_disk(self):
        for name in self.stack.nodes:
            for path in self.stack.nodes[name]["dir"].rglob("*"):
                if path.is_file():
                    self.assertNotIn(b"PRIVATE KEY", path.read_bytes(), str(path))


if __name__ == "__main__":
    BINARIES = test_arguments().binaries
    unittest.main()
