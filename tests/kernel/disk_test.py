"""A store on a disk that is slow, or stands: the crashed processes do not wait for it longer than the deadlines of obitd say, and
what was captured is kept once the disk goes on."""

import concurrent.futures
import signal
import subprocess
import time

from harness import case, crash, disk, programs, server, store, wait

# Seconds: for the facts (2.5), in the queue (1), in a capture without progress (2), and until one that does nothing is killed (5);
# and as much again for a machine that has other work.
LIMITS = '[capture]\nearly_release = "never"\nprogress_timeout = 2\nqueue_timeout = 1\n[analysis]\nenabled = false\n'
HELD_MAX = 20
SLOTS = 4


class Dying:
    """A program that goes on and dies, and how long that takes: seconds until its parent has it."""

    def __init__(self, *argv):
        self.process = crash.Running([programs.CRASHER, *argv, "stop"])
        crash.await_stop(self.process)
        self.pid, self.seconds = self.process.pid, None

    def go_on(self):
        self._begun = time.monotonic()
        self.process.kill(signal.SIGCONT)
        return self

    def reap(self):
        death = self.process.reap(HELD_MAX)
        self.seconds = time.monotonic() - self._begun
        return death


def reap_all(dying):
    """Each for itself, so that none is measured late."""
    with concurrent.futures.ThreadPoolExecutor(len(dying)) as pool:
        return list(pool.map(Dying.reap, dying))


class SlowDisk(case.KernelCase):
    def setUp(self):
        super().setUp()
        try:
            self.disk = self.stack.enter_context(disk.Disk())
        except (OSError, subprocess.SubprocessError) as error:
            self.skipTest(f"no disk to slow down: {error}")
        self.stack.callback(lambda: self.server.kill())
        self.stack.callback(self.disk.go_on)
        self.server = server.Server(self.directory, store=self.disk.folder / "store")
        self.server.configure(LIMITS)
        self.server.start()
        self.lend_kernel("socket-request")

    def dying(self, *argv):
        made = Dying(*argv)
        self.addCleanup(made.process.end)
        return made

    def in_mid_capture(self):
        """A process whose core is being written."""
        self.disk.slow_down(8 << 20)
        first = self.dying("memory", 48, "random").go_on()
        wait.until(lambda: store.incoming_cores(self.server.store), "core begun")
        self.disk.stop()
        self.disk.await_waiting()
        return first

    def check_held(self, dying, records):
        """Each has a record, which says how long it was held."""
        by_pid = {record["process"]["pid"]: record["capture"] for record in records}
        for one in dying:
            capture = by_pid[one.pid]
            print(f"{one.pid}: {capture['outcome']}, held for {capture['held_seconds']:.2f} s, gone after {one.seconds:.2f} s")
            self.assertLess(capture["held_seconds"] - one.seconds, 1, capture)
            self.assertLess(one.seconds - capture["held_seconds"], 3, capture)  # to exit takes a loaded machine its time
            if capture["outcome"] != "full":
                self.assertTrue(capture["reason"])

    def check_goes_on(self, count):
        """The next crash is recorded as always, by whatever process has the work now."""
        self.assertTrue(self.crash(programs.CRASHER, "segv").dumped)
        last = store.records(self.server.store, count + 1)[-1]
        self.check_core(last, "crash_here")

    def test_two_megabytes_a_second(self):
        self.disk.slow_down(2 << 20)
        slow, small = self.dying("memory", 16, "random"), self.dying("segv")
        slow.go_on()
        small.go_on()
        reap_all([slow, small])
        records = store.records(self.server.store, 2)
        self.check_held([slow, small], records)
        for record in records:
            self.check_core(record, "crash_here")

    def test_it_stops_in_the_middle_of_a_capture(self):
        first = self.in_mid_capture()
        # More than there are captures: some wait in the queue, and some come when all captures stand.
        others = [self.dying("memory", 8, "random") for _ in range(2 * SLOTS)]
        for one in others:
            one.go_on()
        everyone = [first, *others]
        reap_all(everyone)
        self.disk.go_on()
        records = store.records(self.server.store, len(everyone))
        self.check_held(everyone, records)
        (cut,) = [record["capture"] for record in records if record["process"]["pid"] == first.pid]
        self.assertIn(cut["outcome"], ("minimal", "truncated", "failed"), cut)
        self.check_goes_on(len(everyone))

    def test_small_crashes_while_it_stands(self):
        self.disk.stop()
        dying = [self.dying("segv").go_on() for _ in range(4 * SLOTS)]
        reap_all(dying)
        self.disk.go_on()
        self.check_held(dying, store.records(self.server.store, len(dying)))
        self.check_goes_on(len(dying))

    def test_syncs_that_do_not_end(self):
        """Whose core was read is released at once: only the storing waits."""
        self.disk.stop_syncing()
        dying = [self.dying("segv").go_on() for _ in range(3 * SLOTS)]
        reap_all(dying)
        self.disk.await_waiting()
        self.disk.go_on()
        records = store.records(self.server.store, len(dying))
        self.check_held(dying, records)
        kept = [record for record in records if record["capture"]["outcome"] == "full"]
        # One is kept free for other users.
        self.assertGreaterEqual(len(kept), SLOTS - 1, "what was captured is committed when the disk goes on")
        self.check_core(kept[0], "crash_here")
        self.check_goes_on(len(dying))

    def test_the_server_is_killed_while_it_stands(self):
        """What its successor recovers says how long the process was held, too."""
        first = self.in_mid_capture()
        first.reap()
        self.server.process.kill()
        self.disk.go_on()
        self.server.wait()
        self.server.start()
        self.check_held([first], store.records(self.server.store, 1))
        self.check_goes_on(1)


if __name__ == "__main__":
    case.main()
