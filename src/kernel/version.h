#pragma once

#include <compare>
#include <string>
#include <string_view>

#include "base/result.h"

namespace obit {

/// The first two numbers of `uname -r`.
struct KernelVersion {
  unsigned major = 0;
  unsigned minor = 0;
  auto operator<=>(const KernelVersion&) const = default;
};

inline constexpr KernelVersion kFirstWithSocket{6, 16};  ///< core_pattern "@/path"
inline constexpr KernelVersion kFirstWithSocketRequest{
    6, 17};  ///< "@@/path"; 6.16 takes the text and never connects

/// Reads "6.18.44-fc-v782" and the like. EBADMSG if it does not begin with two numbers.
[[nodiscard]] Result<KernelVersion> ParseKernelVersion(std::string_view release);

/// `uname -r` of the running kernel.
[[nodiscard]] std::string KernelRelease();

}  // namespace obit
