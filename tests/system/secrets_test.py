#!/usr/bin/env python3
"""Dumps the running node and the running host agent after keys went through them, and searches the
dumps for what they must not hold: keys of hosts anywhere, primary keys outside the locked memory that
no dump has. Run by ctest; --binaries says where the programs are."""

import base64
import os
import pathlib
import re
import resource
import secrets
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import unittest

from stack import Stack, alive, test_arguments, wait_for

BINARIES = None
PROVIDER = "disk"
HOST = "host-a"
KEYS = 20
PART_BYTES = 1 << 16


def forms_of(key):
    """What a key could be found as: a half is enough, for it may be what a later use left."""
    forms = set()
    for part in (key[:16], key[-16:]):
        forms.update((part, part.hex().encode(), part.hex().upper().encode()))
    for coded in (base64.b64encode(key[:15]), base64.urlsafe_b64encode(key[:15])):
        forms.add(coded)
    return forms


def without_empty_parts(parts):
    """What is not zero: most of what a process has mapped was never used."""
    return b"".join(part for part in parts if part.strip(b"\0"))


class Mapping:
    def __init__(self, line):
        where, self.rights, _, _, _, *name = line.split(maxsplit=5)
        self.first, self.last = (int(part, 16) for part in where.split("-"))
        self.name = name[0].strip() if name else ""
        self.flags = ()
        self.used = True

    @property
    def in_dumps(self):
        return "dd" not in self.flags  # madvise(2), MADV_DONTDUMP


def mappings_of(pid):
    out = []
    for line in pathlib.Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            out.append(Mapping(line))
        elif line.startswith("VmFlags:"):
            out[-1].flags = line.split()[1:]
        elif line.startswith("Rss:"):
            out[-1].used = int(line.split()[1]) != 0
        elif line.startswith("Swap:"):
            out[-1].used = out[-1].used or int(line.split()[1]) != 0
    return out


def parts_of(memory, m):
    at = m.first
    memory.seek(at)
    while at < m.last and m.used:
        try:
            part = memory.read(min(PART_BYTES, m.last - at))
        except OSError:
            return  # a guard page
        if not part:
            return
        at += len(part)
        yield part


def memory_of(pid):
    """Every readable byte of a stopped process, as (mapping, content)."""
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for m in mappings_of(pid):
            if "r" not in m.rights or m.name in ("[vvar]", "[vsyscall]"):
                continue
            yield m, without_empty_parts(parts_of(memory, m))


@unittest.skipIf(os.geteuid() != 0, "only root may look into a process that is not dumpable")
class Secrets(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="custos-secrets-"))
        cls.stack = s = Stack(cls.folder, BINARIES)
        # Where the kernel lets it, the programs would dump core: it is they that do not.
        _, hard = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
        try:
            s.add_host(HOST, "6.1.0-1")
            s.start_kmip()
            s.start_cluster(("n1",))
            s.trust_and_image(HOST)
            # With a primary key that comes to the node, and not only what it opens.
            cls.primary_key_id = s.create_provider(PROVIDER, "--mode", "local")
            s.start_host(HOST)
            s.connect_hosts()
            s.wait_state(HOST, "attested")
            cls.keys = cls.make_keys()
            cls.primary_key = cls.primary_key_in_database()
        except BaseException:
            s.close()
            raise

    @classmethod
    def tearDownClass(cls):
        cls.stack.close()
        shutil.rmtree(cls.folder)

    @classmethod
    def agent(cls, *arguments, **more):
        return subprocess.run(cls.stack.agent_command(HOST, *arguments), check=True,
                              capture_output=True, **more)

    @classmethod
    def make_keys(cls):
        """Keys that hosts know: generated, opened again, and one that was brought."""
        keys = []
        for i in range(KEYS):
            file = cls.folder / f"{i}.ckek"
            key = cls.agent("get-key", "--provider", PROVIDER, "--ciphertext", file, "--create",
                            "--bytes", "32" if i % 2 else "64").stdout
            if cls.agent("get-key", "--ciphertext", file).stdout != key:
                raise AssertionError("another key came back")
            keys.append(key)
        own = secrets.token_bytes(32)
        cls.agent("put-key", "--provider", PROVIDER, "--ciphertext", cls.folder / "own.ckek",
                  input=own)
        if cls.agent("get-key", "--ciphertext", cls.folder / "own.ckek").stdout != own:
            raise AssertionError("another key came back than was brought")
        return [*keys, own]

    @classmethod
    def primary_key_in_database(cls):
        with sqlite3.connect(f"file:{cls.stack.kmip / 'keys.db'}?mode=ro", uri=True) as database:
            (value,), = database.execute("select value from managed_objects where uid = ?",
                                         (int(cls.primary_key_id),)).fetchall()
        if len(value) != 32:
            raise AssertionError("the key server's database has no AES-256 key there")
        return value

    def pid_of(self, name):
        return self.stack.children[name].pid

    def places_of(self, name, keys):
        """For each key, the mappings of a process that hold it in any form. It stands still
        meanwhile."""
        pid = self.pid_of(name)
        os.kill(pid, signal.SIGSTOP)
        try:
            wait_for(f"{name} stands still", lambda: pathlib.Path(f"/proc/{pid}/stat").read_text()
                     .rsplit(")", 1)[1].split()[0] == "T")
            found = [[] for _ in keys]
            for m, content in memory_of(pid):
                for i, key in enumerate(keys):
                    if any(form in content for form in forms_of(key)):
                        found[i].append(m)
            return found
        finally:
            os.kill(pid, signal.SIGCONT)

    def described(self, places):
        return [(hex(m.first), m.rights, m.name, m.flags) for m in places]

    # ---- memory -------------------------------------------------------------------------------

    def test_keys_of_hosts_are_gone_when_they_were_given(self):
        for name in ("n1", HOST):
            for i, places in enumerate(self.places_of(name, self.keys)):
                self.assertEqual(self.described(places), [], f"{name}, key {i}")

    def test_a_primary_key_is_in_locked_memory_only(self):
        (places,) = self.places_of("n1", [self.primary_key])
        self.assertTrue(places, "the node keeps it for a while, and the search finds it")
        for m in places:
            self.assertFalse(m.in_dumps, self.described(places))
            self.assertIn("lo", m.flags, "locked: it is not swapped out")
        self.assertEqual(self.places_of(HOST, [self.primary_key]), [[]])

    # ---- dumps --------------------------------------------------------------------------------

    def test_a_debuggers_dump_has_no_key(self):
        for name in ("n1", HOST):
            dump = self.folder / f"{name}.core"
            subprocess.run(["gdb", "--batch", "-nx", "-p", str(self.pid_of(name)), "-ex",
                            f"generate-core-file {dump}"], capture_output=True, check=True,
                           timeout=120)
            try:
                with dump.open("rb") as file:
                    content = without_empty_parts(iter(lambda f=file: f.read(PART_BYTES), b""))
            finally:
                dump.unlink()
            # The dump is one of that process: what everybody may know of it is there.
            self.assertIn(PROVIDER.encode(), content)
            self.assertGreater(len(content), 1 << 20)
            for key in (*self.keys, self.primary_key):
                for form in forms_of(key):
                    self.assertNotIn(form, content, name)

    def test_processes_are_not_dumpable(self):
        for name in ("n1", HOST):
            limits = pathlib.Path(f"/proc/{self.pid_of(name)}/limits").read_text()
            self.assertRegex(limits, r"Max core file size +0 +0 ")
            # Files of a process that is not dumpable belong to root, whoever runs it (proc(5)).
            self.assertEqual(pathlib.Path(f"/proc/{self.pid_of(name)}/mem").stat().st_uid, 0)
        nobody = subprocess.run(["setpriv", "--reuid=54322", "--regid=54322", "--clear-groups",
                                 "cat", f"/proc/{self.pid_of('n1')}/environ"],
                                capture_output=True, check=False)
        self.assertNotEqual(nobody.returncode, 0)

    def test_who_aborts_leaves_no_core(self):
        """The last one: it ends the agent, and starts it again."""
        pid = self.pid_of(HOST)
        pattern = pathlib.Path("/proc/sys/kernel/core_pattern").read_text().strip()
        name = os.path.basename(pattern).split("%")[0] or "core"
        folder = pathlib.Path(pattern).parent if pattern.startswith("/") else pathlib.Path.cwd()
        before = set(folder.glob(f"{name}*"))
        child = self.stack.children.pop(HOST)
        os.kill(pid, signal.SIGABRT)
        self.assertEqual(child.wait(60), -signal.SIGABRT)
        self.assertFalse(alive(pid))
        if not pattern.startswith("|"):
            self.assertEqual({p for p in set(folder.glob(f"{name}*")) - before
                              if str(pid) in p.name}, set())
        self.stack.start_host(HOST)
        self.stack.wait_state(HOST, "attested")


if __name__ == "__main__":
    BINARIES = test_arguments().binaries
    unittest.main()
