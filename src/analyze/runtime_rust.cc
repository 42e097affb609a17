// Rust (library/std/src/panicking.rs, alloc.rs, process.rs): panics, the last of several, memory that could
// not be allocated, and abort, which is no panic.

#include <algorithm>
#include <array>

#include "analyze/runtime_words.h"
#include "base/text.h"

namespace obit {
namespace {

constexpr std::uint64_t kSearched = 256 * 1024;

bool IsMachinery(std::string_view name) {
  return RuntimeScene::IsOneOf(
      name, {"std::*", "core::*", "alloc::*", "rust_begin_unwind", "rust_panic", "rust_oom", "__rust*",
             "_RNv*__rustc*", "panic_abort::*", "panic_unwind::*", "<*"});
}

bool IsPanic(std::string_view name) {
  // std::panicking::try is below every main().
  if (name.starts_with("std::panicking::try") || name.starts_with("std::panicking::catch_unwind"))
    return false;
  return RuntimeScene::IsOneOf(
      name, {"rust_panic", "rust_begin_unwind", "std::panicking::*", "core::panicking::*",
             "__rustc::rust_begin_unwind", "__rustc::__rust_start_panic", "core::option::unwrap_failed",
             "core::option::expect_failed", "core::result::unwrap_failed"});
}

bool IsOutOfMemory(std::string_view name) {
  return RuntimeScene::IsOneOf(name,
                               {"rust_oom", "std::alloc::rust_oom*", "__rustc::__rust_alloc_error_handler",
                                "alloc::alloc::handle_alloc_error*", "std::alloc::default_alloc_error_hook"});
}

/// Rust 1.81 and later put the whole text into a buffer on the stack before they write it to standard error:
/// "thread 'main' (4711) panicked at src/main.rs:5:9:\nMESSAGE\nnote: ...". The buffer's frame is gone, its
/// bytes may be there.
std::string FindPrinted(RuntimeScene& scene) {
  RuntimeScene::Range range = scene.StackLeft(kSearched);
  range.end += kSearched;
  if (const CoreImage::Mapping* stack = scene.image().Find(range.begin))
    range.end = std::min(range.end, stack->end);
  const std::string memory = scene.Bytes(range);
  constexpr std::string_view kPanicked = " panicked at ", kEnds("\n\0", 2);
  for (std::size_t at = 0; (at = memory.find(kPanicked, at)) != std::string::npos; ++at) {
    const std::size_t line_end = memory.find_first_of(kEnds, at);
    if (line_end == std::string::npos) break;
    if (memory[line_end] != '\n' || memory[line_end - 1] != ':') continue;
    const std::size_t end = memory.find_first_of(kEnds, line_end + 1);
    if (end == std::string::npos) break;
    if (end - line_end > RuntimeScene::kTextMax) continue;
    std::string text = memory.substr(line_end + 1, end - line_end - 1);
    if (IsReadable(text)) return text;
  }
  return {};
}

std::string SizedText(RuntimeScene& scene, std::uint64_t address, std::uint64_t length) {
  if (length == 0 || length > RuntimeScene::kTextMax) return {};
  std::string text = scene.Bytes({address, address + length});
  return text.size() == length && IsReadable(text) ? text : "";
}

/// What the panic handler got is a string, a pointer and a length, in its frame.
std::string FindPayload(RuntimeScene& scene, std::size_t first, std::size_t last) {
  for (std::size_t i = first; i <= last; ++i) {
    const std::string& name = scene.crash().stack.frames[i].function;
    if (name.find("panic_handler") == std::string::npos && name.find("begin_panic") == std::string::npos)
      continue;
    RuntimeScene::Range range = scene.StackOf(i);
    range.end = std::min(range.end, range.begin + 4096);
    const auto words = scene.Words(range);
    for (std::size_t at = 0; at + 2 < words.size(); ++at) {
      // A literal is pointer and length. A String of older runtimes has its capacity between them.
      if (std::string text = SizedText(scene, words[at], words[at + 1]); !text.empty()) return text;
      if (words[at + 2] <= words[at + 1])
        if (std::string text = SizedText(scene, words[at], words[at + 2]); !text.empty()) return text;
    }
  }
  return {};
}

/// The payload of a panic that is on its way: struct Exception of panic_unwind
/// (library/panic_unwind/src/gcc.rs). The unwinder's header comes first; behind it, in newer versions behind
/// a word more, a Box<dyn Any>.
std::string FindThrown(RuntimeScene& scene, std::uint64_t address) {
  constexpr std::uint64_t kOld = 0x4d4f5a0052555354,
                          kNew = 0x54535552005a4f4d;  // "MOZ\0RUST", both ways round
  const auto words = scene.Words({address, address + 10 * 8});
  if (words.size() < 10 || (words[0] != kOld && words[0] != kNew)) return {};
  for (const std::size_t at : {std::size_t{5}, std::size_t{8}}) {
    const auto table = scene.Words({words[at + 1], words[at + 1] + 24});  // drop, size, align
    const auto data = scene.Words({words[at], words[at] + 24});
    if (table.size() != 3 || data.size() != 3 || table[2] != 8) continue;
    if (table[1] == 16)
      if (std::string text = SizedText(scene, data[0], data[1]); !text.empty()) return text;
    if (table[1] != 24) continue;
    if (std::string text = SizedText(scene, data[0], data[2]); !text.empty())
      return text;  // pointer, capacity, length
    if (std::string text = SizedText(scene, data[1], data[2]); !text.empty())
      return text;  // capacity, pointer, length
  }
  return {};
}

/// A panic while another one was on its way, or out of what lets none out: the program is ended by a panic of
/// the runtime's own, and those before it are the reason. They lie in the heap.
std::string FindThrownBefore(RuntimeScene& scene) {
  const std::uint64_t sp = scene.crash().raw.frames.front().sp;
  // One that was caught was freed, and its first word is another one then: also what is left below the stack
  // leads to those that were not.
  std::vector<std::uint64_t> words = scene.Words({sp, sp + kSearched});
  const std::vector<std::uint64_t> left = scene.Words(scene.StackLeft(kSearched / 4));
  words.insert(words.end(), left.rbegin(), left.rend());
  std::vector<std::uint64_t> seen;
  std::string text;
  for (const std::uint64_t word : words) {
    if (word % 8 != 0 || !scene.IsWritable(word) || std::ranges::find(seen, word) != seen.end()) continue;
    const std::string thrown = FindThrown(scene, word);
    if (thrown.empty()) continue;
    seen.push_back(word);
    text = text.empty() ? thrown : thrown + "; " + text;
    if (seen.size() == 4) break;
  }
  return text;
}

bool IsSecond(std::string_view name) {
  return RuntimeScene::IsOneOf(name,
                               {"core::panicking::panic_in_cleanup", "core::panicking::panic_cannot_unwind",
                                "core::panicking::panic_no_unwind", "core::panicking::panic_nounwind*"});
}

std::string PanicMessage(RuntimeScene& scene, std::size_t first, std::size_t last) {
  const auto& names = scene.names();
  if (std::any_of(names.begin() + static_cast<std::ptrdiff_t>(first),
                  names.begin() + static_cast<std::ptrdiff_t>(last + 1), IsSecond))
    if (std::string text = FindThrownBefore(scene); !text.empty()) return text;
  std::string text = FindPrinted(scene);
  return text.empty() ? FindPayload(scene, first, last) : text;
}

}  // namespace

std::optional<Cause> RecogniseRust(RuntimeScene& scene, std::size_t frame) {
  const auto& names = scene.names();
  const bool is_abort = names[frame] == "std::process::abort";
  if (!is_abort && !IsPanic(names[frame]) && !IsOutOfMemory(names[frame])) return std::nullopt;
  std::size_t last = frame;
  while (last + 1 < names.size() && IsMachinery(names[last + 1])) ++last;
  const auto begin = names.begin() + static_cast<std::ptrdiff_t>(frame);
  const auto end = names.begin() + static_cast<std::ptrdiff_t>(last + 1);
  if (const auto found = std::find_if(begin, end, IsOutOfMemory); found != end) {
    Cause cause = scene.Make(CauseKind::kOutOfMemory, "Rust", "memory allocation failed");
    // handle_alloc_error(Layout { align, size })
    const auto handler = scene.Find({"alloc::alloc::handle_alloc_error"}, frame);
    const auto size = handler ? scene.Arguments(*handler)[1] : std::nullopt;
    if (size && *size != 0) cause.message = fmt::format("memory allocation of {} bytes failed", *size);
    return cause;
  }
  if (std::find_if(begin, end, IsPanic) == end) return scene.Make(CauseKind::kAbort, "");
  Cause cause{.kind = CauseKind::kRustPanic};
  cause.message = PanicMessage(scene, frame, last);
  if (cause.message.empty()) cause.function = OwnFunction(scene.crash());
  return cause;
}

}  // namespace obit
