#include "render/progress.h"

#include <algorithm>

#include <fmt/format.h>
#include <unistd.h>

#include "base/clock.h"
#include "render/terminal.h"
#include "render/units.h"

namespace obit {
namespace {

constexpr std::int64_t kFirst = 1'000'000'000;  // ns: what is quicker needs no bar
constexpr std::int64_t kEach = 100'000'000;

void ToTerminal(const std::string& text) {
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text.data(), text.size());
}

}  // namespace

Progress::Progress(std::string what)
    : what_(std::move(what)),
      enabled_(TerminalOf(STDERR_FILENO).interactive),
      started_(MonotonicNow()),
      next_(started_ + kFirst) {}

Progress::~Progress() {
  if (drawn_) ToTerminal("\r\x1b[K");
}

void Progress::Update(std::uint64_t done, std::uint64_t total) {
  if (!enabled_) return;
  const std::int64_t now = MonotonicNow();
  if (now < next_) return;
  next_ = now + kEach;
  const std::size_t width = TerminalOf(STDERR_FILENO).width;  // asked each time: windows change
  ToTerminal("\r" + ProgressLine(what_, done, total, static_cast<double>(now - started_) / 1e9, width) +
             "\x1b[K");
  drawn_ = true;
}

std::string ProgressLine(const std::string& what, std::uint64_t done, std::uint64_t total,
                         double elapsed_seconds, std::size_t width) {
  constexpr std::size_t kBar = 20;
  done = std::min(done, total);
  const double part = total == 0 ? 0 : static_cast<double>(done) / static_cast<double>(total);
  const auto filled = static_cast<std::size_t>(part * kBar);
  std::string line =
      fmt::format("{}  [{}{}]  {:.0f} %  {} of {}", what, std::string(filled, '#'),
                  std::string(kBar - filled, ' '), part * 100, FormatBytes(done), FormatBytes(total));
  if (part > 0.02) line += fmt::format(", {} left", FormatDuration(elapsed_seconds / part - elapsed_seconds));
  return Shorten(line, width <= 1 ? width : width - 1);  // the last column would make some terminals wrap
}

}  // namespace obit
