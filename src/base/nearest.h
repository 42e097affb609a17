#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace obit {

/// `; did you mean "slots"?`, or nothing if no name of `names` is like `wrong`: for messages about a name
/// that there is not.
[[nodiscard]] std::string DidYouMean(std::string_view wrong, const std::vector<std::string_view>& names);

}  // namespace obit
