#include "capture/minimal_pointers.h"

#include <algorithm>
#include <deque>
#include <unordered_set>
#include <vector>

#include "capture/minimal_threads.h"

namespace obit {
namespace {

/// Stacks are searched from the stack pointer on, bytes.
constexpr std::uint64_t kCrashingStack = 64 * 1024, kOtherStack = 4 * 1024;
constexpr std::uint64_t kOtherStacks = 1 << 20;  // of all of them
/// Variables of the crashing thread that are searched, below its control block, and the block itself: what
/// the C++ runtime knows of exceptions is there.
constexpr std::uint64_t kVariables = 4 * 1024, kControlBlock = 1024;
/// What is taken for the object behind a pointer, bytes: before it are the headers of exceptions and of
/// allocators.
constexpr std::uint64_t kBefore = 128, kObject = 256;
constexpr int kLevels = 3;
constexpr std::size_t kObjectsMax = 16 * 1024;

class Pointers {
 public:
  Pointers(KeptMemory& memory, std::uint64_t max) : memory_(memory), max_(max) {}

  /// `levels` of pointers from here on.
  void Follow(std::uint64_t begin, std::uint64_t bytes, int levels) {
    if (IsOver()) return;
    memory_.ForEachKeptWord(begin, begin + std::min(bytes, UINT64_MAX - begin), [&](std::uint64_t word) {
      Add(word, levels);
      return !IsOver();
    });
  }
  void Add(std::uint64_t pointer, int levels) {
    const ProcessMapping* there = memory_.map().Find(pointer);
    if (there == nullptr || there->is_executable() || !there->is_writable()) return;
    const bool was_there = memory_.Has(pointer);
    const std::uint64_t begin = std::max(there->begin, pointer - std::min(pointer, kBefore));
    const std::uint64_t end = std::min(there->end, pointer + std::min(kObject, UINT64_MAX - pointer));
    kept_ += memory_.Keep(begin, end - begin);
    // What was kept for what it is is not followed: a stack is full of pointers into itself.
    if (levels <= 1 || (was_there && !mine_.contains(pointer / PageBytes()))) return;
    if (!memory_.Has(pointer)) return;  // zeros, or no room
    mine_.insert(pointer / PageBytes());
    if (seen_.size() < kObjectsMax && seen_.insert(pointer).second)
      objects_.push_back({begin, end, levels - 1});
  }
  /// The objects behind the pointers so far, those of the first level first.
  void FollowObjects() {
    for (; !objects_.empty() && !IsOver(); objects_.pop_front()) {
      const Object object = objects_.front();
      Follow(object.begin, object.end - object.begin, object.levels);
    }
    objects_.clear();
  }

 private:
  struct Object {
    std::uint64_t begin, end;
    int levels;
  };
  [[nodiscard]] bool IsOver() const { return kept_ >= max_ || memory_.is_full(); }

  KeptMemory& memory_;
  const std::uint64_t max_;
  std::uint64_t kept_ = 0;
  std::deque<Object> objects_;
  std::unordered_set<std::uint64_t> seen_, mine_;  // pointers; numbers of pages that one led to
};

}  // namespace

void KeepWhatIsPointedTo(KeptMemory& memory, const CoreNotes& notes, std::uint64_t max) {
  if (notes.threads.empty()) return;
  const CoreNotes::Thread& crashed = notes.threads.front();
  Pointers pointers(memory, max);
  for (const std::uint64_t value : crashed.registers) pointers.Add(value, kLevels);
  if (crashed.sp) pointers.Follow(*crashed.sp, kCrashingStack, kLevels);
  if (const std::uint64_t block = MinimalThreads::ControlBlockOf(notes, crashed); block > kVariables)
    pointers.Follow(block - kVariables, kVariables + kControlBlock, kLevels);
  pointers.FollowObjects();
  std::uint64_t searched = 0;
  for (const CoreNotes::Thread& thread : std::span(notes.threads).subspan(1)) {
    for (const std::uint64_t value : thread.registers) pointers.Add(value, 1);
    if (!thread.sp || searched >= kOtherStacks) continue;
    pointers.Follow(*thread.sp, kOtherStack, 1);
    searched += kOtherStack;
  }
}

}  // namespace obit
