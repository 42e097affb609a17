"""The packages under systemd as PID 1: to be run as root in a machine that can be thrown away, such as a virtual one.

OBIT_PACKAGES is a folder with two versions of the package, obit_*.deb, as tools/check-package makes them; what they depend on is
installed. Python's standard library is all that this file needs. The tests are steps of one story, in the order of their names.
"""

import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest

PATTERN = pathlib.Path("/proc/sys/kernel/core_pattern")
STORE = pathlib.Path("/var/lib/obit")
SETTLED = 120  # seconds that anything here may take


def run(*command, check=True):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done


def until(condition, what):
    deadline = time.monotonic() + SETTLED
    while not (value := condition()):
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {SETTLED} s: {what}")
        time.sleep(0.1)
    return value


def packages():
    """The older and the newer one."""
    found = list(pathlib.Path(os.environ["OBIT_PACKAGES"]).glob("obit_*.deb"))
    version = lambda path: run("dpkg-deb", "-f", str(path), "Version").stdout.strip()
    older, newer = found
    if run("dpkg", "--compare-versions", version(older), "gt", version(newer), check=False).returncode == 0:
        older, newer = newer, older
    return str(older), str(newer)


def install(package):
    """Without a question, without a network."""
    run("unshare", "--net", "env", "DEBIAN_FRONTEND=noninteractive", "dpkg", "-i", package)


def records():
    return json.loads(run("obit", "list", "--json").stdout)


def crash(command="kill -SEGV $$", shell="sh"):
    """Starts a shell that dies, and returns its process."""
    return subprocess.Popen([shell, "-c", f"ulimit -c unlimited; {command}"], stdin=subprocess.DEVNULL,
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip


def failed_units():
    return [line.split()[0] for line in run("systemctl", "--failed", "--plain", "--no-legend").stdout.splitlines() if "obit" in line]


def install_other_pattern():
    """A package of somebody else's, which brings a core pattern: its installation makes systemd set all sysctls anew."""
    with tempfile.TemporaryDirectory() as folder:
        files = pathlib.Path(folder, "other")
        (files / "usr/lib/sysctl.d").mkdir(parents=True)
        (files / "usr/lib/sysctl.d/50-other.conf").write_text("kernel.core_pattern = other\nkernel.core_pipe_limit = 16\n")
        (files / "DEBIAN").mkdir()
        (files / "DEBIAN/control").write_text("Package: other\nVersion: 1\nArchitecture: all\nMaintainer: nobody <n@example.org>\nDescription: other\n")
        files.chmod(0o755)
        run("dpkg-deb", "-b", str(files), f"{folder}/other.deb")
        install(f"{folder}/other.deb")


def active(unit):
    return run("systemctl", "is-active", unit, check=False).stdout.strip()


def all_full(before, count):
    """Waits for so many more records; each has a full core."""
    until(lambda: len(records()) >= before + count, f"{count} more records than {before}: {len(records()) - before}")
    made = records()[before:]
    assert len(made) == count, f"{len(made)} records instead of {count}"
    outcomes = [record["capture"]["outcome"] for record in made]
    assert outcomes == ["full"] * count, f"{outcomes.count('full')} of {count} are full: {set(outcomes)}"


class Machine(unittest.TestCase):
    UNITS = ("obitd.socket", "obitd.service", "obit-enable.service")

    @classmethod
    def setUpClass(cls):
        cls.pattern_before = PATTERN.read_text()
        cls.older, cls.newer = packages()
        install(cls.older)
        cls.pattern_of_obit = PATTERN.read_text()

    def test_01_installed_it_runs(self):
        for unit in self.UNITS:
            self.assertEqual(active(unit), "active", run("systemctl", "status", unit, check=False).stdout)
        sockets = tuple(int(part) for part in re.findall(r"\d+", os.uname().release)[:2]) >= (6, 17)
        self.assertRegex(PATTERN.read_text(), r"^@@/run/obit/" if sockets else r"^\|/usr/libexec/obit/obit-pipe ")
        status = json.loads(run("obit", "status", "--json").stdout)
        self.assertTrue(status["ours"], status)
        said = run("obit", "doctor", "--crash", check=False)
        print(said.stdout)
        self.assertEqual(said.returncode, 0, said.stdout)
        self.assertRegex(said.stdout, r"fs\.suid_dumpable +2 +ok")  # by the file that the package brings

    def test_02_a_crash_is_recorded(self):
        before = len(records())
        dead = crash()
        self.assertEqual(dead.wait(), -signal.SIGSEGV)
        all_full(before, 1)
        record = records()[-1]
        self.assertEqual((record["process"]["pid"], record["process"]["uid"]), (dead.pid, 0))
        until(lambda: (next(STORE.glob(f"crashes/*/{record['id']}")) / "report.json").exists(), "a report")
        self.assertIn("SIGSEGV", run("obit", "show", "--no-pager", record["id"]).stdout)
        entries = run("journalctl", "-o", "json", "--no-pager", f"OBIT_ID={record['id']}", "MESSAGE_ID=fc2e22bc6ee647b6b90729ab34a250b1").stdout
        (entry,) = [json.loads(line) for line in entries.splitlines()]
        self.assertEqual((entry["COREDUMP_PID"], entry["COREDUMP_SIGNAL_NAME"]), (str(dead.pid), "SIGSEGV"))

    def test_03_it_has_few_rights(self):
        pid = run("systemctl", "show", "-p", "MainPID", "--value", "obitd").stdout.strip()
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        self.assertIn("NoNewPrivs:\t1", status)
        kept = sum(1 << number for number in (2, 5, 19, 40))
        for field, capabilities in (("CapEff", 0), ("CapPrm", kept), ("CapBnd", kept)):  # for those it forks
            self.assertIn(f"{field}:\t{capabilities:016x}", status)
        exposure = run("systemd-analyze", "security", "--no-pager", "obitd").stdout
        level = float(re.search(r"Overall exposure level for obitd\.service: ([0-9.]+)", exposure)[1])
        print(f"exposure level {level}")
        self.assertLessEqual(level, 2.0, exposure)

    def test_04_a_user_sees_their_own(self):
        for user in ("ann", "bob"):
            run("useradd", "--no-create-home", "--shell", "/bin/sh", user)
        before = len(records())
        run("setpriv", "--reuid=ann", "--regid=ann", "--clear-groups", "sh", "-c", "ulimit -c unlimited; kill -ABRT $$", check=False)
        all_full(before, 1)
        seen = {user: run("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "obit", "list", "--json", check=False).stdout
                for user in ("ann", "bob")}  # fmt: skip
        self.assertEqual(len(json.loads(seen["ann"])), 1)
        self.assertEqual(len(json.loads(seen["bob"])), 0)

    def test_05_hooks_and_reload(self):
        hook = pathlib.Path("/etc/obit/hooks.d/10-tell")
        hook.write_text('#!/bin/sh\n[ "$1" = crash ] && echo "$2 $(id -un)" > /var/cache/obit/told\n')
        hook.chmod(0o755)
        drop_in = pathlib.Path("/etc/obit/obit.toml.d/10-test.toml")
        drop_in.parent.mkdir(exist_ok=True)
        drop_in.write_text("capture.slots = 7\n")
        run("systemctl", "reload", "obitd")
        self.assertEqual(active("obitd"), "active")
        workers = run("pgrep", "-c", "-x", "obitd-capture").stdout.strip()
        self.assertEqual(workers, "7")
        before = len(records())
        crash().wait()
        all_full(before, 1)
        told = pathlib.Path("/var/cache/obit/told")
        until(told.exists, "what the hook writes")
        until(lambda: told.read_text() == f"{records()[-1]['id']} obit\n", told.read_text())
        hook.unlink()
        drop_in.write_text("capture.slot = 7\n")
        self.assertNotEqual(run("systemctl", "reload", "obitd", check=False).returncode, 0)
        self.assertEqual(active("obitd"), "active")
        wrong = 'unknown key "slot"'
        until(lambda: wrong in run("journalctl", "-u", "obitd", "--no-pager").stdout, "the log says what is wrong")
        until(lambda: wrong in run("systemctl", "show", "-p", "StatusText", "obitd").stdout, "systemctl status says what is wrong")
        self.assertEqual(run("pgrep", "-c", "-x", "obitd-capture").stdout.strip(), "7")
        drop_in.unlink()
        run("systemctl", "reload", "obitd")
        until(lambda: run("systemctl", "show", "-p", "StatusText", "--value", "obitd").stdout == "\n", "nothing is wrong any more")

    @contextlib.contextmanager
    def every_crash_kept(self):
        """On a slow machine it takes too long to start hundreds of processes for them to be a storm."""
        drop_in = pathlib.Path("/etc/obit/obit.toml.d/20-storm.toml")
        drop_in.parent.mkdir(exist_ok=True)
        drop_in.write_text("crash_loop.cores = 0\n")
        run("systemctl", "reload", "obitd")
        yield
        drop_in.unlink()
        run("systemctl", "reload", "obitd")

    def storm(self, meanwhile):
        """Two hundred crashes, with something done in their midst."""
        before = len(records())
        crashes = []
        with self.every_crash_kept():
            for number in range(200):
                crashes.append(crash())
                if number == 100:
                    meanwhile()
            for dead in crashes:
                self.assertEqual(dead.wait(), -signal.SIGSEGV)
            all_full(before, 200)

    def test_06_a_restart_in_a_storm_loses_none(self):
        self.storm(lambda: run("systemctl", "restart", "obitd"))

    def test_07_a_kill_in_a_storm_loses_no_record(self):
        before = len(records())
        with self.every_crash_kept():
            crashes = [crash() for _ in range(50)]
            run("systemctl", "kill", "--signal=KILL", "--kill-whom=main", "obitd")
            crashes += [crash() for _ in range(50)]
            for dead in crashes:
                dead.wait()
            until(lambda: active("obitd") == "active", "systemd starts it again")
            crash().wait()
            until(lambda: records()[-1]["capture"]["outcome"] == "full", "crashes are recorded again")
        print(f"of 101 crashes around a SIGKILL of obitd {len(records()) - before} have a record")

    def test_08_an_upgrade_in_a_storm_loses_none(self):
        version = run("dpkg-query", "-W", "-f", "${Version}", "obit").stdout
        pid = run("systemctl", "show", "-p", "MainPID", "--value", "obitd").stdout
        self.storm(lambda: install(self.newer))
        self.assertNotEqual(run("dpkg-query", "-W", "-f", "${Version}", "obit").stdout, version)
        self.assertNotEqual(run("systemctl", "show", "-p", "MainPID", "--value", "obitd").stdout, pid, "the old one still runs")
        for unit in self.UNITS:
            self.assertEqual(active(unit), "active")

    def test_09_the_journal_may_crash(self):
        before = len(records())
        pid = int(run("systemctl", "show", "-p", "MainPID", "--value", "systemd-journald").stdout)
        os.kill(pid, signal.SIGSEGV)
        until(lambda: any(record["process"]["pid"] == pid for record in records()[before:]), "a record of the journal's crash")
        until(lambda: active("systemd-journald") == "active", "the journal is back")
        crash().wait()
        until(lambda: len(records()) >= before + 2, "obitd goes on")
        until(lambda: records()[-1]["id"] in run("journalctl", "-t", "obitd", "-o", "json", "--no-pager").stdout, "an entry in the new journal")

    def check_all_runs(self):
        for unit in self.UNITS:
            until(lambda unit=unit: active(unit) == "active", f"{unit} is active")
        until(lambda: PATTERN.read_text() == self.pattern_of_obit, f"obit's pattern instead of {PATTERN.read_text()}")
        self.assertEqual(failed_units(), [])

    def check_all_stands(self, pattern=None):
        for unit in self.UNITS:
            until(lambda unit=unit: active(unit) == "inactive", f"{unit} is inactive")
        self.assertEqual(PATTERN.read_text(), pattern or self.pattern_before)
        self.assertEqual(failed_units(), [])
        self.assertFalse(pathlib.Path("/run/sysctl.d/zz-obit.conf").exists())

    def test_10_any_stop_gives_the_pattern_back_and_any_start_sets_it(self):
        for stopped in ("obitd.socket", "obitd.service"):
            for started in self.UNITS:
                run("systemctl", "stop", stopped)
                self.check_all_stands()
                self.assertFalse(json.loads(run("obit", "status", "--json").stdout)["ours"])
                run("systemctl", "start", started)
                self.check_all_runs()
        before = len(records())
        crash().wait()
        all_full(before, 1)

    def test_10_disable_now_and_enable_now(self):
        run("systemctl", "disable", "--now", "obitd")
        self.check_all_stands()
        run("systemctl", "enable", "--now", "obitd")
        self.check_all_runs()

    def test_10_the_pattern_stays_through_sysctl(self):
        for command in (["systemctl", "restart", "systemd-sysctl"], ["sysctl", "--system"]):
            self.assertEqual(run(*command, check=False).returncode, 0, command)
            self.check_all_runs()
        install_other_pattern()
        self.check_all_runs()
        if self.pattern_of_obit.startswith("|"):
            self.assertEqual(pathlib.Path("/proc/sys/kernel/core_pipe_limit").read_text(), "0\n")
        run("dpkg", "-P", "other")
        before = len(records())
        crash().wait()
        all_full(before, 1)

    def test_10_who_sets_another_pattern_is_told_and_not_fought(self):
        PATTERN.write_text("mine.%p")
        told = 'crashes do not come here: core_pattern is "mine.%p"'
        count = lambda: run("journalctl", "-u", "obitd", "--no-pager").stdout.count(told)
        until(lambda: count() == 1, "the log says so")
        until(lambda: "obit_core_pattern_ours 0\n" in (STORE / "metrics.prom").read_text(), "the metric says so")
        self.assertIn(told, run("systemctl", "show", "-p", "StatusText", "obitd").stdout)
        self.assertRegex(run("obit", "status").stdout, r"a file named mine.%p\n(.*\n)*server +obitd \d+, listening, but no core goes there")
        self.assertEqual(PATTERN.read_text(), "mine.%p\n")
        run("systemctl", "stop", "obitd")
        self.check_all_stands("mine.%p\n")
        PATTERN.write_text(self.pattern_before)
        run("systemctl", "start", "obitd")
        self.check_all_runs()
        PATTERN.write_text("mine.%p")
        run("systemctl", "restart", "obitd")  # it is wanted: by who does this
        self.check_all_runs()
        PATTERN.write_text("mine.%p")
        run("systemctl", "kill", "--signal=KILL", "--kill-whom=main", "obitd")
        self.check_all_runs()
        run("systemctl", "stop", "obitd")
        PATTERN.write_text(self.pattern_before)
        run("systemctl", "start", "obitd")
        self.check_all_runs()

    def test_10_obitd_that_cannot_start_leaves_no_pattern_to_nowhere(self):
        drop_in = pathlib.Path("/etc/obit/obit.toml.d/30-wrong.toml")
        drop_in.parent.mkdir(exist_ok=True)
        drop_in.write_text("capture.slot = 7\n")
        run("systemctl", "restart", "obitd", check=False)
        until(lambda: PATTERN.read_text() == self.pattern_before, "the pattern goes back")
        self.assertNotEqual(active("obitd.socket"), "active")
        drop_in.unlink()
        run("systemctl", "reset-failed")
        run("systemctl", "start", "obitd")
        self.check_all_runs()

    def test_10_the_store_moves(self):
        """As docs/service.md says."""
        drop_in = pathlib.Path("/etc/obit/obit.toml.d/40-store.toml")
        unit = pathlib.Path("/etc/systemd/system/obitd.service.d/store.conf")
        drop_in.parent.mkdir(exist_ok=True)
        known = [record["id"] for record in records()]
        run("systemctl", "stop", "obitd")
        run("cp", "-a", str(STORE), "/srv/obit")
        drop_in.write_text('server.store = "/srv/obit"\n')
        run("systemctl", "start", "obitd", check=False)
        until(lambda: "Read-only file system" in run("journalctl", "-u", "obitd", "--no-pager").stdout, "systemd keeps it from writing there")
        unit.parent.mkdir(parents=True, exist_ok=True)
        unit.write_text("[Service]\nReadWritePaths=/srv/obit\n")
        run("systemctl", "daemon-reload")
        run("systemctl", "reset-failed")
        run("systemctl", "start", "obitd")
        self.check_all_runs()
        crash().wait()
        all_full(len(known), 1)
        self.assertEqual([record["id"] for record in records()][:-1], known)
        self.assertEqual(run("obit", "doctor", "--crash", check=False).returncode, 0)
        drop_in.unlink()
        run("systemctl", "reload", "obitd", check=False)
        until(lambda: "restart" in run("systemctl", "show", "-p", "StatusText", "obitd").stdout, "a reload says what it cannot change")
        unit.unlink()
        run("systemctl", "daemon-reload")
        run("systemctl", "restart", "obitd")
        self.check_all_runs()
        self.assertEqual([record["id"] for record in records()], known)

    def test_10_what_is_enabled_by_hand_goes_back_too(self):
        """With obit-enable.service disabled, nothing but "obit enable" sets the pattern."""
        run("systemctl", "disable", "--now", "obit-enable")
        for leave in (["systemctl", "stop", "obitd"], ["systemctl", "stop", "obitd.socket"], ["dpkg", "-r", "obit"]):
            run("systemctl", "start", "obitd")
            self.assertEqual((active("obit-enable.service"), PATTERN.read_text()), ("inactive", self.pattern_before))
            run("obit", "enable")
            self.assertEqual(PATTERN.read_text(), self.pattern_of_obit)
            self.assertTrue(pathlib.Path("/run/sysctl.d/zz-obit.conf").exists())
            run("systemctl", "restart", "obitd")
            self.assertEqual(PATTERN.read_text(), self.pattern_of_obit, "a restart is no stop")
            before = len(records())
            crash().wait()
            all_full(before, 1)
            run(*leave)
            self.check_all_stands()
        install(self.newer)
        run("systemctl", "enable", "--now", "obit-enable")
        run("systemctl", "start", "obitd")
        self.check_all_runs()

    def test_10_doctor_tries_what_it_says(self):
        self.assertEqual(run("obit", "doctor", check=False).returncode, 0)
        run("chown", "nobody", f"{STORE}/incoming")
        said = run("obit", "doctor", check=False)
        self.assertEqual(said.returncode, 1)
        self.assertRegex(said.stdout, r"writing there +obitd \d+ as obit +FAIL.*\n?.*incoming: Permission denied")
        run("chown", "obit", f"{STORE}/incoming")
        user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
        said = run(*user, "obit", "doctor", check=False)
        self.assertEqual(said.returncode, 0, said.stdout)
        self.assertIn("only root can tell", said.stdout)

    def test_11_remove_keeps_the_crashes(self):
        run("dpkg", "-r", "obit")
        self.assertEqual(PATTERN.read_text(), self.pattern_before)
        self.assertEqual(failed_units(), [])
        self.assertGreater(len(list(STORE.glob("crashes/*/*"))), 400)
        self.assertEqual(run("pgrep", "obitd", check=False).stdout, "")
        install(self.older)
        before = len(records())
        self.assertGreater(before, 400)
        crash().wait()
        all_full(before, 1)

    def test_12_purge_leaves_nothing(self):
        run("dpkg", "-P", "obit")
        self.assertEqual(PATTERN.read_text(), self.pattern_before)
        left = [path for path in ("/var/lib/obit", "/var/cache/obit", "/etc/obit", "/run/obit") if os.path.lexists(path)]
        self.assertEqual(left, [])

    def test_13_pid_1_may_crash(self):
        """The last one: systemd stands still after it."""
        install(self.newer)
        before = len(records())
        os.kill(1, signal.SIGSEGV)  # systemd forks a child that dumps core in its place
        until(lambda: any(record["process"]["comm"] == "systemd" for record in records()[before:]), "a record of PID 1")
        crash().wait()
        until(lambda: len(records()) >= before + 2, "obitd goes on without PID 1")


if __name__ == "__main__":
    if os.geteuid() != 0 or pathlib.Path("/proc/1/comm").read_text() != "systemd\n":
        sys.exit("to be run as root in a machine with systemd as PID 1")
    unittest.main(verbosity=2)
