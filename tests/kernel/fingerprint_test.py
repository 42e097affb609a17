"""One bug is one fingerprint, however often it strikes and wherever it was built; two bugs are two."""

import pathlib
import shutil
import subprocess
import tempfile

from harness import case, crash, programs, report, store

SOURCE = """
#include <stddef.h>
#include <stdlib.h>

#define FUNCTION __attribute__((noipa)) static

%(unrelated)s

FUNCTION int look_up(const int* entry) { return *entry; }
FUNCTION int read_order(void) { return look_up(NULL) + 1; }
FUNCTION int read_invoice(void) { return look_up(NULL) + 2; }
FUNCTION int serve(int invoice) { return (invoice ? read_invoice() : read_order()) + 3; }

int main(int argc, char** argv) {
  (void)argv;
  return prepare() + serve(argc > 1);
}
"""
UNRELATED = "FUNCTION int prepare(void) { return 0; }"
# So much longer that what lies behind it has other addresses.
UNRELATED_CHANGED = """
static volatile int numbers[1000];
FUNCTION int prepare(void) {
  int sum = 0;
  for (int i = 0; i < 1000; ++i) sum += numbers[i] * numbers[(i * 7) % 1000] + (numbers[i] > 3 ? i / 5 : i % 11);
  return sum;
}
"""


class Fingerprints(case.KernelCase):
    def setUp(self):
        super().setUp()
        self.server.configure("analysis.slots = 2\n")
        self.server.start()
        self.lend_kernel("socket-request")
        self.folder = pathlib.Path(self.stack.enter_context(tempfile.TemporaryDirectory(dir="/var/tmp", prefix="obit-test.")))
        self.crashed = 0

    def build(self, folder, unrelated=UNRELATED, options=("-g", "-O2")):
        """The program of SOURCE, compiled in a folder of that name."""
        if not shutil.which("cc"):
            self.skipTest("there is no C compiler")
        place = self.folder / folder
        place.mkdir(parents=True)
        (place / "shop.c").write_text(SOURCE % {"unrelated": unrelated})
        subprocess.run(["cc", *options, "-Wall", "-Wextra", "-Werror", "shop.c", "-o", "shop"], cwd=place, check=True)
        return place / "shop"

    def reports(self, *commands):
        """What is said of programs that die all at the same time, in their order."""
        deaths = [process.reap() for process in [crash.Running(command) for command in commands]]
        self.assertTrue(all(death.dumped for death in deaths))
        self.crashed += len(deaths)
        records = {record["process"]["pid"]: record for record in store.records(self.server.store, self.crashed)}
        return [report.of(self.server.store, records[death.pid]) for death in deaths]

    def fingerprints(self, *commands):
        """(version, value) of each."""
        found = []
        for said in self.reports(*commands):
            fingerprint = said["fingerprint"]
            self.assertRegex(fingerprint["value"], r"^[0-9a-f]{16}$")
            self.assertNotEqual(fingerprint["frames"], [])
            found.append((fingerprint["version"], fingerprint["value"]))
        return found

    def address_of(self, program, function):
        symbols = subprocess.run(["nm", program], capture_output=True, text=True, check=True).stdout
        (address,) = (line.split()[0] for line in symbols.splitlines() if line.endswith(f" t {function}"))
        return address

    def check_many(self, name):
        # Where the analysis may open it: the server holds the files of few crashes that wait, not of fifty.
        program = programs.for_every_user(programs.CAUSES / "O2-no-frame-pointers-pie" / name)
        reports = self.reports(*[[program]] * 50)
        self.assertGreater(len({said["stacks"][0]["frames"][-1]["pc"] for said in reports}), 1, "the addresses did not differ")
        self.assertEqual(len({said["fingerprint"]["value"] for said in reports}), 1)
        self.assertEqual(len({tuple(said["fingerprint"]["frames"]) for said in reports}), 1)

    def test_fifty_runs(self):
        self.check_many("null-read")

    def test_fifty_runs_that_end_in_a_library(self):
        self.check_many("double-free")

    def test_recursion_of_any_depth(self):
        program = programs.CAUSES / "O2-no-frame-pointers-pie/stack-overflow"
        shallow, deep = (["sh", "-c", f'ulimit -s {kib} && exec "$0"', program] for kib in (1024, 2048))
        reports = self.reports(shallow, deep)
        depths = [sum(fold["times"] for fold in said["stacks"][0]["folds"]) for said in reports]
        self.assertGreater(depths[1], depths[0] * 3 // 2)
        self.assertEqual(reports[0]["fingerprint"], reports[1]["fingerprint"])

    def test_two_callers_of_one_function_are_two_bugs(self):
        program = self.build("here")
        order, invoice, again = self.fingerprints([program], [program, "invoice"], [program])
        self.assertNotEqual(order, invoice)
        self.assertEqual(order, again)

    def test_two_causes_in_one_place_of_the_library_are_two_bugs(self):
        folder = programs.CAUSES / "O2-no-frame-pointers-pie"
        first, second = self.fingerprints([folder / "double-free"], [folder / "invalid-free"])
        self.assertNotEqual(first, second)

    def test_other_directory(self):
        here, there = self.build("here"), self.build("somewhere/else/entirely")
        self.assertNotEqual(here.read_bytes(), there.read_bytes(), "the debug information names the same directory")
        first, second = self.fingerprints([here], [there])
        self.assertEqual(first, second)

    def test_rebuilt_with_another_function_changed(self):
        before, after = self.build("before"), self.build("after", UNRELATED_CHANGED)
        self.assertNotEqual(self.address_of(before, "look_up"), self.address_of(after, "look_up"))
        first, second = self.fingerprints([before], [after])
        self.assertEqual(first, second)

    def test_with_and_without_debug_information(self):
        first, second = self.fingerprints([self.build("with")], [self.build("without", options=["-O2"])])
        self.assertEqual(first, second)


if __name__ == "__main__":
    case.main()
