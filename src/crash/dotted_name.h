#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace obit {

/// PlainName() of names without "::" and parameters, which C has, and compilers of other languages make:
/// Go's "main.(*Shop).pay.func1", OCaml's "camlShop__pay_123", "pay.constprop.0", "pay@@V1". Nothing if it is
/// none of these.
[[nodiscard]] std::optional<std::string> PlainDottedName(std::string_view function);

}  // namespace obit
