"""Judges histories of a replicated configuration, of operations that overlapped in time.

`check_register` says whether what clients saw of one object can be explained by operations that
happened one at a time, each at a moment between its call and its answer (linearizability: Herlihy
and Wing 1990). It goes through calls and answers in the order of time and keeps the set of all
states the object may be in (Lowe's variant of Wing and Gong's search, 2017): small where few
operations overlap, however long the history is.

`check_revisions` judges all objects together by the revisions that came with the answers: they
order all changes, so what was read at a revision is known. It finds what no single object shows.

Times are any numbers that grow; an operation without an answer has an open end: it may have
happened at any time after its call, or never."""

import bisect
import dataclasses
import typing

WRITE, CREATE, ERASE = "write", "create", "erase"  # they change the object
READ, PRESENT = "read", "present"  # they saw its value (None: no object), or only that it is there
CHANGES = (WRITE, CREATE, ERASE)


class Violation(Exception):
    """A history that a correct store cannot produce."""

    def __init__(self, what, operations=()):
        super().__init__(what + "".join(f"\n  {o}" for o in operations))
        self.operations = list(operations)


@dataclasses.dataclass
class Operation:
    """`value` is what was written or read. Values written to one object must differ."""

    key: str
    kind: str
    value: typing.Optional[str]
    called: float
    answered: typing.Optional[float] = None
    revision: typing.Optional[int] = None  # as the answer has it
    if_revision: typing.Optional[int] = None  # the condition of a change
    linearizable: bool = True  # of reads: must see all that was acknowledged anywhere
    session: int = 0  # of reads: the revision that was demanded
    node: str = ""  # who answered
    life: typing.Optional[int] = None  # of that node's process; None: not known for certain
    client: str = ""

    def __str__(self):
        end = "open" if self.answered is None else f"{self.answered:.6f}"
        extra = f" if {self.if_revision}" if self.if_revision is not None else ""
        how = "" if self.linearizable or self.kind in CHANGES else f" (session {self.session})"
        return (f"[{self.called:.6f} .. {end}] {self.client} at {self.node or '?'}: {self.kind} "
                f"{self.key} = {self.value}{extra}{how} -> revision {self.revision}")


# ---- one object ---------------------------------------------------------------------------------

NEVER = object()
UNSEEN = "(a value nobody read)"


def step(operation, value):
    """The value after the operation, or NEVER if it cannot happen at this value."""
    if operation.kind == WRITE:
        return operation.value
    if operation.kind == CREATE:
        return operation.value if value is None else NEVER
    if operation.kind == ERASE:
        return NEVER if value is None else None
    if operation.kind == PRESENT:
        return NEVER if value is None else value
    return value if operation.value == value else NEVER


class _Search:
    """The states an object may be in: (value, operations that have happened but are not answered
    yet, open changes that may still happen, how many more may erase it, how many may make it)."""

    def __init__(self, operations, seen_values, initial):
        self.operations = operations
        self.seen_values = seen_values
        self.active = set()  # called, not answered, but will be
        self.states = {(initial, frozenset(), frozenset(), 0, 0)}

    def _settle(self, value, done):
        """What changes nothing may as well happen as soon as it fits."""
        fits = [i for i in self.active if i not in done and
                self.operations[i].kind not in CHANGES and
                step(self.operations[i], value) is not NEVER]
        return done.union(fits) if fits else done

    def call(self, i):
        o = self.operations[i]
        if o.answered is not None:
            self.active.add(i)
            if o.kind not in CHANGES:
                self.states = {(s[0], self._settle(s[0], s[1]), *s[2:]) for s in self.states}
        elif o.kind == ERASE:  # one is as good as another
            self.states = {(v, d, l, e + 1, m) for v, d, l, e, m in self.states}
        elif o.value in self.seen_values:
            self.states = {(v, d, l | {i}, e, m) for v, d, l, e, m in self.states}
        else:  # of use only to those that need any object, and where there is none
            self.states = {(v, d, l, e, m + 1) for v, d, l, e, m in self.states}

    def _next(self, state):
        value, done, left, erase, make = state
        for i in self.active:
            if i not in done and self.operations[i].kind in CHANGES:
                then = step(self.operations[i], value)
                if then is not NEVER:
                    yield then, self._settle(then, done | {i}), left, erase, make
        for i in left:
            then = step(self.operations[i], value)
            if then is not NEVER:
                yield then, self._settle(then, done), left - {i}, erase, make
        if erase and value is not None:
            yield None, self._settle(None, done), left, erase - 1, make
        if make and value is None:
            yield UNSEEN, self._settle(UNSEEN, done), left, erase, make - 1

    def answer(self, i):
        """Keeps the states in which the operation has happened; False if there is none."""
        reached, known, waiting = set(), set(self.states), list(self.states)
        while waiting:
            state = waiting.pop()
            if i in state[1]:
                reached.add(state)
                continue
            for then in self._next(state):
                if then not in known:
                    known.add(then)
                    waiting.append(then)
        self.active.discard(i)
        self.states = self._best((s[0], s[1] - {i}, *s[2:]) for s in reached)
        return bool(self.states)

    @staticmethod
    def _best(states):
        """Of states that differ only in what may still happen, those with the most."""
        groups = {}
        for value, done, *rest in states:
            groups.setdefault((value, done), set()).add(tuple(rest))
        return {(*group, *rest) for group, all_rests in groups.items() for rest in all_rests
                if not any(other != rest and all(a >= b for a, b in zip(other, rest))
                           for other in all_rests)}


def check_register(history, initial=None):
    """Raises Violation if these operations on one object cannot have happened one at a time."""
    operations = [o for o in history if o.answered is not None or o.kind in CHANGES]
    search = _Search(operations, {o.value for o in history if o.kind == READ}, initial)
    # Of what happens at the same time the call comes first: it might have.
    events = sorted([(o.called, 0, i) for i, o in enumerate(operations)] +
                    [(o.answered, 1, i) for i, o in enumerate(operations)
                     if o.answered is not None])
    for at, is_answer, i in events:
        if not is_answer:
            search.call(i)
            continue
        before = {str(state[0]) for state in search.states}
        if search.answer(i):
            continue
        o = operations[i]
        earlier = sorted((x for x in history if x.answered is not None and x.answered < o.called),
                         key=lambda x: x.answered)
        near = [x for x in history if x is not o and x.called <= at and
                (x.answered is None or x.answered >= o.called)]
        raise Violation(f"{o.key}: not linearizable. Before this answer its value was one of "
                        f"{sorted(before)}; then what ended shortly before, and what overlaps:",
                        [o, *earlier[-6:], *near[-20:]])


# ---- all objects --------------------------------------------------------------------------------

class _Seen:
    """The highest number among the answers that came before a moment."""

    def __init__(self, pairs):
        self.times, self.highest = [], []
        top = 0
        for at, number, operation in sorted(pairs, key=lambda p: p[:2]):
            if not self.highest or number > top:
                top = number
                self.times.append(at)
                self.highest.append((number, operation))

    def before(self, at):
        found = bisect.bisect_left(self.times, at)
        return self.highest[found - 1] if found else (0, None)


def _check_acknowledged(changes):
    by_revision = {}
    for o in changes:
        if o.revision in by_revision:
            raise Violation("two changes were acknowledged with one revision",
                            [by_revision[o.revision], o])
        by_revision[o.revision] = o
        if o.if_revision is not None and o.revision != o.if_revision + 1:
            raise Violation("a conditional change did not follow its condition", [o])


def _check_order(answered):
    """No answer is older than one that came before the question."""
    seen = _Seen([(o.answered, o.revision, o) for o in answered])
    nodes = {}
    for o in answered:
        if o.life is not None:
            nodes.setdefault((o.node, o.life), []).append((o.answered, o.revision, o))
    nodes = {one: _Seen(pairs) for one, pairs in nodes.items()}
    for o in answered:
        known, by = seen.before(o.called)
        if o.kind in CHANGES:
            if o.revision <= known:
                raise Violation("a change has a revision that was seen before it was asked for",
                                [o, by])
            continue
        if o.linearizable and o.revision < known:
            raise Violation("a linearizable read is older than what was seen before it", [o, by])
        if o.revision < o.session:
            raise Violation("a session went back", [o])
        if o.life is not None:
            known, by = nodes[(o.node, o.life)].before(o.called)
            if o.revision < known:
                raise Violation("a node went back", [o, by])


class _Object:
    """What is known of one object: acknowledged changes by revision, and open ones."""

    def __init__(self, changes):
        acknowledged = sorted((o for o in changes if o.answered is not None),
                              key=lambda o: o.revision)
        self.revisions = [o.revision for o in acknowledged]
        self.acknowledged = acknowledged
        self.open = [o for o in changes if o.answered is None]

    def last(self, revision):
        at = bisect.bisect_right(self.revisions, revision)
        return self.acknowledged[at - 1] if at else None


def _check_value(o, known, taken, base):
    """The value is that of the last acknowledged change, or of an open one that may have come
    after it: it must have a revision of its own, one that no other change has."""
    last = known.last(o.revision)
    if o.value == (last.value if last is not None and last.kind != ERASE else None):
        return
    since = last.revision if last is not None else base
    free = any(r not in taken for r in range(o.revision, since, -1))
    for change in known.open:
        value = None if change.kind == ERASE else change.value
        if value == o.value and free and change.called <= o.answered:
            return
    raise Violation(f"what was read is not the object as it was at revision {o.revision}; then its "
                    "last acknowledged change", [o] + ([last] if last is not None else []))


def _check_values(reads, changes, base):
    taken = {o.revision for o in changes if o.answered is not None}
    objects = {}
    for o in changes:
        objects.setdefault(o.key, []).append(o)
    objects = {key: _Object(those) for key, those in objects.items()}
    seen = {}
    for o in reads:
        _check_value(o, objects.get(o.key) or _Object([]), taken, base)
        seen.setdefault(o.key, []).append(o)
    for those in seen.values():
        those.sort(key=lambda o: o.revision)
        left = {}
        for before, o in zip(those, those[1:]):
            if before.value == o.value:
                continue
            if before.revision == o.revision:
                raise Violation("one object has two values at one revision", [before, o])
            left[before.value] = before
            if o.value is not None and o.value in left:
                raise Violation("an old value came back", [left[o.value], before, o])


def check_revisions(history, base, last):
    """Raises Violation if the revisions that came with the answers contradict each other. The
    configuration had revision `base` before the history and has `last` after it."""
    changes = [o for o in history if o.kind in CHANGES]
    acknowledged = [o for o in changes if o.answered is not None]
    reads = [o for o in history if o.kind == READ and o.revision is not None]
    _check_acknowledged(acknowledged)
    _check_order(acknowledged + reads)
    _check_values(reads, changes, base)
    outside = [o for o in acknowledged if not base < o.revision <= last]
    if outside:
        raise Violation(f"a change has no revision between {base} and {last}", outside)
    unexplained = last - base - len(acknowledged)
    open_changes = len(changes) - len(acknowledged)
    if unexplained > open_changes:
        raise Violation(f"{unexplained} revisions are of no acknowledged change, but only "
                        f"{open_changes} changes have an unknown outcome")


def check(history, base, last):
    """Both; the objects one by one first."""
    keys = {}
    for o in history:
        if o.kind in CHANGES or o.linearizable:
            keys.setdefault(o.key, []).append(o)
    for those in keys.values():
        check_register(those)
    check_revisions(history, base, last)
