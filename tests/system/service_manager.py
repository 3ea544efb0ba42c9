#!/usr/bin/python3
"""As much of systemctl and systemd-sysusers as docs/operations.md uses, for the machines of
operations_test.py, where no systemd runs. A unit is started as its file says: user, state
directory, capabilities, ExecStart, and a start has succeeded when the program has said so
(sd_notify(3))."""

import grp
import os
import pathlib
import pwd
import resource
import shlex
import signal
import socket
import subprocess
import sys
import time

UNITS = pathlib.Path("/etc/systemd/system")
START_SECONDS_MAX = 60
USERS = pathlib.Path("/usr/lib/sysusers.d/custos.conf")


def fail(text):
    sys.exit(f"{pathlib.Path(sys.argv[0]).name}: {text}")


def read_unit(name):
    """The settings of a unit file; of those that are given more than once, the last."""
    settings = {}
    for line in (UNITS / f"{name}.service").read_text().splitlines():
        key, sign, value = line.partition("=")
        if sign and not line.startswith("#"):
            settings[key] = value
    return settings


def running(name):
    """The process id of the unit's main process, if it runs."""
    try:
        pid = int(pathlib.Path(f"/run/{name}.pid").read_text())
        state = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return None
    return pid if state != "Z" else None


def give_state_directory(unit):
    """As systemd.exec(5) has it: what is in a directory that has the right owner is left alone."""
    path = pathlib.Path("/var/lib") / unit["StateDirectory"]
    path.mkdir(exist_ok=True)
    uid, gid = pwd.getpwnam(unit["User"]).pw_uid, grp.getgrnam(unit["Group"]).gr_gid
    if (path.stat().st_uid, path.stat().st_gid) != (uid, gid):
        for one in [path, *path.rglob("*")]:
            os.chown(one, uid, gid, follow_symlinks=False)
    path.chmod(int(unit["StateDirectoryMode"], 8))


def command_line(unit):
    """ExecStart, run by the user and with the capabilities of the unit."""
    names = [one.lower().removeprefix("cap_") for one in unit["AmbientCapabilities"].split()]
    granted = ",".join(f"+{one}" for one in names)
    bounds = [one.lower().removeprefix("cap_") for one in unit["CapabilityBoundingSet"].split()]
    return ["setpriv", "--reuid", unit["User"], "--regid", unit["Group"], "--init-groups",
            "--inh-caps", f"-all,{granted}", "--ambient-caps", f"-all,{granted}",
            "--bounding-set", ",".join(["-all", *(f"+{one}" for one in bounds)]),
            "--no-new-privs", *shlex.split(unit["ExecStart"])]


def limit():
    """UMask=, LimitCORE= and a session of its own."""
    os.setsid()
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def start(name):
    if running(name):
        return
    unit = read_unit(name)
    give_state_directory(unit)
    notify = pathlib.Path(f"/run/{name}.notify")
    notify.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(str(notify))
        notify.chmod(0o666)
        told.settimeout(0.1)
        with open(f"/var/log/{name}.log", "ab") as log:
            # pylint: disable=subprocess-popen-preexec-fn,consider-using-with
            child = subprocess.Popen(
                command_line(unit), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
                preexec_fn=limit, env={"PATH": "/usr/sbin:/usr/bin", "NOTIFY_SOCKET": str(notify)})
        pathlib.Path(f"/run/{name}.pid").write_text(str(child.pid))
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline:
            if child.poll() is not None:
                fail(f"{name} ended with {child.returncode}; its log: /var/log/{name}.log")
            try:
                if "READY=1" in told.recv(4096).decode().splitlines():
                    return
            except TimeoutError:
                continue
    child.kill()
    fail(f"{name} did not say that it is ready within {START_SECONDS_MAX} s")


def stop(name):
    pid = running(name)
    if pid is None:
        return
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + float(read_unit(name)["TimeoutStopSec"])
    while running(name):
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            fail(f"{name} had to be killed")
        time.sleep(0.02)


def systemctl(verb, *rest):
    names = [one for one in rest if one != "--now"]
    wanted = {"start": (start,), "stop": (stop,), "restart": (stop, start),
              "enable": (start,), "disable": (stop,)}.get(verb)
    if wanted is None or not names or (verb in ("enable", "disable")) != ("--now" in rest):
        fail(f"{verb} {' '.join(rest)}: not known here")
    for name in names:
        for step in wanted:
            step(name)


def sysusers():
    """sysusers.d(5): users, groups, members."""
    for line in USERS.read_text().splitlines():
        kind, *fields = shlex.split(line, comments=True) or [None]
        known = subprocess.run(["getent", "group" if kind == "g" else "passwd", *fields[:1]],
                               stdout=subprocess.DEVNULL, check=False).returncode == 0
        if kind == "u" and not known:
            subprocess.run(["useradd", "--system", "--no-create-home", "--home-dir", fields[3],
                            "--comment", fields[2], "--shell", "/usr/sbin/nologin", fields[0]],
                           check=True)
        elif kind == "g" and not known:
            subprocess.run(["groupadd", "--system", fields[0]], check=True)
        elif kind == "m":
            subprocess.run(["usermod", "--append", "--groups", fields[1], fields[0]], check=True)


if __name__ == "__main__":
    if pathlib.Path(sys.argv[0]).name == "systemd-sysusers":
        sysusers()
    else:
        systemctl(*sys.argv[1:])
