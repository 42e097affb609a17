#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include "config/config.h"
#include "crash/record.h"

namespace obit {

/// What rules know a crash by. A key does not match what is not known: an empty text, an empty optional.
struct RuleFacts {
  std::string exe, name;
  std::string unit;                 ///< HostPlace
  std::vector<std::string> slices;  ///< HostPlace
  std::string container, pod;       ///< Identity
  std::optional<uid_t> uid;
  std::optional<int> signal;
  std::optional<std::uint64_t> resident;  ///< bytes of memory that the process has
  std::optional<bool> root_only;          ///< the kernel's dump mode is "root"

  /// Sets what the path of a cgroup tells.
  void SetCgroup(std::string_view cgroup);
};
/// What a record knows of them.
[[nodiscard]] RuleFacts FactsOf(const CrashRecord& record);

/// The first key of the rule that does not match such a crash; empty: it matches.
[[nodiscard]] std::string_view KeyAgainst(const Rule& rule, const RuleFacts& facts);
/// The place of the rule that wins: the first one that matches. Nothing: none does.
[[nodiscard]] std::optional<std::size_t> FirstMatch(std::span<const Rule> rules, const RuleFacts& facts);

/// The configuration of a crash that this rule wins. It has no rules.
[[nodiscard]] Config Under(const Rule& rule, Config config);
/// What is done with it once it is stored.
[[nodiscard]] CrashHandling HandlingBy(const Rule& rule);

}  // namespace obit
