"""Processes of local users that connect to obitd's sockets.

The sockets lie in a folder that only root enters; here that is opened, so that nothing but obitd itself is in the way.
"""

import os
import shutil
import signal
import socket
import struct
import subprocess

from harness import case, crash, programs, store, wait

USER, OTHER = 61001, 61002
FLOOD = 2000

# Connects again and again, sends what could be a request or a core, and keeps every connection open. Says when it begins
# to come round again; goes on until it is killed. It leaves at most COUNT unanswered, half of what the kernel lets wait
# (net.core.somaxconn): who fills that makes the kernel drop crashes before obitd can know of them, and only the folder's
# mode keeps him out.
FLOODER = """
import resource, socket, sys
kind, path, count = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_NOFILE, (count + 100,) * 2)
held = []
while True:
    one = socket.socket(socket.AF_UNIX, kind)
    one.setblocking(False)
    held.append(one)
    try:
        one.connect(path)
        one.send(bytes.fromhex(sys.argv[4]))
    except OSError:
        pass
    if len(held) == count:
        print("round", flush=True)
        for old in held[: count // 2]:
            try:
                old.settimeout(60)
                old.recv(1)
            except OSError:
                pass
            old.close()
        del held[: count // 2]
"""

# Connects, and then dies of a signal: by the time that somebody looks, it is a process that dumps core. A child has the
# connection, says what the kernel would say, and keeps it open.
CHEAT = """
import os, resource, signal, socket, struct, sys, time
resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2)
one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
one.connect(sys.argv[1])
child = os.fork()
if child == 0:
    os.setsid()
    one.sendall(struct.pack("<IIQ", 16, 16, 15))
    open(sys.argv[2], "w").close()
    time.sleep(600)
open(sys.argv[3], "w").write(str(child))
os.kill(os.getpid(), signal.SIGSEGV)
"""


def request():
    """What the kernel sends first on a "@@" connection."""
    return struct.pack("<IIQ", 16, 16, 15)


class Peers(case.KernelCase):
    def setUp(self):
        super().setUp()
        self.crasher = shutil.copy(programs.CRASHER, self.directory)
        os.chmod(self.crasher, 0o755)

    def start(self):
        self.server.start()
        for path in (self.server.socket, self.server.pipe_socket):
            os.chmod(path, 0o777)

    def crash_of_other(self):
        """A crash of somebody who has nothing to do with it."""
        death = self.crash(self.crasher, "segv", user=OTHER)
        self.assertTrue(death.dumped)

    def run_as(self, user, program, *arguments):
        process = subprocess.Popen(["/usr/bin/python3", "-c", program, *map(str, arguments)], user=user, group=user, extra_groups=[],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, cwd="/")  # fmt: skip
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def check_flood(self, kind, path, what):
        self.start()
        self.lend_kernel("socket-request")
        flooder = self.run_as(USER, FLOODER, int(kind), path, FLOOD, what.hex())
        for _ in range(3):
            self.assertEqual(flooder.stdout.readline(), b"round\n")
        for _ in range(5):
            self.crash_of_other()
        for record in store.records(self.server.store, 5):
            self.assertEqual((record["process"]["uid"], record["capture"]["outcome"]), (OTHER, "full"))
        self.assertIsNone(flooder.poll(), "the flood ended too early")
        (manager,) = self.server.role("obitd-manager")
        descriptors = len(os.listdir(f"/proc/{manager}/fd"))
        self.assertLess(descriptors, 100, "it keeps connections that are not of the kernel")
        lines = self.server.log().count("not of the kernel")
        self.assertTrue(0 < lines < 40, f"{lines} lines of a flood in the log")

    def test_flood_of_requests(self):
        self.check_flood(socket.SOCK_STREAM, self.server.socket, request())

    def test_flood_of_cores(self):
        self.check_flood(socket.SOCK_STREAM, self.server.socket, b"\x7fELF" + bytes(1000))

    def test_flood_of_helper_messages(self):
        self.check_flood(socket.SOCK_SEQPACKET, self.server.pipe_socket, bytes(48))

    def test_helper_of_a_user(self):
        """A well-formed message of obit-pipe, from a user who names a process of somebody else."""
        self.start()
        secret = subprocess.Popen(["sleep", "1000"])
        self.addCleanup(secret.wait)
        self.addCleanup(secret.kill)
        message = struct.pack("<IiiiiIIIQQ", 3, secret.pid, secret.pid, 11, 1, 0, 0, 0, 0, 0)
        send = f"""
import array, os, socket
one = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
one.connect({str(self.server.pipe_socket)!r})
read, write = os.pipe()
try:
    socket.send_fds(one, [bytes.fromhex({message.hex()!r})], [read])
    assert one.recv(1) == b""
except (BrokenPipeError, ConnectionResetError):
    pass
print("closed", flush=True)
"""
        self.assertEqual(self.run_as(USER, send).stdout.readline(), b"closed\n")
        self.server.wait_for_log("it is not obit-pipe")
        self.assertEqual(store.crash_directories(self.server.store), [])

    def test_peer_that_crashes_itself(self):
        """It fools obitd, for its own crash and no longer than the deadline: others wait no longer, and lose nothing."""
        self.server.configure("[capture]\nslots = 2\nprogress_timeout = 2\n")
        self.start()
        self.lend_kernel("socket-request")
        os.chmod(self.directory, 0o777)
        cheats = []
        with self.server.paused("obitd-manager"):  # it is slow: each cheat can die before it looks
            for number in range(3):
                said, child = self.server.directory / f"said.{number}", self.server.directory / f"child.{number}"
                cheat = self.run_as(USER, CHEAT, self.server.socket, said, child)
                wait.until(said.exists, "false request")
                wait.until(lambda: dumping(cheat.pid), "crash of the cheat")
                self.addCleanup(os.kill, int(child.read_text()), signal.SIGKILL)
                cheats.append(cheat)
        for _ in range(3):
            self.crash_of_other()
        for cheat in cheats:
            wait.until(lambda: crash.state(cheat.pid) == "Z", "end of the cheat")
        records = store.records(self.server.store, 2 * len(cheats) + 3)
        self.assertEqual(sorted(record["process"]["uid"] for record in records), [USER] * 2 * len(cheats) + [OTHER] * 3)
        for record in records:
            if record["process"]["uid"] == OTHER:
                self.assertEqual(record["capture"]["outcome"], "full")


def dumping(pid):
    with open(f"/proc/{pid}/status") as file:
        return "CoreDumping:\t1" in file.read()


if __name__ == "__main__":
    case.main()
