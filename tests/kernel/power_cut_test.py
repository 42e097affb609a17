"""Power cuts. A server has its store on a file system that records each change; what a cut at any moment can leave of it is made
into stores, and a server starts on each: whatever was stored and synced before the cut is there then, and whole.

Which states those are say tests/harness/changes.py and power_cut.py. OBIT_POWER_CUTS=all tries all of them, which takes some
minutes; else it is how many are tried, chosen by a seed. OBIT_SEED gives other ones."""

import concurrent.futures
import json
import multiprocessing
import os
import pathlib
import random
import subprocess
import threading

from harness import case, crash, kernel, power_cut, power_cut_trial, programs, recording_fs, server, store, wait

DEFAULT_CUTS = "40"
ALL_SECONDS = 24 * 3600
CUTS = os.environ.get("OBIT_POWER_CUTS", DEFAULT_CUTS)
SEED = int(os.environ.get("OBIT_SEED", "1"))
AT_ONCE = 30  # most of the time is waiting: a server looks twice, 3 s apart, before it takes a crash that may be another's
LIMITS = "[crash_loop]\ncores = 3\nevents = 0\n[capture]\ntraces = false\n"


class Recording:
    """What one server did: each change of its store, each line that it logged, and when."""

    def __init__(self, system):
        self.system = system
        self.lines = []  # (changes before it, line)
        read, self.log_to = os.pipe()
        self._thread = threading.Thread(target=self._read, args=(os.fdopen(read, encoding="utf-8", errors="replace"),), daemon=True)
        self._thread.start()

    def _read(self, pipe):
        for line in pipe:
            self.lines.append((len(self.system.changes), line.rstrip()))

    def end(self):
        os.close(self.log_to)
        self._thread.join(30)

    def now(self):
        return len(self.system.changes)


trial = None  # power_cut_trial.Trial of this process: inherited, for it is large


def run_trial(cut):
    return trial.run(cut)


class PowerCut(case.KernelCase):
    def record_crashes(self, system, recording):
        """A server, and crashes of each kind, with all that may be done to them."""
        self.server.configure(LIMITS, limits_loops=True)
        self.server.start(log_to=recording.log_to)
        where = self.server.store
        self.crash(programs.CRASHER, "segv")
        self.crash(programs.CRASHER, "memory", 40, "mixed")  # so large that a minimal core is made first
        self.crash(programs.CRASHER, "abort", core_limit=0)
        if programs.kernel_finds(self.directory):  # else the kernel cannot start it
            kernel.CORE_PATTERN.write_text(self.server.core_pattern("pipe"))
        self.crash(programs.CRASHER, "abort")
        for process in [crash.Running([programs.CRASHER, way]) for way in ("segv", "abort")]:
            self.assertTrue(process.reap().dumped)
        store.records(where, 6)
        for _ in range(3):
            self.crash(programs.CRASHER, "segv")
        self.give_kernel_back()
        wait.until(lambda: list(where.glob("crashes/*/*/repeats.json")), "repeats counted")
        wait.until(lambda: len(list(where.glob("crashes/*/*/report.json"))) == 5, lambda: f"reports\n{recording.lines}")
        crashes = json.loads(store.obit(where, "list", "--json").stdout)
        store.obit(where, "pin", crashes[0]["id"])
        pinned = {crashes[0]["id"]: recording.now()}
        cores = self.reference(crashes, where)
        store.obit(where, "rm", crashes[-1]["id"])
        self.assertEqual(self.server.stop(), 0)
        self.assertIsNone(system.failure)
        return cores, pinned

    def reference(self, crashes, where):
        """The cores as they were before the cut, held against their own headers and another unpacker."""
        cores = {}
        for record in crashes:
            plain = b""
            if "core" in record["files"]:
                core = store.dump(where, record, f"{self.directory}/core")
                self.assertEqual(os.path.getsize(core), store.size_by_headers(core), "the core is not complete")
                self.assertEqual(store.sha256_unpacked(store.directory_of(where, record) / "core.zst"), store.sha256_of(core))
                plain = pathlib.Path(core).read_bytes()
            cores[record["id"]] = record, plain
        return cores

    def record_all(self):
        disk = self.stack.enter_context(server.make_directory())
        self.lend_kernel("socket-request")
        try:
            with recording_fs.mounted(disk) as system:
                recording = Recording(system)
                self.server = server.Server(self.directory, store=f"{disk}/store")
                cores, pinned = self.record_crashes(system, recording)
                recording.end()
                history = power_cut.History(list(system.changes))
        except PermissionError as error:
            self.skipTest(f"no file system of its own: {error}")
        promises = power_cut_trial.Promises(history, cores, pinned)
        for number, line in recording.lines:
            print(number, line)
            for name in promises.cores:
                if f" {name} crasher[" in line:
                    self.assertLess(promises.stored[name], number, "it was told before it was on the disk")
        self.assertEqual(set(promises.stored), set(promises.cores))
        return history, promises

    def test_at_any_moment(self):
        global trial  # noqa: PLW0603: what the processes inherit
        history, promises = self.record_all()
        cuts = list(history.cuts(SEED))
        print(f"{len(history.changes)} changes, {len(history.syncs()) - 1} syncs, {len(cuts)} cuts", flush=True)
        random.Random(SEED).shuffle(cuts)
        if CUTS != "all":
            cuts = cuts[: int(CUTS)]
        seen, different = set(), []
        for cut in cuts:
            key = history.digest(cut), frozenset(promises.at(cut)), frozenset(promises.pinned_at(cut))
            if key not in seen:
                seen.add(key)
                different.append(cut)
        print(f"{len(cuts)} tried, of which {len(different)} leave different stores", flush=True)
        folder = self.stack.enter_context(server.make_directory())
        subprocess.run(["mount", "-t", "tmpfs", "none", folder], check=True)
        self.stack.callback(subprocess.run, ["umount", "--lazy", folder], check=True)
        os.chmod(folder, 0o755)
        trial = power_cut_trial.Trial(history, promises, folder)
        bad = []
        with wait.limit(kernel.TEST_SECONDS if CUTS == DEFAULT_CUTS else ALL_SECONDS, "end of the trials"), \
                concurrent.futures.ProcessPoolExecutor(AT_ONCE, multiprocessing.get_context("fork")) as pool:  # fmt: skip
            for count, problems in enumerate(pool.map(run_trial, different), 1):
                if count % 100 == 0:
                    print(f"{count} done, {len(bad)} bad", flush=True)
                if problems:
                    bad.append(problems)
                    print(f"--- bad state {len(bad)}\n" + "\n".join(problems), flush=True)
        print(f"{len(different) - len(bad)} recovered, {len(bad)} did not")
        self.assertFalse(len(bad), f"of {len(different)} states so many were not recovered as they should be: see above")


if __name__ == "__main__":
    case.main()
