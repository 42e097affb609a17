#include "server/privileges.h"

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

Result<std::optional<User>> FindUser(const std::string& name) {
  std::array<char, 16 * 1024> buffer;
  passwd entry{};
  passwd* found = nullptr;
  if (const int error = ::getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found); error != 0)
    return Fail(error, "look up user {}", name);
  if (found == nullptr) return std::nullopt;
  return User{entry.pw_uid, entry.pw_gid};
}

Capabilities ManagerCapabilities() {
  return CapabilityBit(CAP_SYS_PTRACE) | CapabilityBit(CAP_DAC_READ_SEARCH) | CapabilityBit(CAP_KILL) |
         CapabilityBit(CAP_CHECKPOINT_RESTORE);
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
  OBIT_TRY(KeepCapabilities(ManagerCapabilities()));
  // Not before: a change of the user sets it to what fs.suid_dumpable says.
  if (::prctl(PR_SET_DUMPABLE, 0) < 0) return Fail(errno, "become undumpable");
  return {};
}

std::string MissingRights(Capabilities effective) {
  const bool trace = (effective & CapabilityBit(CAP_SYS_PTRACE)) != 0;
  const bool read = (effective & CapabilityBit(CAP_DAC_READ_SEARCH)) != 0;
  const bool end = (effective & CapabilityBit(CAP_KILL)) != 0;
  const bool files = (effective & CapabilityBit(CAP_CHECKPOINT_RESTORE)) != 0;
  std::vector<std::string_view> missing;
  if (!trace) missing.emplace_back("CAP_SYS_PTRACE");
  if (!read) missing.emplace_back("CAP_DAC_READ_SEARCH");
  if (!end) missing.emplace_back("CAP_KILL");
  if (!files) missing.emplace_back("CAP_CHECKPOINT_RESTORE");
  std::vector<std::string_view> effects;
  if (!trace || !read) effects.emplace_back("cores of other users come by stream");
  if (!trace) effects.emplace_back("with fewer facts about the process");
  if (!files) effects.emplace_back("libraries that were replaced or deleted have no symbols");
  if (!end) effects.emplace_back("a process that stays after its release is not ended");
  if (missing.empty()) return {};
  return fmt::format("without {}: {}", fmt::join(missing, ", "), fmt::join(effects, ", "));
}

}  // namespace obit
