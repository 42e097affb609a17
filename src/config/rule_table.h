#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "config/rule.h"
#include "config/toml_values.h"

namespace obit {

/// Adds the rules of one file, `node`, to those of the files before it. `name` is the file, `line` where they
/// begin, for messages. EINVAL as ParseConfigInto.
[[nodiscard]] Result<void> ReadRules(const toml::node& node, const std::string& name, const std::string& line,
                                     std::vector<Rule>& rules);

}  // namespace obit
