#include "base/line_reader.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include <unistd.h>

namespace obit {

std::optional<std::string_view> LineReader::Next() {
  for (;;) {
    const std::string_view unread(room_.data() + at_, end_ - at_);
    if (const std::size_t newline = unread.find('\n'); newline != std::string_view::npos) {
      at_ += newline + 1;
      if (!std::exchange(skips_, false)) return unread.substr(0, newline);
      continue;  // the end of one that was too long
    }
    if (Fill()) continue;
    at_ = end_;
    return unread.empty() || std::exchange(skips_, false) ? std::nullopt : std::optional(unread);
  }
}

/// More behind what is unread. False: there is no more.
bool LineReader::Fill() {
  if (end_ - at_ == room_.size()) {
    skips_ = true;
    at_ = end_;
  }
  if (has_ended_ || left_ == 0) return false;
  std::memmove(room_.data(), room_.data() + at_, end_ - at_);
  end_ -= at_;
  at_ = 0;
  const std::size_t wanted = std::min(room_.size() - end_, left_);
  const ssize_t got = ::read(file_.get(), room_.data() + end_, wanted);
  // A regular file ends where a read(2) is short: for small ones one is enough.
  has_ended_ = got < static_cast<ssize_t>(wanted);
  if (got <= 0) return false;
  end_ += static_cast<std::size_t>(got);
  left_ -= static_cast<std::size_t>(got);
  return true;
}

}  // namespace obit
