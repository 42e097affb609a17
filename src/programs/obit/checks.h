#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace obit {

/// What one check of obit doctor found.
struct Finding {
  enum class Verdict {
    kOk,
    kUnknown,  ///< not for the caller to see; the remark says for whom
    kWarning,
    kFailure,
  };
  std::string what;   ///< "core_pattern"
  std::string found;  ///< "@@/run/obit/coredump.socket"
  Verdict verdict = Verdict::kOk;
  std::string remark;  ///< what it means, or what to do; fit for a terminal, like the others
};

/// A finding whose texts may come from anywhere.
[[nodiscard]] Finding MakeFinding(std::string what, const std::string& found, Finding::Verdict verdict,
                                  const std::string& remark);
/// That a check failed; if for want of rights, it is only not known.
[[nodiscard]] Finding MakeFailure(std::string what, const std::string& found, const Error& error);

// The checks, in the order in which doctor makes them. None leaves a trace.

[[nodiscard]] Finding CheckKernel();
[[nodiscard]] Finding CheckPattern();
/// The socket or the helper, and who listens there with which rights. Nothing if the pattern is not obit's.
[[nodiscard]] std::vector<Finding> CheckServer();
/// The configuration of the system, and its hooks, if there are any.
[[nodiscard]] std::vector<Finding> CheckConfiguration();
/// What is in the store; whether there is room for more; and, tried as the user that obitd is and where obitd
/// is (its mounts may be read-only), whether it can write there.
[[nodiscard]] std::vector<Finding> CheckStore(const std::string& path);
[[nodiscard]] Finding CheckDumpMode();
[[nodiscard]] Finding CheckCoreLimit();
/// Lets a process die, waits for its record in the store, and removes the record.
[[nodiscard]] Finding CheckCrash(const std::string& store);

}  // namespace obit
