#pragma once

#include <cstdint>
#include <optional>

#include <sys/types.h>

#include "crash/handling.h"

namespace obit {

/// Who wants a crash to stay.
enum class PinKind : std::uint8_t {
  kNone,
  kByOwner,          ///< whoever the crash is of: may do that to any number of theirs
  kByAdministrator,  ///< root, or the user that the store is of
};

/// What retention knows of a crash in the store: plain numbers, of which there may be a million.
struct KeptCrash {
  std::uint64_t id = 0;
  std::uint64_t number = 0;  ///< CrashRecord::number; 0: it came before those that have one
  std::int64_t time = 0;     ///< ns since 1970
  /// When its files came, which may be long after the crash, as of an import; 0: that was not looked at.
  std::int64_t arrived = 0;
  /// The same for crashes of one group, one user, one unit. A crash without a fingerprint is grouped by its
  /// program and signal. 0: of no unit.
  std::uint64_t group = 0, user = 0, unit = 0;
  std::optional<uid_t> uid;        ///< `user` is whose share it takes, which may be another's (UserRanges)
  std::uint64_t core_bytes = 0;    ///< on the disk, of core and program; 0: there is no core (any more)
  std::uint64_t record_bytes = 0;  ///< of all the rest
  bool analysed = false;           ///< it has a report
  bool unread = false;             ///< its record cannot be read: this is what its folder says
  PinKind pin = PinKind::kNone;
  RetentionClass retention = RetentionClass::kNormal;
  bool fixed = false;  ///< it cannot be removed: that was tried
};

}  // namespace obit
