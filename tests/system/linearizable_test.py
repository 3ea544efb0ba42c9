"""The judge of histories is judged: by hand-made histories, by random ones of a simulated correct
register, by the same with an effect dropped, doubled or made late, and against a search that simply
tries every order."""

import itertools
import random
import unittest

from linearizable import (CHANGES, CREATE, ERASE, NEVER, PRESENT, READ, WRITE, Operation, Violation,
                          check, check_register, check_revisions, step)


def op(kind, value, called, answered=None, **more):
    return Operation("reg", kind, value, called, answered, **more)


def linearizable(history):
    try:
        check_register(history)
        return True
    except Violation:
        return False


def consistent(history, base, last):
    try:
        check_revisions(history, base, last)
        return True
    except Violation:
        return False


def by_trying(history, initial=None):
    """Whether any order explains the history: every order is tried."""
    must = frozenset(i for i, o in enumerate(history) if o.answered is not None)

    def explains(value, left):
        if not must & left:
            return True
        for i in left:
            # Nothing goes before what was answered before it was called.
            if any(history[j].answered < history[i].called for j in must & left):
                continue
            then = step(history[i], value)
            if then is not NEVER and explains(then, left - {i}):
                return True
        return False

    return explains(initial, frozenset(range(len(history))))


class Simulated:
    """A correct store of some objects: every operation takes effect at a moment between its call
    and its answer; some get no answer, and of these some have no effect."""

    def __init__(self, seed, clients=4, operations=60, keys=("reg",), unknown=0.1):
        self.rng = random.Random(seed)
        plan = []
        for client in range(clients):
            now = self.rng.random()
            for _ in range(operations // clients):
                called = now + self.rng.expovariate(2)
                effect = called + self.rng.expovariate(1)
                answered = effect + self.rng.expovariate(1)
                lost = self.rng.random() < unknown
                if lost and self.rng.random() < 0.5:
                    effect += self.rng.expovariate(0.1)  # long after its client gave up
                plan.append((effect, called, None if lost else answered, str(client)))
                now = answered
        self.values = {}
        self.revision = 0
        self.last_value = 0
        self.history = []
        self.effects = []  # operations that changed something, in order
        for _, called, answered, client in sorted(plan, key=lambda p: p[0]):
            self.one(self.rng.choice(keys), called, answered, client)

    def one(self, key, called, answered, client):
        kind = self.rng.choice((WRITE, WRITE, CREATE, ERASE, READ, READ, READ))
        value = self.values.get(key)
        o = Operation(key, kind, None, called, answered, client=client)
        if kind in (WRITE, CREATE):
            self.last_value += 1
            o.value = f"v{self.last_value}"
        if answered is None:
            if kind == READ or self.rng.random() < 0.4 or step(o, value) is NEVER:
                if kind != READ:
                    self.history.append(o)  # it had no effect
                return
        elif kind == READ:
            o.value = value
        elif step(o, value) is NEVER:  # refused: that tells something as well
            o.kind, o.value = (PRESENT, None) if kind == CREATE else (READ, None)
        if o.kind in CHANGES:
            self.values[key] = step(o, value)
            self.revision += 1
            self.effects.append(o)
        if answered is not None and o.kind != PRESENT:
            o.revision = self.revision
        self.history.append(o)


class HandMade(unittest.TestCase):
    def test_one_after_another(self):
        self.assertTrue(linearizable([
            op(READ, None, 0, 1), op(WRITE, "a", 2, 3), op(READ, "a", 4, 5), op(ERASE, None, 6, 7),
            op(READ, None, 8, 9), op(CREATE, "b", 10, 11), op(PRESENT, None, 12, 13),
            op(READ, "b", 14, 15)]))

    def test_what_overlaps_may_be_seen_or_not(self):
        for value in (None, "a"):
            self.assertTrue(linearizable([op(WRITE, "a", 0, 10), op(READ, value, 1, 2)]))

    def test_what_was_seen_stays_seen(self):
        self.assertFalse(linearizable([op(WRITE, "a", 0, 10), op(READ, "a", 1, 2),
                                       op(READ, None, 3, 4)]))

    def test_an_acknowledged_write_is_not_lost(self):
        self.assertFalse(linearizable([op(WRITE, "a", 0, 1), op(READ, None, 2, 3)]))

    def test_a_read_is_not_stale(self):
        self.assertFalse(linearizable([op(WRITE, "a", 0, 1), op(WRITE, "b", 2, 3),
                                       op(READ, "a", 4, 5)]))

    def test_overlapping_writes_have_one_order(self):
        writes = [op(WRITE, "a", 0, 10), op(WRITE, "b", 0, 10)]
        self.assertTrue(linearizable(writes + [op(READ, "a", 11, 12), op(READ, "a", 13, 14)]))
        self.assertFalse(linearizable(writes + [op(READ, "a", 11, 12), op(READ, "b", 13, 14)]))
        self.assertTrue(linearizable(writes + [op(READ, "a", 1, 5), op(READ, "b", 6, 9)]))

    def test_an_open_write_may_happen_late_or_never_but_once(self):
        late = [op(WRITE, "a", 0), op(WRITE, "b", 1, 2), op(READ, "b", 3, 4)]
        self.assertTrue(linearizable(late))
        self.assertTrue(linearizable(late + [op(READ, "a", 5, 6)]))
        self.assertFalse(linearizable(late + [op(READ, "a", 5, 6), op(READ, "b", 7, 8)]))
        self.assertFalse(linearizable(late + [op(READ, "a", 5, 6), op(WRITE, "c", 7, 8),
                                              op(READ, "a", 9, 10)]))

    def test_nothing_comes_before_its_call(self):
        self.assertFalse(linearizable([op(READ, "a", 0, 1), op(WRITE, "a", 2)]))

    def test_values_out_of_nowhere(self):
        self.assertFalse(linearizable([op(READ, "a", 0, 1)]))

    def test_open_erasures(self):
        history = [op(WRITE, "a", 0, 1), op(ERASE, None, 2), op(READ, None, 3, 4)]
        self.assertTrue(linearizable(history))
        again = [op(WRITE, "b", 5, 6), op(READ, None, 7, 8)]
        self.assertFalse(linearizable(history + again))
        self.assertTrue(linearizable(history + again + [op(ERASE, None, 2)]))

    def test_an_erasure_and_a_refused_creation_need_an_object(self):
        self.assertFalse(linearizable([op(ERASE, None, 0, 1)]))
        self.assertFalse(linearizable([op(PRESENT, None, 0, 1)]))
        for kind in (WRITE, CREATE):
            self.assertTrue(linearizable([op(kind, "a", 0), op(ERASE, None, 1, 2)]))
            self.assertTrue(linearizable([op(kind, "a", 0), op(PRESENT, None, 1, 2)]))
            self.assertFalse(linearizable([op(kind, "a", 0), op(ERASE, None, 1, 2),
                                           op(PRESENT, None, 3, 4)]))

    def test_one_creation_of_two(self):
        self.assertFalse(linearizable([op(CREATE, "a", 0, 9), op(CREATE, "b", 0, 9)]))
        self.assertTrue(linearizable([op(CREATE, "a", 0, 9), op(PRESENT, None, 0, 9)]))


class Revisions(unittest.TestCase):
    def test_in_order(self):
        self.assertTrue(consistent([op(WRITE, "a", 0, 1, revision=8), op(WRITE, "b", 2, 3, revision=9),
                                    op(READ, "b", 4, 5, revision=9)], 7, 9))

    def test_one_revision_twice(self):
        self.assertFalse(consistent([op(WRITE, "a", 0, 9, revision=8),
                                     op(WRITE, "b", 0, 9, revision=8)], 7, 9))

    def test_against_time(self):
        self.assertFalse(consistent([op(WRITE, "a", 0, 1, revision=9),
                                     op(WRITE, "b", 2, 3, revision=8)], 7, 9))

    def test_a_condition(self):
        self.assertTrue(consistent([op(WRITE, "a", 0, 1, revision=8, if_revision=7)], 7, 8))
        self.assertFalse(consistent([op(WRITE, "a", 0, 1, revision=8, if_revision=6)], 7, 8))

    def test_a_stale_read(self):
        write = op(WRITE, "a", 0, 1, revision=8)
        self.assertFalse(consistent([write, op(READ, None, 2, 3, revision=7)], 7, 8))
        stale = op(READ, None, 2, 3, revision=7, linearizable=False)
        self.assertTrue(consistent([write, stale], 7, 8))
        stale.session = 8
        self.assertFalse(consistent([write, stale], 7, 8))

    def test_a_node_does_not_go_back(self):
        def reads(life):
            return [op(WRITE, "a", 0, 1, revision=8, node="n1", life=1),
                    op(READ, None, 2, 3, revision=7, linearizable=False, node="n1", life=life)]
        self.assertFalse(consistent(reads(1), 7, 8))
        self.assertTrue(consistent(reads(2), 7, 8))
        self.assertTrue(consistent(reads(None), 7, 8))

    def test_the_value_is_that_of_the_revision(self):
        history = [op(WRITE, "a", 0, 1, revision=8), op(WRITE, "b", 2, 9, revision=9)]
        seen = op(READ, "b", 3, 4, revision=8, linearizable=False)
        self.assertFalse(consistent(history + [seen], 7, 9))
        seen.revision = 9
        self.assertTrue(consistent(history + [seen], 7, 9))

    def test_an_open_change_needs_a_revision_of_its_own(self):
        history = [op(WRITE, "a", 0, 1, revision=8), op(WRITE, "b", 2),
                   op(READ, "b", 3, 4, revision=9)]
        self.assertTrue(consistent(history, 7, 9))
        other = Operation("other", WRITE, "c", 2, 4, revision=9)
        self.assertFalse(consistent(history + [other], 7, 9))

    def test_an_old_value_does_not_come_back(self):
        history = [op(WRITE, "a", 0), op(WRITE, "b", 0)]
        for at, value in ((1, "a"), (3, "b"), (5, "a")):
            history.append(op(READ, value, at, at + 1, revision=at))
        self.assertFalse(consistent(history, 0, 5))

    def test_revisions_of_nobody(self):
        history = [op(WRITE, "a", 0, 1, revision=8)]
        self.assertFalse(consistent(history, 7, 9))
        self.assertTrue(consistent(history + [op(ERASE, None, 2)], 7, 9))

    def test_a_lost_change(self):
        # Its revision was given again, and nobody read it.
        self.assertFalse(consistent([op(WRITE, "a", 0, 1, revision=8),
                                     Operation("other", WRITE, "b", 2, 3, revision=8)], 7, 8))


class Random(unittest.TestCase):
    def test_correct_histories_pass(self):
        for seed in range(60):
            made = Simulated(seed, clients=2 + seed % 7, operations=120, keys=("reg", "b", "c"),
                             unknown=(seed % 4) / 10)
            with self.subTest(seed=seed):
                check(made.history, 0, made.revision)

    def test_long_histories_take_little(self):
        made = Simulated(1, clients=8, operations=3000, unknown=0.05)
        check(made.history, 0, made.revision)

    def test_same_verdict_as_trying_every_order(self):
        verdicts = {True: 0, False: 0}
        for seed in range(600):
            made = Simulated(seed, clients=3, operations=9, unknown=0.25)
            history, rng = made.history, made.rng
            if seed % 2 and history:
                self.spoil(history, rng)
            with self.subTest(seed=seed):
                expected = by_trying(history)
                self.assertEqual(linearizable(history), expected, [str(o) for o in history])
                verdicts[expected] += 1
        self.assertGreater(min(verdicts.values()), 60)

    @staticmethod
    def spoil(history, rng):
        """Some answer becomes another one."""
        o = rng.choice(history)
        if o.kind == READ:
            o.value = rng.choice([x.value for x in history if x.kind in CHANGES] + [None])
        elif o.answered is not None:
            o.called, o.answered = o.called + 3, o.answered + 3

    def all_found(self, damage):
        """`damage` makes a history certainly wrong, or leaves it alone and says False."""
        damaged = 0
        for seed in range(100):
            made = Simulated(seed, clients=3, operations=60, unknown=0)
            if damage(made):
                damaged += 1
                self.assertFalse(linearizable(made.history), seed)
        self.assertGreater(damaged, 30)

    @staticmethod
    def pairs(made):
        """Writes of which the second certainly came after the first, and who read the second
        certainly after it."""
        writes = [w for w in made.effects if w.kind == WRITE]
        for first, second in itertools.combinations(writes, 2):
            reads = [o for o in made.history if o.kind == READ and o.value == second.value]
            late = [o for o in reads if o.called > second.answered]
            if late and first.answered < second.called:
                yield first, second, reads, late

    def test_a_dropped_effect_is_found(self):
        def drop(made):
            for first, second, reads, _ in self.pairs(made):
                if made.effects.index(second) == made.effects.index(first) + 1:
                    for o in reads:
                        o.value = first.value
                    return True
            return False
        self.all_found(drop)

    def test_a_doubled_effect_is_found(self):
        def double(made):
            for first, _, _, late in self.pairs(made):
                late[-1].value = first.value
                return True
            return False
        self.all_found(double)

    def test_damaged_revisions_are_found(self):
        for seed in range(50):
            made = Simulated(seed, clients=3, operations=60, unknown=0)
            reads = [o for o in made.history if o.kind == READ and o.value is not None]
            if not reads:
                continue
            made.rng.choice(reads).value = "of nobody"
            self.assertFalse(consistent(made.history, 0, made.revision))


if __name__ == "__main__":
    unittest.main()
