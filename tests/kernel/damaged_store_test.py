"""Damaged stores. A store has a few real crashes; one thing in it is damaged, in each kind of tests/harness/damage.py, and root
uses it.

No verb of obit dies, hangs, needs much memory, prints a control character, writes or removes anything outside the store, or loses
a crash that was not damaged: it ends with 0, or says in a sentence what is wrong. OBIT_DAMAGE=all tries each verb on each kind;
else it is how many kinds are tried, chosen by a seed. OBIT_SEED gives other ones, and other bits that flip."""

import collections
import contextlib
import hashlib
import json
import os
import pathlib
import random
import shutil
import stat
import subprocess
import tempfile

from harness import bounded, case, damage, kernel, programs, server, store, wait

DEFAULT_KINDS = "15"
ALL_SECONDS = 3600
CHOSEN = os.environ.get("OBIT_DAMAGE", DEFAULT_KINDS)
SEED = int(os.environ.get("OBIT_SEED", "1"))
LIMITS = "[crash_loop]\ncores = 1\nevents = 0\n[capture]\ntraces = false\n"
VERBS = {
    "list": ("list",),
    "groups": ("groups",),
    "show": ("show", "ID", "--all-threads", "--registers", "--modules", "--maps", "--env", "--record"),
    "dump": ("dump", "ID", "-o", "dumped"),
    "gdb": ("gdb", "ID", "--", "-nx", "-batch", "-ex", "bt"),
    "analyze": ("analyze", "ID"),
    "pin": ("pin", "ID"),
    "unpin": ("unpin", "ID"),
    "rm": ("rm", "--force", "ID"),
    "reindex": ("reindex",),
    "import": ("import", "core"),
    "status": ("status",),
}
RENEWED = {"analyze": {"report.json"}, "unpin": {"pinned"}, "rm": set(damage.FILES)}  # of the crash that a verb is told


def digest_of(path):
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None


def look_at(folder):
    """All that can be seen of the files below a folder, but the number of their names."""
    seen = {}
    for path in (folder, *folder.rglob("*")):
        status = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(status.st_mode) else None
        seen[str(path)] = (status.st_mode, status.st_uid, status.st_gid, status.st_mtime_ns, content, sorted(os.listxattr(path)))
    return seen


def give_away(folder):
    """What root has made becomes the store's user's."""
    for parent, folders, files in os.walk(folder):
        for name in (".", *folders, *files):
            path = f"{parent}/{name}"
            status = os.lstat(path)
            if status.st_uid == 0 and (status.st_nlink == 1 or stat.S_ISDIR(status.st_mode)):
                os.chown(path, damage.USER, damage.USER, follow_symlinks=False)


class DamagedStore(case.KernelCase):
    def record_crashes(self):
        """One crash with all the files that one can have, one with a core, one without. Returns their folders in the store."""
        self.server.configure(LIMITS, limits_loops=True)
        self.server.start()
        self.lend_kernel("socket-request")
        where = self.server.store
        self.crash(programs.CRASHER, "segv")
        file = shutil.copy(programs.CRASHER, f"{self.directory}/file")
        for _ in range(3):  # the same file each time: the second and the third are counted
            os.link(file, f"{self.directory}/program")
            self.crash(f"{self.directory}/program", "delete-exe")
        self.crash(programs.CRASHER, "abort", core_limit=0)
        self.give_kernel_back()
        wait.until(lambda: list(where.glob("crashes/*/*/repeats.json")), "repeats counted")
        wait.until(lambda: len(list(where.glob("crashes/*/*/report.json"))) == 2, "reports")
        other, whole, event = (store.directory_of(where, record) for record in store.records(where, 3))
        store.obit(where, "pin", whole.name)
        self.assertEqual(self.server.stop(), 0)
        self.assertEqual([name for name in damage.FILES if not (whole / name).exists()], [])
        store.dump(where, {"id": other.name}, f"{self.directory}/core")
        return whole, other, event

    def setUp(self):
        super().setUp()
        self.crashes = [folder.relative_to(self.server.store) for folder in self.record_crashes()]
        give_away(self.server.store)
        fast = "/dev/shm" if os.path.isdir("/dev/shm") else None
        self.work = pathlib.Path(self.stack.enter_context(tempfile.TemporaryDirectory(dir=fast, prefix="obit-test.")))
        self.work.chmod(0o755)

    def run_obit(self, *words):
        environment = os.environ | {"TMPDIR": str(self.cwd)}
        return bounded.run([programs.OBIT, "--store", self.work / "store", *words], self.cwd, environment)

    def complaints(self, kind, verb, place):
        """What is wrong with what a verb makes of a damaged store."""
        whole, *others = [self.work / "store" / folder for folder in self.crashes]
        outside = look_at(place.outside)
        end = self.run_obit(*(whole.name if word == "ID" else word for word in VERBS[verb]))
        self.ends[verb, end.status] += 1
        self.peak = max(self.peak, end.resident)
        self.slowest = max(self.slowest, (end.seconds, f"{verb}, {kind.name}"))
        yield from end.complaints("\t" if verb == "gdb" else "")  # it shows lines of a source as they are
        if end.status not in (0, 1, 3) and end.status > 0:
            yield f"it ended with {end.status}"
        if end.status and verb != "gdb":
            said = end.err.decode(errors="replace").splitlines()
            if not said or not all(line.startswith("obit: ") for line in said):
                yield "it did not say in a sentence what is wrong"
        if look_at(place.outside) != outside:
            yield "it changed what is outside the store"
        if set(os.listdir(self.work)) != {"store", "outside", "cwd"} or set(os.listdir(self.cwd)) - {"core", "dumped"}:
            yield "it left something behind"
        if kind.concerns == "all":
            return
        untouched = [(folder, set()) for folder in others]
        if kind.concerns == "nothing":
            untouched.append((whole, RENEWED.get(verb, set())))
        for folder, renewed in untouched:
            for name in set(damage.FILES) - renewed:
                if digest_of(folder / name) != self.digests[folder.name, name]:
                    yield f"{folder.name}/{name} is another"
        if whole in [folder for folder, _ in untouched] and verb != "rm" or kind.concerns == "crash":
            yield from self.complaints_of_the_list([folder for folder, _ in untouched])

    def complaints_of_the_list(self, folders):
        end = self.run_obit("list", "--json")
        yield from end.complaints()
        try:
            listed = {record["id"] for record in json.loads(end.out)}
        except ValueError:
            yield "list --json is not JSON afterwards"
            return
        if lost := {folder.name for folder in folders} - listed:
            yield f"{lost} are not listed afterwards"

    def prepare(self, kind, held):
        """A fresh store, damaged."""
        shutil.rmtree(self.work)
        self.work.mkdir(0o755)
        subprocess.run(["cp", "-a", self.server.store, self.work / "store"], check=True)
        self.cwd, outside = self.work / "cwd", self.work / "outside"
        for path in (self.cwd, outside, outside / "folder"):
            path.mkdir()
        shutil.copy(f"{self.directory}/core", self.cwd)
        for path in (outside / "file", outside / "folder/crash.json", outside / "folder/core.zst"):
            path.write_text("kept")
        whole, other, _ = [self.work / "store" / folder for folder in self.crashes]
        place = damage.Place(self.work / "store", whole, other, outside, random.Random(f"{SEED} {kind.name}"), held)
        kind.damage(place)
        give_away(place.store)
        return place

    def test_each_verb(self):
        kinds = damage.KINDS if CHOSEN == "all" else random.Random(SEED).sample(damage.KINDS, int(CHOSEN))
        self.digests = {(folder.name, name): digest_of(self.server.store / folder / name)
                        for folder in self.crashes for name in damage.FILES}  # fmt: skip
        self.ends, self.peak, self.slowest, bad = collections.Counter(), 0, (0, ""), 0
        with wait.limit(kernel.TEST_SECONDS if CHOSEN == DEFAULT_KINDS else ALL_SECONDS, "end of the trials"):
            for number, kind in enumerate(kinds, 1):
                if number % 50 == 0:
                    print(f"kind {number}, {bad} complaints", flush=True)
                for verb in VERBS:
                    with contextlib.ExitStack() as held:
                        for problem in self.complaints(kind, verb, self.prepare(kind, held)):
                            bad += 1
                            print(f"{verb}, {kind.name}: {problem}", flush=True)
        for verb in VERBS:
            print(f"{verb}:", ", ".join(f"{n} ended with {status}" for (of, status), n in sorted(self.ends.items()) if of == verb))
        print(f"{len(kinds)} kinds x {len(VERBS)} verbs")
        print(f"at most {self.peak >> 20} MiB, {self.slowest[0]:.1f} s ({self.slowest[1]})")
        self.assertEqual(bad, 0, "see above")


if __name__ == "__main__":
    case.main()
