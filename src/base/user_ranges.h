#pragma once

#include <map>
#include <string>
#include <string_view>

#include <sys/types.h>

namespace obit {

/// Users that are one in truth: whoever has a range of subordinate uids (subuid(5)) can crash as each of
/// them, in a user namespace, and must get no more than one share for it.
class UserRanges {
 public:
  UserRanges() = default;
  /// The text of a subuid file. Lines that are none are left out.
  explicit UserRanges(std::string_view text);

  /// The user who stands for `uid` where it comes to shares: the first one of its range, or itself.
  [[nodiscard]] uid_t ShareOf(uid_t uid) const;

 private:
  std::map<uid_t, uid_t> ends_;  // by the first of a range, the last one
};

/// The ranges of this host: /etc/subuid. None where it cannot be read. Ranges that a directory server gives
/// are not known.
[[nodiscard]] UserRanges ReadUserRanges(const std::string& path = "/etc/subuid");

}  // namespace obit
