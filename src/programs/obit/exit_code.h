#pragma once

namespace obit {

/// How obit ends (obit(1)). Scripts rely on the numbers.
enum class ExitCode : int {
  kDone = 0,
  kFailed = 1,   ///< the message on standard error says why
  kUsage = 2,    ///< the command line makes no sense
  kNoMatch = 3,  ///< no crash is what was selected
  kSeveral = 4,  ///< several crashes are
};

}  // namespace obit
