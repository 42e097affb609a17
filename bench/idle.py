#!/usr/bin/env python3
"""What obitd costs while nothing crashes: memory of each of its processes, and how often they wake.

usage: bench/idle.py [--build DIR] [--seconds N] [--after-crashes N]     (as root, on a quiet machine)

Memory is proportional (Pss: a page that several processes share counts once in all), in MiB; wakeups are voluntary context
switches in the time that is looked at.
"""

import argparse
import contextlib
import os
import pathlib
import platform
import re
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default=ROOT / "build/release", type=pathlib.Path)
    parser.add_argument("--seconds", default=60, type=int)
    parser.add_argument("--after-crashes", default=0, type=int)
    return parser.parse_args()


def number(pid, file, name):
    (found,) = re.findall(rf"^{name}:\s+(\d+)", pathlib.Path(f"/proc/{pid}/{file}").read_text(), re.M)
    return int(found)


def wakeups(pid):
    return number(pid, "status", "voluntary_ctxt_switches")


def main():
    options = parse()
    os.environ["OBIT_BIN"] = str(options.build / "bin")
    os.environ["OBIT_CRASHERS"] = str(options.build / "tests/crashers")
    from harness import crash, kernel, look, programs, server as obitd, store

    with contextlib.ExitStack() as stack:
        server = obitd.Server(stack.enter_context(obitd.make_directory())).start()
        stack.callback(server.kill)
        if options.after_crashes:
            with kernel.settings({kernel.CORE_PATTERN: server.core_pattern("socket-request")}):
                for _ in range(options.after_crashes):
                    crash.run([programs.CRASHER, "memory", "64", "mixed"])
            store.records(server.store, options.after_crashes)
        time.sleep(5)  # what it had to do is done
        pids = server.processes()
        before = {pid: wakeups(pid) for pid in pids}
        time.sleep(options.seconds)
        print(f"Linux {platform.release()}, {len(pids)} processes, {options.seconds} s, after {options.after_crashes} crashes\n")
        print("| process | Pss, MiB | private, MiB | wakeups |")
        print("|---|---|---|---|")
        total = [0.0, 0.0, 0]
        for pid in pids:
            figures = [number(pid, "smaps_rollup", "Pss") / 1024,
                       (number(pid, "smaps_rollup", "Private_Dirty") + number(pid, "smaps_rollup", "Private_Clean")) / 1024,
                       wakeups(pid) - before[pid]]  # fmt: skip
            total = [sum(pair) for pair in zip(total, figures)]
            print(f"| {look.comm(pid)} | {figures[0]:.2f} | {figures[1]:.2f} | {figures[2]} |")
        print(f"| all | {total[0]:.2f} | {total[1]:.2f} | {total[2]} |")


if __name__ == "__main__":
    main()
