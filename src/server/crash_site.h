#pragma once

#include <optional>

#include "crash/site.h"
#include "kernel/crash_place.h"
#include "kernel/pidfd.h"
#include "kernel/process.h"
#include "policy/rules.h"

namespace obit {

/// True if the process had, or may have had, rights that its user has not: what is not known is no proof. The
/// notes of its core can only add to it (ApplyCoreNotes).
[[nodiscard]] bool IsPrivileged(const PidfdInfo& info, const ProcessFacts& facts);

/// The site of a crash. Nothing: it cannot be told.
[[nodiscard]] std::optional<CrashSite> SiteOf(const PidfdInfo& info, const CrashPlace& place);

/// What rules know such a crash by.
[[nodiscard]] RuleFacts RuleFactsOf(const PidfdInfo& info, const CrashPlace& place);

}  // namespace obit
