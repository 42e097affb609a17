#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <set>
#include <string>

#include "process/event_loop.h"
#include "server/clerk_books.h"
#include "server/clerk_incoming.h"
#include "server/ledger.h"
#include "store/store.h"

namespace obit {

/// What dead processes of obitd left: folders in incoming/, and crashes in the ledger of which not even that
/// is there. Who a crash belongs to is known from the ledger alone; without it the crash is for root and the
/// group of the store.
class ClerkRecovery {
 public:
  struct Handler {
    std::function<void(BookOrder)> take;                   ///< for the books
    std::function<void(const std::string& id)> tell;       ///< incoming/ID needs a worker
    std::function<void(std::uint64_t number)> saw_number;  ///< that a crash has already
  };
  /// `ledger` may be nullptr; what the manager `generation` has open is left to it. All outlive this object.
  ClerkRecovery(EventLoop& loop, const Store& store, Ledger* ledger, std::uint32_t generation,
                Handler handler);

  /// Takes what there is, once. What others still work on is looked at again until it is done, and so is what
  /// cannot be looked at.
  void Start();
  /// Goes on with removals that were cut short: an obit rm that is killed leaves a core that no list shows.
  /// Called by itself, each kRemovalsLooked; and where much is left that an owner had put into a crash.
  void LookForRemoved();
  /// Puts into an order what the ledger knows of its crash.
  void FillIn(BookOrder& order);
  /// The order is over. True: it was one of `take`, and nobody else waits for it.
  bool OnDone(CrashKey crash);

  /// Until folders are looked at again that are locked, or that a living manager may be about to have
  /// committed.
  static constexpr std::chrono::milliseconds kPause{3'000}, kPauseMax{60'000};
  /// Between two steps of a removal that was cut short: an owner may have put any number of files there, and
  /// other crashes do not wait for them.
  static constexpr std::chrono::milliseconds kRemovalPause{100};
  static constexpr std::chrono::hours kRemovalsLooked{1};

 private:
  void Look();
  [[nodiscard]] Result<void> LookAtFolders();
  [[nodiscard]] Result<void> LookAtFolder(IncomingCrash crash, bool was_open);
  [[nodiscard]] Result<void> NoteOpen();
  [[nodiscard]] Result<void> RecordLost();
  void Take(const std::string& id, Order::Kind kind);
  void Schedule();
  void GoOnRemoving();

  EventLoop& loop_;
  const Store& store_;
  Ledger* ledger_;
  std::uint32_t generation_;
  Handler handler_;
  std::map<std::string, Ledger::Left> left_;  // by id: of managers that are gone
  std::set<std::string> theirs_;              // ids that the manager of now has
  std::set<std::string> incoming_;            // ids that have a folder
  std::set<std::string> told_;                // ids that were told
  std::set<std::string> open_;                // names of folders to look at again
  std::map<CrashKey, std::string> taken_;     // ids of orders that are not over
  std::map<CrashKey, std::size_t> slots_;     // to be cleared when the order is over
  CrashKey next_key_;
  bool looked_ = false;  // at all folders, once
  bool said_ = false;    // that they cannot be looked at
  std::chrono::milliseconds pause_ = kPause;
  EventSource again_;
  std::vector<std::string> removed_;  // names in incoming/ of which something may be left
  EventSource removing_;
};

}  // namespace obit
