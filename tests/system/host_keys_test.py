#!/usr/bin/env python3
"""Keys on a host: the commands, the sockets and the background rewrap of custos-host, on real parts,
and the recipes of docs/host-keys.md. Run by ctest; --binaries says where the programs are."""

import hashlib
import json
import os
import pathlib
import pty
import re
import secrets
import shutil
import socket
import stat
import subprocess
import tempfile
import unittest

from stack import Stack, test_arguments, wait_for

BINARIES = None
PROVIDER = "disk"
HOST = "host-a"
MEMORY = pathlib.Path("/dev/shm")
GROUP = 54321
STRANGER = 54322


def primary_key_of(file):
    """The id of the primary key that a ciphertext is under (docs/ciphertext-format.md)."""
    data = file.read_bytes()
    if data[:4] != b"CKEK":
        raise AssertionError(f"{file} is no ciphertext")
    at = 7 + data[6]
    size = int.from_bytes(data[at:at + 2], "big")
    return data[at + 2:at + 2 + size].decode()


class HostKeys(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="custos-host-keys-"))
        # Other users go through it in one of the tests.
        cls.folder.chmod(0o755)
        cls.memory = pathlib.Path(tempfile.mkdtemp(prefix="custos-host-keys-", dir=MEMORY))
        cls.keys = cls.folder / "keys"
        cls.keys.mkdir()
        cls.units = cls.folder / "credentials"
        cls.stack = s = Stack(cls.folder / "stack", BINARIES)
        s.folder.mkdir()
        try:
            s.add_host(HOST, "6.1.0-1")
            cls.credential_socket = s.hosts[HOST]["dir"] / "credential.sock"
            s.hosts[HOST]["options"] = (
                "--allowed-gids", str(GROUP), "--rewrap", str(cls.keys),
                "--rewrap", f"{cls.units}/*/*.ckek", "--rewrap-check-seconds", "2",
                "--credential-socket", str(cls.credential_socket), "--credentials", str(cls.units))
            s.start_kmip()
            s.start_cluster(("n1",))
            s.trust_and_image(HOST)
            s.create_provider(PROVIDER)
            s.start_host(HOST)
            s.connect_hosts()
            s.wait_state(HOST, "attested")
        except BaseException:
            s.close()
            raise

    @classmethod
    def tearDownClass(cls):
        cls.stack.close()
        shutil.rmtree(cls.folder)
        shutil.rmtree(cls.memory)

    # ---- helpers ------------------------------------------------------------------------------

    def agent(self, *arguments, check=True):
        return self.stack.agent(HOST, *arguments, check=check)

    def command(self, *arguments):
        return self.stack.agent_command(HOST, *arguments)

    def new_key(self, name, *arguments):
        """A new key and its ciphertext file."""
        file = self.keys / name
        done = self.agent("get-key", "--provider", PROVIDER, "--ciphertext", file, "--create",
                          "--format", "hex", *arguments)
        return bytes.fromhex(done.stdout), file

    def key_of(self, file, *arguments):
        return bytes.fromhex(self.agent("get-key", "--ciphertext", file, "--format", "hex",
                                        *arguments).stdout)

    def refused(self, code, *arguments):
        done = self.agent(*arguments, check=False)
        self.assertEqual((done.returncode, done.stdout), (code, ""), done.stderr)
        self.assertTrue(done.stderr.startswith("custos-host: "), done.stderr)
        return done.stderr

    # ---- get-key ------------------------------------------------------------------------------

    def test_a_key_is_made_once_and_opened_after(self):
        file = self.keys / "once.ckek"
        self.refused(66, "get-key", "--ciphertext", file)
        self.assertFalse(file.exists())
        key, file = self.new_key("once.ckek")
        self.assertEqual(len(key), 32)
        kept = file.read_bytes()
        again, _ = self.new_key("once.ckek")
        self.assertEqual(again, key, "--create makes none where one is")
        self.assertEqual(self.key_of(file), key)
        self.assertEqual(file.read_bytes(), kept)
        longer, _ = self.new_key("longer.ckek", "--bytes", "64")
        self.assertEqual(len(longer), 64)

    def test_who_creates_at_once_gets_one_key(self):
        file = self.keys / "race.ckek"
        command = self.command("get-key", "--provider", PROVIDER, "--ciphertext", file, "--create",
                               "--format", "hex")
        running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                   for _ in range(6)]
        told = [p.communicate(timeout=60) for p in running]
        self.assertEqual([p.returncode for p in running], [0] * 6, told)
        self.assertEqual({out for out, _ in told}, {self.key_of(file).hex().encode()})

    def test_a_context_is_kept_and_needed(self):
        key, file = self.new_key("context.ckek", "--context", "volume 3")
        beside = pathlib.Path(f"{file}.context")
        self.assertEqual(beside.read_text(), "volume 3")
        self.assertEqual(self.key_of(file), key)
        self.assertEqual(self.key_of(file, "--context", "volume 3"), key)
        self.refused(1, "get-key", "--ciphertext", file, "--context", "volume 4")
        self.refused(1, "get-key", "--ciphertext", file, "--context", "")

    def test_what_is_no_ciphertext_is_said_before_anybody_is_asked(self):
        _, file = self.new_key("damaged.ckek")
        whole = file.read_bytes()
        try:
            file.write_bytes(whole[:-1])
            self.assertIn(str(file), self.refused(65, "get-key", "--ciphertext", file))
            # Right in form, and not what was made: the node says no.
            file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
            self.refused(1, "get-key", "--ciphertext", file)
        finally:
            file.write_bytes(whole)
        self.refused(65, "get-key", "--ciphertext", file, "--provider", "other")
        self.refused(65, "get-key", "--provider", PROVIDER)
        self.refused(65, "get-key", "--ciphertext", self.keys / "none.ckek", "--create")

    def test_the_forms_of_a_key(self):
        key, file = self.new_key("forms.ckek")
        raw = subprocess.run(self.command("get-key", "--ciphertext", file), capture_output=True,
                             check=True)
        self.assertEqual(raw.stdout, key)
        out = self.memory / "raw.key"
        for _ in range(2):  # it takes the place of what was there
            subprocess.run([c for c in self.command("get-key", "--ciphertext", file, "--out", out)
                            if c != "--force"], check=True)
        self.assertEqual(out.read_bytes(), key)
        self.assertEqual(stat.S_IMODE(out.stat().st_mode), 0o400)
        coded = self.agent("get-key", "--ciphertext", file, "--format", "base64").stdout
        self.assertEqual(coded.encode(), subprocess.run(["base64", "-w0"], input=key,
                                                        capture_output=True, check=True).stdout)
        credential = self.memory / "unit" / "volume-key"
        self.agent("get-key", "--ciphertext", file, "--format", "systemd-credential", "--out",
                   credential)
        self.assertEqual(credential.read_bytes(), key)
        self.assertEqual(stat.S_IMODE(credential.stat().st_mode), 0o400)
        self.assertEqual(stat.S_IMODE(credential.parent.stat().st_mode), 0o700)

    def test_a_key_goes_to_no_terminal_and_no_disk_unless_told_to(self):
        key, file = self.new_key("where.ckek")
        near, far = pty.openpty()
        try:
            command = self.command("get-key", "--ciphertext", file, "--format", "hex")
            done = subprocess.run(command, stdout=far, stderr=subprocess.PIPE, check=False)
            self.assertEqual(done.returncode, 65)
            self.assertIn(b"terminal", done.stderr)
            subprocess.run([*command, "--force"], stdout=far, check=True)
            self.assertEqual(os.read(near, 4096), key.hex().encode())
        finally:
            os.close(near)
            os.close(far)
        on_disk = self.folder / "disk.key"
        if subprocess.run(["stat", "-f", "-c", "%T", str(self.folder)], capture_output=True,
                          text=True, check=True).stdout.strip() not in ("tmpfs", "ramfs"):
            command = [c for c in self.command("get-key", "--ciphertext", file, "--out", on_disk)
                       if c != "--force"]
            done = subprocess.run(command, capture_output=True, check=False)
            self.assertEqual(done.returncode, 65)
            self.assertIn(b"tmpfs", done.stderr)
            self.assertFalse(on_disk.exists())
        self.agent("get-key", "--ciphertext", file, "--out", on_disk)  # --force
        self.assertEqual(on_disk.read_bytes(), key)
        fifo = self.memory / "pipe"
        os.mkfifo(fifo)
        self.refused(65, "get-key", "--ciphertext", file, "--out", fifo)

    # ---- exec ---------------------------------------------------------------------------------

    def test_a_program_gets_keys_in_memory_only(self):
        key, file = self.new_key("exec.ckek")
        other, second = self.new_key("exec2.ckek")
        script = ("od -An -v -tx1 {one} | tr -d ' \\n'; echo; od -An -v -tx1 $CUSTOS_KEY_two | "
                  "tr -d ' \\n'; echo; tr '\\0' '\\n' </proc/$$/environ; tr '\\0' '\\n' "
                  "</proc/$$/cmdline; readlink {one}; stat -Lc %a {one}; "
                  "(echo x >>{one}) 2>/dev/null || echo sealed; exit 7")
        done = self.agent("exec", "--key", f"one={file}", "--key", f"two={second}", "--", "/bin/sh",
                          "-c", script, check=False)
        self.assertEqual(done.returncode, 7, done.stderr)
        lines = done.stdout.split("\n")
        self.assertEqual(lines[:2], [key.hex(), other.hex()])
        rest = "\n".join(lines[2:])
        for form in (key.hex(), other.hex()):
            self.assertNotIn(form, rest, "neither environment nor arguments have it")
        self.assertRegex(rest, r"(?m)^CUSTOS_KEY_one=/proc/self/fd/\d+$")
        self.assertIn("/memfd:custos:one", rest)
        self.assertIn("\n400\n", rest)
        self.assertIn("\nsealed\n", rest)

    def test_the_program_takes_the_place_of_the_command(self):
        _, file = self.new_key("place.ckek")
        command = self.command("exec", "--key", f"k={file}", "--", "/bin/sh", "-c",
                               "echo $$ {brace} --socket; read line")
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              text=True) as p:
            self.assertEqual(p.stdout.readline(), f"{p.pid} {{brace}} --socket\n")
            p.terminate()
            self.assertEqual(p.wait(60), -15, "the signal reached the program itself")
        self.refused(127, "exec", "--key", f"k={file}", "--", "/none/such")
        self.refused(126, "exec", "--key", f"k={file}", "--", str(file))
        self.refused(66, "exec", "--key", f"k={self.keys}/none", "--", "/bin/true")
        self.refused(65, "exec", "--key", "no-name", "--", "/bin/true")
        self.refused(65, "exec", "--key", f"k={file}", "--key", f"k={file}", "--", "/bin/true")

    # ---- put-key ------------------------------------------------------------------------------

    def test_a_key_of_ones_own_becomes_a_ciphertext(self):
        for form, spell in (("raw", bytes), ("hex", lambda k: k.hex().encode() + b"\n")):
            own = secrets.token_bytes(48)
            file = self.keys / f"own-{form}.ckek"
            done = subprocess.run(self.command("put-key", "--provider", PROVIDER, "--ciphertext",
                                               file, "--format", form, "--context", "mine"),
                                  input=spell(own), capture_output=True, check=False)
            self.assertEqual((done.returncode, done.stdout), (0, b""), done.stderr)
            self.assertEqual(self.key_of(file), own)
            self.refused(1, "get-key", "--ciphertext", file, "--context", "other")
            kept = file.read_bytes()
            source = self.memory / "own.key"
            source.write_bytes(own)
            self.refused(73, "put-key", "--provider", PROVIDER, "--ciphertext", file, "--in",
                         source)
            self.assertEqual(file.read_bytes(), kept)

    def test_what_is_no_key_is_not_put(self):
        source = self.memory / "not.key"
        for content, form in ((b"x" * 15, "raw"), (b"x" * 65, "raw"), (b"x" * 1000, "raw"),
                              (b"0g" * 16, "hex"), (b"", "raw")):
            source.write_bytes(content)
            self.refused(65, "put-key", "--provider", PROVIDER, "--ciphertext",
                         self.keys / "not.ckek", "--in", source, "--format", form)
        self.assertFalse((self.keys / "not.ckek").exists())

    # ---- who may ask --------------------------------------------------------------------------

    @unittest.skipIf(os.geteuid() != 0, "only root can be somebody else")
    def test_other_users_get_keys_by_group_only(self):
        key, file = self.new_key("group.ckek")
        file.chmod(0o644)
        program = self.folder / "custos-host"
        shutil.copy(BINARIES / "custos-host", program)
        for path in (self.stack.folder, self.stack.hosts[HOST]["dir"], self.keys):
            path.chmod(0o755)
        command = [str(program), *self.command("get-key", "--ciphertext", file, "--format",
                                               "hex")[1:]]

        def as_user(group, *more):
            return subprocess.run(["setpriv", f"--reuid={STRANGER}", f"--regid={group}",
                                   *(more or ("--clear-groups",)), *command], capture_output=True,
                                  text=True, check=False)
        self.assertEqual(as_user(GROUP).stdout, key.hex())
        self.assertEqual(as_user(STRANGER, f"--groups={GROUP}").stdout, key.hex())
        stranger = as_user(STRANGER)
        self.assertEqual((stranger.returncode, stranger.stdout), (77, ""), stranger.stderr)
        self.assertIn("not allowed", stranger.stderr)
        # Root of the socket for units is root alone.
        self.assertEqual(stat.S_IMODE(self.credential_socket.stat().st_mode), 0o600)

    def test_the_socket_speaks_json_lines(self):
        def ask(line):
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(60)
                s.connect(str(self.stack.hosts[HOST]["socket"]))
                s.sendall(line)
                told = b""
                try:
                    while part := s.recv(65536):
                        told += part
                except ConnectionResetError:
                    pass  # it did not read all that was sent
                return json.loads(told)
        made = ask(json.dumps({"op": "generate", "provider": PROVIDER, "bytes": 16}).encode() +
                   b"\n")
        self.assertEqual(set(made), {"key", "ciphertext"})
        opened = ask(json.dumps({"op": "decrypt", "provider": PROVIDER,
                                 "ciphertext": made["ciphertext"]}).encode() + b"\n")
        self.assertEqual(opened, {"key": made["key"]})
        self.assertEqual(ask(b'{"op":"status"}\n')["state"], "attested")
        for line, code, field in ((b"hello\n", "malformed", None),
                                  (b'{"op":"open"}\n', "invalid-argument", "/op"),
                                  (b'{"op":"status","x":1}\n', "invalid-argument", "/x"),
                                  (b'{"op":"generate"}\n', "invalid-argument", "/provider"),
                                  (b'{"op":"encrypt","provider":"disk","key":"A"}\n',
                                   "invalid-argument", "/key"),
                                  (b"x" * 70000, "too-large", None)):
            told = ask(line)
            self.assertEqual((told["error"], told.get("field")), (code, field), told)
            self.assertTrue(told["message"])

    # ---- units --------------------------------------------------------------------------------

    def credential(self, unit, name):
        """As the service manager asks for LoadCredential=NAME:SOCKET (systemd.exec(5))."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(60)
            s.bind(f"\0{secrets.token_hex(8)}/unit/{unit}/{name}")
            s.connect(str(self.credential_socket))
            s.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: s.recv(65536), b""))

    def test_a_unit_gets_its_key_as_a_credential(self):
        folder = self.units / "db.service"
        folder.mkdir(parents=True)
        key = bytes.fromhex(self.agent(
            "get-key", "--provider", PROVIDER, "--ciphertext", folder / "key.ckek", "--create",
            "--context", "db", "--format", "hex").stdout)
        self.assertEqual(self.credential("db.service", "key"), key)
        self.assertEqual(self.credential("db.service", "other"), b"")
        self.assertEqual(self.credential("web.service", "key"), b"")
        log = self.stack.log_of(HOST)
        self.assertIn("local.credential_refused", log)
        self.assertNotIn(key.hex(), log)

    # ---- rewrap -------------------------------------------------------------------------------

    def test_files_come_under_a_new_primary_key(self):
        made = {}
        for i in range(5):
            key, file = self.new_key(f"rewrap-{i}.ckek", "--context", f"volume {i}")
            made[file] = key
        file.chmod(0o640)
        damaged = self.keys / "rewrap-damaged.ckek"
        content = file.read_bytes()[:-1]
        damaged.write_bytes(content)
        old = {primary_key_of(f) for f in made}
        self.assertEqual(len(old), 1)
        new = self.stack.custos("provider", "primary-key", PROVIDER, "--create").strip()
        self.assertNotIn(new, old)
        try:
            wait_for("all are under the new primary key",
                     lambda: all(primary_key_of(f) == new for f in made))
            for f, key in made.items():
                self.assertEqual(self.key_of(f), key)
            self.assertEqual(stat.S_IMODE(file.stat().st_mode), 0o640)
            self.assertEqual(damaged.read_bytes(), content)
            done = self.agent("rewrap", check=False)
            self.assertEqual(done.returncode, 1, done.stdout)
            told = json.loads(done.stdout)
            self.assertEqual((told["pending"], told["failed"], told["error"]), (0, 1, ""), told)
            self.assertEqual([p["file"] for p in told["problems"]], [str(damaged)])
            status = self.stack.status_of(HOST)["rewrap"]
            self.assertGreaterEqual(status["rewrapped"], 5)
            self.assertGreater(status["last_rewrap"], 0)
        finally:
            damaged.unlink()
        self.assertEqual(self.agent("rewrap").returncode, 0)
        self.assertEqual([p for p in self.keys.iterdir() if p.name.endswith(".new")], [])

    # ---- disks (docs/host-keys.md) ------------------------------------------------------------

    def cryptsetup(self, source, *arguments, check=True):
        """`custos-host get-key ... | cryptsetup ... --key-file -`"""
        get = subprocess.Popen(self.command("get-key", "--ciphertext", source),
                               stdout=subprocess.PIPE)
        done = subprocess.run(["cryptsetup", *(str(a) for a in arguments), "--key-file", "-"],
                              stdin=get.stdout, capture_output=True, text=True, check=False,
                              env={**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"})
        get.stdout.close()
        self.assertEqual(get.wait(), 0)
        if check:
            self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def test_a_disk_opens_with_its_key(self):
        _, file = self.new_key("volume.ckek", "--bytes", "64", "--context", "volume")
        _, wrong = self.new_key("another.ckek", "--bytes", "64")
        disk = self.folder / "disk.img"
        with disk.open("wb") as image:
            image.truncate(32 << 20)
        # The key is random already: a slow derivation adds nothing but time.
        self.cryptsetup(file, "luksFormat", "--batch-mode", "--type", "luks2", "--pbkdf", "pbkdf2",
                        "--pbkdf-force-iterations", "1000", disk)
        self.cryptsetup(file, "open", "--test-passphrase", disk)
        self.assertNotEqual(self.cryptsetup(wrong, "open", "--test-passphrase", disk,
                                            check=False).returncode, 0)
        # A second key: the first one opens, the second comes from memory.
        fresh = self.memory / "second.key"
        self.agent("get-key", "--ciphertext", wrong, "--out", fresh)
        self.cryptsetup(file, "luksAddKey", "--batch-mode", "--pbkdf", "pbkdf2",
                        "--pbkdf-force-iterations", "1000", disk, fresh)
        self.cryptsetup(wrong, "open", "--test-passphrase", disk)
        self.open_and_mount(file, disk)

    def open_and_mount(self, file, disk):
        """What needs the kernel's device mapper."""
        known = pathlib.Path("/proc/devices").read_text()
        if os.geteuid() != 0 or "device-mapper" not in known:
            print("the kernel has no device mapper: the header only")
            return
        name = f"custos-test-{os.getpid()}"
        self.cryptsetup(file, "open", disk, name)
        try:
            self.assertTrue(pathlib.Path(f"/dev/mapper/{name}").exists())
        finally:
            subprocess.run(["cryptsetup", "close", name], check=True)

    def test_the_recipes_of_the_manual_are_what_is_tested(self):
        page = (pathlib.Path(__file__).resolve().parents[2] / "docs" / "host-keys.md").read_text()
        for command in ("cryptsetup luksFormat", "cryptsetup open", "cryptsetup luksAddKey",
                        "custos-host exec", "custos-host put-key", "LoadCredential="):
            self.assertIn(command, page)
        known = subprocess.run([str(BINARIES / "custos-host"), "--help"], capture_output=True,
                               text=True, check=True).stdout
        commands = {m for m in re.findall(r"custos-host ([a-z]+(?:-[a-z]+)?)\b", page)}
        for name in commands:
            self.assertIn(f"  {name} ", known, f"docs/host-keys.md names a command {name}")

    # ---- status -------------------------------------------------------------------------------

    def test_metrics_count_ciphertexts(self):
        self.new_key("counted.ckek")
        self.agent("rewrap", check=False)
        port = self.stack.hosts[HOST]["ops"]
        text = subprocess.run(["curl", "-sf", f"http://127.0.0.1:{port}/metrics"],
                              capture_output=True, text=True, check=True).stdout
        self.assertRegex(text, r"(?m)^custos_host_ciphertexts_pending 0$")
        self.assertRegex(text, r"(?m)^custos_host_ciphertexts_failed \d+$")
        self.assertRegex(text, r"(?m)^custos_host_ciphertexts_rewrapped_total \d+$")

    def test_the_short_name_of_a_primary_key_is_the_nodes(self):
        _, file = self.new_key("short.ckek")
        short = hashlib.sha256(primary_key_of(file).encode()).hexdigest()[:32]
        done = json.loads(self.agent("rewrap", check=False).stdout)
        self.assertEqual(done["pending"], 0, f"the node names its primary key other than {short}")


if __name__ == "__main__":
    BINARIES = test_arguments().binaries
    unittest.main()
