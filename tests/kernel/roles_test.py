"""Each of obitd's processes killed, and stopped, while there is nothing to do and while a core is written: another takes its place,
no crashed process stays held, and each has its record."""

import os
import signal

from harness import case, crash, look, programs, server, store, wait

LIMITS = "[capture]\nprogress_timeout = 2\nqueue_timeout = 1\n[analysis]\nenabled = false\n"
# Seconds: for the facts (2.5), in the queue (1), in a capture without progress (2), and until one that does nothing is killed (5);
# and as much again for a machine that has other work.
HELD_MAX = 20
MIB = 200


class Roles(case.KernelCase):
    def begin(self, transport="socket-request"):
        self.server.configure(LIMITS)
        self.server.start()
        self.lend_kernel(transport)
        self.server.await_whole()

    def await_replaced(self, role, pid):
        wait.until(lambda: crash.state(pid) in ("Z", "gone"), lambda: f"end of {look.at(pid)}", server.REPLACED_MAX)
        wait.until(lambda: pid not in self.server.role(f"obitd-{role}"), lambda: f"end of {look.at(pid)}", server.REPLACED_MAX)
        self.server.await_whole()

    def replaced(self):
        return self.server.metrics().get("obit_processes_replaced_total", 0)

    def in_mid_capture(self):
        """A process whose core is being written."""
        known = len(store.incoming_cores(self.server.store))
        process = crash.Running([programs.CRASHER, "memory", MIB, "random", "stop"])
        self.addCleanup(process.end)
        crash.await_stop(process)
        process.kill(signal.SIGCONT)
        wait.until(lambda: len(store.incoming_cores(self.server.store)) > known, "core begun", 30)
        return process

    def hit(self, role, number, capturing=False):
        """Sends the signal to one who has this role: to him who is at work, if it can be told."""
        pids = self.server.role(f"obitd-{role}")
        self.assertTrue(pids, f"no process is called obitd-{role}: {[look.comm(pid) for pid in self.server.processes()]}")
        pid = next((pid for pid in pids if capturing and store.writes_a_core(pid)), pids[0])
        os.kill(pid, number)
        return pid

    def recorded(self):
        """The records by the process that died."""
        return {record["process"]["pid"]: record for record in store.records(self.server.store, 1, at_least=True)}

    def check_next(self, count):
        """One more crash, recorded as always."""
        self.assertTrue(self.crash(programs.CRASHER, "segv", seconds=HELD_MAX).dumped)
        records = store.records(self.server.store, count)
        self.check_core(records[-1], "crash_here")
        return records

    def check_role(self, role, number):
        self.begin("pipe" if role == "pump" else "socket-request")
        before = self.replaced()
        self.await_replaced(role, self.hit(role, number))
        self.check_next(1)

        process = self.in_mid_capture()
        hit = self.hit(role, number, capturing=True)
        death = process.reap(HELD_MAX)
        self.assertNotEqual(death.signal, 0)
        self.await_replaced(role, hit)
        cut = self.check_next(3)[1]
        self.assertEqual(cut["process"]["pid"], process.pid)
        self.assertLess(cut["capture"]["held_seconds"], HELD_MAX)
        print(f"{role}: {cut['capture']['outcome']}, {cut['capture'].get('reason', '')}")
        if cut["capture"]["outcome"] != "full":
            self.assertTrue(cut["capture"]["reason"])

        self.assertRegex(self.server.log(), "SIGKILL|SIGSTOP|stopped|is gone")
        wait.until(lambda: self.replaced() >= before + 2, lambda: f"{before + 2} processes replaced: {self.replaced()}", 60)

    def test_supervisor_killed(self):
        """Nothing outlives it, and nothing stays held."""
        self.begin()
        process = self.in_mid_capture()
        waiting = crash.Running([programs.CRASHER, "segv", "stop"])
        self.addCleanup(waiting.end)
        crash.await_stop(waiting)
        everyone = self.server.processes()
        waiting.kill(signal.SIGCONT)
        self.server.process.kill()
        for one in (process, waiting):
            self.assertNotEqual(one.reap(HELD_MAX).signal, 0)
        self.server.wait()
        wait.until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in everyone),
                   lambda: f"end of all processes:\n{look.at_all(everyone)}", HELD_MAX)  # fmt: skip
        self.server.start()
        # One or both of them are recorded from what the dead server left behind, in their time.
        process = crash.Running([programs.CRASHER, "segv"])
        self.assertTrue(process.reap(HELD_MAX).dumped)
        wait.until(lambda: process.pid in self.recorded(), lambda: f"record of {process.pid}: {self.recorded()}", 60)
        self.check_core(self.recorded()[process.pid], "crash_here")

    def test_manager_killed_with_a_full_house(self):
        """What it had accepted has a record each, and says why there is no more."""
        self.begin()
        dying = [crash.Running([programs.CRASHER, "memory", 48, "random", "stop"]) for _ in range(12)]
        for process in dying:
            self.addCleanup(process.end)
            crash.await_stop(process)
        for process in dying:
            process.kill(signal.SIGCONT)
        wait.until(lambda: store.incoming_cores(self.server.store), "core begun", 30)
        hit = self.hit("manager", signal.SIGKILL)
        for process in dying:
            self.assertNotEqual(process.reap(HELD_MAX).signal, 0)
        self.await_replaced("manager", hit)
        records = self.check_next(len(dying) + 1)
        self.assertEqual({record["process"]["pid"] for record in records[:-1]}, {process.pid for process in dying})
        for record in records:
            if record["capture"]["outcome"] != "full":
                self.assertTrue(record["capture"]["reason"])


def test_of(role, number):
    return lambda self: self.check_role(role, number)


for tested in server.SEATS:
    setattr(Roles, f"test_{tested}_killed", test_of(tested, signal.SIGKILL))
    setattr(Roles, f"test_{tested}_stopped", test_of(tested, signal.SIGSTOP))


if __name__ == "__main__":
    case.main()
