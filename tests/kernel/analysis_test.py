"""What becomes of a stored core: obit-analyze reads it, in its jail, and leaves a report beside it."""

import http.server
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import threading

from harness import case, crash, programs, report as reports, store, wait


class AnalysedCase(case.KernelCase):
    def setUp(self):
        super().setUp()
        self.server.start()
        self.lend_kernel("socket-request")

    def report(self, record):
        """The report of a crash, once it is there."""
        path = store.directory_of(self.server.store, record) / "report.json"
        wait.until(path.exists, lambda: f"report of {record['id']}:\n{self.server.log()}")
        self.assertEqual(path.stat().st_mode & 0o7777, 0o640)
        return reports.shown(self.server.store, record["id"])

    def functions(self, report):
        return [frame.get("function") for frame in report["stacks"][0]["frames"]]

    def folder(self):
        """Where programs may lie. Not below /run, which tends to be mounted noexec."""
        folder = self.stack.enter_context(tempfile.TemporaryDirectory(dir="/var/tmp", prefix="obit-test."))
        os.chmod(folder, 0o755)  # obitd and what it starts are a user of their own
        return folder


class Analysis(AnalysedCase):
    def copy_of_crasher(self):
        return shutil.copy(programs.CRASHER, f"{self.folder()}/copy")

    def restart_with_stopping_analyzers(self):
        """Each analyzer of the server stops itself, before it is anything but a script."""
        self.assertEqual(self.server.stop(), 0)
        folder = self.folder()
        self.server.program = shutil.copy(programs.OBITD, folder)
        analyzer = pathlib.Path(folder) / "obit-analyze"
        analyzer.write_text(f'#!/bin/sh\nkill -STOP $$\nexec {programs.for_every_user(programs.OBIT_ANALYZE)} "$@"\n')
        analyzer.chmod(0o755)
        self.server.start()

    def stopped_analyzer(self):
        """The pid of the only one, once it is there."""
        return wait.until(lambda: [pid for pid in self.server.processes() if crash.state(pid) == "T"], "an analyzer")[0]

    def test_a_core_that_ends_before_the_code(self):
        """Code that was dumped as well, and then lost: it is still what the program file has."""
        self.crash("/bin/sh", "-c", 'echo 0x37 > /proc/self/coredump_filter; exec "$@"', "sh", programs.CRASHER, "segv")
        record = self.record()
        whole = self.report(record)["cause"]
        self.assertEqual(whole["kind"], "null-write")
        core = store.dump(self.server.store, record, f"{self.folder()}/core")
        os.truncate(core, min(offset for offset, size in list(store.segments(core))[1:] if size > 0))
        cut_store = f"{self.directory}/cut"
        store.obit(cut_store, "import", core)
        (cut,) = store.records(cut_store)
        self.assertEqual(cut["capture"]["outcome"], "truncated")
        store.obit(cut_store, "analyze", cut["id"])
        report = reports.shown(cut_store, cut["id"])
        self.assertEqual((report["cause"]["kind"], report["cause"]["sentence"]), (whole["kind"], whole["sentence"]))
        self.assertIn("crash_here", self.functions(report))
        (stack,) = report["stacks"]
        self.assertRegex(stack["end"], "^the core ends before the stack at 0x")

    def test_a_crash_gets_a_report(self):
        self.crash(programs.CRASHER, "segv")
        record = self.record()
        report = self.report(record)
        self.assertNotIn("failure", report)
        self.assertEqual((report["schema"], report["id"]), (2, record["id"]))
        self.assertIn("crash_here", self.functions(report))
        self.assertIn("main", self.functions(report))
        self.server.wait_for_log(f"{record['id']} analysed in")
        self.assertIn(report["cause"]["sentence"], self.server.log())

    def test_again_by_command(self):
        self.crash(programs.CRASHER, "segv")
        record = self.record()
        first = self.report(record)
        done = store.obit(self.server.store, "analyze")
        self.assertIn(first["cause"]["sentence"], done.stdout)
        second = self.report(record)
        self.assertGreater(second["time"], first["time"])
        self.assertEqual(second["fingerprint"], first["fingerprint"])
        done = store.obit(self.server.store, "analyze", "--all")
        self.assertEqual(done.stdout, "", "nothing is due")
        self.assertEqual(self.report(record), second)

    def test_deleted_program(self):
        copy = self.copy_of_crasher()
        self.crash(copy, "delete-exe")
        report = self.report(self.record())
        self.assertIn("crash_here", self.functions(report))

    def test_replaced_program(self):
        """By the time of the analysis its name leads to another file."""
        copy = self.copy_of_crasher()
        running = crash.Running([copy, "segv", "stop"])
        crash.await_stop(running)
        shutil.copy("/bin/true", f"{copy}.new")
        os.rename(f"{copy}.new", copy)
        os.kill(running.pid, signal.SIGCONT)
        running.reap()
        self.assertIn("crash_here", self.functions(self.report(self.record())))

    def test_file_of_another_mount_namespace(self):
        """A program that no name of this host leads to."""
        self.require("unshare", "--mount", "true")
        folder = self.folder()
        script = (f"mount -t tmpfs none {folder} && cp {programs.CRASHER} {folder}/hidden && "
                  f"ulimit -c unlimited && exec {folder}/hidden segv")  # fmt: skip
        death = crash.run(["unshare", "--mount", "sh", "-c", script])
        self.assertEqual(death.signal, signal.SIGSEGV, death.output)
        self.assertFalse(pathlib.Path(f"{folder}/hidden").exists())
        report = self.report(self.record())
        self.assertIn("crash_here", self.functions(report))

    def test_killed_analyzer(self):
        """The record says so, and the server goes on."""
        self.restart_with_stopping_analyzers()
        self.crash(programs.CRASHER, "segv")
        record = self.record()
        os.kill(self.stopped_analyzer(), signal.SIGKILL)
        self.assertEqual(self.report(record)["failure"], "the analyzer was killed by SIGKILL")
        self.check_core(record, "crash_here")
        self.crash(programs.CRASHER, "segv")
        os.kill(self.stopped_analyzer(), signal.SIGCONT)
        self.assertNotIn("failure", self.report(store.records(self.server.store, 2)[1]))

    def test_stop_during_an_analysis(self):
        """What was cut short is done by the next server."""
        self.restart_with_stopping_analyzers()
        self.crash(self.copy_of_crasher(), "segv")
        analyzer = self.stopped_analyzer()
        record = self.record()
        self.assertEqual(self.server.stop(), 0)
        self.assertEqual(crash.state(analyzer), "gone")
        self.assertFalse((store.directory_of(self.server.store, record) / "report.json").exists())
        self.server.program = programs.OBITD
        self.server.start()
        self.assertIn("crash_here", self.functions(self.report(record)))

    def test_switched_off(self):
        self.server.stop()
        self.server.configure("[analysis]\nenabled = false\n")
        self.server.start()
        self.crash(programs.CRASHER, "segv")
        record = self.record()
        self.check_core(record, "crash_here")
        self.assertEqual(self.server.stop(), 0)
        self.assertNotIn("analysed", self.server.log())
        self.assertFalse((store.directory_of(self.server.store, record) / "report.json").exists())

    def test_environment(self):
        """What is no secret is kept; with another setting, all or nothing."""
        variables = {"PATH": "/usr/bin:/bin", "LANG": "C", "DATABASE_PASSWORD": "geheim"}
        self.crash(programs.CRASHER, "segv", environment=variables)
        record = self.record()
        self.assertEqual(set(self.report(record)["environment"]), {"PATH=/usr/bin:/bin", "LANG=C"})
        self.assertNotIn("geheim", store.obit(self.server.store, "show", "--env").stdout)
        store.obit(self.server.store, "analyze", "--environment", "all")
        self.assertIn("DATABASE_PASSWORD=geheim", self.report(record)["environment"])
        store.obit(self.server.store, "analyze", "--environment", "none")
        self.assertNotIn("environment", self.report(record))


class Debuginfod(AnalysedCase):
    """A server that has the debug information of one program, and counts who asks."""

    def setUp(self):
        super().setUp()
        folder = self.folder()
        self.stripped = shutil.copy(programs.CAUSES / "O0-frame-pointers-pie/null-read", f"{folder}/stripped")
        debug = f"{folder}/debug"
        subprocess.run(["objcopy", "--only-keep-debug", self.stripped, debug], check=True)
        subprocess.run(["strip", self.stripped], check=True)
        notes = subprocess.run(["eu-readelf", "-n", self.stripped], check=True, capture_output=True, text=True).stdout
        build_id = re.search(r"Build ID: ([0-9a-f]+)", notes)[1]
        self.asked = asked = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append(self.path)
                found = self.path == f"/buildid/{build_id}/debuginfo"
                content = pathlib.Path(debug).read_bytes() if found else b""
                self.send_response(200 if found else 404)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                pass

        web = self.stack.enter_context(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=web.serve_forever, daemon=True).start()
        self.stack.callback(web.shutdown)
        self.url = f"http://127.0.0.1:{web.server_port}"
        self.cache = f"{folder}/cache"

    def has_names(self, record):
        return "look_up" in self.functions(self.report(record))

    def test_not_asked_unless_told(self):
        self.crash(self.stripped)
        record = self.record()
        self.assertFalse(self.has_names(record))
        self.assertEqual(self.asked, [])

    def test_by_the_server(self):
        self.server.stop()
        self.server.configure(f'[analysis]\ndebuginfod_urls = "{self.url}"\ndebuginfod_cache = "{self.cache}"\n')
        self.server.start()
        self.crash(self.stripped)
        record = self.record()
        wait.until(lambda: self.has_names(record), self.server.log)
        (line,) = {frame.get("line") for frame in self.report(record)["stacks"][0]["frames"] if frame.get("function") == "look_up"}
        self.assertIsNotNone(line)

    def test_by_the_command(self):
        self.crash(self.stripped)
        record = self.record()
        self.assertFalse(self.has_names(record))
        environment = os.environ | {"DEBUGINFOD_URLS": self.url, "DEBUGINFOD_CACHE_PATH": self.cache}
        subprocess.run([programs.OBIT, "--store", self.server.store, "analyze", "--debuginfod"], check=True, env=environment,
                       capture_output=True)  # fmt: skip
        self.assertTrue(self.has_names(record))
        asked = len(self.asked)
        done = store.obit(self.server.store, "analyze", "--debuginfod", check=False)
        self.assertEqual(done.returncode, 1, "no server is named")
        self.assertEqual(len(self.asked), asked)


if __name__ == "__main__":
    case.main()
