#pragma once

// For tests: an inspector that looks into no process.

#include <functional>

#include "base/io.h"
#include "server/process_inspector.h"

namespace obit {

/// Says what the test wants of a process that has not crashed.
class FakeInspector : public ProcessInspector {
 public:
  MemoryLoad MemoryNow() override { return memory; }
  Subject SubjectOf(const Fd& pidfd, PidfdInfo known) override { return {pidfd, known, known.pid}; }
  Result<Activity> ActivityOf(const Subject&) override {
    if (gone) return Refuse(ESRCH, "gone");
    return Activity{.cpu_ticks = 12, .runs = true, .comm = "worker"};
  }
  Result<ProcessFacts> SafeFacts(const Subject& subject) override {
    if (gone) return Refuse(ESRCH, "gone");
    ProcessFacts safe = facts;
    safe.pid = subject.info.pid;
    return safe;
  }
  Result<ProcessFacts> RiskyFacts(const Subject&, ProcessFacts safe) override {
    if (before_risky) before_risky();
    if (gone) return Refuse(ESRCH, "gone");
    safe.cmdline = {"imgproxy", "--all"};
    return safe;
  }
  Result<CrashPlace> PlaceOf(const PidfdInfo&) override {
    if (before_place) before_place();
    if (gone) return Refuse(ESRCH, "gone");
    CrashPlace place{.program = {.inode = 5, .made = 1, .written = 2}, .pc = {9, 0x1136}};
    place.callers = 8;
    place.resident = resident;
    place.facts = facts;
    place.exe = glance.program;
    place.glance = glance;
    return place;
  }
  std::optional<CrashGlance> GlanceAt(const PidfdInfo&) override {
    return gone ? std::nullopt : std::optional(glance);
  }
  Result<ProcessMemory> Memory(const Subject&) override {
    if (!has_memory) return Refuse(EPERM, "no right to its memory");
    return ProcessMemory{*Open("/proc/self/mem", O_RDONLY), *Open("/dev/null", O_RDONLY),
                         *Open("/dev/null", O_RDONLY), *Open("/dev/null", O_RDONLY)};
  }
  Result<ThreadNames> Threads(const Subject&, std::string_view usual) override {
    ThreadNames others = threads;
    std::erase_if(others, [&](const auto& thread) { return thread.second == usual; });
    return others;
  }
  Result<MemoryOutlook> Outlook(const Subject&, pid_t parent) override {
    MemoryOutlook outlook{.meminfo = OBIT_TRY(Open("/proc/meminfo", O_RDONLY))};
    outlook.ties.hold = fmt::format("process {} has the same memory", parent);
    return outlook;
  }
  Result<Executable> Program(const Subject&) override {
    return Executable{OBIT_TRY(Open("/proc/self/exe", O_RDONLY)), true};
  }
  Result<std::vector<MappedFile>> MappedFiles(const Subject&) override {
    std::vector<MappedFile> files;
    files.push_back({0x400000, OBIT_TRY(Open("/proc/self/exe", O_RDONLY))});
    return files;
  }

  bool gone = false, has_memory = true;
  MemoryLoad memory;  // of the host
  ThreadNames threads{{2, "imgproxy"}, {3, "worker-3"}};
  std::uint64_t resident = 7;
  CrashGlance glance{.uid = 1000, .signal = 11, .comm = "imgproxy", .program = "/usr/bin/imgproxy"};
  std::function<void()> before_place, before_risky;
  ProcessFacts facts{.comm = "imgproxy",
                     .cgroup = "/system.slice/imgproxy.service",
                     .uid = 1000,
                     .one_identity = true,
                     .secure = false,
                     .capable = false,
                     .core_limit = 0,
                     .signal = 11};
};

}  // namespace obit
