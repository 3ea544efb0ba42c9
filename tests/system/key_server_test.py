"""Our KMIP test server is judged by a foreign client before anything is tested against it: PyKMIP's
own client goes through the life of a key with it in every version it has, and it is as fast as a
counterpart for measurements has to be."""

import logging
import pathlib
import socket
import ssl
import subprocess
import tempfile
import time
import unittest
import warnings

import key_servers
from stack import test_arguments

warnings.simplefilter("ignore")  # PyKMIP: old ciphers in its imports
logging.disable(logging.CRITICAL)

from kmip import enums  # noqa: E402
from kmip.pie import exceptions, objects  # noqa: E402
from kmip.pie.client import ProxyKmipClient  # noqa: E402

AES = enums.CryptographicAlgorithm.AES
CRYPT = [enums.CryptographicUsageMask.ENCRYPT, enums.CryptographicUsageMask.DECRYPT]
CBC = {"cryptographic_algorithm": AES, "block_cipher_mode": enums.BlockCipherMode.CBC,
       "padding_method": enums.PaddingMethod.PKCS5}
GETS_PER_SECOND_MIN = 20_000
IN_FLIGHT = 64


def item(tag, kind, value):
    """One TTLV item with its padding (KMIP 1.4, 9.1)."""
    return (bytes.fromhex(f"42{tag:04x}") + bytes([kind]) + len(value).to_bytes(4, "big") + value +
            b"\0" * (-len(value) % 8))


def get_request(identifier):
    """Get of KMIP 1.4, as octets: not made by what is tested here."""
    def number(n):
        return n.to_bytes(4, "big")
    version = item(0x69, 1, item(0x6A, 2, number(1)) + item(0x6B, 2, number(4)))
    header = item(0x77, 1, version + item(0x0D, 2, number(1)))
    payload = item(0x79, 1, item(0x94, 7, identifier.encode()))
    batch = item(0x0F, 1, item(0x5C, 5, number(0x0A)) + item(0x93, 8, b"12345678") + payload)
    return item(0x78, 1, header + batch)


class TheTestServer(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="custos-key-server-")
        cls.dir = cls.folder.name
        key_servers.make_certificates(cls.dir)
        subprocess.run([key_servers.HERE / "make_client_cert.sh", cls.dir, "kps"], check=True)
        pathlib.Path(cls.dir, "client.conf").write_text("[client]\n")  # no other one is looked for
        cls.server = key_servers.KeyServer(ARGUMENTS.binaries, cls.dir, "--tls12")

    @classmethod
    def tearDownClass(cls):
        cls.server.close()
        cls.folder.cleanup()

    def client(self, version=enums.KMIPVersion.KMIP_1_4, port=None):
        return ProxyKmipClient(
            hostname="127.0.0.1", port=port or self.server.port, cert=f"{self.dir}/kps.crt",
            key=f"{self.dir}/kps.key", ca=f"{self.dir}/ca.crt", ssl_version="PROTOCOL_TLSv1_2",
            config_file=f"{self.dir}/client.conf", kmip_version=version)

    def test_a_foreign_client_takes_a_key_through_its_life(self):
        for version in enums.KMIPVersion:
            with self.subTest(version=version.name), self.client(version) as client:
                key = client.create(AES, 256, name=f"key-{version.name}",
                                    cryptographic_usage_mask=CRYPT)
                client.activate(key)
                self.assertEqual(len(client.get(key).value), 32)
                _, attributes = client.get_attributes(key, ["State"])
                self.assertEqual(attributes[0].attribute_value.value, enums.State.ACTIVE)
                self.assertIn(key, client.locate())
                registered = client.register(
                    objects.SymmetricKey(AES, 256, b"\x22" * 32, masks=CRYPT, name="given"))
                self.assertEqual(client.get(registered).value, b"\x22" * 32)
                if version.value >= enums.KMIPVersion.KMIP_1_2.value:
                    sealed, iv = client.encrypt(b"x" * 32, key, cryptographic_parameters=CBC)
                    self.assertEqual(client.decrypt(sealed, key, cryptographic_parameters=CBC,
                                                    iv_counter_nonce=iv), b"x" * 32)
                with self.assertRaisesRegex(exceptions.KmipOperationFailure, "PERMISSION_DENIED"):
                    client.destroy(key)
                client.revoke(enums.RevocationReasonCode.CESSATION_OF_OPERATION, key)
                client.destroy(key)
                with self.assertRaisesRegex(exceptions.KmipOperationFailure, "ITEM_NOT_FOUND"):
                    client.get(key)

    def test_two_servers_with_one_store_have_the_same_keys(self):
        store = f"{self.dir}/store"
        one, two = (key_servers.KeyServer(ARGUMENTS.binaries, self.dir, "--tls12", store=store)
                    for _ in range(2))
        try:
            with self.client(port=one.port) as first, self.client(port=two.port) as second:
                key = first.create(AES, 256, cryptographic_usage_mask=CRYPT)
                second.activate(key)
                self.assertEqual(first.get(key).value, second.get(key).value)
                one.tell("hide", key)
                with self.assertRaisesRegex(exceptions.KmipOperationFailure, "ITEM_NOT_FOUND"):
                    first.get(key)
                self.assertEqual(len(second.get(key).value), 32)
        finally:
            one.close()
            two.close()

    def test_it_is_fast_enough_to_measure_others_by(self):
        self.server.tell("key", "fast", 2, "11" * 32)
        context = ssl.create_default_context(cafile=f"{self.dir}/ca.crt")
        context.load_cert_chain(f"{self.dir}/kps.crt", f"{self.dir}/kps.key")
        request = get_request("fast")
        with socket.create_connection(("127.0.0.1", self.server.port)) as plain, \
                context.wrap_socket(plain, server_hostname="localhost") as stream:
            stream.sendall(request)
            answer = stream.recv(65536)
            self.assertEqual(answer.count(b"\x11" * 32), 1)
            wanted, asked, got, begun = 40_000, IN_FLIGHT, 0, time.monotonic()
            stream.sendall(request * IN_FLIGHT)
            while got < wanted * len(answer):
                more = len(stream.recv(65536))
                self.assertGreater(more, 0)
                free = min((got % len(answer) + more) // len(answer), wanted - asked)
                got += more
                stream.sendall(request * free)
                asked += free
            per_second = wanted / (time.monotonic() - begun)
        print(f"{per_second:.0f} Get/s on one connection, {IN_FLIGHT} in flight")
        self.assertGreater(per_second, GETS_PER_SECOND_MIN)


if __name__ == "__main__":
    ARGUMENTS = test_arguments()
    unittest.main()
