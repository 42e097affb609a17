#pragma once

#include <string>
#include <string_view>

namespace obit {

/// A function's name without what differs between builds and instances: parameters, template arguments,
/// return types, ABI tags, numbers of lambdas and closures, suffixes of clones (".cold", ".part.0").
[[nodiscard]] std::string PlainName(std::string_view function);

}  // namespace obit
