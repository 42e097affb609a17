#include "render/users.h"

#include <map>

#include <grp.h>
#include <pwd.h>

#include "base/text.h"

namespace obit {
namespace {

/// Asks once for each number: a list of thousands has few users, and a lookup may go over the network.
template <class Id, class Lookup>
std::string Remembered(std::map<Id, std::string>& known, Id id, Lookup lookup) {
  const auto [at, is_new] = known.try_emplace(id);
  if (is_new) {
    const char* name = lookup(id);
    at->second = name != nullptr && *name != '\0' ? EscapeForTerminal(name) : std::to_string(id);
  }
  return at->second;
}

}  // namespace

std::string UserName(uid_t uid) {
  static std::map<uid_t, std::string> known;
  return Remembered(known, uid, [](uid_t id) -> const char* {
    const passwd* entry = ::getpwuid(id);
    return entry != nullptr ? entry->pw_name : nullptr;
  });
}

std::string GroupName(gid_t gid) {
  static std::map<gid_t, std::string> known;
  return Remembered(known, gid, [](gid_t id) -> const char* {
    const group* entry = ::getgrgid(id);
    return entry != nullptr ? entry->gr_name : nullptr;
  });
}

}  // namespace obit
