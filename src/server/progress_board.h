#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/result.h"

namespace obit {

/// Counters in memory that obitd's processes share: a worker counts what it does in its own, the manager
/// looks. Each has a page of its own, so that a worker need have no other.
class ProgressBoard {
 public:
  static constexpr std::size_t kCounters = 1024;

  /// No child has anything of it until it is let.
  [[nodiscard]] static Result<ProgressBoard> Create();
  ProgressBoard(ProgressBoard&& other) noexcept;
  ProgressBoard& operator=(ProgressBoard&&) = delete;
  ~ProgressBoard();

  /// `number` < kCounters.
  [[nodiscard]] std::atomic<std::uint64_t>& counter(std::size_t number) const;

  /// Whether processes that are forked from here on have it in their memory, or one counter of it.
  [[nodiscard]] Result<void> LetChildrenHaveIt(bool have) const;
  [[nodiscard]] Result<void> LetChildrenHave(std::size_t number, bool have) const;

 private:
  explicit ProgressBoard(std::byte* pages) : pages_(pages) {}
  [[nodiscard]] std::byte* PageOf(std::size_t number) const;
  std::byte* pages_ = nullptr;
};

}  // namespace obit
