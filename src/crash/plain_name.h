#pragma once

#include <string>
#include <string_view>

namespace obit {

/// A function's name without what differs between builds and instances: parameters, template arguments,
/// return types, ABI tags, inline namespaces of versions, hashes, versions of symbols, numbers of lambdas,
/// closures and clones, suffixes of clones (".cold", ".part.0"). C, C++, Rust, Go, OCaml, Java.
[[nodiscard]] std::string PlainName(std::string_view function);

/// The lambda of which a library's template was made: "shop::pay::{lambda}" of
/// "std::_Function_handler<void (), shop::pay()::{lambda()#1}>::_M_invoke(...)". Its code may be inlined
/// there. Empty if there is none.
[[nodiscard]] std::string LambdaInside(std::string_view function);

}  // namespace obit
