"""The states that a power cut can leave, of a file system whose changes were recorded."""

import dataclasses
import random

from . import changes

EXHAUSTIVE_MAX = 8  # changes since the last sync: so many in all combinations
SEEDED = 200  # combinations, of more
HARSH = 50  # combinations for each sync, in which also older changes are missing that nobody has synced
TORN = 0.3  # of the writes that are there


@dataclasses.dataclass(frozen=True)
class Cut:
    """The power went before change `at`. Those that need not be on the disk are there whose bits `kept` has; in part those in
    `parts`: {number: (pages, zeros)}."""

    at: int
    kept: int
    parts: dict

    def has(self, number):
        return self.kept >> number & 1


def bits(numbers):
    return sum(1 << number for number in numbers)


class History:
    def __init__(self, recorded):
        self.changes = recorded
        self.durable_at = {}  # what is durable before each sync, and at the end
        durability = changes.Durability()
        for number, change in enumerate(recorded):
            if change.kind == "sync":
                self.durable_at[number] = frozenset(durability.durable)
            durability.take(change)
        self.durable_at[len(recorded)] = frozenset(durability.durable)

    def syncs(self):
        return sorted(self.durable_at)

    def cuts(self, seed):
        """All that are tried, in the order of the syncs."""
        rng = random.Random(seed)
        last = 0
        for at in self.syncs():
            pending = [n for n in range(at) if n not in self.durable_at[at] and self.changes[n].kind != "sync"]
            old, new = [n for n in pending if n < last], [n for n in pending if n >= last]
            if len(new) <= EXHAUSTIVE_MAX:
                chosen = ([n for bit, n in enumerate(new) if mask >> bit & 1] for mask in range(1 << len(new)))
            else:
                chosen = (self._some(rng, new) for _ in range(SEEDED))
            for some in chosen:
                yield Cut(at, bits(old + some), {})
            if pending:
                for _ in range(HARSH):
                    some = self._some(rng, old) + self._some(rng, new)
                    torn = [n for n in some if self.changes[n].kind == "write" and rng.random() < TORN]
                    yield Cut(at, bits(some), {n: self._part(rng, n) for n in torn})
            last = at + 1

    @staticmethod
    def _some(rng, numbers):
        """The first ones, as a journal would leave them, or any."""
        share = rng.choice((None, 0.1, 0.5, 0.9, 1))
        if share is None:
            return numbers[: rng.randint(0, len(numbers))]
        return [n for n in numbers if rng.random() < share]

    def _part(self, rng, number):
        return rng.randint(0, len(self.changes[number].values[1]) // changes.PAGE), rng.random() < 0.5

    def tree(self, cut, kind=changes.Tree):
        made, durable = kind(), self.durable_at[cut.at]
        for number in range(cut.at):
            if number in durable or cut.has(number):
                made.apply(self.changes[number], *cut.parts.get(number, ()))
        return made

    def digest(self, cut):
        """The same for cuts that leave the same."""
        return self.tree(cut, changes.Outline).digest()

    def describe(self, cut):
        """What is missing, for the message of a failed test."""
        lines = [f"cut before change {cut.at} of {len(self.changes)}; missing, or there in part:"]
        for number in range(cut.at):
            change, part = self.changes[number], cut.parts.get(number)
            there = number in self.durable_at[cut.at] or (cut.has(number) and part is None)
            if change.kind != "sync" and not there:
                values = [f"{len(value)} bytes" if isinstance(value, bytes) else value for value in change.values]
                lines.append(f"  {number}: {change.kind} of node {change.node}: {values}" + (f", but {part}" if part else ""))
        return "\n".join(lines)
