"""Programs that are told of crashes: with which rights, and in whose way they are not."""

import json
import os
import pwd

from harness import case, programs, store, wait

# Arguments, rights and input of a hook, as files that appear at once.
TELL = """
(echo "$@"; id -u; grep -E '^(CapEff|NoNewPrivs):' /proc/self/status) > $told/$1.facts
cat > $told/$1.new && mv $told/$1.new $told/$1.json
"""


class Hooks(case.KernelCase):
    def setUp(self):
        super().setUp()
        self.hooks = self.server.directory / "hooks"
        self.told = self.server.directory / "told"
        self.hooks.mkdir(0o755)
        self.told.mkdir()
        self.told.chmod(0o777)

    def start(self, commands, more=""):
        """Starts obitd with one hook, of these commands."""
        hook = self.hooks / "10-tell"
        hook.write_text(f"#!/bin/sh\ntold={self.told}\n{commands}\n")
        hook.chmod(0o755)
        self.server.configure(f'hooks.folder = "{self.hooks}"\n{more}\n')
        self.server.start()
        self.lend_kernel("socket-request")

    def lines(self):
        file = self.told / "lines"
        return file.read_text().splitlines() if file.exists() else []

    def test_is_told_of_crash_and_report(self):
        self.start(TELL)
        self.crash(programs.CRASHER, "segv")
        record = self.record()
        try:
            user = pwd.getpwnam("obit").pw_uid
        except KeyError:
            user = 0
        for event in ("crash", "report"):
            wait.until((self.told / f"{event}.json").exists, lambda: f"a hook told of the {event}\n{self.server.log()}")
            facts = (self.told / f"{event}.facts").read_text().splitlines()
            folder = store.directory_of(self.server.store, record)
            self.assertEqual(facts, [f"{event} {record['id']} {folder}", str(user), "CapEff:\t0000000000000000", "NoNewPrivs:\t1"])
            told = json.loads((self.told / f"{event}.json").read_text())
            self.assertEqual(told["record"]["id"], record["id"])
            self.assertEqual("report" in told, event == "report")
        self.assertEqual(told["report"]["cause"]["kind"], "null-write")
        self.assertEqual(json.loads(store.obit(self.server.store, "show", "--json").stdout), told)

    def test_one_that_hangs_is_in_nobodys_way(self):
        self.start("echo $$ > $told/pid; exec sleep 1000", "hooks.timeout = 1000\nserver.stop_timeout = 1")
        self.crash(programs.CRASHER, "segv")
        wait.until((self.told / "pid").exists, "the hook to run")
        for _ in range(3):
            self.crash(programs.CRASHER, "segv")
        store.records(self.server.store, 4)
        pid = int((self.told / "pid").read_text())
        os.kill(pid, 0)
        self.assertEqual(self.server.stop(), 0)
        with self.assertRaises(ProcessLookupError):
            os.kill(pid, 0)
        self.assertIn("of which not every hook was told", self.server.log())

    def test_one_that_crashes_is_not_told_of_itself(self):
        self.start("echo $1 $2 >> $told/lines; kill -SEGV $$")
        self.crash(programs.CRASHER, "segv")
        wait.until(lambda: len(self.lines()) >= 2, lambda: f"two hooks: {self.lines()}")
        listed = store.records(self.server.store, 3)
        crashes = [record["id"] for record in listed if record["process"]["comm"] == "crasher"]
        self.assertEqual(self.server.stop(), 0)
        self.assertEqual(self.lines(), [f"crash {crashes[0]}", f"report {crashes[0]}"])

    def test_stop_waits_for_them(self):
        self.start("sleep 0.1; echo $1 $2 >> $told/lines")  # slower than the crashes
        for _ in range(20):
            self.crash(programs.CRASHER, "segv")
        store.records(self.server.store, 20)
        self.assertEqual(self.server.stop(), 0)
        self.assertEqual(sum(line.startswith("crash ") for line in self.lines()), 20)


if __name__ == "__main__":
    case.main()
