#include "server/visitors.h"

#include <algorithm>

#include <sys/socket.h>
#include <unistd.h>

#include "base/unix_socket.h"

namespace obit {

bool Visitors::Receive(Fd& connection, const Error& why, std::int64_t now) {
  const auto credentials = PeerCredentials(connection);
  if (!credentials || (credentials->uid != 0 && credentials->uid != ::geteuid()) || visitors_.size() >= kMax)
    return false;
  const int fd = connection.get();
  visitors_.insert_or_assign(fd, Visitor{std::move(connection), why, now + kPatience});
  return true;
}

Result<void> Visitors::Leave(int fd) {
  const auto visitor = visitors_.extract(fd);
  std::byte first{};
  if (visitor.empty() || ::recv(fd, &first, 1, MSG_DONTWAIT) == 0) return {};
  return std::unexpected(visitor.mapped().why);
}

std::optional<int> Visitors::Overdue(std::int64_t now) const {
  const auto overdue =
      std::ranges::find_if(visitors_, [&](const auto& one) { return one.second.deadline <= now; });
  if (overdue == visitors_.end()) return std::nullopt;
  return overdue->first;
}

std::int64_t Visitors::NextDeadline() const {
  std::int64_t next = INT64_MAX;
  for (const auto& [fd, visitor] : visitors_) next = std::min(next, visitor.deadline);
  return next;
}

}  // namespace obit
