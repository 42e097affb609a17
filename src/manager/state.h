#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/log.h"
#include "manager/commands.h"
#include "manager/deadlines.h"
#include "manager/manager.h"
#include "manager/open_crash.h"
#include "policy/budgets.h"
#include "policy/crash_sites.h"
#include "policy/disk_room.h"
#include "policy/load.h"
#include "policy/rules.h"

namespace obit {

/// What the parts of the manager's core share.
struct ManagerState {
  Manager::Setup setup;
  std::int64_t now = 0;
  std::map<CrashKey, OpenCrash> crashes;
  Deadlines<CrashKey> waits;
  std::vector<CrashKey> touched;  // what they wait for may have changed
  CrashSites sites;
  Budgets budgets;
  DiskBooks disk;
  std::optional<MemoryLoad> memory;  // as an inspector saw it last
  std::int64_t memory_seen = 0;      // when
  std::vector<Command> commands;
  std::int64_t room_told = 0;  // when `disk` was told the room
  bool stopping = false;
  bool stop_over = false;                            // the time to stop is: nothing begins any more
  std::vector<std::shared_ptr<const Config>> ruled;  // by the places of rules

  /// `config` is in force from now on, for crashes that no rule is known of yet.
  void Configure(Config config) {
    setup.config = std::move(config);
    ruled.clear();
    for (const Rule& rule : setup.config.rules)
      ruled.push_back(std::make_shared<const Config>(Under(rule, setup.config)));
  }
  /// What holds for this crash.
  [[nodiscard]] const Config& ConfigOf(const OpenCrash& crash) const {
    return crash.ruled ? *crash.ruled : setup.config;
  }

  /// Some rule looks at the memory of a process, which no glance shows.
  [[nodiscard]] bool ByMemory() const {
    return std::ranges::any_of(setup.config.rules,
                               [](const Rule& rule) { return rule.larger_than || rule.smaller_than; });
  }

  [[nodiscard]] const ManagerLimits& limits() const { return setup.limits; }
  [[nodiscard]] OpenCrash* Find(CrashKey key) {
    const auto found = crashes.find(key);
    return found == crashes.end() ? nullptr : &found->second;
  }
  void SawMemory(const std::optional<MemoryLoad>& load) {
    if (load) memory = load, memory_seen = now;
  }
  /// What was seen of the host's memory counts for as long as the average that it is.
  [[nodiscard]] Lowered ShortOfMemory() const {
    constexpr std::int64_t kLasts = 10'000'000'000;  // ns
    return memory && now - memory_seen < kLasts ? JudgeMemory(*memory, setup.config) : Lowered{};
  }
  void Touch(const OpenCrash& crash) { touched.push_back(crash.key); }
  void Do(Command command) { commands.push_back(std::move(command)); }
  template <class... A>
  void Say(Severity severity, fmt::format_string<A...> text, A&&... args) {
    Do(command::Say{static_cast<int>(severity), fmt::format(text, std::forward<A>(args)...)});
  }
};

/// Whole seconds, for messages.
[[nodiscard]] inline std::int64_t Seconds(ManagerLimits::Nanoseconds time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time).count();
}

}  // namespace obit
