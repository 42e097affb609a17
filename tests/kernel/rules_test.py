"""Rules of the configuration, on crashes as the kernel makes them."""

import signal

from harness import case, programs, report, store, wait

RULES = """
[[rule]]
title = "abort"
exe = "*/{crasher}"
signal = "SIGABRT"
detail = "event"

[[rule]]
title = "crasher"
exe = "{path}"
name = "{name}"
user = "root"
larger_than = "1 KiB"
smaller_than = "1 TiB"
dump_mode = "user"
detail = "minimal"
environment = "all"
retention = "keep"

[[rule]]
exe = ["*/dash", "*/sh", "*/bash"]
detail = "reject"
"""


class Rules(case.KernelCase):
    def start(self, rules):
        self.server.configure(rules)
        self.server.start()
        self.lend_kernel("socket-request")

    def test_the_first_that_matches_wins(self):
        crasher = programs.CRASHER.resolve()
        self.start(RULES.format(crasher=crasher.name, path=crasher, name=crasher.name[:15]))
        self.crash(crasher, "abort")
        self.crash("/bin/sh", "-c", "kill -SEGV $$")
        self.crash(crasher, "segv", core_limit=0, environment={"SECRET": "1"})
        abort, segv = store.records(self.server.store, 2)
        self.assertEqual((abort["capture"]["rule"], abort["capture"]["outcome"]), ("abort", "event"))
        self.assertEqual((segv["capture"]["rule"], segv["capture"]["detail"]), ("crasher", "minimal"))
        self.assertEqual(segv["capture"]["dump_mode"], "user")
        self.assertEqual(segv["capture"]["handling"], {"environment": "all", "retention": "keep"})
        self.assertIn("SECRET=1", report.of(self.server.store, segv)["environment"])
        wait.until(lambda: self.server.metrics().get("obit_crashes_rejected_total") == 1, "the shell to be counted")
        tried = store.obit(self.server.store, "rule", "test", segv["id"], "--config", self.server.config).stdout
        self.assertIn("\ncrasher wins:\n", tried)
        self.assertNotIn("When it came", tried)

    def test_what_a_rule_says_of_analysis_is_done_after_a_restart_too(self):
        self.start('[[rule]]\nname = "crasher*"\nanalysis = false\n')
        self.crash(programs.CRASHER, "segv")
        record = self.record()
        self.assertEqual(record["capture"]["handling"], {"analysis": False})
        self.assertEqual(self.server.stop(), 0)
        self.server.configure("")
        self.server.start()
        self.crash(programs.CRASHER, "segv")
        _, second = store.records(self.server.store, 2)
        report.of(self.server.store, second)
        self.assertFalse((store.directory_of(self.server.store, record) / "report.json").exists())

    def test_hooks_are_told_of_others_only(self):
        hooks, told = self.server.directory / "hooks", self.server.directory / "told"
        hooks.mkdir(0o755)
        told.mkdir()
        told.chmod(0o777)
        hook = hooks / "10-tell"
        hook.write_text(f'#!/bin/sh\necho "$1 $2" >> {told}/lines\n')
        hook.chmod(0o755)
        self.start(f'hooks.folder = "{hooks}"\n[[rule]]\nsignal = "SIGSEGV"\nhooks = false\n')
        self.crash(programs.CRASHER, "segv")
        segv = self.record()
        report.of(self.server.store, segv)  # before the other one is analysed
        self.crash(programs.CRASHER, "abort")
        _, abort = store.records(self.server.store, 2)
        lines = wait.until(lambda: (text := (told / "lines")).exists() and "report" in text.read_text() and text.read_text(),
                           "a hook told of a report")  # fmt: skip
        self.assertEqual(lines.splitlines(), [f"crash {abort['id']}", f"report {abort['id']}"])

    def test_a_reload_brings_others(self):
        self.start('[[rule]]\ntitle = "before"\ndetail = "event"\n')
        self.crash(programs.CRASHER, "segv")
        self.assertEqual(self.record()["capture"]["rule"], "before")
        self.server.configure('[[rule]]\ntitle = "after"\ndetail = "reject"\n')
        self.server.process.send_signal(signal.SIGHUP)

        def rejected():
            self.crash(programs.CRASHER, "segv")
            return self.server.metrics().get("obit_crashes_rejected_total", 0) > 0

        wait.until(rejected, "a crash to be rejected")


if __name__ == "__main__":
    case.main()
