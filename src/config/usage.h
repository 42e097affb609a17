#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/nearest.h"
#include "base/text.h"

// What is wrong with a command line, as a person would say it. Included by programs that read theirs with
// CLI11, each in one .cc file.

namespace obit {

/// The value is a whole number in this range; the message names it.
inline CLI::Validator WholeNumber(std::uint64_t min, std::uint64_t max) {
  return {[min, max](std::string& text) -> std::string {
            const auto number = ParseUnsigned(text);
            if (number && *number >= min && *number <= max) return "";
            return fmt::format("{} is not a whole number from {} to {}", text.empty() ? "\"\"" : text, min,
                               max);
          },
          ""};
}

/// The value is one of these words.
inline CLI::Validator OneOf(std::vector<std::string> words) {
  return {[words = std::move(words)](std::string& text) -> std::string {
            if (std::ranges::find(words, text) != words.end()) return "";
            return fmt::format("{} is none of {}", text.empty() ? "\"\"" : text, fmt::join(words, ", "));
          },
          ""};
}

namespace usage {

/// `there is no option "--lats"; did you mean "--last"?`
inline std::string NoSuchOption(const CLI::App& app, std::string_view wrong) {
  wrong = wrong.substr(0, wrong.find('='));
  std::vector<std::string> known;
  const auto add = [&](const CLI::App* of) {
    for (const CLI::Option* option : of->get_options())
      for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
  };
  add(&app);
  for (const CLI::App* verb : app.get_subcommands()) add(verb);
  return fmt::format(R"(there is no option "{}"{})", wrong,
                     DidYouMean(wrong, std::vector<std::string_view>(known.begin(), known.end())));
}

}  // namespace usage

/// What `wrong` means, which `app` threw.
inline std::string DescribeUsage(const CLI::App& app, const CLI::ParseError& wrong) {
  const std::string_view text = wrong.what();
  if (dynamic_cast<const CLI::ExtrasError*>(&wrong) != nullptr) {
    const auto rest = app.remaining(true);
    const auto option = std::ranges::find_if(
        rest, [](const std::string& one) { return one.starts_with('-') && one.size() > 1; });
    if (option != rest.end()) return usage::NoSuchOption(app, *option);
    if (!rest.empty()) return fmt::format(R"("{}" is too much)", rest.front());
  }
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&wrong) != nullptr)
    return fmt::format(
        "{} {}", text.substr(0, text.find(':')),
        // Its spelling depends on the version of CLI11.
        text.find("At Most") == std::string_view::npos && text.find("At most") == std::string_view::npos
            ? "needs a value"
            : "is given more than once");
  return std::string(text);
}

}  // namespace obit
