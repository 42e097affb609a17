#pragma once

#include <cstdint>

namespace obit {

/// Why a crash is only counted.
enum class CountCause : std::uint8_t {
  kLoop,           ///< one more of a crash loop
  kBudget,         ///< its user or unit has had its crashes
  kDisk,           ///< not even its record has room
  kConfiguration,  ///< of such a crash nothing is wanted
};

}  // namespace obit
