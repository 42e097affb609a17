#pragma once

#include <string>
#include <vector>

namespace obit {

/// What one check of obit doctor found.
struct Finding {
  enum class Verdict { kOk, kWarning, kFailure };
  std::string what;   ///< "core_pattern"
  std::string found;  ///< "@@/run/obit/coredump.socket"
  Verdict verdict = Verdict::kOk;
  std::string remark;  ///< what it means, or what to do; fit for a terminal, like the others
};

// The checks, in the order in which doctor makes them. None changes anything but the last.

[[nodiscard]] Finding CheckKernel();
[[nodiscard]] Finding CheckPattern();
/// The socket or the helper, and who listens there with which rights. Nothing if the pattern is not obit's.
[[nodiscard]] std::vector<Finding> CheckServer();
/// The configuration of the system, and its hooks, if there are any.
[[nodiscard]] std::vector<Finding> CheckConfiguration();
[[nodiscard]] Finding CheckStore(const std::string& path);
[[nodiscard]] Finding CheckDumpMode();
[[nodiscard]] Finding CheckCoreLimit();
/// Lets a process die, waits for its record in the store, and removes the record.
[[nodiscard]] Finding CheckCrash(const std::string& store);

}  // namespace obit
