#include "policy/decide.h"

namespace obit {

Decision Decide(const CrashRecord& record, const Config& config) {
  // The kernel honours RLIMIT_CORE only when it dumps to a file; for sockets and pipes it is the server's to
  // honour.
  if (record.process.core_limit == 0 && config.no_core_limit != Detail::kFull)
    return {config.no_core_limit, "the process has RLIMIT_CORE 0: it asked for no core"};
  return {};
}

}  // namespace obit
