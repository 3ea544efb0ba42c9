"""The network between the nodes of a cluster on one machine, in one thread: a port in front of each
node's cluster port that its peers dial, which can delay, hold back or cut what goes from one node to
another, each direction by itself.

Who dials is found by the process that holds the other end of the connection (/proc): every node
dials every other from any port. What is held is not lost but late, as packets are that TCP sends
again; connections overtake each other."""

import collections
import heapq
import os
import random
import selectors
import socket
import threading
import time

PASS, HOLD, CUT = "pass", "hold", "cut"
CHUNK_BYTES = 65536
QUEUE_BYTES_MAX = 1 << 20  # of one direction; then no more is read
TICK_SECONDS = 0.05


def socket_inode(near, far):
    """Of the socket that has this address on its own end; None if it is gone."""
    want = tuple(f"{int.from_bytes(socket.inet_aton(a), 'little'):08X}:{p:04X}"
                 for a, p in (near, far))
    with open("/proc/net/tcp", encoding="ascii") as table:
        for line in table:
            fields = line.split()
            if (fields[1], fields[2]) == want:
                return fields[9]
    return None


def holds_socket(pid, inode):
    try:
        for fd in os.scandir(f"/proc/{pid}/fd"):
            try:
                if os.readlink(fd.path) == f"socket:[{inode}]":
                    return True
            except OSError:
                continue  # closed meanwhile
    except OSError:
        pass  # the process is gone
    return False


class Direction:
    """Octets on their way from one end of a connection to the other."""

    def __init__(self, source, sink, pair):
        self.source, self.sink, self.pair = source, sink, pair
        self.chunks = collections.deque()  # (when due, octets; none: the end)
        self.size = 0
        self.last_due = 0.0
        self.ended = False  # the end was read
        self.done = False  # the end was passed on


class Connection:
    def __init__(self, near, dialler, target, port):
        self.near, self.dialler, self.target, self.port = near, dialler, target, port
        self.far = None
        self.ways = []  # none until the target is dialled


class Network:
    def __init__(self, seed=0):
        self.rng = random.Random(seed)
        self.rules = {}  # (from, to) -> (what, longest delay in seconds)
        self.pids = {}  # name -> pid
        self.ports = {}  # name -> (the port in front, the node's own)
        self.passed = collections.Counter()  # octets by (from, to)
        self._listeners = {}  # fileno -> (listener, name)
        self._connections = set()
        self._stop = False
        self._lock = threading.Lock()  # of _listeners
        self._thread = threading.Thread(target=self._run, daemon=True)

    # ---- from any thread ----------------------------------------------------------------------

    def front(self, name, port):
        """The port that the node's peers dial."""
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setblocking(False)
        with self._lock:
            self._listeners[listener.fileno()] = (listener, name)
        self.ports[name] = (listener.getsockname()[1], port)
        return self.ports[name][0]

    def set_rules(self, rules):
        self.rules = dict(rules)

    def start(self):
        self._thread.start()

    def close(self):
        self._stop = True
        if self._thread.is_alive():
            self._thread.join()
        for listener, _ in self._listeners.values():
            listener.close()

    # ---- the thread ---------------------------------------------------------------------------

    def _rule(self, pair):
        return self.rules.get(pair, (PASS, 0.0))

    def _dialler(self, near):
        inode = socket_inode(near.getpeername(), near.getsockname())
        if inode is not None and inode != "0":
            for name, pid in list(self.pids.items()):
                if holds_socket(pid, inode):
                    return name
        return None

    def _accept(self, listener, name):
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            near.setblocking(False)
            near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                dialler = self._dialler(near)
            except OSError:
                dialler = None
            if dialler is None or CUT in (self._rule((dialler, name))[0],
                                          self._rule((name, dialler))[0]):
                near.close()
                continue
            self._connections.add(Connection(near, dialler, name, self.ports[name][1]))

    def _dial(self, c):
        """Once nothing holds back the first packet."""
        if c.far is not None or self._rule((c.dialler, c.target))[0] != PASS:
            return
        far = socket.socket()
        try:
            far.settimeout(1)  # on this machine it takes no time, or is refused
            far.connect(("127.0.0.1", c.port))
            far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:
            far.close()
            self._end(c)
            return
        far.setblocking(False)
        c.far = far
        c.ways = [Direction(c.near, far, (c.dialler, c.target)),
                  Direction(far, c.near, (c.target, c.dialler))]

    def _end(self, c):
        for end in (c.near, c.far):
            if end is not None:
                end.close()
        self._connections.discard(c)

    def _read(self, way, now):
        try:
            data = way.source.recv(CHUNK_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        delay_max = self._rule(way.pair)[1]
        way.last_due = max(way.last_due, now + (self.rng.uniform(0, delay_max) if delay_max else 0))
        way.chunks.append((way.last_due, data))
        way.size += len(data)
        way.ended = not data

    def _write(self, way, now):
        """False: the sink is gone."""
        if self._rule(way.pair)[0] != PASS:
            return True
        while way.chunks and way.chunks[0][0] <= now:
            due, data = way.chunks.popleft()
            if not data:
                way.done = True
                try:
                    way.sink.shutdown(socket.SHUT_WR)
                except OSError:
                    return False
                return True
            try:
                sent = way.sink.send(data)
            except BlockingIOError:
                sent = 0
            except OSError:
                return False
            way.size -= sent
            self.passed[way.pair] += sent
            if sent < len(data):
                way.chunks.appendleft((due, data[sent:]))
                return True
        return True

    def _serve(self, c, ready, now):
        if CUT in (self._rule((c.dialler, c.target))[0], self._rule((c.target, c.dialler))[0]):
            return self._end(c)
        self._dial(c)
        for way in c.ways:
            if way.source.fileno() in ready and not way.ended:
                self._read(way, now)
        if not all(self._write(way, now) for way in c.ways):
            return self._end(c)
        if c.ways and all(way.done for way in c.ways):
            self._end(c)
        return None

    def _run(self):
        while not self._stop:
            poll = selectors.PollSelector()
            due = []
            now = time.monotonic()
            with self._lock:
                for listener, _ in self._listeners.values():
                    poll.register(listener, selectors.EVENT_READ)
            for c in self._connections:
                wanted = {}
                for way in c.ways:
                    if not way.ended and way.size < QUEUE_BYTES_MAX:
                        wanted[way.source] = selectors.EVENT_READ
                for way in c.ways:
                    if way.chunks and self._rule(way.pair)[0] == PASS:
                        if way.chunks[0][0] > now:
                            heapq.heappush(due, way.chunks[0][0])
                        else:
                            wanted[way.sink] = wanted.get(way.sink, 0) | selectors.EVENT_WRITE
                for end, events in wanted.items():
                    poll.register(end, events)
            wait = min(TICK_SECONDS, due[0] - now) if due else TICK_SECONDS
            ready = {key.fd for key, _ in poll.select(max(wait, 0))}
            poll.close()
            now = time.monotonic()
            for fd in ready & self._listeners.keys():
                self._accept(*self._listeners[fd])
            for c in list(self._connections):
                self._serve(c, ready, now)
        for c in list(self._connections):
            self._end(c)
