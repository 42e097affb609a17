"""Each death of deaths.py, by the kernel and through obitd: what `obit show` says of it must be right.

Without more, those of the runtimes that tools/install-deps brings. OBIT_DEATHS=all tries all, in one test each; OBIT_DEATHS_PAGE=FILE
adds what was said to FILE, as rows of the table in docs/diagnosis.md."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

from harness import case, crash, kernel, report, store, wait

import deaths

NOT_HERE = 77  # the exit code of a program whose death needs what this machine lacks
SECONDS = 600  # for all deaths of a runtime, and to build its programs


def rows_of(said):
    """Markdown. What differs from run to run is left out."""
    lines = []
    for death, cause, right in said:
        words = re.sub(r"/var/tmp/obit-test\.\w+/", "", cause.get("sentence", "").replace(f"{deaths.HERE}/", ""))
        words = re.sub(r"0x[0-9a-f]{9,}", "0x...", words).replace("|", "\\|").replace("\n", " ")
        way = " ".join(death.command[1:]).replace("|", "\\|").replace("\n", " ")
        lines.append(f"| {death.runtime} | `{way}` | {words} | {'' if right else 'no'} |\n")
    return "".join(lines)


def in_eights(all_of_them):
    return [all_of_them[i : i + 8] for i in range(0, len(all_of_them), 8)]


class Deaths(case.KernelCase):
    def setUp(self):
        kernel.TEST_SECONDS = SECONDS
        super().setUp()
        self.folder = pathlib.Path(self.stack.enter_context(tempfile.TemporaryDirectory(dir="/var/tmp", prefix="obit-test.")))
        self.folder.chmod(0o755)  # for the user that obitd becomes
        self.built, self.records, self.alive = {}, {}, []
        self.server.configure("")
        self.server.start()

    def program(self, name):
        if name not in self.built:
            self.built[name] = deaths.PROGRAMS[name].build(self.folder, name)
        return self.built[name]

    def tiny_file_system(self):
        tiny = self.folder / "tiny"
        if not tiny.exists():
            tiny.mkdir()
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1M", "tmpfs", tiny], check=True)
            self.stack.callback(lambda: subprocess.run(["umount", tiny], check=True))
        return str(tiny)

    def command_of(self, death):
        """What to run; None where that cannot be had."""
        first, *rest = death.command
        if first in deaths.PROGRAMS:
            program = self.program(first)
            return program and [program, *rest]
        if first == "redis":
            return self.redis(rest)
        if not shutil.which("javac" if first == "java" else first):  # java compiles a source by that
            return None
        return [first, *(str(deaths.HERE / word) if (deaths.HERE / word).is_file() else word for word in rest)]

    def redis(self, words):
        if not shutil.which("redis-server") or not shutil.which("redis-cli"):
            return None
        path = self.folder / "redis.sock"
        script = ('redis-server --port 0 --unixsocket "$0" --save "" --enable-debug-command yes --crash-memcheck-enabled no >/dev/null & '
                  'until redis-cli -s "$0" ping >/dev/null 2>&1; do :; done; redis-cli -s "$0" $1 >/dev/null 2>&1; wait $!')  # fmt: skip
        return ["/bin/sh", "-c", f'{script}; kill -KILL $$', path, *words]

    def die(self, command, death):
        """The record of that death; None where it cannot be had here."""
        environment = os.environ | dict(death.environment) | {"TINY": self.tiny_file_system(), "HOME": str(self.folder), "LC_ALL": "C.UTF-8"}
        dead = crash.run(command, 60, environment=environment, cwd=self.folder)
        if os.WIFEXITED(dead.status) and os.WEXITSTATUS(dead.status) == NOT_HERE:
            return None

        def of_it():
            for folder in store.crash_directories(self.server.store):
                record = self.records.setdefault(folder.name, json.loads((folder / "crash.json").read_text()))
                if dead.pid in (record["process"]["pid"], record["process"]["parent"]):
                    return record
            return None

        try:
            return wait.until(of_it, lambda: f"a record of {death.name}: status {dead.status:#x}, {dead.output[-300:]}", 20)
        except AssertionError as error:
            self.alive.append(f"{death.name}: {str(error)[:300]}")
            return None

    def die_together(self, some):
        """Those that can be had here, each with its record. The kernel is lent for them alone: others wait for it."""
        commands = [(death, self.command_of(death)) for death in some]
        self.lend_kernel("socket-request")
        try:
            return [(death, command and self.die(command, death)) for death, command in commands]
        finally:
            self.give_kernel_back()

    def check(self, runtime):
        wanted = [death for death in deaths.DEATHS if death.runtime == runtime]
        died = [pair for some in in_eights(wanted) for pair in self.die_together(some)]
        said, wrong = [], list(self.alive)
        for death, record in died:
            if record is None:
                continue
            cause = report.of(self.server.store, record)["cause"]
            words = f"{cause['kind']}: {cause.get('sentence', '')}"
            right = re.fullmatch(death.right, words, re.DOTALL) is not None
            said.append((death, cause, right))
            if not right:
                wrong.append(f"{death.name}: {words}   (right: {death.right})")
        if page := os.environ.get("OBIT_DEATHS_PAGE"):
            with open(page, "a") as rows:
                rows.write(rows_of(said))
        missing = len([record for _, record in died if record is None]) - len(self.alive)
        print(f"{runtime}: {len(said)} deaths, {len(wrong)} told wrong, {missing} not to be had here")
        self.assertEqual(wrong, [], "\n" + "\n".join(wrong))
        if not said:
            self.skipTest(f"nothing of {runtime} is installed")


def name_of(runtime):
    return "test_" + re.sub(r"\W+", "_", runtime.replace("+", "p")).strip("_").lower()


for _runtime in dict.fromkeys(death.runtime for death in deaths.DEATHS):
    if _runtime in deaths.INSTALLED or os.environ.get("OBIT_DEATHS") == "all":
        setattr(Deaths, name_of(_runtime), lambda self, runtime=_runtime: self.check(runtime))


if __name__ == "__main__":
    case.main()
