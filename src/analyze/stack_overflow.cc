// A stack overflowed if the code was to use memory as stack where the thread's stack has ended. That is told
// by where the fault, the stack pointer and the stack lie, and by nothing else: unwinding may fail just then,
// a frame may be of any size, and a page fault next to a stack may be a wild pointer's.
//
// Which mapping is the stack? The stack pointer may have left it. So, of these, the first that fits:
//  1. those in which the frames lie that were unwound, and the frame pointer,
//  2. the one of the first thread, with the bytes that AT_RANDOM points to, which the kernel put there,
//  3. that of another thread, the one with their control block, which is at the upper end of a stack that
//     the C library made,
//  4. the one right above the fault, if there are return addresses at its beginning: of a coroutine, say.

#include <algorithm>
#include <unordered_map>

#include <elf.h>

#include "analyze/calls.h"
#include "analyze/memory_fault.h"
#include "crash/plain_name.h"

namespace obit {
namespace {

/// A word of a push, bytes.
constexpr std::uint64_t kWord = 8;
/// How far below the stack pointer a function looks whether there is stack, as it may before it moves it.
constexpr std::uint64_t kProbe = 64 * 1024;
/// How far a stack pointer may have left its stack: an array is of any size, a wild pointer anywhere.
constexpr std::uint64_t kFrameMax = 16ULL << 30;
constexpr std::size_t kFramesSeen = 64;

bool IsWritable(const CoreImage::Mapping* mapping) {
  return mapping != nullptr && (mapping->flags & PF_W) != 0;
}

class OverflowFinder {
 public:
  OverflowFinder(CrashScene& scene, std::uint64_t address)
      : scene_(scene), image_(scene.image), address_(address), operand_(OperandAt(scene, address)) {}

  bool Find() {
    const Architecture& arch = image_.arch();
    if (scene_.registers.size() != arch.register_count || scene_.sp() == 0) return false;
    if (IsWritable(image_.Find(address_)) || !IsStackUse() || HasGoodStack()) return false;
    const std::size_t frames = std::min(scene_.raw.frames.size(), kFramesSeen);
    for (std::size_t i = 0; i < frames; ++i)
      if (EndsBefore(image_.Find(scene_.raw.frames[i].sp), i > 0)) return true;
    if (EndsBefore(image_.Find(scene_.registers[arch.by_dwarf[arch.dwarf_frame]]), true)) return true;
    if (EndsBefore(OfFirstThread(), false)) return true;
    if (arch.thread_pointer && EndsBefore(image_.Find(scene_.registers[*arch.thread_pointer]), false))
      return true;
    return EndsBefore(RightAbove(), false);
  }

 private:
  /// The access is one to the stack, by its place below or above the stack pointer.
  bool IsStackUse() const {
    // What was never pushed is not popped: this stack pointer is wild.
    if (operand_ != nullptr && operand_->of_stack && !operand_->writes) return false;
    const std::uint64_t sp = scene_.sp();
    if (address_ >= sp || sp - address_ <= (image_.arch().red_zone + kWord)) return true;
    return sp - address_ <= kProbe && operand_ != nullptr && operand_->base == image_.arch().sp &&
           !operand_->index;
  }

  /// The stack pointer leads to memory that can be a stack, and the access was not made through it.
  bool HasGoodStack() const {
    const std::uint64_t sp = scene_.sp();
    if (!IsWritable(image_.Find(sp)) || (address_ <= sp && sp - address_ <= kProbe)) return false;
    const Architecture& arch = image_.arch();
    return operand_ == nullptr ||
           (operand_->base != arch.sp && operand_->base != arch.by_dwarf[arch.dwarf_frame]);
  }

  /// `stack` lies above the fault, and the stack pointer has come to its end, or beyond. `holds_frame`: there
  /// is a frame in it that the thread will go back to.
  bool EndsBefore(const CoreImage::Mapping* stack, bool holds_frame) const {
    if (!IsWritable(stack) || stack->begin <= address_ || stack->begin - address_ > kFrameMax) return false;
    const std::uint64_t sp = scene_.sp();
    if (sp >= stack->begin) return sp < stack->end && !WasLoaded();  // the access was below what is there
    if (stack->begin - sp <= (image_.arch().red_zone + kWord) + kMemoryPage) return true;
    // A large frame. What lies between is no other memory that could be used, or the frame is known.
    return (holds_frame && !WasLoaded()) || IsFree(address_, stack->begin);
  }

  bool IsFree(std::uint64_t begin, std::uint64_t end) const {
    const auto mappings = image_.mappings();
    const auto first = std::ranges::upper_bound(mappings, begin, {}, &CoreImage::Mapping::end);
    for (auto at = first; at != mappings.end() && at->begin < end; ++at)
      if ((at->flags & (PF_W | PF_X)) != 0) return false;
    return true;
  }

  /// The stack pointer was given a new value just before, and did not grow: an instruction before moves a
  /// register, a word or a number to it.
  bool WasLoaded() const {
    constexpr std::uint64_t kBefore = 24;
    if (image_.arch().machine != EM_X86_64) return false;
    std::array<std::byte, kBefore> code{};
    if (image_.Read(scene_.pc() - kBefore, code) != kBefore) return false;
    const auto at = [&](std::size_t i) { return std::to_integer<unsigned>(code[i]); };
    for (std::size_t i = 0; i + 3 <= kBefore; ++i) {
      if ((at(i) & 0xf8) != 0x48) continue;
      const unsigned operands = at(i + 2);
      const bool to_rsp =
          at(i + 1) == 0x89 && (at(i) & 1) == 0 && (operands & 0xc7) == 0xc4 && operands != 0xec;
      const bool from_memory = at(i + 1) == 0x8b && (at(i) & 4) == 0 && (operands & 0x38) == 0x20;
      const bool number = at(i + 1) == 0xbc || (at(i + 1) == 0xc7 && operands == 0xc4);
      const bool exchange = at(i + 1) == 0x94 || (at(i + 1) == 0x87 && (operands & 0xc7) == 0xc4);
      if (to_rsp || from_memory || number || exchange) return true;
    }
    return false;
  }

  const CoreImage::Mapping* OfFirstThread() const {
    const auto& auxv = image_.notes().auxv;
    const auto random = auxv.find(AT_RANDOM);
    return random == auxv.end() ? nullptr : image_.Find(random->second);
  }

  const CoreImage::Mapping* RightAbove() const {
    constexpr std::uint64_t kAboveMax = 1 << 20, kWordsSeen = 256;
    const auto mappings = image_.mappings();
    auto above = std::ranges::upper_bound(mappings, address_, {}, &CoreImage::Mapping::begin);
    while (above != mappings.end() && !IsWritable(&*above)) ++above;
    if (above == mappings.end() || above->begin - address_ > kAboveMax) return nullptr;
    const std::uint64_t from = std::max(above->begin, scene_.sp() & ~std::uint64_t{7});
    for (std::uint64_t i = 0; i < kWordsSeen; ++i) {
      const auto word = image_.ReadWord(from + i * 8);
      if (!word) break;
      if (IsReturnAddress(image_, *word)) return &*above;
    }
    return nullptr;
  }

  CrashScene& scene_;
  CoreImage& image_;
  std::uint64_t address_;
  const Instruction::MemoryOperand* operand_;
};

/// The calls of a recursion, by functions and not by addresses: which call site it is may change from call to
/// call.
class RecursionFinder {
 public:
  explicit RecursionFinder(const CrashScene& scene) : scene_(scene) {
    std::vector<std::string> names;
    for (const Frame& frame : scene.stack.frames) {
      names.push_back(frame.function.empty() ? fmt::format("{:#x}", frame.pc) : PlainName(frame.function));
      if (frame.inlined) continue;
      names_.try_emplace(frame.pc, std::move(names));
      names.clear();
    }
  }

  std::optional<Cause::Recursion> Find() {
    Count();
    auto found = Regular();
    const std::uint64_t in_cycle = found ? found->times * found->functions.size() : 0;
    constexpr std::uint64_t kCallsMin = 4;
    // Those that come about as often as the most frequent one.
    std::vector<std::string> functions;
    std::uint64_t most = 0, calls = 0;
    for (const auto& [name, count] : counts_) most = std::max(most, count);
    for (const std::string& name : order_) {
      if (counts_[name] < std::max(most / 16, kCallsMin)) continue;
      functions.push_back(name);
      calls += counts_[name];
    }
    const bool irregular = !functions.empty() && calls > in_cycle + in_cycle / 16 + 16 && calls * 2 > total_;
    if (irregular) {
      found = Cause::Recursion{.times = calls, .irregular = functions.size() > 1};
      functions.resize(std::min<std::size_t>(functions.size(), kFunctionsMax));
      found->functions = std::move(functions);
    }
    if (found) found->at_least = IsCut(*found);
    return found;
  }

 private:
  static constexpr std::size_t kFunctionsMax = 8;

  void Count() {
    // By pc first: frames may be a million, and names long.
    std::unordered_map<std::uint64_t, std::uint64_t> times;
    std::vector<std::uint64_t> pcs;  // in the order in which they come first
    for (const RawFrame& frame : scene_.raw.frames) {
      ++total_;
      if (names_.contains(frame.pc) && times[frame.pc]++ == 0) pcs.push_back(frame.pc);
    }
    for (const std::uint64_t pc : pcs) {
      for (const std::string& name : names_[pc]) {
        std::uint64_t& count = counts_[name];
        if (count == 0) order_.push_back(name);
        count += times[pc];
      }
    }
  }

  /// The frames that go round in the same way, as far as they reach.
  std::optional<Cause::Recursion> Regular() const {
    const auto deepest = std::ranges::max_element(
        scene_.stack.folds, {}, [](const Stack::Fold& fold) { return fold.times * fold.count; });
    if (deepest == scene_.stack.folds.end()) return std::nullopt;
    Cause::Recursion recursion{.times = deepest->times};
    for (std::uint32_t i = deepest->first; i < deepest->first + deepest->count; ++i) {
      const Frame& frame = scene_.stack.frames[i];
      recursion.functions.push_back(frame.function.empty() ? fmt::format("{:#x}", frame.pc)
                                                           : PlainName(frame.function));
    }
    return recursion;
  }

  /// The recursion may go on where unwinding has come to an end.
  bool IsCut(const Cause::Recursion& recursion) const {
    if (scene_.raw.end.empty() || scene_.raw.frames.empty()) return false;
    const auto names = names_.find(scene_.raw.frames.back().pc);
    return names == names_.end() || std::ranges::any_of(names->second, [&](const std::string& name) {
             return std::ranges::find(recursion.functions, name) != recursion.functions.end();
           });
  }

  const CrashScene& scene_;
  std::unordered_map<std::uint64_t, std::vector<std::string>> names_;  // by pc, inlined ones first
  std::unordered_map<std::string, std::uint64_t> counts_;
  std::vector<std::string> order_;
  std::uint64_t total_ = 0;
};

}  // namespace

std::optional<Cause> FindStackOverflow(CrashScene& scene, std::uint64_t address) {
  if (!OverflowFinder(scene, address).Find()) return std::nullopt;
  Cause cause{.kind = CauseKind::kStackOverflow, .address = address};
  cause.recursion = RecursionFinder(scene).Find();
  if (!cause.recursion) cause.function = OwnFunction(scene);
  return cause;
}

}  // namespace obit
