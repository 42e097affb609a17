#include "server/crash_site.h"

#include "crash/identity.h"

namespace obit {
namespace {

/// What of a cgroup stays the same when a process is started anew: no login, and of a pod not the
/// container.
std::string ServiceOf(std::string_view cgroup) {
  const Identity identity = IdentityOf(cgroup);
  if (!identity.pod.empty()) return identity.pod;
  if (!identity.container.empty()) return identity.container;
  for (const std::string* unit : {&identity.user_unit, &identity.unit})
    if (unit->ends_with(".service")) return *unit;
  return "";
}

}  // namespace

bool IsPrivileged(const PidfdInfo& info, const ProcessFacts& facts) {
  if (info.dump_mode != DumpMode::kUser || facts.secure.value_or(false)) return true;
  if (!facts.uid || !facts.one_identity.value_or(false)) return true;
  // Ambient capabilities come without AT_SECURE. ptrace(2) guards such a process from its user just so.
  return *facts.uid != 0 && facts.capable.value_or(true);
}

std::optional<CrashSite> SiteOf(const PidfdInfo& info, const CrashPlace& place) {
  const ProcessFacts& facts = place.facts;
  if (!facts.uid || !facts.core_limit || !facts.signal) return std::nullopt;
  return CrashSite{.uid = *facts.uid,
                   .privileged = IsPrivileged(info, facts),
                   .wants_core = *facts.core_limit != 0,
                   .service = ServiceOf(facts.cgroup),
                   .comm = facts.comm,
                   .signal = *facts.signal,
                   .program = place.program,
                   .module_inode = place.pc.inode,
                   .offset = place.pc.offset};
}

}  // namespace obit
