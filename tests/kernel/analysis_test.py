"""What becomes of a stored core: obit-analyze reads it, in its jail, and leaves a report beside it."""

import json
import os
import pathlib
import shutil
import signal
import tempfile

from harness import case, crash, programs, store, wait


class Analysis(case.KernelCase):
    def setUp(self):
        super().setUp()
        self.server.start()
        self.lend_kernel("socket-request")

    def report(self, record):
        """The report of a crash, once it is there."""
        path = store.directory_of(self.server.store, record) / "report.json"
        wait.until(path.exists, lambda: f"report of {record['id']}:\n{self.server.log()}")
        self.assertEqual(path.stat().st_mode & 0o7777, 0o600)
        return json.loads(path.read_text())

    def functions(self, report):
        return [frame.get("function") for frame in report["stacks"][0]["frames"]]

    def folder(self):
        """Where programs may lie. Not below /run, which tends to be mounted noexec."""
        return self.stack.enter_context(tempfile.TemporaryDirectory(dir="/var/tmp", prefix="obit-test."))

    def copy_of_crasher(self):
        return shutil.copy(programs.CRASHER, f"{self.folder()}/copy")

    def restart_with_stopping_analyzers(self):
        """Each analyzer of the server stops itself, before it is anything but a script."""
        self.assertEqual(self.server.stop(), 0)
        folder = self.folder()
        self.server.program = shutil.copy(programs.OBITD, folder)
        analyzer = pathlib.Path(folder) / "obit-analyze"
        analyzer.write_text(f'#!/bin/sh\nkill -STOP $$\nexec {programs.OBIT_ANALYZE} "$@"\n')
        analyzer.chmod(0o755)
        self.server.start()

    def stopped_analyzer(self):
        """The pid of the only one, once it is there."""
        return wait.until(lambda: [pid for pid in self.server.processes() if crash.state(pid) == "T"], "an analyzer")[0]

    def test_a_crash_gets_a_report(self):
        self.crash(programs.CRASHER, "segv")
        record = self.record()
        report = self.report(record)
        self.assertNotIn("failure", report)
        self.assertEqual((report["schema"], report["id"]), (1, record["id"]))
        self.assertIn("crash_here", self.functions(report))
        self.assertIn("main", self.functions(report))
        self.server.wait_for_log(f"{record['id']} analysed in")
        self.assertIn(report["cause"]["sentence"], self.server.log())

    def test_again_by_command(self):
        self.crash(programs.CRASHER, "segv")
        record = self.record()
        first = self.report(record)
        done = store.obit(self.server.store, "analyze")
        self.assertIn(first["cause"]["sentence"], done.stdout)
        second = self.report(record)
        self.assertGreater(second["time"], first["time"])
        self.assertEqual(second["fingerprint"], first["fingerprint"])
        done = store.obit(self.server.store, "analyze", "--all")
        self.assertEqual(done.stdout, "", "nothing is due")
        self.assertEqual(self.report(record), second)

    def test_event_gets_none(self):
        self.crash(programs.CRASHER, "segv", core_limit=0)
        self.crash(programs.CRASHER, "segv")
        event, full = store.records(self.server.store, 2)
        self.report(full)
        self.assertEqual([path.name for path in store.directory_of(self.server.store, event).iterdir()], ["crash.json"])

    def test_deleted_program(self):
        copy = self.copy_of_crasher()
        self.crash(copy, "delete-exe")
        report = self.report(self.record())
        self.assertIn("crash_here", self.functions(report))

    def test_replaced_program(self):
        """By the time of the analysis its name leads to another file."""
        copy = self.copy_of_crasher()
        running = crash.Running([copy, "segv", "stop"])
        crash.await_stop(running)
        shutil.copy("/bin/true", f"{copy}.new")
        os.rename(f"{copy}.new", copy)
        os.kill(running.pid, signal.SIGCONT)
        running.reap()
        self.assertIn("crash_here", self.functions(self.report(self.record())))

    def test_file_of_another_mount_namespace(self):
        """A program that no name of this host leads to."""
        folder = self.folder()
        script = (f"mount -t tmpfs none {folder} && cp {programs.CRASHER} {folder}/hidden && "
                  f"ulimit -c unlimited && exec {folder}/hidden segv")  # fmt: skip
        death = crash.run(["unshare", "--mount", "sh", "-c", script])
        self.assertEqual(death.signal, signal.SIGSEGV, death.output)
        self.assertFalse(pathlib.Path(f"{folder}/hidden").exists())
        report = self.report(self.record())
        self.assertIn("crash_here", self.functions(report))

    def test_killed_analyzer(self):
        """The record says so, and the server goes on."""
        self.restart_with_stopping_analyzers()
        self.crash(programs.CRASHER, "segv")
        record = self.record()
        os.kill(self.stopped_analyzer(), signal.SIGKILL)
        self.assertEqual(self.report(record)["failure"], "the analyzer was killed by SIGKILL")
        self.check_core(record, "crash_here")
        self.crash(programs.CRASHER, "segv")
        os.kill(self.stopped_analyzer(), signal.SIGCONT)
        self.assertNotIn("failure", self.report(store.records(self.server.store, 2)[1]))

    def test_stop_during_an_analysis(self):
        """What was cut short is done by the next server."""
        self.restart_with_stopping_analyzers()
        self.crash(programs.CRASHER, "segv")
        analyzer = self.stopped_analyzer()
        record = self.record()
        self.assertEqual(self.server.stop(), 0)
        self.assertEqual(crash.state(analyzer), "gone")
        self.assertFalse((store.directory_of(self.server.store, record) / "report.json").exists())
        self.server.program = programs.OBITD
        self.server.start()
        self.assertIn("crash_here", self.functions(self.report(record)))

    def test_switched_off(self):
        self.server.stop()
        self.server.config.write_text("[analysis]\nenabled = false\n")
        self.server.start()
        self.crash(programs.CRASHER, "segv")
        record = self.record()
        self.check_core(record, "crash_here")
        self.assertEqual(self.server.stop(), 0)
        self.assertNotIn("analysed", self.server.log())
        self.assertFalse((store.directory_of(self.server.store, record) / "report.json").exists())


if __name__ == "__main__":
    case.main()
