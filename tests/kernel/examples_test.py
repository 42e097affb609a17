"""The configurations of docs/examples, on crashes in cgroups as systemd and the kubelet make them."""

import os
import pathlib
import pwd

from harness import case, crash, programs, store, wait

EXAMPLES = programs.ROOT / "docs/examples"
CI, CI_UID = "nobody", 65534  # stand for the user that runs tests
POD = "kubepods{}-pod6f8d3c0e_2c4b_4f0e_9a57_0d6a3f6f1b21.slice"
CONTAINER = "cri-containerd-" + "3f9c2a71b04d6e58" * 4 + ".scope"


def unified_hierarchy():
    """Where cgroup v2 is mounted and can be written; None if nowhere."""
    for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
        _, where, kind, options, *_ = line.split()
        if kind == "cgroup2" and "rw" in options.split(","):
            return pathlib.Path(where)
    return None


class Examples(case.KernelCase):
    def start(self, name, **users):
        """The server with that example, where the users that this host has stand for those that it names."""
        text = (EXAMPLES / name).read_text()
        for user, stand_in in users.items():
            text = text.replace(f'"{user}"', f'"{stand_in}"')
        self.server.configure(text, limits_loops=True)
        self.server.start()
        self.lend_kernel("socket-request")

    def make_cgroup(self, path):
        top = unified_hierarchy()
        if top is None:
            self.skipTest("no cgroup v2 is mounted that can be written")
        # Below the group of the test itself nobody would look for these; they are as they are on a host.
        made = []
        for name in pathlib.Path(path).parts:
            top = top / name
            if not top.exists():
                top.mkdir()
                made.append(top)
        self.addCleanup(lambda: [folder.rmdir() for folder in reversed(made)])
        return top

    def crash_in(self, cgroup, *argv, **options):
        """Runs a program that crashes as a member of the cgroup `cgroup`, and returns what became of it."""
        procs = self.make_cgroup(cgroup) / "cgroup.procs"
        self.crash("/bin/sh", "-c", 'echo $$ > "$0"; exec "$@"', procs, *argv, **options)
        return self.newest()

    def newest(self):
        self.seen = getattr(self, "seen", 0) + 1
        return store.records(self.server.store, self.seen)[-1]

    def check(self, record, rule, detail, **handling):
        capture = record["capture"]
        self.assertEqual((capture.get("rule", ""), capture["detail"]), (rule, detail), record)
        self.assertEqual(capture.get("handling", {}), handling)

    def test_of_a_database_host(self):
        self.start("database-host.toml", mysql=CI)
        server = self.crash_in("system.slice/postgresql@15-main.service", programs.CRASHER, "segv")
        self.check(server, "databases", "minimal", environment="none", retention="keep")
        mariadb = self.crash_in("system.slice/mariadb.service", programs.CRASHER, "segv")
        self.check(mariadb, "databases", "minimal", environment="none", retention="keep")
        other = self.crash_in("system.slice/cron.service", programs.CRASHER, "segv")
        self.check(other, "", "full")

    def test_of_a_database_that_was_started_by_hand(self):
        found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/psql"))
        try:
            pwd.getpwnam("postgres")
        except KeyError:
            found = []
        if not found:
            self.skipTest("there is no PostgreSQL")
        self.start("database-host.toml", mysql=CI)
        # It waits for its standard input.
        read, write = os.pipe()
        waiting = crash.Running([found[-1], "-h", "/nonexistent", "-W", "-c", "x"], user="postgres", stdin=read)
        exe = pathlib.Path(f"/proc/{waiting.pid}/exe")
        wait.until(lambda: exe.exists() and os.readlink(exe) == str(found[-1]), "psql")
        waiting.kill().reap()
        os.close(read), os.close(write)
        self.check(self.newest(), "databases started by hand", "minimal", environment="none")

    def test_of_a_ci_machine(self):
        self.start("ci-machine.toml", ci=CI)
        runner = self.crash_in("system.slice/runner.service", programs.CRASHER, "segv")
        self.check(runner, "", "full")
        self.crash(programs.CRASHER, "segv", user=CI_UID, core_limit=0)
        self.check(self.newest(), "tests", "full", environment="all", retention="short")
        on_purpose = pathlib.Path(self.directory) / "parser-death-test"
        on_purpose.write_bytes(programs.CRASHER.read_bytes())
        on_purpose.chmod(0o755)
        self.crash(programs.for_every_user(on_purpose), "segv", user=CI_UID)
        wait.until(lambda: self.server.metrics().get("obit_crashes_rejected_total") == 1, "the death test to be counted")
        self.assertEqual(len(store.crash_directories(self.server.store)), 2)

    def test_of_a_kubernetes_node(self):
        self.start("kubernetes-node.toml")
        node = self.crash_in("system.slice/containerd.service", programs.CRASHER, "segv")
        self.check(node, "node", "full", retention="keep")
        slice_of = "kubepods.slice/kubepods-{0}.slice/" + POD.format("-{0}") + "/" + CONTAINER
        best_effort = self.crash_in(slice_of.format("besteffort"), programs.CRASHER, "segv")
        self.check(best_effort, "best effort", "event", retention="short")
        burstable = self.crash_in(slice_of.format("burstable"), programs.CRASHER, "segv")
        self.check(burstable, "pods", "full", environment="none")
        guaranteed = self.crash_in(f"kubepods.slice/{POD.format('')}/{CONTAINER}", programs.CRASHER, "segv")
        self.check(guaranteed, "pods", "full", environment="none")
        by_cgroupfs = self.crash_in(f"kubepods/burstable/pod6f8d3c0e-2c4b-4f0e-9a57-0d6a3f6f1b21/{'3f9c2a71b04d6e58' * 4}",
                                    programs.CRASHER, "segv")  # fmt: skip
        self.check(by_cgroupfs, "pods", "full", environment="none")
        shown = store.obit(self.server.store, "show", by_cgroupfs["id"]).stdout
        self.assertRegex(shown, r"container 3f9c2a71b04d\b")
        self.assertRegex(shown, r"pod 6f8d3c0e-")


if __name__ == "__main__":
    case.main()
