"""A trusted host that shares no line of code with ours: tpm2-tools speak to the TPM, curl to the
nodes, python3-cryptography and authlib do the rest. What it can do, any implementation can."""

import base64
import hashlib
import json
import os
import struct
import subprocess

from authlib.jose import JsonWebEncryption
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.x509.oid import NameOID

import datetime

BINDING_LABEL = b"custos-attest-v1"
PCRS = list(range(15))
BANKS = {"sha256": 32, "sha384": 48}  # octets of a digest
EK_CERTIFICATE_NV = "0x01c00002"  # RSA-2048 (TCG EK Credential Profile 2.5, 2.2.1.4)


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Answer:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    def json(self):
        return json.loads(self.body)


def curl(url, *options, method="GET", body=None, timeout=30):
    """One exchange through curl; status 0 with curl's complaint as the body if there was none."""
    command = ["curl", "--silent", "--show-error", "--tlsv1.3", "--max-time", str(timeout),
               "--request", method, "--dump-header", "-", *map(str, options), url]
    if body is not None:
        command += ["--header", "Content-Type: application/json", "--data-binary", "@-"]
    data = body.encode() if isinstance(body, str) else body
    done = subprocess.run(command, input=data, capture_output=True, check=False)
    if done.returncode != 0:
        return Answer(0, {}, done.stderr.decode(errors="replace"))
    head, _, rest = done.stdout.partition(b"\r\n\r\n")
    while head.startswith(b"HTTP/1.1 100"):
        head, _, rest = rest.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
    return Answer(int(lines[0].split()[1]), {k.lower(): v for k, v in headers.items()},
                  rest.decode(errors="replace"))


class ForeignHost:
    def __init__(self, folder, tcti, name, log, ca):
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.env = {**os.environ, "TPM2TOOLS_TCTI": tcti}
        self.name = name
        self.log = log
        self.ca = ca
        self.transport = ec.generate_private_key(ec.SECP256R1())
        point = self.transport.public_key().public_numbers()
        # RFC 7518, 6.2.1.2: as long as the curve's field, where the library drops leading zeros.
        self.jwk = {"crv": "P-256", "kty": "EC", "x": b64(point.x.to_bytes(32, "big")),
                    "y": b64(point.y.to_bytes(32, "big"))}
        self._write_client_certificate()

    def _write_client_certificate(self):
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.name)])
        now = datetime.datetime.utcnow()
        certificate = (x509.CertificateBuilder().subject_name(subject).issuer_name(subject)
                       .public_key(self.transport.public_key()).serial_number(1)
                       .not_valid_before(now - datetime.timedelta(minutes=5))
                       .not_valid_after(now + datetime.timedelta(days=1))
                       .sign(self.transport, hashes.SHA256()))
        (self.folder / "tls.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        (self.folder / "tls.key").write_bytes(self.transport.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption()))

    def tpm(self, tool, *arguments):
        done = subprocess.run([f"tpm2_{tool}", *map(str, arguments)], cwd=self.folder, env=self.env,
                              capture_output=True, check=False)
        # Nobody keeps a resource manager here: what a tool left in the TPM is flushed.
        subprocess.run(["tpm2_flushcontext", "-t"], env=self.env, capture_output=True, check=False)
        if done.returncode != 0:
            raise AssertionError(f"tpm2_{tool}: {done.stderr.decode()}")
        return done.stdout

    def read(self, name):
        return (self.folder / name).read_bytes()

    def public_of(self, name):
        """TPMT_PUBLIC out of a TPM2B_PUBLIC."""
        octets = self.read(name)
        assert struct.unpack(">H", octets[:2])[0] == len(octets) - 2
        return octets[2:]

    def post(self, node, path, body, *options):
        return curl(node + path, "--cacert", self.ca, *options, method="POST",
                    body=body if isinstance(body, str) else json.dumps(body))

    def make_keys(self):
        self.tpm("createek", "-c", "ek.ctx", "-G", "rsa", "-u", "ek.pub")
        self.tpm("createak", "-C", "ek.ctx", "-c", "ak.ctx", "-G", "ecc", "-g", "sha256", "-s",
                 "ecdsa", "-u", "ak.pub", "-n", "ak.name")
        self.tpm("nvread", "-C", "o", EK_CERTIFICATE_NV, "-o", "ek.der")

    def key_request(self):
        return {"host": self.name, "ek_certificate": b64(self.read("ek.der")),
                "ek_public": b64(self.public_of("ek.pub")),
                "ak_public": b64(self.public_of("ak.pub"))}

    def enrol(self, node):
        """The AK certificate, by credential activation in one round trip."""
        answer = self.post(node, "/attestation/v1/attestation-keys", self.key_request())
        assert answer.status == 200, answer.body
        issued = answer.json()
        (self.folder / "credential").write_bytes(
            struct.pack(">II", 0xBADCC0DE, 1) + unb64(issued["credential_blob"]) +
            unb64(issued["encrypted_secret"]))
        self.tpm("startauthsession", "--policy-session", "-S", "session.ctx")
        self.tpm("policysecret", "-S", "session.ctx", "-c", "e")
        self.tpm("activatecredential", "-c", "ak.ctx", "-C", "ek.ctx", "-i", "credential", "-o",
                 "secret", "-P", "session:session.ctx")
        subprocess.run(["tpm2_flushcontext", "session.ctx"], cwd=self.folder, env=self.env,
                       capture_output=True, check=False)
        key = hashlib.sha256(b"custos-ak-certificate-v1" + self.read("secret")).digest()
        sealed = unb64(issued["encrypted_certificate"])
        self.ak_certificate = AESGCM(key).decrypt(sealed[:12], sealed[12:], None)

    def thumbprint(self):
        """RFC 7638, 3: the required members by name, without spaces."""
        return hashlib.sha256(json.dumps(self.jwk, separators=(",", ":")).encode()).digest()

    def evidence(self, challenge):
        """A fresh quote bound to the challenge and to our TLS key, and all it is judged with."""
        binding = hashlib.sha256(BINDING_LABEL + unb64(challenge["nonce"]) +
                                 self.thumbprint()).digest()
        # Every active bank is quoted: one left out could tell another story.
        selection = "+".join(f"{bank}:" + ",".join(map(str, PCRS)) for bank in BANKS)
        self.tpm("quote", "-c", "ak.ctx", "-l", selection, "-q", binding.hex(), "-m", "quote", "-s",
                 "signature", "-g", "sha256")
        self.tpm("pcrread", selection, "-o", "pcrs")
        values = self.read("pcrs")
        pcrs = []
        for bank, size in BANKS.items():
            for pcr in PCRS:
                pcrs.append({"bank": bank, "pcr": pcr, "value": values[:size].hex()})
                values = values[size:]
        return {"host": self.name, "ticket": challenge["ticket"],
                "ak_certificate": b64(self.ak_certificate), "quote": b64(self.read("quote")),
                "signature": b64(self.read("signature")),
                "pcrs": pcrs,
                "event_log": b64(self.log.read_bytes()),
                "transport_key": self.jwk}

    def challenge(self, node):
        answer = self.post(node, "/attestation/v1/challenges", {})
        assert answer.status == 200, answer.body
        return answer.json()

    def granted(self, challenge_from, token_from, **more):
        """The answer to fresh evidence with these members beside it."""
        answer = self.post(token_from, "/attestation/v1/tokens",
                           {**self.evidence(self.challenge(challenge_from)), **more})
        assert answer.status == 200, answer.body
        return answer.json()

    def attest(self, challenge_from, token_from):
        return self.granted(challenge_from, token_from)["token"]

    def ask_key(self, node, path, body, token, certificate=None):
        """A call to the Key Provider Service, over TLS with the transport key."""
        pair = certificate or (self.folder / "tls.crt", self.folder / "tls.key")
        return self.post(node, path, body, "--cert", pair[0], "--key", pair[1],
                         "--header", f"Authorization: Bearer {token}")

    def open_jwe(self, compact):
        return JsonWebEncryption().deserialize_compact(compact, self.transport)["payload"]
