#pragma once

namespace obit {

/// setpriority(2) of analyses and hooks: captures and all else of the host come first.
inline constexpr int kJobNiceness = 10;

}  // namespace obit
