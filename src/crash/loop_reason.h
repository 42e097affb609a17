#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace obit {

inline constexpr std::string_view kLoopReason = "a crash loop: ";

/// Why a crash has no core, for its record: because of what its user or unit has had.
inline constexpr const char* kOverBudgetReason =
    "its user or unit has had as many crashes, or bytes of cores, as it may: [budget] in obit.toml";
/// The same of a crash of a loop, which comes after the crash `like`; empty: after none. `why`: a clause.
[[nodiscard]] std::string LoopReason(std::string_view why, std::string_view like);
/// The crash that such a reason names; empty: none.
[[nodiscard]] std::string_view LoopOf(std::string_view reason);
/// Whether a record says so.
[[nodiscard]] inline bool IsLoopReason(std::string_view reason) { return reason.starts_with(kLoopReason); }

}  // namespace obit
