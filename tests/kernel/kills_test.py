"""SIGKILL to obitd's processes, at random, while programs crash on all transports: each crash is accounted for, each core can be read
by other programs, and nobody is left waiting.

OBIT_KILLS is how many there are, OBIT_SEED makes another storm."""

import collections
import contextlib
import os
import random
import signal
import time

from harness import account, case, crash, kernel, look, programs, server, store, wait

# The queue and the looks at progress end soon; see roles_test.py.
LIMITS = "[capture]\nprogress_timeout = 2\nqueue_timeout = 1\n[analysis]\nenabled = false\n"
DEFAULT_KILLS = 300
KILLS = int(os.environ.get("OBIT_KILLS", DEFAULT_KILLS))
SEED = int(os.environ.get("OBIT_SEED", "300"))
ROUND = 100  # kills on one transport, and while the core pattern is this test's
WAVE = 5  # kills to a wave of crashes: small ones, and every other time a large one
SMALL, LARGE_MIB = 5, 40  # the large ones have a minimal core first
SUPERVISOR_EVERY = 50  # one kill of so many, on average
REAPED_MAX = 60
ROUND_SECONDS = 120  # to make, to account for and to read the crashes of a round


class Kills(case.KernelCase):
    def setUp(self):
        super().setUp()
        self.server.configure(LIMITS)
        self.sockets = server.Sockets(self.server)
        self.stack.callback(self.sockets.close)
        self.server.start(**self.sockets.options())
        self.account = account.Account(self.server)
        self.chance = random.Random(SEED)
        self.kills = collections.Counter()

    def kill_one(self):
        if self.chance.randrange(SUPERVISOR_EVERY) == 0:
            self.server.process.kill()
            self.server.wait()
            self.kills["supervisor"] += 1
            self.server.start(**self.sockets.options())
            return
        role = self.chance.choice(list(server.SEATS))
        pids = self.server.role(f"obitd-{role}")
        with contextlib.suppress(ProcessLookupError):
            if pids:  # else it was killed a moment ago
                os.kill(self.chance.choice(pids), signal.SIGKILL)
                self.kills[role] += 1

    def begin(self, count, *argv):
        process = crash.Running([programs.CRASHER, *argv])
        self.addCleanup(process.end)
        self.account.made += count
        return process

    def storm(self, transport, kills):
        """Crashes begin for as long as processes are killed."""
        self.lend_kernel(transport)
        self.server.await_whole()
        dying, begin, waves = [], self.kills.total(), 0
        while self.kills.total() < begin + kills:
            if self.kills.total() >= begin + waves * WAVE:
                dying.append(self.begin(SMALL, "loop", SMALL, SMALL))
                if waves % 2 == 0:
                    dying.append(self.begin(1, "memory", LARGE_MIB, "random"))
                waves += 1
            self.kill_one()
            time.sleep(self.chance.random() * 0.05)  # decides only where the kills fall
        for process in dying:
            process.reap(REAPED_MAX)
        self.server.await_whole()
        self.assertTrue(self.begin(1, "abort").reap(REAPED_MAX).dumped)
        self.give_kernel_back()

    def check_round(self):
        records = self.account.settle()
        self.account.check_readable(records, self.directory)
        self.account.remove(records)
        self.assertEqual(store.begun(self.server.store), [])
        wait.until(lambda: self.server.seats() == server.SEATS and len(self.server.processes()) == 1 + sum(server.SEATS.values()),
                   lambda: f"nobody but its processes:\n{look.at_all(self.server.processes())}")  # fmt: skip
        self.assertNotIn("Z", [crash.state(pid) for pid in self.server.processes()])

    def test_at_random(self):
        begun = time.monotonic()
        rounds = -(-KILLS // ROUND)
        seconds = kernel.TEST_SECONDS if KILLS <= DEFAULT_KILLS else rounds * ROUND_SECONDS
        with wait.limit(seconds, "end of the kills"):
            for number in range(rounds):
                self.storm(server.TRANSPORTS[number % len(server.TRANSPORTS)], min(ROUND, KILLS - number * ROUND))
                self.check_round()
                print(f"{dict(self.kills)}: {self.account.summary()}", flush=True)
        self.assertEqual(self.server.stop(), 0)
        self.assertEqual(store.begun(self.server.store), [])
        print(f"{self.kills.total()} kills in {time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    case.main()
