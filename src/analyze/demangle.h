#pragma once

#include <string>
#include <string_view>

namespace obit {

/// The name that a programmer gave: C++ (Itanium ABI), Rust (v0 and legacy). A name that is none of these, or
/// longer than 4 KiB, stays as it is. Hostile names may be made to grow: the result has at most 16 KiB. In
/// the jail only.
[[nodiscard]] std::string Demangle(const std::string& symbol);

/// A function's name without what differs between builds and instances: parameters, template arguments,
/// return types, ABI tags, numbers of lambdas and closures, suffixes of clones (".cold", ".part.0").
[[nodiscard]] std::string PlainName(std::string_view function);

}  // namespace obit
