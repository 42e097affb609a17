"""obitd as a service: what starts, reloads and stops it, and who may talk to it."""

import contextlib
import ctypes
import os
import pathlib
import re
import signal
import socket
import struct
import sys

from harness import case, crash, programs, server, store, wait

# Becomes the program given, with the descriptor in its first argument as the socket that systemd would pass on.
ACTIVATE = """import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ |= {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}
os.execv(sys.argv[2], sys.argv[2:])"""


PTRACE_INTERRUPT, PTRACE_SEIZE = 0x4207, 0x4206
WATCHDOG_SECONDS = 4


def hang(pid):
    """Makes a process stand still without the news that its parent has of SIGSTOP."""
    ptrace = ctypes.CDLL(None, use_errno=True).ptrace
    for request in (PTRACE_SEIZE, PTRACE_INTERRUPT):
        if ptrace(request, pid, None, None) < 0:
            raise OSError(ctypes.get_errno(), f"ptrace of {pid}")


class NotifySocket:
    """What sd_notify(3) writes to."""

    def __init__(self, path):
        self.environment = {"NOTIFY_SOCKET": path}
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(path)
        os.chmod(path, 0o777)  # as the service manager's: obitd runs as a user of its own
        self._socket.settimeout(30)

    def expect(self, line):
        """Reads messages up to one that has this line."""
        while line not in self._socket.recv(4096).decode().splitlines():
            pass

    def close(self):
        self._socket.close()


class Service(case.KernelCase):
    def setUp(self):
        super().setUp()
        self.notify = NotifySocket(f"{self.directory}/notify")
        self.stack.callback(self.notify.close)

    def start(self, **options):
        return self.server.start(environment=self.notify.environment, **options)

    def test_tells_the_service_manager(self):
        self.start()
        self.notify.expect("READY=1")
        self.assertEqual(self.server.stop(), 0)
        self.notify.expect("STOPPING=1")

    def reload(self, text):
        self.server.configure(text)
        self.server.process.send_signal(signal.SIGHUP)
        self.notify.expect("RELOADING=1")
        self.notify.expect("READY=1")

    def test_manager_that_hangs(self):
        """It is noticed by the beat of the watchdog, and replaced."""
        self.notify.environment["WATCHDOG_USEC"] = str(WATCHDOG_SECONDS * 1_000_000)
        self.start()
        self.lend_kernel("socket-request")
        for _ in range(3):
            self.notify.expect("WATCHDOG=1")
        (manager,) = self.server.role("obitd-manager")
        hang(manager)
        self.server.wait_for_log("the manager does not answer: killed")
        while not os.WIFSIGNALED(os.waitpid(manager, 0)[1]):  # its parent sees the death after its tracer
            pass
        self.assertTrue(self.crash(programs.CRASHER, "segv").dumped)
        self.check_core(self.record(), "crash_here")
        self.notify.expect("WATCHDOG=1")
        self.assertEqual(len(re.findall("the manager", self.server.log())), 1)
        self.assertEqual(self.server.stop(), 0)

    def test_manager_that_cannot_begin(self):
        """obitd has failed then: no crash would ever be answered."""
        self.start()
        hit = set()

        def ended():
            for pid in set(self.server.role("obitd-manager")) - hit:
                hit.add(pid)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGABRT)
            return self.server.process.poll() is not None

        wait.until(ended, "end of obitd", 80)
        self.assertEqual(self.server.process.returncode, 1)
        self.assertIn("obitd: the manager ended 5 times in a row before it accepted crashes\n", self.server.log())

    def test_reload(self):
        self.start()
        self.notify.expect("READY=1")
        self.lend_kernel("socket-request")
        self.crash(programs.CRASHER, "segv", core_limit=0)
        self.assertEqual(self.record()["capture"]["outcome"], "event")

        self.reload('[capture]\nslots = 2\ncore_limit_zero = "full"\n')
        self.crash(programs.CRASHER, "segv", core_limit=0)
        self.check_core(store.records(self.server.store, 2)[1], "crash_here")
        wait.until(lambda: len(self.server.role("obitd-capture")) == 2, "two captures at once")

        self.reload('[capture]\nslot = 1\n')
        self.server.wait_for_log("obit.toml:2: unknown key \"slot\"")
        self.crash(programs.CRASHER, "segv", core_limit=0)  # by the configuration of before
        self.check_core(store.records(self.server.store, 3)[2], "crash_here")

    def test_reload_with_drop_ins(self):
        drop_ins = pathlib.Path(f"{self.server.config}.d")
        drop_ins.mkdir()
        self.start()
        self.notify.expect("READY=1")
        self.lend_kernel("socket-request")
        for text, outcome in (("full", "full"), ("reject", None), ("nonsense", None), ("event", "event")):
            (drop_ins / "10.toml").write_text(f'capture.core_limit_zero = "{text}"\n')
            known = len(store.crash_directories(self.server.store))
            self.reload("")
            self.crash(programs.CRASHER, "segv", core_limit=0)
            if outcome:
                self.assertEqual(store.records(self.server.store, known + 1)[-1]["capture"]["outcome"], outcome)
        # What was wrong left "reject" in force.
        self.server.wait_for_log('10.toml:1: capture.core_limit_zero must be "full", "minimal", "event" or "reject"')
        self.assertEqual(len(store.crash_directories(self.server.store)), 2)

    def test_broken_configuration_at_the_start(self):
        self.server.configure("[capture]\nslots = 0\n")
        with self.assertRaisesRegex(AssertionError, r"obit.toml:2: .*slots"):
            self.start()
        self.assertNotEqual(self.server.process.returncode, 0)

    def test_inherited_socket(self):
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.stack.callback(listener.close)
        listener.bind(str(self.server.socket))
        listener.listen(4096)
        self.lend_kernel("socket-request")
        # Nobody serves the socket yet: this crash waits in its backlog.
        waiting = crash.Running([programs.CRASHER, "segv"])
        self.start(through=[sys.executable, "-c", ACTIVATE, str(listener.fileno())], pass_fds=[listener.fileno()])
        self.assertTrue(waiting.reap().dumped)
        self.check_core(self.record(), "crash_here")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.connect(str(self.server.socket))
            pid, *_ = struct.unpack("iii", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        self.assertEqual(pid, self.server.process.pid, "who listens is the server")
        self.assertEqual(self.server.stop(), 0)
        self.assertTrue(self.server.socket.is_socket(), "it belongs to the service manager")

    def test_refuses_connections_of_others(self):
        self.start()
        for path, kind in ((self.server.socket, socket.SOCK_STREAM), (self.server.pipe_socket, socket.SOCK_SEQPACKET)):
            with socket.socket(socket.AF_UNIX, kind) as client:
                client.settimeout(30)
                client.connect(str(path))
                if kind == socket.SOCK_SEQPACKET:
                    client.send(b"x" * 40)
                try:
                    self.assertEqual(client.recv(1), b"")
                except ConnectionResetError:
                    pass  # closed with something unread
        self.assertEqual(self.server.stop(), 0)
        self.assertRegex(self.server.log(), "2 other connections closed")
        self.assertEqual(store.crash_directories(self.server.store), [])

    def test_makes_a_folder_for_its_owner_only(self):
        """Whoever can reach the socket could pose as the kernel."""
        self.server.socket = self.server.directory / "sockets/coredump.socket"
        self.start()
        self.assertEqual(self.server.socket.parent.stat().st_mode & 0o777, 0o700)

    def test_second_server_on_one_store(self):
        self.start()
        other_directory = self.stack.enter_context(server.make_directory())
        other = server.Server(other_directory, store=self.server.store)
        self.stack.callback(other.kill)
        with self.assertRaisesRegex(AssertionError, re.escape(str(self.server.store))):
            other.start()
        self.assertNotEqual(other.process.returncode, 0)
        self.lend_kernel("socket-request")
        self.crash(programs.CRASHER, "segv")  # the first one is not disturbed
        self.check_core(self.record(), "crash_here")


if __name__ == "__main__":
    case.main()
