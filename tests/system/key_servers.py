"""Our own KMIP server for tests, as an object: started, told what to do wrong, asked what it was
asked. Its certificates are those of make_kmip_certs.sh."""

import pathlib
import select
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
ANSWER_SECONDS_MAX = 20


def make_certificates(folder):
    subprocess.run([HERE / "make_kmip_certs.sh", folder], check=True, capture_output=True)


class KeyServer:
    """One process. `folder` has ca.crt, server.crt, server.key; `store`: a file of keys that
    several servers share; `options`: more of `kmip-test-server --help`."""

    def __init__(self, binaries, folder, *options, port=0, store=None):
        self.folder = pathlib.Path(folder)
        command = [pathlib.Path(binaries) / "kmip-test-server", "--port", port,
                   "--certificate", self.folder / "server.crt", "--key", self.folder / "server.key",
                   "--client-ca", self.folder / "ca.crt", *options]
        if store is not None:
            command += ["--store", store]
        self.command = [str(c) for c in command]
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, bufsize=1)
        said = self._line()
        assert said.startswith("ready "), said
        self.port = int(said.split()[1])
        # Started again, it is where it was.
        self.command[self.command.index("--port") + 1] = str(self.port)

    def _line(self):
        if not select.select([self.process.stdout], [], [], ANSWER_SECONDS_MAX)[0]:
            raise TimeoutError("the key server does not answer its console")
        return self.process.stdout.readline().strip()

    def tell(self, *words):
        """One command of its console; what it adds to "ok"."""
        self.process.stdin.write(" ".join(str(w) for w in words) + "\n")
        self.process.stdin.flush()
        said = self._line()
        if not said.startswith("ok"):
            raise ValueError(f"{words}: {said}")
        return said[2:].strip()

    def fault(self, *words):
        self.tell("fault", *words)

    def healthy(self):
        self.tell("fault", "none")

    def counts(self):
        """How often each operation was asked for, and "connections"."""
        pairs = (pair.split("=") for pair in self.tell("count").split())
        return {name: int(number) for name, number in pairs}

    def signal(self, which):
        self.process.send_signal(which)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        if self.process.poll() is None:
            self.kill()
        self.process.stdin.close()
        self.process.stdout.close()
