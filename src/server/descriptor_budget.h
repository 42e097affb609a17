#pragma once

#include <algorithm>
#include <cstddef>

#include <sys/resource.h>

#include "kernel/mapped_files.h"

namespace obit {

/// How many crashes the manager may have open at once, by its limit of descriptors: those beyond wait in the
/// backlog, where the kernel holds them, instead of being taken for strangers because nothing can be asked
/// about them. And how many bags there may be that nobody has emptied: by the same limit the kernel bounds
/// what is under way between all processes of this user, and beyond it no descriptor can be sent, be it to
/// empty a bag (ETOOMANYREFS, unix(7)).
class DescriptorBudget {
 public:
  static constexpr std::size_t kPerCrash =
      6;  ///< connection, pidfd, pipe or its socket, two bags; one on its way
  static constexpr std::size_t kPerMember = 2;
  static constexpr std::size_t kOthers = 160;  ///< sockets that listen, visitors, what a message brings,
                                               ///< mapped files that wait for the clerk, traces
  static constexpr std::size_t kMost = 4096;   ///< whatever the limit is: each has memory too
  static constexpr std::size_t kPerBag = 6;    ///< memory, program; the bag itself, on its way to the clerk
  /// Crashes that are open while files that they had mapped are fetched for their analyses.
  static constexpr std::size_t kMappedMax = 64;
  static constexpr std::size_t kMappedOfClerk = 16;  ///< bags of such files that wait for an analysis

  explicit DescriptorBudget(std::size_t members) {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit_ = limit.rlim_cur;
    const std::size_t kept = kOthers + members * kPerMember;
    descriptors_ = std::max<std::size_t>(limit_ > kept ? limit_ - kept : 0, kPerCrash);
  }
  /// For one more crash, beside so many that are open, and bags that nobody has taken yet.
  [[nodiscard]] bool HasRoomBeside(std::size_t open, std::size_t bags) const {
    return open < kMost && (open + 1) * kPerCrash + bags <= descriptors_;
  }
  /// For one more bag of memory and program, beside so many that are not empty.
  [[nodiscard]] bool HasRoomForBag(std::size_t bags) const {
    return (bags + 1) * kPerBag <= descriptors_ / 2;
  }
  /// For what one of so many crashes had mapped, whatever the others had.
  [[nodiscard]] bool HasRoomForMapped(std::size_t crashes) const {
    return crashes <= kMappedMax && (crashes + kMappedOfClerk) * kMappedFilesMax <= limit_ / 2;
  }
  /// So many crashes may be open at once.
  [[nodiscard]] std::size_t crashes() const { return std::min(descriptors_ / kPerCrash, kMost); }

 private:
  std::size_t descriptors_ = kPerCrash, limit_ = 0;
};

}  // namespace obit
