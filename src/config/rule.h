#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <sys/types.h>

#include "crash/handling.h"
#include "crash/record.h"

namespace obit {

/// One [[rule]] of obit.toml: which crashes it is for, and what holds for these in the place of what the
/// other sections say. What is not set matches all crashes, or changes nothing.
struct Rule {
  static constexpr std::size_t kMax = 64;                        ///< rules of a configuration
  static constexpr std::size_t kValuesMax = 16;                  ///< in a list
  static constexpr std::size_t kGlobMax = 256, kTitleMax = 100;  ///< bytes
  static constexpr std::size_t kTextMax = std::size_t{32}
                                          << 10;  ///< bytes of all rules, as RulesText has them

  std::string title;  ///< for messages and records
  std::string from;   ///< "/etc/obit/obit.toml:12"

  // Which crashes: all of these must match, of each list one.
  std::vector<std::string> exe, name, unit, slice, container, pod;  ///< globs (base/glob.h)
  struct User {
    std::string name;          ///< empty: it was given as a number
    std::optional<uid_t> uid;  ///< nothing: this host has no such user
  };
  std::vector<User> users;
  std::vector<int> signals;
  std::optional<std::uint64_t> larger_than, smaller_than;  ///< bytes of memory that the process has
  std::optional<bool> root_only;                           ///< the kernel's dump mode is "root"

  // What holds for them.
  std::optional<Detail> detail;
  std::optional<unsigned> cores, events;  ///< Config::loop_cores, loop_events
  std::optional<std::uint64_t> bytes;     ///< Config::loop_bytes
  std::optional<bool> early_release;      ///< Config::early_release
  std::optional<EnvironmentKept> environment;
  std::optional<bool> analyze, hooks;
  std::optional<RetentionClass> retention;

  /// Its title, or where it stands.
  [[nodiscard]] std::string NameForPeople() const;
};
/// Bytes that NameForPeople() has at most.
inline constexpr std::size_t kRuleNameMax = Rule::kTitleMax;

enum class UsersAs : std::uint8_t {
  kWritten,
  kNumbers,  ///< for those who can look up no name
};
/// The keys of a rule that are set, and their values as TOML has them, in the order of obit.toml(5).
[[nodiscard]] std::vector<std::pair<std::string, std::string>> KeysOf(const Rule& rule, UsersAs users);
/// Rules as ParseConfig reads them: one process hands them to another. Each has its name as a title.
[[nodiscard]] std::string RulesText(const std::vector<Rule>& rules);

}  // namespace obit
