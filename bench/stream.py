#!/usr/bin/env python3
"""Compares stream capture with a server that throws the stream away, side by side in one run.

usage: bench/stream.py [--build DIR] [--mib N] [--runs N] [--json FILE]     (as root)

For each run, in turn: one crash of a process with N MiB of memory (tests/crashers, kind "mixed") with each server. Measured:
seconds from the signal until the process is reaped, seconds until the crash is in the store, CPU seconds of the server.
"""

import argparse
import contextlib
import json
import os
import pathlib
import platform
import signal
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default=ROOT / "build/release", type=pathlib.Path)
    parser.add_argument("--mib", default=1024, type=int)
    parser.add_argument("--runs", default=5, type=int)
    parser.add_argument("--json", type=pathlib.Path)
    return parser.parse_args()


def cpu_seconds(pids):
    ticks = os.sysconf("SC_CLK_TCK")
    total = 0
    for pid in pids:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / ticks


def crash(crasher, mib):
    """Seconds from the signal until the process is reaped. It fills its memory, stops itself, and is then told to die."""
    process = subprocess.Popen(["/bin/sh", "-c", 'ulimit -c unlimited; exec "$@"', "sh", crasher, "memory", str(mib),
                                "mixed", "stop"])  # fmt: skip
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
    begin = time.monotonic()
    os.kill(process.pid, signal.SIGCONT)
    process.wait()
    return time.monotonic() - begin


def with_discard(options, directory, kernel):
    socket = f"{directory}/discard.socket"
    server = subprocess.Popen([options.build / "bench/discard", socket], stdout=subprocess.PIPE)
    try:
        server.stdout.readline()
        with kernel.settings({kernel.CORE_PATTERN: "@@" + socket}):
            reaped = crash(options.build / "tests/crashers/crasher", options.mib)
            return {"reaped": reaped, "cpu": cpu_seconds([server.pid])}
    finally:
        server.kill()
        server.wait()


def with_obit(options, directory, kernel, server_module):
    server = server_module.Server(directory, store=options.build / "bench/store").start()
    try:
        with kernel.settings({kernel.CORE_PATTERN: server.core_pattern("socket-request")}):
            begin = time.monotonic()
            reaped = crash(options.build / "tests/crashers/crasher", options.mib)
            server.wait_for_log(": full,")
            stored = time.monotonic() - begin
            cpu = cpu_seconds(server.processes())
    finally:
        server.stop()
    records = list((options.build / "bench/store/crashes").glob("*/*/crash.json"))
    capture = json.loads(records[0].read_text())["capture"]
    subprocess.run(["rm", "-rf", options.build / "bench/store"], check=True)
    return {"reaped": reaped, "cpu": cpu, "held": capture["held_seconds"], "stored_bytes": capture["stored_bytes"],
            "core_bytes": capture["core_bytes"], "method": capture["method"]}  # fmt: skip


def main():
    options = parse()
    os.environ["OBIT_BIN"] = str(options.build / "bin")
    os.environ["OBIT_CRASHERS"] = str(options.build / "tests/crashers")
    from harness import kernel, server as server_module

    runs = []
    with server_module.make_directory() as directory:
        for _ in range(options.runs):
            runs.append({"discard": with_discard(options, directory, kernel),
                         "obit": with_obit(options, directory, kernel, server_module)})  # fmt: skip
    ratios = [run["obit"]["reaped"] / run["discard"]["reaped"] for run in runs]
    print(f"{options.mib} MiB, Linux {platform.release()}, {os.cpu_count()} cores, {options.runs} runs, median (lowest-highest)")
    for name in ("discard", "obit"):
        for what in ("reaped", "cpu"):
            values = [run[name][what] for run in runs]
            print(f"  {name:8} {what:7} {statistics.median(values):6.2f} s  ({min(values):.2f}-{max(values):.2f})")
    print(f"  obit / discard, until reaped: {statistics.median(ratios):.2f}  ({min(ratios):.2f}-{max(ratios):.2f})")
    if options.json:
        options.json.write_text(json.dumps({"mib": options.mib, "kernel": platform.release(), "runs": runs}, indent=2))


if __name__ == "__main__":
    main()
