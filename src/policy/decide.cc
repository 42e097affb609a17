#include "policy/decide.h"

#include <utility>

#include <fmt/format.h>

namespace obit {
namespace {

/// Less than a page of a core holds nothing: systemd-coredump, which people know, takes it for 0 as well.
constexpr std::uint64_t kPage = 4096;

}  // namespace

// The kernel honours RLIMIT_CORE only when it dumps to a file; for sockets and pipes it is the server's to
// honour.
Decision Decide(const CrashRecord& record, const Config& config) {
  const std::uint64_t limit = record.process.core_limit.value_or(UINT64_MAX);
  const bool asked_for_none = limit == 0 || (config.respect_core_limit && limit < kPage);
  if (asked_for_none && config.no_core_limit != Detail::kFull)
    return {.detail = config.no_core_limit,
            .reason = limit == 0 ? "the process has RLIMIT_CORE 0: it asked for no core"
                                 : fmt::format("RLIMIT_CORE is {} byte{}: less than a page is no core", limit,
                                               limit == 1 ? "" : "s")};
  Decision decision{.detail = config.detail};
  if (config.detail >= Detail::kEvent) decision.reason = "a rule of the configuration keeps no core";
  if (!asked_for_none && config.respect_core_limit) decision.core_max = limit;
  return decision;
}

void Lower(Decision& decision, Detail most, std::string reason) {
  if (decision.detail >= most) return;
  decision.detail = most;
  decision.reason = std::move(reason);
}

}  // namespace obit
