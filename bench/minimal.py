#!/usr/bin/env python3
"""How long a process is held for a minimal core, and what that takes: a process of some threads and much memory dies, again and
again, of obitd; of the obitd of several builds in turn, so that all see the same machine.

usage: bench/minimal.py [--build DIR]... [--runs N] [--threads N] [--mib N] [--json FILE]    (as root, on a quiet machine)

For each: milliseconds from the connection until the process may exit (capture.held_seconds of its record), from the signal until it
is reaped, and until the crash is stored; bytes of the core, and as stored. Medians, and the spread.
"""

import argparse
import json
import os
import pathlib
import platform
import statistics
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", action="append", type=pathlib.Path)
    parser.add_argument("--runs", default=11, type=int)
    parser.add_argument("--threads", default=100, type=int)
    parser.add_argument("--mib", default=64, type=int)
    parser.add_argument("--json", type=pathlib.Path)
    return parser.parse_args()


def measure(build, argv):
    import captures
    import contenders
    from harness import programs, server, store

    class Minimal(contenders.Obit):
        config = contenders.Obit.config + '[capture]\ndetail = "minimal"\n'

    programs.OBITD = build / "bin/obitd"
    victim = captures.Victim(argv)  # before core_pattern is taken: it may need seconds
    try:
        with server.make_directory() as directory, Minimal(directory, build) as obit:
            begin = time.monotonic()
            obit.take(victim)
            reaped = time.monotonic() - begin
            obit.await_stored(1)
            stored = time.monotonic() - begin
            (folder,) = store.crash_directories(obit.store)
            capture = json.loads((folder / "crash.json").read_text())["capture"]
    finally:
        victim.end()
    if capture["outcome"] != "minimal" or capture["method"] != "direct":
        raise SystemExit(f"{build}: {capture}")
    return {"held": capture["held_seconds"] * 1e3, "reaped": reaped * 1e3, "stored": stored * 1e3,
            "bytes": capture["core_bytes"], "kept": capture["stored_bytes"]}  # fmt: skip


def spread(runs, what):
    values = [run[what] for run in runs]
    return f"{statistics.median(values):.1f} ({min(values):.1f}-{max(values):.1f})"


def main():
    options = parse()
    builds = options.build or [ROOT / "build/release"]
    os.environ["OBIT_BIN"] = str(builds[0] / "bin")
    os.environ["OBIT_CRASHERS"] = str(builds[0] / "tests/crashers")
    sys.path.insert(0, str(ROOT / "bench"))
    argv = [builds[0] / "tests/crashers/crasher", "threads", str(options.threads), str(options.mib), "stop"]
    results = {str(build): [] for build in builds}
    for run in range(options.runs):
        for build in builds if run % 2 == 0 else builds[::-1]:
            results[str(build)].append(measure(build, argv))
    print(f"Linux {platform.release()}, {os.cpu_count()} processors, {options.threads} threads, {options.mib} MiB, {options.runs} runs, medians\n")
    print("| | held, ms | reaped, ms | stored, ms | core, MB | stored, KB |")
    print("|---|---|---|---|---|---|")
    for build, runs in results.items():
        size, kept = (statistics.median(run[what] for run in runs) for what in ("bytes", "kept"))
        print(f"| {build} | {spread(runs, 'held')} | {spread(runs, 'reaped')} | {spread(runs, 'stored')} | {size / 1e6:.1f} | {kept / 1e3:.0f} |")
    if options.json:
        options.json.write_text(json.dumps({"kernel": platform.release(), "runs": results}, indent=2))


if __name__ == "__main__":
    main()
