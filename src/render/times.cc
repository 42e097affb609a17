#include "render/times.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <utility>

#include <fmt/format.h>

#include "base/text.h"

namespace obit {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

std::tm Local(std::int64_t moment) {
  std::time_t seconds = moment / kSecond;
  if (moment % kSecond < 0) --seconds;
  std::tm fields{};
  ::localtime_r(&seconds, &fields);
  return fields;
}

bool SameDay(const std::tm& a, const std::tm& b) { return a.tm_year == b.tm_year && a.tm_yday == b.tm_yday; }

std::string Clock(const std::tm& t) {
  return fmt::format("{:02}:{:02}:{:02}", t.tm_hour, t.tm_min, t.tm_sec);
}

std::string Date(const std::tm& t) {
  return fmt::format("{:04}-{:02}-{:02}", t.tm_year + 1900, t.tm_mon + 1, t.tm_mday);
}

std::optional<std::int64_t> FromLocal(std::tm fields) {
  const std::tm asked = fields;
  fields.tm_isdst = -1;
  const std::time_t seconds = ::mktime(&fields);
  // mktime() makes 2026-02-31 a day in March: that is a slip of the user.
  if (fields.tm_mday != asked.tm_mday || fields.tm_mon != asked.tm_mon) return std::nullopt;
  constexpr std::int64_t kMost = INT64_MAX / kSecond;  // in the year 2262
  return std::clamp<std::int64_t>(seconds, -kMost, kMost) * kSecond;
}

std::optional<std::int64_t> ParseSpan(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, std::int64_t>, 5> kUnits{
      {{"min", 60}, {"s", 1}, {"h", 3600}, {"d", 86400}, {"w", 7 * 86400}}};
  for (const auto& [unit, seconds] : kUnits) {
    if (!text.ends_with(unit)) continue;
    const auto number = ParseUnsigned(text.substr(0, text.size() - unit.size()));
    constexpr std::uint64_t kMost = 1'000'000;  // keeps the product far from overflow: 19,000 years of weeks
    if (!number || *number > kMost) return std::nullopt;
    const std::int64_t span = static_cast<std::int64_t>(*number) * seconds;
    return span <= INT64_MAX / kSecond ? std::optional(span * kSecond) : std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

std::string FormatMoment(std::int64_t moment, std::int64_t now) {
  const std::tm then = Local(moment);
  if (SameDay(then, Local(now))) return "today " + Clock(then);
  return Date(then) + " " + Clock(then).substr(0, 5);
}

std::string FormatMomentInProse(std::int64_t moment, std::int64_t now) {
  const std::tm then = Local(moment);
  if (SameDay(then, Local(now))) return "today at " + Clock(then);
  return fmt::format("on {} at {}", Date(then), Clock(then));
}

std::string FormatBeginning(std::int64_t moment, std::int64_t now) {
  constexpr std::array<std::string_view, 7> kDays{"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                  "Thursday", "Friday", "Saturday"};
  constexpr int kNamed = 6;  // days back: a week ago has the name of today
  const std::tm then = Local(moment);
  std::tm day = Local(now);
  if (SameDay(then, day)) return Clock(then).substr(0, 5);
  for (int back = 1; back <= kNamed; ++back) {
    --day.tm_mday;
    day.tm_hour = 12;  // no clock change moves noon to another day
    day.tm_isdst = -1;
    std::tm earlier = day;
    if (::mktime(&earlier) != -1 && SameDay(then, earlier))
      return back == 1 ? "yesterday" : std::string(kDays[static_cast<std::size_t>(then.tm_wday)]);
  }
  return Date(then);
}

std::optional<std::int64_t> ParseSince(std::string_view text, std::int64_t now) {
  if (text == "today") {
    std::tm midnight = Local(now);
    midnight.tm_hour = midnight.tm_min = midnight.tm_sec = 0;
    return FromLocal(midnight);
  }
  if (const auto span = ParseSpan(text)) return now - *span;
  std::string date(text);
  if (date.size() > 10 && date[10] == 'T') date[10] = ' ';
  for (const char* format : {"%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d"}) {
    std::tm fields{};
    const char* end = ::strptime(date.c_str(), format, &fields);
    if (end != nullptr && *end == '\0') return FromLocal(fields);
  }
  return std::nullopt;
}

}  // namespace obit
