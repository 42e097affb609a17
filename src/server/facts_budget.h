#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <utility>

#include <sys/types.h>

namespace obit {

/// How many bytes of facts the manager keeps, of open crashes and in orders that the clerk has not done: its
/// memory is locked, and who fills it must not make other users' crashes nameless. Each may have no more than
/// is free then, as in CrashShares: one alone gets half.
class FactsBudget {
 public:
  static constexpr std::size_t kMax = std::size_t{16} << 20;
  using User = std::optional<uid_t>;

  /// Room that somebody's facts take, until this object is gone. The budget outlives it.
  class Room {
   public:
    Room() = default;
    Room(FactsBudget& budget, User user) : budget_(&budget), user_(user) {}
    Room(Room&& other) noexcept
        : budget_(other.budget_), user_(other.user_), bytes_(std::exchange(other.bytes_, 0)) {}
    Room& operator=(Room&& other) noexcept {
      Room taken(std::move(other));
      std::swap(budget_, taken.budget_);
      std::swap(user_, taken.user_);
      std::swap(bytes_, taken.bytes_);
      return *this;
    }
    ~Room() {
      if (bytes_ > 0) budget_->GiveBack(user_, bytes_);
    }
    /// So many bytes from now on. False: there are not as many, and all is as it was.
    [[nodiscard]] bool Resize(std::size_t bytes) {
      if (budget_ == nullptr) return false;
      if (bytes > bytes_ && !budget_->Take(user_, bytes - bytes_)) return false;
      if (bytes < bytes_) budget_->GiveBack(user_, bytes_ - bytes);
      bytes_ = bytes;
      return true;
    }

   private:
    FactsBudget* budget_ = nullptr;
    User user_;
    std::size_t bytes_ = 0;
  };

 private:
  bool Take(User user, std::size_t bytes) {
    const auto found = of_.find(user);
    const std::size_t his = found == of_.end() ? 0 : found->second;
    const std::size_t free = kMax - all_;
    if (bytes > free || his + bytes > free - bytes) return false;
    of_[user] += bytes;
    all_ += bytes;
    return true;
  }
  void GiveBack(User user, std::size_t bytes) {
    all_ -= bytes;
    if (const auto found = of_.find(user); (found->second -= bytes) == 0) of_.erase(found);
  }

  std::map<User, std::size_t> of_;
  std::size_t all_ = 0;
};

}  // namespace obit
