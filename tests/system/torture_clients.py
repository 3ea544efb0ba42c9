"""Clients of a cluster under torture: each changes and reads a few objects through all nodes, one
operation after another, and keeps what it did and saw for linearizable.py."""

import collections
import http.client
import json
import random
import ssl
import threading
import time

from linearizable import CREATE, ERASE, PRESENT, READ, WRITE, Operation, Violation

ANSWER_SECONDS_MAX = 8  # a node gives up after 5
RETRY_SECONDS_MAX = 25
KIND = "/config/v1/denials"


class Refused(Exception):
    """It is known not to have happened."""


class Unknown(Exception):
    """It may have happened, or may still."""


class Answer:
    def __init__(self, status, body, revision):
        self.status = status
        self.body = body
        self.revision = revision

    @property
    def check(self):
        return str(self.body.get("type", "")).removeprefix("urn:custos:check:")


class Caller:
    """HTTPS with keep-alive to all nodes; for one thread."""

    def __init__(self, admin, ports, seconds=ANSWER_SECONDS_MAX):
        self.context = ssl.create_default_context(cafile=admin / "ca.crt")
        self.context.load_cert_chain(admin / "admin.crt", admin / "admin.key")
        self.ports = ports
        self.seconds = seconds
        self.connections = {}

    def _connected(self, node):
        connection = self.connections.get(node)
        if connection is None:
            connection = http.client.HTTPSConnection("127.0.0.1", self.ports[node],
                                                     timeout=self.seconds, context=self.context)
            try:
                connection.connect()
            except (OSError, http.client.HTTPException) as e:
                connection.close()
                raise Refused(f"connect: {e}") from None
            self.connections[node] = connection
        return connection

    def drop(self, node):
        if connection := self.connections.pop(node, None):
            connection.close()

    def call(self, node, method, path, body=None, headers=None):
        """The answer, or Refused, or Unknown."""
        connection = self._connected(node)
        try:
            connection.request(method, path, body=body and json.dumps(body), headers=headers or {})
            got = connection.getresponse()
            text = got.read()
        except (OSError, http.client.HTTPException) as e:
            self.drop(node)
            raise Unknown(f"{type(e).__name__}: {e}") from None
        if got.headers.get("Content-Length") is None:  # cut off within the headers
            self.drop(node)
            raise Unknown("half an answer")
        revision = got.headers.get("Custos-Revision")
        return Answer(got.status, json.loads(text) if text else {},
                      None if revision is None else int(revision))

    def close(self):
        for node in list(self.connections):
            self.drop(node)


class Shared:
    """What the clients have in common."""

    def __init__(self, admin, ports, life, keys, seed):
        self.admin = admin
        self.ports = ports
        self.life = life  # (node) -> number of its process, or None
        self.keys = keys
        self.seed = seed
        self.stop = threading.Event()
        self.counts = collections.Counter()  # ok, refused, unknown
        self.kinds = collections.Counter()  # operations with an answer, by kind
        self.checks = collections.Counter()  # why not
        self.problems = []  # what must not happen whatever the history is

    def revision_seen(self, clients):
        return max((c.revision for c in clients), default=0)


class Client(threading.Thread):
    """`repeats`: after an unknown outcome it asks again, elsewhere, with the same operation id."""

    def __init__(self, shared, number, repeats, pause_seconds=0.03):
        super().__init__(daemon=True)
        self.shared = shared
        self.label = f"c{number}"
        self.rng = random.Random(f"{shared.seed}/client/{number}")
        self.repeats = repeats
        self.pause_seconds = pause_seconds
        self.caller = Caller(shared.admin, shared.ports)
        self.node = self.rng.choice(list(shared.ports))
        self.history = []
        self.revision = 0  # the highest that an answer had: the session
        self.number = 0

    # ---- one operation ------------------------------------------------------------------------

    def _ask(self, method, path, body=None, headers=None):
        """The answer and the life of the process that gave it (None: it may be another one's)."""
        life = self.shared.life(self.node)
        answer = self.caller.call(self.node, method, path, body, headers)
        if answer.revision is not None:
            self.revision = max(self.revision, answer.revision)
        return answer, life if self.shared.life(self.node) == life else None

    def _elsewhere(self):
        self.node = self.rng.choice([n for n in self.shared.ports if n != self.node])

    def _finish(self, o, answer, life):
        o.answered = time.monotonic()
        o.node, o.life = self.node, life
        o.revision = answer.revision
        self.history.append(o)
        self.shared.kinds[o.kind] += 1
        self.shared.counts["ok"] += 1

    def _wrong(self, what, answer):
        self.shared.problems.append(f"{self.label} at {self.node}: {what}: answered "
                                    f"{answer.status} {answer.body}")

    def change(self, kind, key, if_revision=None):
        self.number += 1
        value = None if kind == ERASE else f"{self.label}-{self.number}"
        o = Operation(key, kind, value, time.monotonic(), if_revision=if_revision, client=self.label)
        headers = {"Custos-Operation-Id": f"{self.label}-{self.number}"}
        if if_revision is not None:
            headers["If-Match"] = f'"{if_revision}"'
        if kind == CREATE:
            headers["If-None-Match"] = "*"
        body = None if kind == ERASE else {"model": key, "reason": value}
        may_have_happened = False
        until = time.monotonic() + RETRY_SECONDS_MAX
        while True:
            try:
                answer, life = self._ask("DELETE" if kind == ERASE else "PUT", f"{KIND}/{key}",
                                         body, headers)
                if self._judge(o, answer, life):
                    return
                may_have_happened |= answer.check != "cluster-no-quorum" and \
                    answer.check != "cluster-joining"
                self.shared.checks[answer.check] += 1
            except Refused:
                self.shared.checks["not connected"] += 1
            except Unknown as e:
                self.shared.checks[str(e).split(":", 1)[0]] += 1
                may_have_happened = True
            if not may_have_happened:
                self.shared.counts["refused"] += 1
                break
            if not self.repeats or time.monotonic() > until or self.shared.stop.is_set():
                self.shared.counts["unknown"] += 1
                self.history.append(o)
                break
            self._elsewhere()
            time.sleep(0.2)
        self._elsewhere()

    def _judge(self, o, answer, life):
        """Whether the answer says for certain what became of the change."""
        if answer.status in (200, 201):
            if not answer.body.get("changed") or answer.revision != answer.body.get("revision"):
                self._wrong(str(o), answer)
            self._finish(o, answer, life)
        elif answer.status == 412 and o.if_revision is not None:
            self.shared.counts["ok"] += 1  # what other objects did: judged by revisions only
            self.shared.kinds["conflict"] += 1
        elif answer.status == 409 and o.kind == CREATE:
            o.kind, o.value = PRESENT, None
            self._finish(o, answer, life)
        elif answer.status == 404 and o.kind == ERASE:
            o.kind = READ
            self._finish(o, answer, life)
        elif answer.status == 503:
            return False
        else:
            self._wrong(str(o), answer)
        return True

    def _read_failed(self, answer):
        if answer.status != 503:
            self._wrong("read", answer)
        self.shared.checks[answer.check] += 1
        self.shared.counts["refused"] += 1
        self._elsewhere()

    def read(self, keys, linearizable, session=0):
        """One object, or the list of all."""
        headers = {}
        if linearizable:
            headers["Custos-Consistency"] = "linearizable"
        elif session:
            headers["Custos-Revision"] = str(session)
        called = time.monotonic()
        path = KIND if len(keys) > 1 else f"{KIND}/{keys[0]}"
        try:
            answer, life = self._ask("GET", path, None, headers)
        except (Refused, Unknown) as e:  # a read leaves no trace
            self.shared.checks["read: " + type(e).__name__.lower()] += 1
            self.shared.counts["refused"] += 1
            return self._elsewhere()
        if answer.status == 404 and len(keys) == 1:
            values = {keys[0]: None}
        elif answer.status != 200:
            return self._read_failed(answer)
        elif len(keys) == 1:
            values = {keys[0]: answer.body["object"]["reason"]}
        else:
            held = {o["name"]: o["object"]["reason"] for o in answer.body["objects"]}
            values = {key: held.get(key) for key in keys}
        for key, value in values.items():
            self._finish(Operation(key, READ, value, called, linearizable=linearizable,
                                   session=session, client=self.label), answer, life)
        self.shared.counts["ok"] -= len(values) - 1
        return answer

    # ---- many ---------------------------------------------------------------------------------

    def one(self):
        rng, keys = self.rng, self.shared.keys
        key = rng.choice(keys)
        dice = rng.random()
        if dice < 0.30:
            self.change(WRITE, key)
        elif dice < 0.38:
            self.change(CREATE, key)
        elif dice < 0.45:
            self.change(ERASE, key)
        elif dice < 0.60:
            # On what is the newest now: otherwise it hardly ever succeeds.
            answer = self.read(keys, linearizable=True)
            if answer is not None:
                self.change(rng.choice((WRITE, WRITE, ERASE)), key, if_revision=answer.revision)
        elif dice < 0.75:
            self.read([key], linearizable=True)
        elif dice < 0.85:
            self.read(keys, linearizable=True)
        elif dice < 0.93:
            self.read(rng.choice(([key], keys)), linearizable=False, session=self.revision)
        else:
            self.read(rng.choice(([key], keys)), linearizable=False)

    def run(self):
        try:
            while not self.shared.stop.is_set():
                if self.rng.random() < 0.1:
                    self._elsewhere()
                self.one()
                time.sleep(self.rng.expovariate(1 / self.pause_seconds))
        except Exception as e:  # pylint: disable=broad-except
            self.shared.problems.append(f"{self.label} ended: {type(e).__name__}: {e}")
        finally:
            self.caller.close()


def last_reads(shared, node, number):
    """All objects as a node has them at the end, after everything that was acknowledged."""
    reader = Client(shared, number, repeats=False)
    reader.label, reader.node = f"end-{node}", node
    for key in [None] + shared.keys:
        answer = reader.read(shared.keys if key is None else [key], linearizable=True)
        if answer is None:
            raise Violation(f"{node} does not read at the end")
        if key is None:
            revision = answer.revision
    reader.caller.close()
    return reader.history, revision
