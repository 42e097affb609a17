// Any text is a configuration within its limits, or an error of one line. Rules are read as they are written.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "config/config.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto config = obit::ParseConfig({reinterpret_cast<const char*>(data), size}, "obit.toml");
  if (!config) {
    if (config.error().code != EINVAL || config.error().what.find_first_of("\n\x1b") != std::string::npos)
      std::abort();
    return 0;
  }
  const auto in_range = [](std::chrono::seconds time) { return time.count() >= 1 && time.count() <= 86400; };
  if (config->slots < 1 || config->slots > 256 || config->detail > obit::Detail::kMinimal ||
      !in_range(config->progress_timeout) || !in_range(config->capture_timeout) ||
      !in_range(config->stop_timeout))
    std::abort();
  const std::string rules = obit::RulesText(config->rules);
  const auto again = obit::ParseConfig(rules, "rules");
  if (!again || obit::RulesText(again->rules) != rules) std::abort();
  return 0;
}
