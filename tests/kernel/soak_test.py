"""A soak: rounds of crashes of many kinds on a small disk that is filled and emptied, while obitd's processes are killed, the
configuration is read again, and obitd is stopped, killed and started. Each crash is accounted for in each round; in the second half
of the time supervisor, manager and clerk live on, and at its end no process has more descriptors, threads or memory than when it began.

OBIT_SOAK is how many seconds it takes, at least; OBIT_SEED makes another one. The core pattern is its own only while the crashes of
a round are made, so that others can have it between."""

import collections
import contextlib
import os
import random
import shutil
import signal
import subprocess
import time

from harness import account, case, crash, disk, kernel, look, programs, server, store, wait

DEFAULT_SECONDS = 8
SECONDS = int(os.environ.get("OBIT_SOAK", DEFAULT_SECONDS))
SEED = int(os.environ.get("OBIT_SEED", "1"))
LONG_SECONDS = 900  # more than SECONDS, for what has begun then
ROUNDS_MIN = 3  # in each half: one on each transport
FIRST = ROUNDS_MIN - 1 if SECONDS <= DEFAULT_SECONDS else 10  # rounds of the second half after which its processes are measured
MADE_AT_ONCE, KILLS = 6, 6  # of a round
LOOP, WIDTH = 200, 4
REAPED_MAX = 60
LIMITS = """[capture]
progress_timeout = {progress}
queue_timeout = 1
[crash_loop]
cores = 2
events = 1
[budget]
user_crashes = 0
unit_crashes = 0
[analysis]
enabled = {analysis}
"""
SIGNALS = ("ILL", "TRAP", "ABRT", "BUS", "FPE", "SEGV", "SYS", "XCPU", "XFSZ")
WAYS = (("segv",), ("abort",), ("threads", 10), ("memory", 6, "random"), ("memory", 24, "mixed"), ("mappings", 500),
        ("hole", 2, 4), ("leave",), ("shared", 4), ("reserve", 8, 16, "ends"))  # fmt: skip
# Options of crash.Running: no core wanted, less than a core, another user.
OPTIONS = ({}, {}, {}, {"core_limit": 0}, {"core_limit": 64 << 10}, {"user": 61001})
MEMBERS = ("inspect", "capture", "pump")  # whom manager and clerk survive
LASTING = ("", "manager", "clerk")  # "": the supervisor
# What a process may have more at the end: descriptors of what it was just asked for; memory, if it is one of those that last, and if
# it is another, whose last capture may have been a large one.
DESCRIPTORS_MORE, BYTES_MORE, MEMBER_BYTES_MORE = 4, 1 << 20, 4 << 20


class Soak(case.KernelCase):
    def setUp(self):
        super().setUp()
        try:
            self.disk = self.stack.enter_context(disk.Disk())
        except (OSError, subprocess.SubprocessError) as error:
            self.skipTest(f"no disk of its own: {error}")
        self.stack.callback(lambda: self.server.kill())
        self.server = server.Server(self.directory, store=self.disk.folder / "store")
        self.sockets = server.Sockets(self.server)
        self.stack.callback(self.sockets.close)
        self.configure(0)
        self.server.start(**self.sockets.options())
        self.account = account.Account(self.server)
        self.chance = random.Random(SEED)
        self.counts = collections.Counter()
        self.looper = self.copy_of_crasher("looper")

    def configure(self, number):
        self.server.configure(LIMITS.format(progress=2 + number % 2, analysis="true" if number % 2 else "false"), limits_loops=True)

    def copy_of_crasher(self, name):
        """Another program, whose crashes are of no loop yet."""
        folder = self.server.directory / name
        folder.mkdir()
        return shutil.copy(programs.CRASHER, folder)

    # What happens in a round.

    def begin(self, count, *argv, **options):
        process = crash.Running(argv, **options)
        self.addCleanup(process.end)
        self.account.made += count
        return process

    def begin_some(self, number):
        """Crashes of different kinds, none of them a loop, and one loop."""
        dying = [self.begin(LOOP, self.looper, "loop", LOOP, WIDTH)]
        for at in range(MADE_AT_ONCE):
            program = self.copy_of_crasher(f"crashers-{number}-{at}")
            dying.append(self.begin(1, program, *self.chance.choice(WAYS), **self.chance.choice(OPTIONS)))
        program = shutil.copy("/bin/sleep", self.server.directory / f"sleep-{number}")
        sleeping = self.begin(1, program, "1000")
        wait.until(lambda: look.comm(sleeping.pid).startswith("sleep-"), "sleep begun")
        return [*dying, sleeping.kill(getattr(signal, "SIG" + self.chance.choice(SIGNALS)))]

    def kill_one(self, roles):
        role = self.chance.choice(roles)
        pids = self.server.role(f"obitd-{role}")
        with contextlib.suppress(ProcessLookupError):
            if pids:  # else it was killed a moment ago
                os.kill(self.chance.choice(pids), signal.SIGKILL)
                self.counts[f"{role} killed"] += 1

    @contextlib.contextmanager
    def full_disk(self, full):
        filler = self.disk.folder / "filler"
        if full:
            self.counts["disk full"] += 1
            with open(filler, "ab", buffering=0) as file, contextlib.suppress(OSError):
                while file.write(bytes(1 << 20)) == 1 << 20:
                    pass
        try:
            yield
        finally:
            filler.unlink(missing_ok=True)

    def round(self, number, roles, full):
        self.lend_kernel(server.TRANSPORTS[number % len(server.TRANSPORTS)])
        with self.full_disk(full):
            dying = self.begin_some(number)
            for _ in range(KILLS):
                self.kill_one(roles)
                time.sleep(self.chance.random() * 0.1)  # decides only where the kills fall
            if number % 2 == 0:
                self.counts["reloads"] += 1
                self.configure(number // 2)
                self.server.process.send_signal(signal.SIGHUP)
            for process in dying:
                process.reap(REAPED_MAX)
        self.server.await_whole()
        self.give_kernel_back()
        for folder in self.server.directory.glob(f"crashers-{number}-*"):
            shutil.rmtree(folder)
        (self.server.directory / f"sleep-{number}").unlink()

    def check_round(self, keep):
        """Each crash of it is accounted for, and each core can be read; then all but those of the loop go."""
        records = self.account.settle()
        self.account.check_readable(records, self.directory)
        self.account.remove([record for record in records if not keep or record["process"]["exe"] != str(self.looper)])
        self.assertEqual(store.begun(self.server.store), [])
        self.await_idle()

    def await_idle(self):
        everyone = 1 + sum(server.SEATS.values())
        wait.until(lambda: self.server.seats() == server.SEATS and len(self.server.processes()) == everyone,
                   lambda: f"nobody but its processes:\n{look.at_all(self.server.processes())}", 90)  # fmt: skip
        self.assertNotIn("Z", [crash.state(pid) for pid in self.server.processes()])

    def restart(self):
        if self.counts["stops"] <= self.counts["supervisor killed"]:
            self.assertEqual(self.server.stop(), 0)
            self.counts["stops"] += 1
        else:
            self.server.process.kill()
            self.server.wait()
            self.counts["supervisor killed"] += 1
        self.server.start(**self.sockets.options())
        self.server.await_whole()

    # What its processes have.

    def measure(self):
        """{role: (descriptors, threads, Pss in bytes)}: the most that one of this role has."""
        found = {}
        for pid in self.server.processes():
            role = look.comm(pid).partition("-")[2]
            has = look.descriptors(pid), len(look.threads(pid)), look.proportional_bytes(pid)
            found[role] = tuple(map(max, has, found.get(role, (0, 0, 0))))
        return found

    def lasting(self):
        return [pid for pid in self.server.processes() if look.comm(pid).partition("-")[2] in LASTING]

    def check_growth(self, before, after):
        for role, (descriptors, threads, size) in after.items():
            was = before[role]
            self.assertLessEqual(descriptors, was[0] + DESCRIPTORS_MORE, f"descriptors of {role or 'supervisor'}: {before} {after}")
            self.assertLessEqual(threads, was[1], f"threads of {role or 'supervisor'}: {before} {after}")
            more = BYTES_MORE if role in LASTING else MEMBER_BYTES_MORE
            self.assertLessEqual(size, was[2] + more, f"memory of {role or 'supervisor'}: {before} {after}")

    def show(self, begun, number):
        has = "; ".join(f"{role or 'supervisor'} {descriptors} descriptors, {threads} threads, {size >> 10} KiB"
                        for role, (descriptors, threads, size) in self.measure().items())  # fmt: skip
        print(f"{time.monotonic() - begun:.0f} s, {number} rounds: {self.account.summary()}\n  {dict(self.counts)}\n  {has}", flush=True)

    def test_rounds(self):
        begun = time.monotonic()
        seconds = kernel.TEST_SECONDS if SECONDS <= DEFAULT_SECONDS else SECONDS + LONG_SECONDS
        with wait.limit(seconds, "end of the soak"):
            number = 0
            while number < ROUNDS_MIN or time.monotonic() - begun < SECONDS / 2:
                restarts = number % 5 == 2
                self.round(number, list(server.SEATS), full=number % 4 == 1)
                self.check_round(keep=not restarts)
                if restarts:
                    self.restart()
                number += 1
                self.show(begun, number)
            before, those, first = None, self.lasting(), number
            while number <= first + FIRST or time.monotonic() - begun < SECONDS:
                self.round(number, MEMBERS, full=number % 4 == 1)
                self.check_round(keep=True)
                number += 1
                self.show(begun, number)
                if number == first + FIRST:
                    before = self.measure()
            self.assertEqual(self.lasting(), those)
            self.check_growth(before, self.measure())
            self.assertEqual(self.server.stop(), 0)
            self.assertEqual(store.begun(self.server.store), [])


if __name__ == "__main__":
    case.main()
