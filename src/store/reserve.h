#pragma once

#include <cstdint>

#include "base/fd.h"
#include "base/result.h"
#include "store/store.h"

namespace obit {

/// Room for records on a full disk: a file of the store takes it, until it is needed.
class Reserve {
 public:
  static constexpr std::uint64_t kBytes = 4 << 20;
  static constexpr std::uint64_t kStep = 64 << 10;  ///< bytes that a record takes at most, with its folder

  /// `store` outlives it.
  explicit Reserve(const Store& store) : store_(store) {}

  /// Takes the room, or what is missing of it. ENOSPC: the disk has not as much again. EOPNOTSUPP: this file
  /// system sets no room aside.
  [[nodiscard]] Result<void> Fill();
  /// Gives a step of it back. False: there is nothing left.
  [[nodiscard]] bool Give();

 private:
  const Store& store_;
  Fd file_;
  bool is_full_ = false;
};

/// The disk, or somebody's share of it, is full.
[[nodiscard]] bool IsFullDisk(const Error& error);

}  // namespace obit
