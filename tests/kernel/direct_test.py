"""Direct capture gives the kernel's own bytes, for every kind of memory: each crash is captured directly, and then the
kernel's stream is read too and compared."""

import contextlib
import itertools
import os
import pathlib
import random
import shutil
import signal
import subprocess
import tempfile
import time

from harness import case, crash, fuse, kernel, programs, report, server, store, wait

VERIFY = "[capture]\nverify = true\n"
CORE_SORT_VMA = pathlib.Path("/proc/sys/kernel/core_sort_vma")
MAX_MAP_COUNT = pathlib.Path("/proc/sys/vm/max_map_count")
NR_HUGEPAGES = pathlib.Path("/proc/sys/vm/nr_hugepages")
KSM_RUN = pathlib.Path("/sys/kernel/mm/ksm/run")

# Memory whose pages belong to the kernel: /proc/PID/mem refuses it, and the record says so.
KERNELS_OWN = {"[vvar]", "[vvar_vclock]", "[vsyscall]"}


class Direct(case.KernelCase):
    environment = None  # of the programs

    def setUp(self):
        super().setUp()
        self.server.configure(VERIFY)
        self.server.start()
        self.lend_kernel("socket-request")

    def verified(self, not_compared=1 << 20):
        """The only record: of a core that does not differ from what the kernel sent. The head came by the stream, and at most
        `not_compared` bytes after it."""
        record = self.record()
        capture = record["capture"]
        self.assertEqual((capture["outcome"], capture["method"]), ("full", "direct"), capture)
        verified = capture["verified"]
        self.assertEqual((verified["different_bytes"], verified["differences"]), (0, []), capture)
        head = store.head_bytes(self.server.store, record)  # of each thread: as much as the processor has of registers
        self.assertGreater(verified["bytes"], capture["core_bytes"] - head - not_compared, "it was not compared")
        return record

    def unread(self, record):
        return {part["name"] for part in record["capture"].get("unread", [])} - KERNELS_OWN

    def check_kind(self, kind, filter_bits=None, **options):
        """Memory of a kind that tests/crashers/mapper.c knows."""
        command = [programs.MAPPER, kind]
        if filter_bits is not None:
            command = ["/bin/sh", "-c", f'echo {filter_bits} > /proc/self/coredump_filter; exec "$@"', "sh", *command]
        death = crash.run(command, environment=self.environment)
        if os.WIFEXITED(death.status) and os.WEXITSTATUS(death.status) == case.SKIPPED:
            self.skipTest(death.output.strip())
        self.assertEqual((death.signal, death.dumped), (signal.SIGSEGV, True), death.output)
        record = self.verified(**options)
        self.assertIn("crash_here", store.backtrace(self.server.store, record))
        return record

    def test_shared_anonymous(self):
        self.assertEqual(self.unread(self.check_kind("shared-anonymous")), set())

    def test_memfd(self):
        self.assertEqual(self.unread(self.check_kind("memfd")), set())

    def test_memfd_that_was_written_and_not_touched(self):
        self.assertEqual(self.unread(self.check_kind("memfd-written")), set())

    def test_private_memfd(self):
        self.assertEqual(self.unread(self.check_kind("private-memfd")), set())

    def test_sysv_shared_memory(self):
        self.assertEqual(self.unread(self.check_kind("sysv")), set())

    def test_private_file_partly_written(self):
        self.assertEqual(self.unread(self.check_kind("private-file")), set())

    def test_beyond_the_end_of_a_file(self):
        self.assertNotEqual(self.unread(self.check_kind("beyond-end-of-file")), set(), "the record must say so")

    def test_prot_none_with_content(self):
        self.assertEqual(self.unread(self.check_kind("prot-none")), set())

    def test_dont_dump(self):
        self.check_kind("dont-dump")

    def test_lazy_free(self):
        self.check_kind("lazy-free")

    def test_guard_pages(self):
        self.assertEqual(self.unread(self.check_kind("guard")), set())

    def test_secret_memory(self):
        self.check_kind("secret")

    def test_userfault_range_never_filled(self):
        self.check_kind("userfault")

    def test_shared_userfault_range_comes_by_stream(self):
        record = self.check_kind("userfault-shared", not_compared=9 << 20)
        self.assertIn("may have to wait", record["capture"]["stream_reason"])

    def test_transparent_huge_pages(self):
        self.check_kind("huge-pages")

    def test_hugetlb(self):
        self.stack.enter_context(kernel.more_settings({NR_HUGEPAGES: "8"}))
        self.check_kind("hugetlb")

    def test_merged_pages(self):
        if not KSM_RUN.exists():
            self.skipTest("this kernel has no KSM")
        self.stack.enter_context(kernel.more_settings({KSM_RUN: "1"}))
        self.check_kind("merged")

    def test_pages_in_swap(self):
        self.stack.enter_context(swap_file(128 << 20))
        self.check_kind("swapped")

    def test_grown_stack(self):
        self.check_kind("grown-stack")

    def test_sparse(self):
        record = self.check_kind("sparse")
        self.assertLess(record["capture"]["stored_bytes"], 10 << 20)

    def test_each_filter(self):
        for bits in ("0x33", "0x7f", "0x1ff"):
            with self.subTest(bits):
                record = self.check_kind("memfd", filter_bits=bits)
                store.obit(self.server.store, "rm", record["id"])

    def test_filter_that_leaves_next_to_nothing(self):
        death = crash.run(["/bin/sh", "-c", 'echo 0 > /proc/self/coredump_filter; exec "$@"', "sh", programs.MAPPER, "memfd"],
                          environment=self.environment)  # fmt: skip
        self.assertTrue(death.dumped)
        capture = self.record()["capture"]
        self.assertEqual((capture["outcome"], capture["method"]), ("full", "stream"), "a small core is not worth more")

    def test_sorted_mappings(self):
        if not CORE_SORT_VMA.exists():
            self.skipTest("this kernel does not sort mappings")
        self.stack.enter_context(kernel.more_settings({CORE_SORT_VMA: "1"}))
        self.check_kind("sparse")

    def test_more_mappings_than_a_header_counts(self):
        self.stack.enter_context(kernel.more_settings({MAX_MAP_COUNT: "200000"}))
        death = crash.run([programs.MAPPER, "many-mappings"], environment=self.environment)
        self.assertTrue(death.dumped, death.output)
        record = self.verified(not_compared=8 << 20)
        core = store.dump(self.server.store, record, f"{self.directory}/core")
        sections = subprocess.run(["eu-readelf", "-h", core], capture_output=True, text=True, timeout=60)
        self.assertEqual((sections.returncode, sections.stderr), (0, ""))
        self.assertRegex(sections.stdout, r"65535 \((6[6-9]\d{3}) in \[0\]\.sh_info\)")

    def test_a_hundred_threads(self):
        self.assertTrue(self.crash(programs.CRASHER, "threads", 100, environment=self.environment).dumped)
        record = self.verified()
        self.assertIn("crash_here", store.backtrace(self.server.store, record))

    def test_python(self):
        self.assertTrue(self.crash("python3", "-c", "import ctypes; x = list(range(10**6)); ctypes.string_at(0)",
                                   environment=self.environment).dumped)  # fmt: skip
        self.verified()

    def test_node(self):
        if not shutil.which("node"):
            self.skipTest("node is not installed")
        self.assertTrue(self.crash("node", "-e", "process.abort()", environment=self.environment).dumped)
        self.verified()

    def test_java(self):
        if not shutil.which("java"):
            self.skipTest("java is not installed")
        java = crash.java_ready()
        self.assertTrue(java.kill().reap().dumped)
        self.verified()


class DirectBehind(Direct):
    """The same of processes that are large enough to go first, but where they have to be held."""

    environment = os.environ | {"LD_PRELOAD": str(programs.BALLAST)}
    HELD = "System V|huge pages|only be had of the kernel|there is no minimal core of it|shares memory of a file system"

    def verified(self, not_compared=1 << 20):
        record = super().verified(not_compared)
        capture = record["capture"]
        if "kept_because" not in capture:
            self.assertRegex(capture.get("held_because", "neither"), self.HELD)
        return record

    def test_filter_that_leaves_next_to_nothing(self):
        """Its core is small, whatever its process is."""
        super().test_filter_that_leaves_next_to_nothing()
        self.assertNotIn("kept_because", self.record()["capture"])


class DirectOnEach(case.KernelCase):
    """The other transports, and the ways in which direct capture is not had."""

    def start(self, transport, config="", through=()):
        self.server.configure(config)
        self.server.start(through=through)
        self.lend_kernel(transport)

    def test_each_transport(self):
        self.server.configure(VERIFY)
        self.server.start()
        self.lend_kernel("socket-request")
        for transport in server.TRANSPORTS:
            with self.subTest(transport):
                kernel.CORE_PATTERN.write_text(self.server.core_pattern(transport))
                self.assertTrue(self.crash(programs.CRASHER, "memory", 32, "mixed").dumped)
                record = self.record()
                self.assertEqual(record["capture"]["method"], "direct", record["capture"])
                self.assertEqual(record["capture"]["verified"]["different_bytes"], 0)
                self.check_core(record, "crash_here")
                store.obit(self.server.store, "rm", record["id"])

    def test_by_stream_when_told(self):
        self.start("socket-request", "[capture]\ndirect = false\n")
        self.crash(programs.CRASHER, "memory", 32, "mixed")
        record = self.record()
        self.assertEqual(record["capture"]["method"], "stream")
        self.assertNotIn("stream_reason", record["capture"])
        self.check_core(record, "crash_here")

    def test_by_stream_without_the_right(self):
        self.start("socket-request", through=("setpriv", "--bounding-set=-sys_ptrace,-dac_read_search", "--"))
        self.crash(self.unreadable_program(), "memory", 32, "mixed")
        record = self.record()
        self.assertEqual(record["capture"]["method"], "stream", record["capture"])
        self.assertIn("Permission denied", record["capture"]["stream_reason"])
        self.assertEqual(record["capture"]["outcome"], "full")

    def map_silent_file(self, heeds_interrupts):
        """A process that crashes with a mapped file that nobody can read."""
        self.start("socket-request", "[capture]\nslots = 1\nprogress_timeout = 1\n")
        folder = self.stack.enter_context(tempfile.TemporaryDirectory(dir="/var/tmp", prefix="obit-test."))
        silent = self.stack.enter_context(fuse.SilentFile(folder, 8 << 20, heeds_interrupts))
        process = crash.Running(["/bin/sh", "-c", 'echo 0x37 > /proc/self/coredump_filter; exec "$@"', "sh", programs.CRASHER,
                                 "untouched", silent.path])  # fmt: skip
        self.assertTrue(silent.asked.wait(60), "nobody read it")
        return process

    def check_truncated(self):
        capture = self.record()["capture"]
        self.assertEqual((capture["outcome"], capture["method"]), ("truncated", "direct"), capture)
        self.assertIn("made no progress", capture["reason"])
        self.assertTrue(self.crash(programs.CRASHER, "segv").dumped)
        store.records(self.server.store, 2)  # the only slot is free again

    def test_a_read_that_only_a_signal_ends(self):
        """The worker and the crashed process, whose kernel side waits for the same file, are killed."""
        self.map_silent_file(heeds_interrupts=True).reap()
        self.check_truncated()

    def test_a_read_that_nothing_ends(self):
        """Neither can be killed: the capture goes on without them."""
        process = self.map_silent_file(heeds_interrupts=False)
        try:
            self.check_truncated()
            self.assertNotEqual(crash.state(process.pid), "gone")
        finally:
            self.stack.close()  # ends the file system too, and with it the waiting
            process.reap()

    def unreadable_program(self):
        """Whoever runs it is not dumpable to others: CAP_SYS_PTRACE is needed even for root."""
        copy = shutil.copy(programs.CRASHER, f"{self.directory}/copy")
        os.chmod(copy, 0o111)
        return copy


class Holes(case.KernelCase):
    """Memory that was reserved and hardly used."""

    KIB, MIB, TIB_IN_GIB = 1 << 10, 1 << 20, 1 << 10

    def setUp(self):
        super().setUp()
        self.server.configure("[analysis]\nenabled = false\n")
        self.server.start()

    def check_plain(self, *argv, config=None):
        """A core whose holes zstd unpacks as well: both give the same, and it is what the kernel sends."""
        self.server.kill()
        self.server.configure(VERIFY if config is None else config)
        self.server.start()
        self.lend_kernel("socket-request")
        self.assertTrue(self.crash(programs.CRASHER, "reserve", *argv).dumped)
        self.give_kernel_back()
        record = self.record()
        capture = record["capture"]
        self.assertNotIn("omitted_bytes", capture)
        self.assertLess(capture["stored_bytes"], 10 * self.MIB)
        if config is None:
            self.assertEqual(capture["verified"]["different_bytes"], 0, capture)
            self.assertGreater(capture["verified"]["bytes"], capture["core_bytes"] - self.MIB)
        self.check_core(record, "crash_here")

    def test_one_page_short_of_two_gib(self):
        self.check_plain(2, 1)

    def test_thirty_one_pages_short_of_two_gib(self):
        self.check_plain(2, 31)

    def test_thirty_two_pages_short_of_two_gib(self):
        self.check_plain(2, 32)

    def test_one_page_short_by_stream(self):
        self.check_plain(2, 1, config="[capture]\ndirect = false\n")

    def check_huge(self, gib):
        """A core whose holes are kept by their length: it is stored at once, and is small, while the kernel still walks."""
        self.lend_kernel("socket-request")
        process = crash.Running([programs.CRASHER, "reserve", gib, 0, "ends"])
        try:
            record = self.record()
            self.give_kernel_back()
        finally:
            process.kill(signal.SIGKILL)  # else the kernel walks for 4 s a TiB
        process.reap()
        capture = record["capture"]
        self.assertEqual((capture["outcome"], capture["method"]), ("full", "direct"), capture)
        print(f"{gib} GiB: {capture['stored_bytes']} bytes stored, held for {capture['held_seconds']:.3f} s")
        self.assertLess(capture["stored_bytes"], self.MIB)
        self.assertGreater(capture["omitted_bytes"], (gib << 30) - self.MIB)
        self.assertGreater(capture["core_bytes"], gib << 30)
        shown = store.obit(self.server.store, "show", record["id"], "--record").stdout
        self.assertIn("stored as lengths", shown)
        return record

    def check_ends(self, record, gib):
        """The three pages that were used are where they were, in the plain core of `obit dump`."""
        folder = self.stack.enter_context(tempfile.TemporaryDirectory(dir="/dev/shm", prefix="obit-test."))
        core = store.dump(self.server.store, record, f"{folder}/core")
        self.assertEqual(os.path.getsize(core), record["capture"]["core_bytes"])
        self.assertLess(os.stat(core).st_blocks * 512, 2 * self.MIB)
        offset, size = store.largest_segment(core)
        self.assertEqual(size, gib << 30)
        with open(core, "rb") as file:
            for at, byte in ((0, 1), (size // 2, 2), (size - 1, 3)):
                self.assertEqual(os.pread(file.fileno(), 1, offset + at), bytes([byte]), at)
        store.obit(self.server.store, "analyze", record["id"])
        analysed = report.of(self.server.store, record)
        print(f"{gib} GiB: analysed in {analysed['seconds']:.3f} s")
        self.assertEqual(analysed["cause"]["kind"], "null-write")
        self.assertIn("crash_here", report.names(analysed["stacks"][0]))
        self.assertIn("stored as lengths", store.obit(self.server.store, "show", record["id"]).stdout)

    def test_one_tib(self):
        record = self.check_huge(1 * self.TIB_IN_GIB)
        self.check_ends(record, 1 * self.TIB_IN_GIB)
        self.assertIn("crash_here", store.backtrace(self.server.store, record))

    def test_twenty_tib(self):
        record = self.check_huge(20 * self.TIB_IN_GIB)
        self.check_ends(record, 20 * self.TIB_IN_GIB)

    def test_dump_to_where_files_are_short(self):
        record = self.check_huge(1 * self.TIB_IN_GIB)
        limited = subprocess.run(
            ["/bin/sh", "-c", 'ulimit -f 1000000; exec "$@"', "sh", programs.OBIT, "--store", self.server.store, "dump",
             record["id"], "-o", f"{self.directory}/core"], capture_output=True, text=True, timeout=60)  # fmt: skip
        self.assertEqual((limited.returncode, limited.stdout), (1, ""))
        self.assertIn(f"({record['capture']['core_bytes']} bytes), and no file may be so long here", limited.stderr)
        self.assertEqual(limited.stderr.count("\n"), 1)
        self.assertFalse(os.path.exists(f"{self.directory}/core"))


class Killed(case.KernelCase):
    """SIGKILL in the middle of a capture, at random moments."""

    MIB, TRACED = 40, 40

    def test_two_hundred_times(self):
        self.minimal = itertools.count()
        # It is about captures of processes that are held, and two hundred are enough work.
        self.server.configure('[analysis]\nenabled = false\n[capture]\nearly_release = "never"\n')
        self.server.start()
        self.lend_kernel("socket-request")
        chance = random.Random(17)
        deaths = {}
        for _ in range(200):
            process = crash.Running([programs.CRASHER, "memory", self.MIB, "mixed", "stop"])
            crash.await_stop(process)
            process.kill(signal.SIGCONT)
            wait.until(lambda: crash.state(process.pid) != "T", "process going on")
            time.sleep(chance.random() * 0.05)  # decides only where the kill falls
            with contextlib.suppress(ProcessLookupError):
                process.kill(signal.SIGKILL)
            deaths[process.pid] = process.reap()
        records = store.records(self.server.store, sum(death.signal != signal.SIGKILL or death.dumped for death in
                                                       deaths.values()), seconds=60, at_least=True)  # fmt: skip
        outcomes = {record["capture"]["outcome"] for record in records}
        for record in records:
            self.check_claim(record)
        print(f"{len(records)} records of 200 deaths: " +
              ", ".join(f"{sum(r['capture']['outcome'] == o for r in records)} {o}" for o in sorted(outcomes)))
        self.assertIn("minimal", outcomes, "no kill came in the middle")

    def check_claim(self, record):
        """What the record claims must be there: no page of memory that was filled may be zero."""
        capture = record["capture"]
        self.assertIn(capture["outcome"], ("full", "minimal", "truncated", "failed"), capture)
        if capture["outcome"] == "failed":
            return
        core = store.dump(self.server.store, record, f"{self.directory}/core")
        data = pathlib.Path(core).read_bytes()
        self.assertEqual(len(data), capture["core_bytes"])
        if capture["outcome"] == "full":
            self.assertEqual(len(data), capture["promised_bytes"])
        else:
            self.assertIn("reason", capture)
        if capture["outcome"] == "minimal":
            self.assertEqual(len(data), capture["promised_bytes"])
            # Where a machine is slow nearly all of them are minimal, and gdb takes a second for each.
            if (minimal := next(self.minimal)) < self.TRACED:
                self.assertIn("crash_here", store.backtrace(self.server.store, record), minimal)
            return
        offset, size = store.largest_segment(core)
        filled = data[offset : offset + size]
        zero = bytes(4096)
        if zero not in filled:
            return
        for at in range(0, len(filled) - 4095, 4096):
            if filled[at : at + 4096] == zero:
                self.fail(f"a page of zeros at {at} of {len(filled)}: {capture}")


@contextlib.contextmanager
def swap_file(size):
    """A swap file for the duration of the block."""
    path = f"/var/tmp/obit-test.{os.getpid()}.swap"
    try:
        with open(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "wb") as file:
            os.posix_fallocate(file.fileno(), 0, size)
        subprocess.run(["/sbin/mkswap", "-q", path], check=True)
        subprocess.run(["/sbin/swapon", path], check=True)
        try:
            yield
        finally:
            subprocess.run(["/sbin/swapoff", path], check=True)
    finally:
        os.unlink(path)


if __name__ == "__main__":
    case.main()
