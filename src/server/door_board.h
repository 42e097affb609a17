#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>

#include <sys/types.h>

#include "base/keyed_hash.h"
#include "base/result.h"
#include "kernel/crash_glance.h"

namespace obit {

/// What the manager and whoever keeps the door (doorkeeper.h) write for each other, in memory that they
/// share and that outlives both: which crashes are to be turned away, how many were, and which ones are in
/// the keeper's hands or on their way to the manager. No lock: nobody waits for the other. There is one
/// keeper at a time.
class DoorBoard {
 public:
  static constexpr std::size_t kPlaces = 16;
  /// So many crashes are accepted at the door and not counted yet, nor with the manager.
  static constexpr std::size_t kHands = 32;

  /// The part of a file that begins at `offset`, a whole number of pages; -1: memory without a file. Zeros
  /// are an empty board.
  [[nodiscard]] static Result<DoorBoard> Map(int fd, off_t offset);
  /// Bytes of the file.
  [[nodiscard]] static std::size_t Bytes();
  DoorBoard(DoorBoard&& other) noexcept;
  DoorBoard& operator=(DoorBoard&&) = delete;
  ~DoorBoard();

  /// Whether processes that are forked from here on have it in their memory. All have, until this is called.
  [[nodiscard]] Result<void> LetChildrenHaveIt(bool have) const;

  void SetKey(const HashKey& key);
  /// By which crashes are known: never 0.
  [[nodiscard]] std::uint64_t HashOf(const CrashGlance& glance) const;

  // For the manager.
  /// Until then, CLOCK_BOOTTIME in ns, crashes of this hash are turned away, and counted at `place`, which
  /// others have not had for a while: who is slow counts none of the old ones there.
  void TurnAway(std::size_t place, std::uint64_t hash, std::int64_t until);
  struct Counted {
    std::uint64_t crashes = 0;  ///< since the board was made, modulo 2^64
    std::int64_t last = 0;      ///< ns since 1970
  };
  [[nodiscard]] Counted counted(std::size_t place) const;

  // For the keeper.
  /// The place where a crash is to be counted that is turned away now.
  [[nodiscard]] std::optional<std::size_t> PlaceOf(std::uint64_t hash, std::int64_t now) const;
  /// The last time that is given for any, CLOCK_BOOTTIME.
  [[nodiscard]] std::int64_t Until() const;

  /// A crash that was accepted.
  struct Held {
    pid_t pid = kUnknown;
    std::int64_t uid = kUnknown;
    std::int64_t time = 0;  ///< ns since 1970
    static constexpr int kUnknown = -1;
  };
  /// One that is free; nothing: none is, and no crash can be accepted.
  [[nodiscard]] std::optional<std::size_t> FreeHand() const;
  void Take(std::size_t hand, const Held& held);
  /// Turns away what it holds: counted, and free. Who sees the board between any two steps of it knows which.
  void Count(std::size_t hand, std::size_t place, std::int64_t time);
  /// It holds nothing any more: for the manager, who has the crash.
  void LetGo(std::size_t hand);
  /// What it holds that is not counted.
  [[nodiscard]] std::optional<Held> held(std::size_t hand) const;
  /// So many were taken, since the board was made.
  [[nodiscard]] std::uint64_t taken() const;

 private:
  struct Page;
  explicit DoorBoard(Page* page) : page_(page) {}
  Page* page_ = nullptr;
};

}  // namespace obit
