#include "user.h"

#include <charconv>
#include <chrono>

#include <unistd.h>

#include "base/log.h"
#include "process/event_loop.h"
#include "server/supervisor_errand.h"

namespace obit {
namespace {

constexpr std::chrono::seconds kPatience{10};

/// "UID GID"; empty: there is none.
Result<std::string> AskUser(const std::string& name) {
  const auto user = OBIT_TRY(FindUser(name));
  return user ? fmt::format("{} {}", user->uid, user->gid) : "";
}

Result<User> UserIn(const std::string& text) {
  User user;
  const char* end = text.data() + text.size();
  const auto uid = std::from_chars(text.data(), end, user.uid);
  if (uid.ec != std::errc{} || uid.ptr == end) return Refuse(EBADMSG, "no user: {}", text);
  const auto gid = std::from_chars(uid.ptr + 1, end, user.gid);
  if (gid.ec != std::errc{} || gid.ptr != end) return Refuse(EBADMSG, "no user: {}", text);
  return user;
}

}  // namespace

Result<std::optional<User>> UserToBecome(const std::string& name) {
  if (::geteuid() != 0) return std::nullopt;
  EventLoop loop = OBIT_TRY(EventLoop::Create());
  Result<std::string> answer;
  const auto errand = OBIT_TRY(SupervisorErrand::Start(
      loop, [&name] { return AskUser(name); }, kPatience,
      [&](Result<std::string> told) {
        answer = std::move(told);
        loop.Stop();
      }));
  OBIT_TRY(loop.Run());
  if (!answer) return std::unexpected(std::move(answer).error().In("look up user " + name));
  if (!answer->empty()) return OBIT_TRY(UserIn(*answer));
  Log(Severity::kWarning, "there is no user {}: obitd stays root, with few capabilities", name);
  return std::nullopt;
}

}  // namespace obit
