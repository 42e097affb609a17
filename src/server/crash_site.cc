#include "server/crash_site.h"

#include <algorithm>
#include <span>

#include "base/keyed_hash.h"
#include "crash/identity.h"

namespace obit {
namespace {

/// What of a cgroup stays the same when a process is started anew: no login, and of a pod not the
/// container.
std::string ServiceOf(const Identity& identity) {
  if (!identity.pod.empty()) return identity.pod;
  if (!identity.container.empty()) return identity.container;
  for (const std::string* unit : {&identity.user_unit, &identity.unit})
    if (unit->ends_with(".service")) return *unit;
  return "";
}

/// The manager, who has it as a number, only tells containers apart.
std::uint64_t ContainerHash(std::string_view name) {
  return name.empty() ? 0 : std::max<std::uint64_t>(KeyedHash({}, std::as_bytes(std::span(name))), 1);
}

/// But for AT_SECURE.
bool HasMoreRights(const PidfdInfo& info, const ProcessFacts& facts) {
  if (info.dump_mode != DumpMode::kUser) return true;
  if (!facts.uid || !facts.one_identity.value_or(false)) return true;
  // Ambient capabilities come without AT_SECURE. ptrace(2) guards such a process from its user just so.
  return *facts.uid != 0 && facts.capable.value_or(true);
}

}  // namespace

bool IsPrivileged(const PidfdInfo& info, const ProcessFacts& facts) {
  return HasMoreRights(info, facts) || facts.secure.value_or(false);
}

std::optional<CrashSite> SiteOf(const PidfdInfo& info, const CrashPlace& place) {
  const ProcessFacts& facts = place.facts;
  const auto signal = facts.signal ? facts.signal : info.signal;
  if (!facts.uid || !facts.core_limit || !signal) return std::nullopt;
  const Identity identity = IdentityOf(facts.cgroup);
  std::string service = ServiceOf(identity);
  return CrashSite{.uid = *facts.uid,
                   .privileged = HasMoreRights(info, facts),
                   .wants_core = *facts.core_limit != 0,
                   .service = service,
                   .service_of_system = !service.empty() && !identity.nested,
                   .container = ContainerHash(identity.outermost),
                   .signal = *signal,
                   .program = place.program,
                   .module_inode = place.pc.inode,
                   .offset = place.pc.offset,
                   .comm = facts.comm,
                   .callers = place.callers};
}

RuleFacts RuleFactsOf(const PidfdInfo& info, const CrashPlace& place) {
  const ProcessFacts& facts = place.facts;
  RuleFacts known{.exe = place.exe,
                  .name = facts.comm,
                  .uid = info.uid ? info.uid : facts.uid,
                  .signal = info.signal ? info.signal : facts.signal,
                  .resident = place.resident,
                  .root_only = info.dump_mode != DumpMode::kUser};
  known.SetCgroup(facts.cgroup);
  return known;
}

}  // namespace obit
