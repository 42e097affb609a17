#include "process/privileges.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>
#include <vector>

#include <fmt/ranges.h>
#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <unistd.h>

namespace obit {
namespace {

struct Right {
  int capability;
  std::string_view name;
  std::array<std::string_view, 2> without;  // what is not as it should be
};
constexpr std::string_view kByStream = "cores of other users come by stream";

/// All that obitd keeps. packaging/systemd/obitd.service.in gives the same.
constexpr Right kRights[] = {
    {CAP_SYS_PTRACE, "CAP_SYS_PTRACE", {kByStream, "with fewer facts about the process"}},
    {CAP_DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH", {kByStream}},
    {CAP_CHECKPOINT_RESTORE,
     "CAP_CHECKPOINT_RESTORE",
     {"libraries that were replaced or deleted have no symbols"}},
    {CAP_KILL, "CAP_KILL", {"a process that stays after its release is not ended"}},
};

}  // namespace

Result<std::optional<User>> FindUser(const std::string& name) {
  std::array<char, 16 * 1024> buffer;
  passwd entry{};
  passwd* found = nullptr;
  if (const int error = ::getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found); error != 0)
    return Fail(error, "look up user {}", name);
  if (found == nullptr) return std::nullopt;
  return User{entry.pw_uid, entry.pw_gid};
}

Capabilities InspectorCapabilities() { return ServerCapabilities() & ~ManagerCapabilities(); }
Capabilities ManagerCapabilities() { return CapabilityBit(CAP_KILL); }
Capabilities ServerCapabilities() {
  Capabilities all = 0;
  for (const Right& right : kRights) all |= CapabilityBit(right.capability);
  return all;
}

std::string NamesOf(Capabilities capabilities) {
  std::vector<std::string_view> names;
  for (const Right& right : kRights)
    if ((capabilities & CapabilityBit(right.capability)) != 0) names.push_back(right.name);
  return fmt::format("{}", fmt::join(names, " "));
}

Result<void> DropPrivileges(const std::optional<User>& user) {
  OBIT_TRY(ForbidNewPrivileges());  // it takes CAP_SETPCAP to empty the bounding set
  if (user) {
    int death_signal = 0;
    ::prctl(PR_GET_PDEATHSIG, &death_signal);
    ::prctl(PR_SET_KEEPCAPS, 1);
    if (::setgroups(0, nullptr) < 0 || ::setresgid(user->gid, user->gid, user->gid) < 0 ||
        ::setresuid(user->uid, user->uid, user->uid) < 0)
      return Fail(errno, "become user {}", user->uid);
    ::prctl(PR_SET_KEEPCAPS, 0);
    ::prctl(PR_SET_PDEATHSIG, death_signal);  // a change of the user has cleared it
  }
  OBIT_TRY(KeepCapabilities(ServerCapabilities()));
  // Not before: a change of the user sets it to what fs.suid_dumpable says.
  if (::prctl(PR_SET_DUMPABLE, 0) < 0) return Fail(errno, "become undumpable");
  return {};
}

std::string MissingRights(Capabilities effective) {
  std::vector<std::string_view> missing, effects;
  for (const Right& right : kRights) {
    if ((effective & CapabilityBit(right.capability)) != 0) continue;
    missing.push_back(right.name);
    for (const std::string_view effect : right.without)
      if (!effect.empty() && std::ranges::find(effects, effect) == effects.end()) effects.push_back(effect);
  }
  if (missing.empty()) return {};
  return fmt::format("without {}: {}", fmt::join(missing, ", "), fmt::join(effects, ", "));
}

}  // namespace obit
