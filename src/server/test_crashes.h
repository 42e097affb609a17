#pragma once

// For tests: kernels in user space for crashes in processes of their own.

#include <atomic>
#include <csignal>
#include <functional>
#include <new>
#include <span>
#include <vector>

#include <poll.h>
#include <sched.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "capture/fake_kernel.h"
#include "store/test_support.h"

namespace obit::testing {

inline constexpr std::int64_t kBound = 20'000'000'000;  // ns; it only ends a test that has failed

inline bool Until(const std::function<bool()>& done) {
  const std::int64_t bound = MonotonicNow() + kBound;
  while (!done() && MonotonicNow() < bound) ::poll(nullptr, 0, 1);
  return done();
}

/// A core whose memory does not compress.
inline std::vector<std::byte> NoiseCore(std::size_t memory_bytes) {
  CoreBuilder builder(EM_X86_64);
  builder.AddSegment(0x400000, PF_R, Noise(memory_bytes, 1), memory_bytes);
  return builder.Build();
}

/// Memory that a test shares with the processes that it forks.
template <class T>
class SharedMemory {
 public:
  SharedMemory()
      : all_(new(::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) T) {}
  SharedMemory(SharedMemory&&) = delete;
  ~SharedMemory() { ::munmap(all_, sizeof(T)); }
  [[nodiscard]] T* get() const { return all_; }
  T* operator->() const { return all_; }
  T& operator*() const { return *all_; }

 private:
  T* const all_;
};

/// What the processes of every test share.
struct Shared {
  std::atomic<int> connected{0};   // crashes that have
  std::atomic<int> answered{0};    // of them by pipe, whose helper was answered
  std::atomic<int> sent_part{0};   // those that wait for go_on after a part of their core
  std::atomic<int> inspecting{0};  // inspectors that hang
  std::atomic<bool> go_on{false};
};

/// What the kernel was told: bits of CoredumpMask, or kNoAnswer. An exit status.
inline constexpr int kNoAnswer = 99;
using Dump = std::function<int(Fd& server)>;

/// A user-space kernel with `core`, of which a part comes first if there is somebody (`shared`) to wait for.
inline Dump Dumping(std::vector<std::byte> core, CoredumpOffer offer = {}, Shared* shared = nullptr) {
  return [core = std::move(core), offer, shared](Fd& server) {
    const auto agreement = Negotiate(server, offer);
    if (!agreement || agreement->mark != CoredumpMark::kAccepted) return kNoAnswer;
    std::span<const std::byte> rest = core;
    if (shared != nullptr) {
      (void)WriteAll(server, rest.first(rest.size() / 2));
      rest = rest.subspan(rest.size() / 2);
      ++shared->sent_part;
      while (!shared->go_on) ::sched_yield();
    }
    if (agreement->dumps()) (void)SendCore(server, rest);
    if (agreement->waits()) AwaitRelease(server);
    return static_cast<int>(agreement->mask);
  };
}
/// One that dumps nothing, and waits.
inline int DumpNothing(Fd& server) {
  const auto agreement = Negotiate(server, {});
  if (!agreement || agreement->mark != CoredumpMark::kAccepted) return kNoAnswer;
  AwaitRelease(server);
  return static_cast<int>(agreement->mask);
}

}  // namespace obit::testing
