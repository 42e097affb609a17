"""Programs on overlays. Container engines make them on the host; users make their own, over a file system that they serve
themselves: it lets every file be opened, and then nobody gets a byte of it."""

import os
import shutil
import signal
import struct
import subprocess

from harness import case, crash, fuse, look, programs, report, server, silent, store, wait

USER = 61001

# Bytes between a program's segments and its section headers: the kernel reads ahead less than this.
GAP = 8 << 20


def with_far_sections(program):
    """The program, with its section headers at the end: it runs without them, and who wants to know more of it reads them."""
    (begin,) = struct.unpack_from("<Q", program, 0x28)  # e_shoff of Elf64_Ehdr
    size, count = struct.unpack_from("<2H", program, 0x3A)  # e_shentsize, e_shnum
    moved = bytearray(program + bytes(GAP) + program[begin : begin + size * count])
    struct.pack_into("<Q", moved, 0x28, len(program) + GAP)
    return bytes(moved)


class Overlay(case.KernelCase):
    def setUp(self):
        super().setUp()
        self.server.configure("[capture]\nprogress_timeout = 3\n")
        self.server.start()
        self.lend_kernel("socket-request")

    def report(self, record):
        path = store.directory_of(self.server.store, record) / "report.json"
        wait.until(path.exists, lambda: f"report of the crash\n{look.at_all(look.descendants(self.server.process.pid))}", 30)
        return report.shown(self.server.store, record["id"])

    def test_of_a_user(self):
        """His program is not read: not by the inspector, not for a copy, not for the analysis."""
        program = programs.CRASHER.read_bytes()
        try:
            mount = self.stack.enter_context(silent.Mount(USER, {"crasher": with_far_sections(program)}))
        except OSError as error:
            self.skipTest(f"no file system of a user's own: {error}")
        # The process itself and the kernel need what is read here.
        script = f'head -c {len(program)} "$0" > /dev/null && exec "$0" segv stop'
        process = crash.Running(mount.inside("/bin/sh", "-c", script, mount.overlay / "crasher", known=[]))
        self.stack.callback(process.end)
        self.stack.callback(mount.__exit__, None, None, None)  # first: what waits for it can end then
        crash.await_stop(process)
        before = self.server.processes()
        mount.silence(fuse.READ)
        process.kill(signal.SIGCONT)
        self.assertTrue(process.reap().dumped)
        record = self.record()
        self.assertEqual(record["process"]["uid"], USER)
        self.assertNotIn("exe", record["files"])
        self.assertEqual(record["capture"].get("exe_reason"), "its file system is not known to answer")
        self.assertIn("no copy is kept: its file", store.obit(self.server.store, "show").stdout)
        self.check_core(record)
        self.assertNotIn("failure", self.report(record))
        self.assertFalse(mount.asked.is_set(), "somebody wanted to read it")
        self.assertEqual(self.server.processes(), before, "somebody was left behind")

    def test_of_the_host(self):
        """As container engines do it: mounted by root on the host, and the root of a process in a namespace of its own."""
        self.require("unshare", "--mount", "true")
        folder = self.stack.enter_context(server.make_directory("/var/tmp"))
        subprocess.run(["mount", "-t", "tmpfs", "none", folder], check=True)
        self.stack.callback(subprocess.run, ["umount", "--lazy", folder], check=True)
        for name in ("lower", "lower/host", "upper", "work", "merged"):
            os.mkdir(f"{folder}/{name}")
        shutil.copy(programs.CRASHERS / "crasher-static", f"{folder}/lower/crasher")
        options = f"lowerdir={folder}/lower,upperdir={folder}/upper,workdir={folder}/work"
        self.require("mount", "-t", "overlay", "overlay", "-o", options, f"{folder}/merged")
        self.stack.callback(subprocess.run, ["umount", "--lazy", f"{folder}/merged"], check=True)
        enter = f"cd {folder}/merged && pivot_root . host && ulimit -c unlimited && exec /crasher segv"
        self.assertTrue(self.crash("unshare", "--mount", "sh", "-c", enter).dumped)
        record = self.record()
        self.assertEqual(record["process"]["exe"], "/crasher")
        self.assertEqual(record["files"].get("exe"), "exe.zst", record["capture"])
        self.assertNotIn("exe_reason", record["capture"])
        self.check_core(record, "crash_here")


if __name__ == "__main__":
    case.main()
