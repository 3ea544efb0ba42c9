#!/usr/bin/env python3
"""The service units and sample configurations, against the programs they are for. Run by ctest;
--binaries says where the programs are."""

import pathlib
import re
import shutil
import subprocess
import tempfile
import tomllib
import unittest

from stack import test_arguments

BINARIES = None
PACKAGING = pathlib.Path(__file__).resolve().parents[2] / "packaging"
PROGRAMS = ("custos-node", "custos-coordinator", "custos-host")
# systemd-analyze security, in tenths: what is not needed is taken away.
EXPOSURE_MAX = 30


def sections(path):
    """A unit file (systemd.syntax(7)): section -> list of (name, value), in order."""
    found, name = {}, None
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.startswith(("#", ";")):
            continue
        if line.startswith("["):
            name = line[1:line.index("]")]
            found.setdefault(name, [])
            continue
        key, sign, value = line.partition("=")
        if not sign or name is None or key != key.strip():
            raise AssertionError(f"{path.name}:{number}: expected Name=value")
        found[name].append((key, value))
    return found


class Units(unittest.TestCase):
    def unit(self, program):
        return PACKAGING / "systemd" / f"{program}.service"

    def test_every_program_has_a_unit_that_starts_it(self):
        for program in PROGRAMS:
            with self.subTest(program):
                parsed = sections(self.unit(program))
                self.assertEqual(set(parsed), {"Unit", "Service", "Install"})
                service = dict(parsed["Service"])
                name = program.removeprefix("custos-")
                self.assertEqual(service["ExecStart"],
                                 f"/usr/bin/{program} --config /etc/custos/{name}.toml")
                self.assertTrue((BINARIES / program).exists())
                self.assertEqual(service["User"], program)
                self.assertEqual(service["StateDirectory"], program)
                self.assertEqual(service["StateDirectoryMode"], "0700")
                self.assertEqual(service["NoNewPrivileges"], "yes")
                self.assertEqual(service["ProtectSystem"], "strict")
                self.assertIn("CAP_NET_BIND_SERVICE", service["CapabilityBoundingSet"])
                self.assertIn("78", service["RestartPreventExitStatus"].split())

    def test_only_the_host_agent_reaches_the_tpm_and_the_kernels_logs(self):
        for program in PROGRAMS:
            service = dict(sections(self.unit(program))["Service"])
            is_host = program == "custos-host"
            self.assertEqual("DeviceAllow" in service, is_host, program)
            self.assertEqual("CAP_DAC_READ_SEARCH" in service["CapabilityBoundingSet"], is_host)
            self.assertEqual(service.get("PrivateDevices") == "yes", not is_host)

    def test_folders_are_those_the_programs_use(self):
        for program in PROGRAMS:
            defaults = self.defaults(program)
            self.assertEqual(defaults["data-dir"], f"/var/lib/{program}")
        socket = pathlib.Path(self.defaults("custos-host")["socket"])
        service = dict(sections(self.unit("custos-host"))["Service"])
        self.assertEqual(str(socket.parent), f"/run/{service['RuntimeDirectory']}")

    def test_users_are_made_by_sysusers(self):
        lines = (PACKAGING / "systemd" / "custos.sysusers").read_text().splitlines()
        users = {line.split()[1] for line in lines if line.startswith("u ")}
        self.assertEqual(users, set(PROGRAMS))
        self.assertIn(["m", "custos-host", "tss"], [line.split() for line in lines])

    @unittest.skipUnless(shutil.which("systemd-analyze"), "systemd is not installed")
    def test_systemd_takes_the_units_and_finds_little_exposed(self):
        with tempfile.TemporaryDirectory(prefix="custos-units-") as folder:
            for program in PROGRAMS:
                copy = pathlib.Path(folder) / f"{program}.service"
                text = self.unit(program).read_text()
                # Not installed here: the one that was built.
                copy.write_text(text.replace(f"/usr/bin/{program}", str(BINARIES / program)))
                done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(copy)],
                                      capture_output=True, text=True, check=False)
                complaints = [line for line in done.stderr.splitlines() if program in line]
                self.assertEqual((done.returncode, complaints), (0, []), done.stderr)
                done = subprocess.run(["systemd-analyze", "security", "--offline=true",
                                       "--no-pager", f"--threshold={EXPOSURE_MAX}", str(copy)],
                                      capture_output=True, text=True, check=False)
                self.assertEqual(done.returncode, 0, done.stdout[-300:] + done.stderr)
                broken = pathlib.Path(folder) / "broken.service"
                broken.write_text(text.replace("[Service]", "[Service]\nExecStart=relative"))
                done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(broken)],
                                      capture_output=True, text=True, check=False)
                self.assertNotEqual(done.returncode, 0, "two commands of one service")
                self.assertIn("ExecStart", done.stderr)

    # ---- sample configurations ----------------------------------------------------------------

    def defaults(self, program):
        done = subprocess.run([str(BINARIES / program), "--print-config"], capture_output=True,
                              text=True, check=True)
        return tomllib.loads(done.stdout)

    def test_samples_show_every_option_with_its_default(self):
        for program in PROGRAMS:
            with self.subTest(program):
                text = (PACKAGING / "config" / f"{program}.toml").read_text()
                shown = tomllib.loads("\n".join(
                    line[1:] for line in text.splitlines() if re.match(r"#[a-z][a-z-]* =", line)))
                defaults = self.defaults(program)
                self.assertEqual(set(shown), set(defaults))
                for name, value in defaults.items():
                    sample = shown[name]
                    if isinstance(value, int) and isinstance(sample, str):
                        sample = int(sample, 0)  # handles are written in hex
                    if value not in ([], "") and sample not in ([], [0]):
                        self.assertEqual(sample, value, name)

    def test_samples_are_configurations(self):
        for program in PROGRAMS:
            sample = PACKAGING / "config" / f"{program}.toml"
            done = subprocess.run([str(BINARIES / program), "--config", str(sample),
                                   "--print-config"], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    BINARIES = test_arguments().binaries
    unittest.main()
