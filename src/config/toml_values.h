#pragma once

// For the files of this folder that read TOML: what values may be, and how they are written. Each file that
// includes it takes seconds to build.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <sstream>
#include <string>
#include <string_view>

// toml++ 3.3 asserts what does not hold for some broken files ("[" alone on a line) and then refuses them
// properly. Without this such a file ends the server, or with NDEBUG the compiler may take the assertion for
// granted.
#undef NDEBUG
#define TOML_ASSERT(expression) static_assert(true)
#define TOML_HEADER_ONLY 1
#include <toml++/toml.h>

#include "base/result.h"
#include "config/disk_amount.h"
#include "crash/environment.h"
#include "crash/record.h"

namespace obit {

/// The value of one key, and how a message names it.
struct Value {
  const toml::node& node;
  std::string where;  // "obit.toml:3: capture.slots"

  /// The text, if it is one.
  [[nodiscard]] const std::string* text() const {
    const auto* string = node.as_string();
    return string != nullptr ? &string->get() : nullptr;
  }
};

// What a value must be.
inline Result<std::int64_t> Integer(const Value& value, std::int64_t min, std::int64_t max) {
  const auto* integer = value.node.as_integer();
  if (integer == nullptr || integer->get() < min || integer->get() > max)
    return Refuse(EINVAL, "{} must be a whole number from {} to {}", value.where, min, max);
  return integer->get();
}
template <std::int64_t kMin, std::int64_t kMax>
Result<unsigned> Whole(const Value& value) {
  return static_cast<unsigned>(OBIT_TRY(Integer(value, kMin, kMax)));
}
template <std::int64_t kMin, std::int64_t kMax>
Result<std::chrono::seconds> Seconds(const Value& value) {
  return std::chrono::seconds(OBIT_TRY(Integer(value, kMin, kMax)));
}
/// "20" is a slip for 20 GiB: no core has so few bytes.
inline constexpr std::uint64_t kBytesMin = 1024;
inline Result<std::uint64_t> Bytes(const Value& value) {
  if (const auto* text = value.text())
    if (const auto bytes = ParseBytes(*text)) {
      if (*bytes == 0 || *bytes >= kBytesMin) return *bytes;
      return Refuse(EINVAL, "{} is less than 1 KiB", value.where);
    }
  return Refuse(EINVAL, R"({} must be a size such as "50 MiB" or "1.5 GiB")", value.where);
}
inline Result<bool> Boolean(const Value& value) {
  const auto* boolean = value.node.as_boolean();
  if (boolean == nullptr) return Refuse(EINVAL, "{} must be true or false", value.where);
  return boolean->get();
}
inline Result<Detail> AnyDetail(const Value& value) {
  if (const auto* text = value.text())
    if (const auto detail = DetailNamed(*text)) return *detail;
  return Refuse(EINVAL, R"({} must be "full", "minimal", "event" or "reject")", value.where);
}
inline Result<EnvironmentKept> Environment(const Value& value) {
  if (const auto* text = value.text())
    if (const auto kept = EnvironmentKeptNamed(*text)) return *kept;
  return Refuse(EINVAL, R"({} must be "none", "allow-list" or "all")", value.where);
}
/// Config::early_release.
inline constexpr std::string_view kAuto = "auto", kNever = "never";
inline Result<bool> EarlyReleaseWanted(const Value& value) {
  if (const auto* text = value.text())
    if (*text == kAuto || *text == kNever) return *text == kAuto;
  return Refuse(EINVAL, R"({} must be "{}" or "{}")", value.where, kAuto, kNever);
}
// Values as TOML has them.
inline std::string Print(unsigned value) { return std::to_string(value); }
inline std::string Print(bool value) { return value ? "true" : "false"; }
inline std::string Print(std::chrono::seconds value) { return std::to_string(value.count()); }
inline std::string Print(const std::string& value) {
  std::ostringstream text;
  text << toml::toml_formatter(toml::value<std::string>(value), toml::format_flags::none);
  return text.str();
}
inline std::string Print(std::uint64_t bytes) { return Print(ToText({.percent = {}, .bytes = bytes})); }
inline std::string Print(Detail value) { return Print(std::string(NameOf(value))); }
inline std::string Print(const DiskAmount& value) { return Print(ToText(value)); }
inline std::string Print(RetentionClass value) { return Print(std::string(NameOf(value))); }
inline std::string PrintEarlyRelease(bool wanted) { return Print(std::string(wanted ? kAuto : kNever)); }
inline std::string Print(EnvironmentKept value) { return Print(std::string(NameOf(value))); }

}  // namespace obit
