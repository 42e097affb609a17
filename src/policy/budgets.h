#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <unordered_map>

#include <sys/types.h>

#include "base/keyed_hash.h"
#include "config/config.h"

namespace obit {

/// What all crashes of one user, and of one unit, take together (Config::user_crashes and those beside it).
/// In a window, which begins with the first crash, so many are recorded, and no core begins once all that are
/// kept have so many bytes. What is bounded here are many sites of one origin, and crashes whose site cannot
/// be told; what happens at one site CrashSites bounds.
///
/// Uid 0 of a container may be that of the host. So a user has an account in each container, one on the host,
/// and one for crashes of which it is not known where they were. Names of units are a user's own choice but
/// for the system's services: each user has accounts for units of his own. A service of the system whose user
/// has used up his crashes, by others, is still told by events, as many as a unit has.
///
/// It knows kAccountsMax users and units at most. One more takes the place of one whose window is over, or
/// else of who has taken least.
class Budgets {
 public:
  static constexpr std::size_t kAccountsMax = 4096;

  explicit Budgets(const HashKey& key) : key_(key) {}

  struct Origin {
    std::optional<uid_t> share;   ///< nothing: of nobody
    bool known = false;           ///< what comes below is
    std::uint64_t container = 0;  ///< CrashSite
    std::string_view unit;        ///< empty: none
    bool unit_of_system = false;  ///< CrashSite
  };
  /// The accounts of a crash, by hashes.
  struct Whose {
    std::uint64_t user = 0, unit = 0;  ///< unit 0: of none
    bool unit_of_system = false;
    std::int64_t user_until = 0, unit_until = 0;  ///< the windows that it was taken of (Take)
  };
  [[nodiscard]] Whose AccountsOf(const Origin& origin) const;

  enum class Room : std::uint8_t {
    kCore,
    kEvent,  ///< its bytes are used up
    kCount,  ///< so are its crashes
  };
  /// `now`: any clock that does not go back, ns.
  [[nodiscard]] Room RoomFor(const Whose& whose, std::int64_t now, const Config& config);
  /// Such a crash is recorded, and its core may come to `promised` bytes; 0: it has none.
  void Take(Whose& whose, std::uint64_t promised);
  /// It came to so many. A window that has begun meanwhile has nothing of it.
  void Ended(const Whose& whose, std::uint64_t promised, std::uint64_t bytes);

 private:
  struct Account {
    std::int64_t until = 0;
    std::uint64_t crashes = 0, bytes = 0;
  };
  Account& AccountOf(std::uint64_t key, std::int64_t now, const Config& config, std::uint64_t but);
  void MakeRoom(std::int64_t now, std::uint64_t but);
  [[nodiscard]] Account* Known(std::uint64_t key);

  HashKey key_;
  std::unordered_map<std::uint64_t, Account> accounts_;
};

}  // namespace obit
