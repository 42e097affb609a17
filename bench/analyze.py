#!/usr/bin/env python3
"""Compares how long obit-analyze and gdb take to say where all threads of a core stood: gdb by `thread apply all bt` on the
plain core, as `obit dump` writes it; obit-analyze on the stored one, jail and report included. One core a scenario, each
program on it in turn, as often as told.

usage: bench/analyze.py [--build DIR] [--runs N] [--cpus N] [--scenario TEXT]... [--json FILE]
                        (as root, on a quiet machine)

For each: seconds from start to end, CPU seconds, peak memory. The medians, and for the time also the spread over the runs; the
ratio is that of obit-analyze to gdb, of the medians.
"""

import argparse
import contextlib
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default=ROOT / "build/release", type=pathlib.Path)
    parser.add_argument("--runs", default=5, type=int)
    parser.add_argument("--cpus", type=int, help="use so many processors, the first ones")
    parser.add_argument("--scenario", action="append", help="only those whose name holds this")
    parser.add_argument("--json", type=pathlib.Path)
    return parser.parse_args()


def crash_with_arguments(*argv):
    """A program that dies by itself."""

    def die():
        from harness import crash

        return crash.run(argv)

    return die


def crash_java():
    from harness import crash

    return crash.java_ready().kill().reap()


def scenarios(build):
    """{name: how to make the crash}"""
    crasher = build / "tests/crashers/crasher"
    return {
        "100 threads": crash_with_arguments(crasher, "threads", 100),
        "python3": crash_with_arguments("python3", "-c", "import ctypes; d = {i: str(i) for i in range(10**6)}; ctypes.string_at(0)"),
        "node": crash_with_arguments("node", "-e", "process.abort()"),
        "java": crash_java,
    }


@contextlib.contextmanager
def kept(die):
    """(record, folder of the crash, plain core) of one crash."""
    from harness import kernel, server as obitd, store

    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(obitd.make_directory())
        server = obitd.Server(directory).start()
        stack.callback(server.kill)
        pattern = server.core_pattern("socket-request")
        with kernel.settings({kernel.CORE_PATTERN: pattern, kernel.CORE_PIPE_LIMIT: "0"}):
            death = die()
        if not death.dumped:
            raise SystemExit(f"no core: {death.output}")
        (record,) = store.records(server.store)
        server.stop()  # so that it analyses nothing meanwhile
        folder = store.directory_of(server.store, record)
        yield record, folder, store.dump(server.store, record, f"{directory}/core")


def timed(command, **options):
    """Runs it; seconds, CPU seconds, peak memory in bytes."""
    begin = time.monotonic()
    process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, **options)
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stderr.close()
    if process.returncode != 0:
        raise SystemExit(f"{command[0]} ended with {process.returncode}: {errors.decode(errors='replace')}")
    return {"seconds": seconds, "cpu": usage.ru_utime + usage.ru_stime, "memory": usage.ru_maxrss * 1024}


def run_gdb(record, core, output):
    return timed(["gdb", "-nx", "-batch", "-ex", "thread apply all bt", record["process"]["exe"], core], stdout=output)


def run_obit(build, folder, output):
    with open(folder / "core.zst", "rb") as core, open(folder / "crash.json", "rb") as record:
        files = {"core": core.fileno(), "record": record.fileno(), "report": output.fileno()}
        options = [word for name, descriptor in files.items() for word in (f"--{name}", descriptor)]
        return timed([build / "bin/obit-analyze", *options], pass_fds=tuple(files.values()), stdout=subprocess.DEVNULL)


def measure(die, options):
    """{program: runs} of one scenario."""
    results = {"gdb": [], "obit-analyze": []}
    with kept(die) as (record, folder, core):
        for _ in range(options.runs):
            with open(os.devnull, "wb") as nothing:
                results["gdb"].append(run_gdb(record, core, nothing))
            with open(folder / "report.measured", "w+b") as output:
                results["obit-analyze"].append(run_obit(options.build, folder, output))
                output.seek(0)
                said = json.load(output)
            if said.get("failure"):
                raise SystemExit(f"obit-analyze: {said['failure']}")
        results["threads"] = said["threads"]
    return results


def median(runs, what):
    return statistics.median(run[what] for run in runs)


def show(name, results):
    print(f"\n{name}, {results['threads']} thread{'s'[: results['threads'] != 1]}\n")
    print("| | seconds | spread | ratio | CPU, s | peak memory, MiB |")
    print("|---|---|---|---|---|---|")
    base = median(results["gdb"], "seconds")
    for program in ("gdb", "obit-analyze"):
        runs = results[program]
        values = [run["seconds"] for run in runs]
        print(f"| {program} | {median(runs, 'seconds'):.3f} | {min(values):.3f}-{max(values):.3f} | "
              f"{median(runs, 'seconds') / base:.2f} | {median(runs, 'cpu'):.2f} | "
              f"{median(runs, 'memory') / (1 << 20):.1f} |", flush=True)  # fmt: skip


def main():
    options = parse()
    os.environ["OBIT_BIN"] = str(options.build / "bin")
    os.environ["OBIT_CRASHERS"] = str(options.build / "tests/crashers")
    if options.cpus:
        os.sched_setaffinity(0, range(options.cpus))
    cpus = len(os.sched_getaffinity(0))
    print(f"Linux {platform.release()}, {cpus} processor{'s'[: cpus != 1]}, {options.runs} runs, medians")
    everything = {}
    for name, die in scenarios(options.build).items():
        if not options.scenario or any(part in name for part in options.scenario):
            everything[name] = measure(die, options)
            show(name, everything[name])
    if options.json:
        options.json.write_text(json.dumps({"kernel": platform.release(), "processors": cpus, "runs": everything}, indent=2))


if __name__ == "__main__":
    main()
