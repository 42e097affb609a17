#include "server/poller.h"

#include <array>
#include <cerrno>

#include <sys/epoll.h>

namespace obit {

Result<Poller> Poller::Create() {
  Fd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) return Fail(errno, "make an epoll descriptor");
  return Poller(std::move(epoll));
}

bool Poller::Watch(const Fd& fd, bool writable) const {
  epoll_event event{.events = EPOLLIN | (writable ? std::uint32_t{EPOLLOUT} : 0U), .data = {.fd = fd.get()}};
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd.get(), &event) == 0) return true;
  return errno == EEXIST && ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd.get(), &event) == 0;
}

void Poller::Forget(int fd) const { (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr); }

std::vector<Poller::Ready> Poller::Wait(int timeout) const {
  std::array<epoll_event, 64> events;
  const int count = ::epoll_wait(epoll_.get(), events.data(), events.size(), timeout);
  std::vector<Ready> ready;
  for (int i = 0; i < count; ++i)
    ready.push_back({.fd = events[i].data.fd,
                     .readable = (events[i].events & ~std::uint32_t{EPOLLOUT}) != 0,
                     .writable = (events[i].events & EPOLLOUT) != 0});
  return ready;
}

}  // namespace obit
