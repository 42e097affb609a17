"""Cores and programs with something in them changed (tests/harness/mutation.py): obit imports each such core, analyses and shows
it, and analyses and shows a core whose program is one of those.

No process of obit dies of a signal, hangs, needs more memory than it may have, or prints a control character, and each core that
is imported has a record, a report and a page. Only one that has lost its head is refused. OBIT_MUTATIONS=all tries 2,000 cores and
600 programs; else it is how many cores are tried, and a third as many programs. They are made by a seed: OBIT_SEED."""

import collections
import json
import os
import pathlib
import random
import re
import shutil
import tempfile

from harness import bounded, case, kernel, mutation, programs, store, wait

DEFAULT_MUTATIONS = "45"
ALL_CORES, ALL_BINARIES, ALL_SECONDS = 2000, 600, 3600
CHOSEN = os.environ.get("OBIT_MUTATIONS", DEFAULT_MUTATIONS)
SEED = int(os.environ.get("OBIT_SEED", "1"))
DEBUG, RELEASE = ("O0-frame-pointers-pie",), ("O2-no-frame-pointers-pie",)
# What the report says of an analyzer that did not end as it should.
DEATH = re.compile(r"the analyzer|\bSIG[A-Z]+")


def of_causes(*names, variants=DEBUG + RELEASE):
    return [programs.CAUSES / variant / name for variant in variants for name in names]


def core_programs():
    """Commands that die, each in its way."""
    i386 = programs.CRASHERS / "crasher-i386"
    return [[programs.CRASHER, "threads", "5"], [programs.CRASHERS / "crasher-static", "segv"],
            *([program] for program in of_causes("uncaught-error", "double-free", "signal-handler", "null-call", variants=RELEASE)),
            *([i386, "segv"] for _ in range(programs.runs_here(i386)))]  # fmt: skip


class Mutations(case.KernelCase):
    def setUp(self):
        super().setUp()
        fast = "/dev/shm" if os.path.isdir("/dev/shm") else None
        self.work = pathlib.Path(self.stack.enter_context(tempfile.TemporaryDirectory(dir=fast, prefix="obit-test.")))
        self.counts, self.failures, self.peak, self.slowest = collections.Counter(), collections.Counter(), 0, (0, "")
        self.bad = 0

    def cores_of(self, commands):
        """The plain cores of programs that die."""
        self.server.start()
        self.lend_kernel("socket-request")
        for command in commands:
            self.crash(*command)
        self.give_kernel_back()
        records = store.records(self.server.store, len(commands))
        self.server.stop()
        cores = []
        for record in records:
            path = pathlib.Path(store.dump(self.server.store, record, f"{self.directory}/core"))
            cores.append(path.read_bytes())
            path.unlink()
        return cores

    def run_obit(self, name, *words):
        end = bounded.run([programs.OBIT, "--store", self.work / "store", *words], self.work)
        self.counts[words[0], end.status] += 1
        self.peak = max(self.peak, end.resident)
        self.slowest = max(self.slowest, (end.seconds, f"{words[0]}, {name}"))
        for problem in end.complaints():
            self.complain(name, words[0], problem)
        if end.status != 0:
            said = end.err.decode(errors="replace").splitlines()
            if not said or not all(line.startswith("obit: ") for line in said):
                self.complain(name, words[0], f"it did not say in a sentence what is wrong: {end.text()}")
        return end

    def complain(self, name, verb, problem):
        self.bad += 1
        print(f"{verb}, {name}: {problem}", flush=True)

    def analyze_and_show(self, name):
        """Returns the report."""
        if self.run_obit(name, "analyze").status not in (0, 1):
            self.complain(name, "analyze", "it says that it was used wrongly")
        reports = list(self.work.glob("store/crashes/*/*/report.json"))
        if len(reports) != 1:
            self.complain(name, "analyze", "there is no report")
        for options in ((), ("--all-threads", "--registers", "--modules", "--maps", "--record")):
            end = self.run_obit(name, "show", *options)
            if end.status != 0 or end.out.count(b"\n") < 5:
                self.complain(name, "show", f"there is no page: {end.text()}")
        report = json.loads(reports[0].read_text()) if reports else {}
        if failure := report.get("failure"):
            self.failures[failure] += 1
            if DEATH.search(failure):
                self.complain(name, "analyze", failure)
        return report

    def tell(self):
        for (verb, status), count in sorted(self.counts.items()):
            print(f"{verb}: {count} ended with {status}")
        for failure, count in self.failures.most_common(20):
            print(f"{count} reports: {failure}")
        print(f"at most {self.peak >> 20} MiB, {self.slowest[0]:.1f} s ({self.slowest[1]})")
        self.assertEqual(self.bad, 0, "see above")

    def limit(self):
        return wait.limit(kernel.TEST_SECONDS if CHOSEN == DEFAULT_MUTATIONS else ALL_SECONDS, "end of the trials")

    def test_cores(self):
        cores = self.cores_of(core_programs())
        count = ALL_CORES if CHOSEN == "all" else int(CHOSEN)
        with self.limit():
            for number in range(count):
                if number % 200 == 199:
                    print(f"core {number + 1}, {self.bad} complaints", flush=True)
                self.try_core(number, cores)
        print(f"{count} cores, of {len(cores)}")
        self.tell()

    def try_core(self, number, cores):
        chance = random.Random(f"{SEED} {number}")
        core = bytearray(cores[number // len(mutation.CORES) % len(cores)])
        what, mutate = list(mutation.CORES.items())[number % len(mutation.CORES)]
        mutate(chance, core, mutation.Elf(core))
        name = f"{number}: {what}"
        shutil.rmtree(self.work / "store", ignore_errors=True)
        (self.work / "core").write_bytes(core)
        if self.run_obit(name, "import", "core").status == 0:
            self.analyze_and_show(name)
        elif mutate not in mutation.BEHEADING:
            self.complain(name, "import", "it was refused")

    def test_binaries(self):
        count = ALL_BINARIES if CHOSEN == "all" else int(CHOSEN) // 3
        sources = [*of_causes("uncaught-error", "null-read"), programs.CRASHERS / "crasher-static"]
        copies = [pathlib.Path(shutil.copy(path, f"{self.directory}/program-{number}")) for number, path in enumerate(sources)]
        cores = self.cores_of([[copy, "segv"] for copy in copies])
        named = 0
        with self.limit():
            for turn, (program, core) in enumerate(zip(copies, cores)):
                shutil.rmtree(self.work / "store", ignore_errors=True)
                (self.work / "core").write_bytes(core)
                self.run_obit(program.name, "import", "core")
                whole = program.read_bytes()
                self.assertTrue(self.names_functions(self.analyze_and_show(program.name), program))
                for number in range(turn, count, len(copies)):
                    named += self.try_binary(number, program, whole)
        print(f"{count} programs, of {len(copies)}; {named} gave names of functions")
        self.assertGreater(named, count // 4, "they were not read")
        self.tell()

    def try_binary(self, number, program, whole):
        chance = random.Random(f"{SEED} {number}")
        content = bytearray(whole)
        what, mutate = list(mutation.BINARIES.items())[number % len(mutation.BINARIES)]
        mutate(chance, content, mutation.Elf(content))
        program.unlink()
        program.write_bytes(content)
        (old,) = self.work.glob("store/crashes/*/*/report.json")
        old.unlink()
        return self.names_functions(self.analyze_and_show(f"{number}: {what}"), program)

    @staticmethod
    def names_functions(report, program):
        """True if the analysis found a function in this program."""
        modules = [index for index, module in enumerate(report.get("modules", [])) if module["path"] == str(program)]
        frames = [frame for stack in report.get("stacks", []) for frame in stack["frames"]]
        return any(frame.get("module") in modules and "function" in frame for frame in frames)


if __name__ == "__main__":
    case.main()
