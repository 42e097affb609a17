#pragma once

// The verbs of obit, each in the file of its name. They print what was asked for on standard output, and what
// went wrong as one line on standard error. `store` is the path of the store.

#include <cstddef>
#include <string>
#include <vector>

#include "exit_code.h"
#include "render/report_page.h"

namespace obit {

struct ListOptions {
  std::vector<std::string> selectors;  ///< all crashes that one of them fits; empty: all
  std::string since;                   ///< as ParseSince reads it; empty: from the first on
  std::string group;                   ///< only crashes of this group; empty: of all, and of none
  std::size_t last = 0;                ///< the newest so many; 0: all
  bool all = false;                    ///< no line stands for a crash loop
  bool json = false;
};
[[nodiscard]] ExitCode List(const std::string& store, const ListOptions& options);

struct ShowOptions {
  std::string selector = "@1";  ///< of a crash; of a group, if no crash fits
  ReportSections sections;
  bool json = false;
  bool no_pager = false;
};
[[nodiscard]] ExitCode Show(const std::string& store, const ShowOptions& options);

struct GroupsOptions {
  std::string since;  ///< as in ListOptions
  bool json = false;
};
[[nodiscard]] ExitCode Groups(const std::string& store, const GroupsOptions& options);

struct DumpOptions {
  std::string selector = "@1";
  std::string output;  ///< empty: standard output
  bool minimal = false;
};
[[nodiscard]] ExitCode Dump(const std::string& store, const DumpOptions& options);

enum class Debugger { kGdb, kLldb };
struct DebugOptions {
  Debugger debugger = Debugger::kGdb;
  std::string selector = "@1";
  std::vector<std::string> arguments;  ///< for the debugger
};
/// Becomes the debugger; returns only if that fails.
[[nodiscard]] ExitCode Debug(const std::string& store, const DebugOptions& options);

struct AnalyzeOptions {
  std::string selector = "@1";
  bool all = false;                            ///< instead: every core that lacks a report of this version
  std::vector<std::string> debug_directories;  ///< besides /usr/lib/debug
  bool fetch = false;                          ///< ask the servers of DEBUGINFOD_URLS
  /// A name of EnvironmentKept; empty: as the rule says that won, or else the allow-list.
  std::string environment;
};
/// Replaces what the analysis before said.
[[nodiscard]] ExitCode Analyze(const std::string& store, const AnalyzeOptions& options);

struct RemoveOptions {
  std::vector<std::string> selectors;  ///< each of exactly one crash
  /// Without selectors: all crashes that each of these fits. Empty ones fit all.
  std::string program, group, unit, user;
  std::string before, since;  ///< as ParseSince reads it
  bool dry_run = false;       ///< only says what would be removed
  bool force = false;         ///< also pinned ones
  bool yes = false;           ///< without a question
};
/// All is resolved before anything is removed.
[[nodiscard]] ExitCode Remove(const std::string& store, const RemoveOptions& options);

struct VacuumOptions {
  bool dry_run = false;
  std::string size, free;  ///< as DiskAmount has it; empty: no limit
  std::string age;         ///< of cores, "30d", or a day, as ParseSince reads it; empty: no limit
};
/// Removes what is beyond the limits that are given; if none is, what retention would remove, now.
[[nodiscard]] ExitCode Vacuum(const std::string& store, const VacuumOptions& options);

/// Keeps crashes from obit rm without --force, or no longer.
[[nodiscard]] ExitCode Pin(const std::string& store, const std::vector<std::string>& selectors, bool pinned);

struct ReleaseOptions {
  std::string id;  ///< the beginning of one; empty: all
  std::string pipe_socket;
};
/// Lets go of the memory of processes that are gone: their minimal cores are kept.
[[nodiscard]] ExitCode Release(const std::string& store, const ReleaseOptions& options);

[[nodiscard]] ExitCode Reindex(const std::string& store);

/// Goes on with the other files when one is no core.
[[nodiscard]] ExitCode Import(const std::string& store, const std::vector<std::string>& files);

struct EnableOptions {
  std::string transport = "auto";  ///< or "request", "socket", "pipe"
  std::string socket, pipe_socket;
  bool force = false;  ///< even if nobody listens
};
[[nodiscard]] ExitCode Enable(const EnableOptions& options);
/// With `if_ours` it is no failure that there is another's pattern.
[[nodiscard]] ExitCode Disable(bool if_ours);

/// What is in force, and from where: of `file` and its drop-ins; empty: of the system.
[[nodiscard]] ExitCode ShowConfig(const std::string& file, bool json);

[[nodiscard]] ExitCode Status(const std::string& store, bool json);

struct RuleTestOptions {
  std::string selector = "@1";
  std::string config;  ///< as of ShowConfig
  /// What is known of a crash that may come, in the place of one that is stored. Empty: it is not known.
  std::string exe, name, cgroup, unit, slice, container, pod, user, signal, size, dump_mode;
  [[nodiscard]] bool HasFacts() const {
    return !(exe + name + cgroup + unit + slice + container + pod + user + signal + size + dump_mode).empty();
  }
};
/// Which rule wins, why others do not, and what comes of it.
[[nodiscard]] ExitCode TestRules(const std::string& store, const RuleTestOptions& options);

struct DoctorOptions {
  bool crash = false;  ///< make a process crash and look what becomes of it
};
[[nodiscard]] ExitCode Doctor(const std::string& store, const DoctorOptions& options);

}  // namespace obit
