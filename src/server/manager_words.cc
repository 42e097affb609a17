// What the manager tells the supervisor.

#include <span>

#include <fcntl.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/unix_socket.h"
#include "server/manager_process.h"

namespace obit {

/// Where the supervisor has not heard of a connection yet it need not hear that it is over.
void ManagerProcess::Tell(const ManagerWord& word, const Fd& fd, std::string text) {
  if (word.kind == ManagerWord::Kind::kDrop &&
      std::erase_if(words_, [&](const Word& waiting) { return waiting.held == word.crash; }) > 0)
    return;
  text.insert(0, reinterpret_cast<const char*>(&word), sizeof word);
  words_.push_back({.bytes = std::move(text),
                    .fd = fd ? Fd(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 3)) : Fd(),
                    .held = word.kind == ManagerWord::Kind::kHold ? word.crash : 0});
}

/// As FlushClerk: where something is short the socket would be ready at once, again and again.
void ManagerProcess::FlushWords() {
  if (words_at_ != INT64_MAX && MonotonicNow() < words_at_) return;
  words_at_ = INT64_MAX;
  bool all = true;
  while (!words_.empty() && all) {
    const Word& next = words_.front();
    const int fd = next.fd.get();
    const auto sent =
        SendMessage(setup_.supervisor, std::as_bytes(std::span(next.bytes)), {&fd, next.fd ? 1U : 0U});
    // Too many descriptors are under way: the supervisor does without this one.
    all = sent || sent.error().code == ETOOMANYREFS;
    if (all) words_.pop_front();
    if (!all && IsShortage(sent.error())) words_at_ = MonotonicNow() + kShortagePause;
  }
  if (words_at_ != INT64_MAX) all = true;  // not the socket keeps them
  if (std::exchange(words_wait_, !all) == all) (void)poller_.Watch(setup_.supervisor, !all);
}

}  // namespace obit
