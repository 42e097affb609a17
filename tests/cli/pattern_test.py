"""obit enable, disable, status and doctor, on the running kernel: under the lock, with everything put back."""

import json
import os
import pathlib
import resource
import subprocess

import support
from harness import case, crash, kernel, programs, server, wait

SAVED = pathlib.Path("/run/obit/saved-core-pattern")
SYSCTL = pathlib.Path("/run/sysctl.d/zz-obit.conf")


def held_lock():
    """The descriptor that holds the machine-wide lock: obit takes it from the one that starts it."""
    for fd in os.listdir("/proc/self/fd"):
        try:
            if os.readlink(f"/proc/self/fd/{fd}") == kernel.LOCK:
                return int(fd)
        except FileNotFoundError:  # the descriptor of the listing itself
            pass
    raise AssertionError("the lock is not held")


class PatternCase(case.KernelCase):
    """A test with obitd on sockets of its own, the kernel's settings lent, and the lock passed on to obit."""

    def setUp(self):
        super().setUp()
        if not kernel.CORE_PATTERN.exists():
            self.skipTest("no kernel.core_pattern")
        if SAVED.exists():
            self.skipTest(f"obit is enabled on this machine: {SAVED}")
        self.stack.enter_context(kernel.settings({kernel.CORE_PATTERN: "core", kernel.CORE_PIPE_LIMIT: "4"}))
        self.lock = held_lock()
        self.addCleanup(SAVED.unlink, missing_ok=True)
        self.addCleanup(SYSCTL.unlink, missing_ok=True)

    def run_obit(self, *arguments, code=0):
        done = subprocess.run([programs.OBIT, "--store", self.server.store, *arguments], stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=100, pass_fds=[self.lock], env=support.ENVIRONMENT)  # fmt: skip
        out, err = done.stdout.decode(), done.stderr.decode()
        self.assertEqual(done.returncode, code, out + err)
        return out, err

    def enable(self, transport="auto", *more, code=0):
        return self.run_obit("enable", "--transport", transport, "--socket", self.server.socket, "--pipe-socket",
                             self.server.pipe_socket, *more, code=code)  # fmt: skip

    def pattern(self):
        return kernel.CORE_PATTERN.read_text().rstrip("\n")


class Enable(PatternCase):
    def test_sets_and_puts_back(self):
        self.server.start()
        transports = {"request": f"@@{self.server.socket}", "socket": f"@{self.server.socket}",
                      "pipe": f"|{programs.OBIT_PIPE.resolve()} {self.server.pipe_socket} "}  # fmt: skip
        for transport, beginning in transports.items():
            if transport != "pipe" and not case.has_sockets("socket-request" if transport == "request" else "socket"):
                continue
            self.enable(transport)
            self.assertTrue(self.pattern().startswith(beginning), self.pattern())
            self.assertIn(f"-kernel.core_pattern = {self.pattern()}\n", SYSCTL.read_text())
            self.assertEqual("core_pipe_limit" in SYSCTL.read_text(), transport == "pipe")
        self.assertEqual(kernel.CORE_PIPE_LIMIT.read_text(), "0\n")
        self.run_obit("disable")
        self.assertEqual(self.pattern(), "core")
        self.assertEqual(kernel.CORE_PIPE_LIMIT.read_text(), "4\n")
        self.assertFalse(SAVED.exists())
        self.assertFalse(SYSCTL.exists())

    def test_auto_is_the_best_of_this_kernel(self):
        self.server.start()
        self.enable()
        release = tuple(int(part) for part in os.uname().release.split("-")[0].split(".")[:2])
        expected = "@@" if release >= (6, 17) else "@" if release >= (6, 16) else "|"
        self.assertEqual(self.pattern().rstrip("/")[: len(expected)], expected)

    def test_enabling_twice_keeps_the_first_pattern(self):
        self.server.start()
        kernel.CORE_PATTERN.write_text("before.%p")
        self.enable()
        self.enable()
        self.run_obit("disable")
        self.assertEqual(self.pattern(), "before.%p")

    def test_takes_over_from_others_and_gives_back(self):
        self.server.start()
        for owner, limit, pattern in (
            ("systemd-coredump", "16", "|/lib/systemd/systemd-coredump %P %u %g %s %t 9223372036854775808 %h"),
            ("apport", "10", "|/usr/share/apport/apport -p%p -s%s -c%c -d%d -P%P -u%u -g%g -F%F -- %E"),
            ("abrt", "4", "|/usr/libexec/abrt-hook-ccpp %s %c %p %u %g %t %P %I %h"),
        ):
            kernel.CORE_PATTERN.write_text(pattern)
            kernel.CORE_PIPE_LIMIT.write_text(limit)
            self.assertIn(owner, self.run_obit("status")[0])
            for transport in ("auto", "pipe"):
                self.enable(transport)
                self.assertNotIn(owner, self.run_obit("status")[0])
            self.run_obit("disable")
            self.assertEqual(self.pattern(), pattern)
            self.assertEqual(kernel.CORE_PIPE_LIMIT.read_text(), limit + "\n")

    def test_nobody_listens(self):
        for transport in ("auto", "pipe"):
            _, err = self.enable(transport, code=1)
            self.assertIn("nobody listens on", err)
        self.assertEqual(self.pattern(), "core")
        self.assertFalse(SAVED.exists())
        _, err = self.enable("auto", "--force")
        self.assertIn("every core is lost", err)
        self.run_obit("disable")

    def test_bad_paths(self):
        if not case.has_sockets("socket"):
            self.skipTest("this kernel has no coredump sockets")
        self.server.start()
        (self.server.directory / "link").symlink_to(self.server.directory)
        for path, why in ((f"{self.server.directory}/link/coredump.socket", "symlink"), ("relative", "not absolute"),
                          (f"{self.server.directory}/a b", "space"), (f"{self.server.directory}/../x", '".."'),
                          (f"{self.server.directory}/{'x' * 100}", "bytes")):  # fmt: skip
            _, err = self.run_obit("enable", "--transport", "socket", "--socket", path, "--force", code=1)
            self.assertIn(why, err)
            self.assertEqual(len(err.splitlines()), 1, err)
        self.assertEqual(self.pattern(), "core")

    def test_disable_leaves_the_pattern_of_others(self):
        self.server.start()
        self.enable()
        kernel.CORE_PATTERN.write_text("|/usr/lib/systemd/systemd-coredump %P")
        for arguments, code in (([], 1), (["--if-ours"], 0)):
            _, err = self.run_obit("disable", *arguments, code=code)
            self.assertIn("systemd-coredump", err)
            self.assertEqual(self.pattern(), "|/usr/lib/systemd/systemd-coredump %P")
            self.assertFalse(SYSCTL.exists())

    def test_outside_of_the_first_mount_namespace(self):
        self.server.start()
        done = subprocess.run(["unshare", "-m", "--propagation", "unchanged", programs.OBIT, "enable", "--transport", "socket", "--socket",
                               self.server.socket], capture_output=True, timeout=100, pass_fds=[self.lock])  # fmt: skip
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"mount namespace" if case.has_sockets("socket") else b"does not know", done.stderr)

    def test_without_rights(self):
        self.server.start()
        os.chmod(self.server.directory, 0o755)
        done = subprocess.run([programs.for_every_user(programs.OBIT), "enable", "--transport", "pipe", "--pipe-socket", self.server.pipe_socket,
                               "--force"], capture_output=True, timeout=100, user=65534, group=65534,
                              pass_fds=[self.lock])  # fmt: skip
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"Permission denied", done.stderr)
        self.assertEqual(self.pattern(), "core")


class Doctor(PatternCase):
    def test_a_real_crash_end_to_end(self):
        self.server.start()
        for transport in ("request", "socket", "pipe"):
            if transport != "pipe" and not case.has_sockets("socket-request" if transport == "request" else "socket"):
                continue
            if transport == "pipe" and not programs.kernel_finds(programs.OBIT_PIPE.resolve()):
                continue
            self.enable(transport)
            out, _ = self.run_obit("doctor", "--crash")
            self.assertRegex(out, r"test crash +recorded in .*: full, .*, its head reads +ok\n")
            self.assertRegex(out, r"server +obitd \d+ listening +ok\n")
            self.assertNotIn("FAIL", out)
        self.assertEqual(self.run_obit("list", "--json")[0], "[]\n", "the test crash stays in the store")

    def test_says_what_is_wrong(self):
        self.server.start()
        out, _ = self.run_obit("doctor", "--crash", code=1)
        self.assertRegex(out, r"core_pattern +core +FAIL, cores go to a file named core: obit enable changes that\n")
        self.assertRegex(out, r"test crash +FAIL, not made")
        self.enable()
        self.server.stop()
        out, _ = self.run_obit("doctor", code=1)
        self.assertRegex(out, r"server +\S+ +FAIL, nobody listens")

    def test_another_store_gets_the_crash(self):
        self.server.start()
        self.enable()
        other = self.server.directory / "other"
        for folder in ("crashes", "incoming"):
            (other / folder).mkdir(parents=True)
        done = subprocess.run([programs.OBIT, "--store", other, "doctor", "--crash"], capture_output=True, timeout=100)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"is " + os.fsencode(other) + b" the store of the running obitd?", done.stdout)


    def test_says_what_the_core_limit_does(self):
        for limit, row in ((resource.RLIM_INFINITY, "unlimited +ok\n"), (0, "0 B +warn, only the event is kept"),
                           (100, "100 B +warn, only the event is kept"), (2 << 20, "2.0 MiB +warn, cores .* end there")):  # fmt: skip
            done = subprocess.run([programs.OBIT, "--store", self.server.store, "doctor"], capture_output=True, text=True, timeout=100,
                                  preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (limit, resource.RLIM_INFINITY)))
            self.assertRegex(done.stdout, f"core limit here +{row}")


class DoctorTries(PatternCase):
    """Where obitd writes, by whatever keeps it from there."""

    def says(self, row, code=1, **options):
        done = subprocess.run([programs.OBIT, "--store", self.server.store, "doctor"], capture_output=True, text=True, timeout=100, **options)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        self.assertRegex(done.stdout, row)

    def test_writes_as_obitd_does(self):
        self.server.start()
        self.enable()
        there = lambda: {path for folder in ("crashes", "incoming") for path in (self.server.store / folder).iterdir()}  # fmt: skip
        before = there()
        self.says(r"writing there +obitd \d+ as \w+ +ok, tried\n", 0)
        self.assertEqual(there(), before)
        for folder in ("incoming", "crashes"):
            path = self.server.store / folder
            before = path.stat()
            os.chown(path, 0, 0)
            os.chmod(path, 0o755)
            if pathlib.Path(f"/proc/{self.server.process.pid}").stat().st_uid != 0:
                self.says(rf"writing there .*FAIL(.|\n)*a file in {folder}: Permission denied")
            os.chown(path, before.st_uid, before.st_gid)
            os.chmod(path, before.st_mode)
        subprocess.run(["mount", "--bind", self.server.store, self.server.store], check=True)
        self.addCleanup(subprocess.run, ["umount", self.server.store], check=True)
        subprocess.run(["mount", "-o", "remount,bind,ro", self.server.store], check=True)
        self.says(r"writing there .*FAIL(.|\n)*Read-only file system")

    def test_room_is_bytes_and_inodes(self):
        for options, row in (("size=900k", r"room .*FAIL.*none for a record"), ("nr_inodes=12", r"room .*FAIL.*no inodes"),
                             ("size=100m,nr_inodes=20000", r"room .*warn.*little")):  # fmt: skip
            with self.subTest(options):
                os.makedirs(self.server.store, exist_ok=True)
                subprocess.run(["mount", "-t", "tmpfs", "-o", options, "store", self.server.store], check=True)
                try:
                    for folder in ("crashes", "incoming"):
                        (self.server.store / folder).mkdir()
                    done = subprocess.run([programs.OBIT, "--store", self.server.store, "doctor"], capture_output=True, text=True)
                    self.assertRegex(done.stdout, row)
                finally:
                    subprocess.run(["umount", self.server.store], check=True)

    def test_a_folder_on_another_file_system(self):
        for folder in ("crashes", "incoming"):
            (self.server.store / folder).mkdir(parents=True)
            os.chmod(self.server.store / folder, 0o777)
        incoming = self.server.store / "incoming"
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=777", "incoming", incoming], check=True)
        try:
            done = subprocess.run([programs.OBIT, "--store", self.server.store, "doctor"], capture_output=True, text=True)
            self.assertRegex(done.stdout, r"writing there .*FAIL(.|\n)*a file in incoming: Invalid cross-device link")
            self.assertEqual(os.listdir(incoming), [])
        finally:
            subprocess.run(["umount", incoming], check=True)
        done = subprocess.run([programs.OBIT, "--store", self.server.store, "doctor"], capture_output=True, text=True)
        self.assertNotRegex(done.stdout, r"writing there .*FAIL")
        self.assertEqual(os.listdir(self.server.store / "crashes"), [])

    def test_another_user_is_told_who_can_tell(self):
        self.server.start()
        self.enable()
        os.chmod(self.server.directory, 0o700)
        for store in (self.server.store, "/var/lib/obit"):
            done = subprocess.run([programs.for_every_user(programs.OBIT), "--store", store, "doctor"], capture_output=True, text=True,
                                  user=65534, group=65534, extra_groups=[], cwd="/")  # fmt: skip
            rows = [line for line in done.stdout.splitlines() if "FAIL" in line and "there is none" not in line]
            self.assertEqual(rows, [], done.stdout)
        self.assertIn("only root can tell", done.stdout)


class Status(PatternCase):
    def test_says_who_gets_the_cores(self):
        self.server.start()
        out, _ = self.run_obit("status")
        self.assertRegex(out, r"cores go to +a file named core\n")
        self.assertRegex(out, r"store +\S+: 0 crashes, 0 B stored\n")
        self.enable()
        out, _ = self.run_obit("status")
        self.assertRegex(out, r"cores go to +obit\n")
        self.assertRegex(out, r"server +obitd \d+, listening\n")
        self.server.stop()
        self.assertIn("cores are lost", self.run_obit("status")[0])

    def test_json_has_what_obitd_counted(self):
        self.server.start()
        self.enable()
        for limit in (crash.UNLIMITED, crash.UNLIMITED, 0):
            crash.run([programs.CRASHER, "segv"], core_limit=limit)

        def status():
            return json.loads(self.run_obit("status", "--json")[0])

        wait.until(lambda: status()["metrics"].get("obit_crashes_total") == 3, lambda: str(status()))
        self.assertEqual(self.server.stop(), 0)
        now = status()
        self.assertEqual((now["owner"], now["ours"], now["transport"], now["store"]["crashes"]),
                         ("obit", True, "socket-request", 3))  # fmt: skip
        metrics = now["metrics"]
        self.assertEqual(metrics['obit_crash_outcomes_total{outcome="full"}'], 2)
        self.assertEqual(metrics['obit_crash_outcomes_total{outcome="event"}'], 1)
        self.assertEqual(metrics["obit_held_seconds_count"], 3)
        self.assertEqual((self.server.store / "metrics.prom").stat().st_mode & 0o777, 0o644)


if __name__ == "__main__":
    case.main()
