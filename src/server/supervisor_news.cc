#include "server/supervisor_news.h"

#include <cerrno>
#include <span>
#include <utility>

#include <fcntl.h>
#include <sys/socket.h>

#include "base/io.h"
#include "base/limits.h"
#include "base/unix_socket.h"

namespace obit {
namespace {

Result<void> TrySend(const Fd& socket, const std::string& bytes, const std::vector<Fd>& fds) {
  std::vector<int> numbers;
  numbers.reserve(fds.size());
  for (const Fd& fd : fds) numbers.push_back(fd.get());
  return SendMessage(socket, std::as_bytes(std::span(bytes)), numbers);
}

}  // namespace

SupervisorNewsQueue::SupervisorNewsQueue(EventLoop& loop, Fd socket, std::function<void()> hopeless)
    : loop_(loop), socket_(std::move(socket)), hopeless_(std::move(hopeless)) {
  if (auto same = Duplicate(socket_)) writable_ = std::move(*same);
  ::fcntl(socket_.get(), F_SETFL, O_NONBLOCK);  // this end's: the manager's is an open file of its own
}

void SupervisorNewsQueue::Send(const SupervisorNews& news, std::vector<Fd> fds, std::string_view text) {
  if (broken_) return;
  std::string bytes(reinterpret_cast<const char*>(&news), sizeof news);
  queue_.push_back({bytes.append(text), std::move(fds)});
  if (!later_) Flush();
  if (queue_.size() == kMax) hopeless_();
}

void SupervisorNewsQueue::Flush() {
  later_ = EventSource();
  while (!queue_.empty()) {
    const auto sent = TrySend(socket_, queue_.front().bytes, queue_.front().fds);
    if (!sent) return FlushLater(sent.error());
    queue_.pop_front();
  }
}

void SupervisorNewsQueue::FlushLater(const Error& error) {
  const bool is_full = error.code == EAGAIN;
  if (!is_full && !IsShortage(error)) {
    broken_ = true;
    queue_.clear();
    return hopeless_();
  }
  constexpr std::chrono::milliseconds kPause{100};
  // Nothing tells when a shortage ends.
  auto later = is_full && writable_ ? loop_.OnWritable(writable_, [this] { Flush(); })
                                    : loop_.After(kPause, [this] { Flush(); });
  if (later) later_ = std::move(*later);
}

}  // namespace obit
