#include "server/pattern_watch.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include <sys/socket.h>

#include "base/log.h"
#include "base/text.h"
#include "kernel/core_pattern.h"

namespace obit {

PatternWatch::PatternWatch(EventLoop& loop, std::vector<std::string> sockets, Read read, Tell tell)
    : loop_(loop), sockets_(std::move(sockets)), read_(std::move(read)), tell_(std::move(tell)) {}

void PatternWatch::Start(std::chrono::nanoseconds interval) {
  interval_ = interval;
  auto next = loop_.After(interval_, [this] {
    Look();
    Start(interval_);
  });
  if (next)
    next_ = std::move(*next);
  else
    Log(Severity::kWarning, "the core pattern is not watched: {}", next.error().what);
}

void PatternWatch::Look() {
  const auto pattern = read_();
  const auto endpoint = pattern ? EndpointOf(*pattern) : std::nullopt;
  std::string path =
      endpoint ? std::filesystem::path(endpoint->path).lexically_normal().string() : std::string();
  // obit-pipe follows symlinks to its socket, the kernel follows none to the other.
  std::error_code unknown;
  if (endpoint && endpoint->type == SOCK_SEQPACKET)
    if (auto real = std::filesystem::weakly_canonical(path, unknown); !unknown) path = std::move(real);
  const bool ours = std::ranges::find(sockets_, path) != sockets_.end();
  const std::string shown = pattern ? "core_pattern is \"" + EscapeForTerminal(*pattern) + "\""
                                    : "core_pattern cannot be read: " + pattern.error().what;
  State now{.ours = ours, .news = told_ || !ours, .text = "crashes come here: " + shown};
  if (!ours) now.text = fmt::format("crashes do not come here: {} (obit enable changes that)", shown);
  if (told_ && told_->text == now.text) return;
  told_ = std::move(now);
  tell_(*told_);
}

}  // namespace obit
