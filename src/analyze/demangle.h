#pragma once

#include <string>

namespace obit {

/// The name that a programmer gave: C++ (Itanium ABI), Rust (v0 and legacy). A name that is none of these, or
/// longer than 4 KiB, stays as it is. Hostile names may be made to grow: the result has at most 16 KiB. In
/// the jail only.
[[nodiscard]] std::string Demangle(const std::string& symbol);

}  // namespace obit
