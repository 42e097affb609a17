// A group should be one bug: the same after each build, with each optimiser, with debug information or
// without, at each depth of a recursion, on each host; and no two bugs one group. All that is known comes
// from a stack, so this is a choice of what of it to believe:
//  - Physical frames only. An inlined function is a frame for those who have debug information, and none for
//    others. The name of a physical frame is the symbol table's, which `strip -g` leaves (Frame::linked_as).
//  - Functions of the program's own. What libc, a language's runtime, a library's template or a helper to die
//    did on its behalf is the same for many bugs, and is inlined here and called there.
//  - Each function once. How often a recursion went round before it crashed is a matter of its input.
//  - The first kFrames: callers tell bugs apart; further out it matters where a request came from.
// A stack overflow is told by the functions that went round, whichever of them was the last.

#include "crash/fingerprint.h"

#include <algorithm>
#include <csignal>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "base/text.h"
#include "crash/plain_name.h"
#include "crash/runtime_frames.h"
#include "crash/script.h"

namespace obit {
namespace {

/// As many as it takes to tell callers apart, and not so many that where the request came from matters.
constexpr std::size_t kFrames = 5;

/// A use after free may read, write or run into unmapped memory: one bug. The other kinds are bugs of their
/// own.
std::string_view ClassOf(CauseKind kind) {
  switch (kind) {
    case CauseKind::kUnknown:
    case CauseKind::kNullRead:
    case CauseKind::kNullWrite:
    case CauseKind::kNullCall:
    case CauseKind::kUnmappedRead:
    case CauseKind::kUnmappedWrite:
    case CauseKind::kWildPointer:
    case CauseKind::kReadProtected:
    case CauseKind::kWriteReadOnly:
    case CauseKind::kExecuteNonExecutable:
    case CauseKind::kGeneralProtection:
      return "memory";
    default:
      return NameOf(kind);
  }
}

/// "libfoo.so" of "/usr/lib/libfoo.so.1.2": versions and folders differ where the code does not.
std::string ShortName(const Module& module) {
  std::string name(FileNameOf(module.path));
  if (const std::size_t at = name.find(".so."); at != std::string::npos) name.resize(at + 3);
  constexpr std::string_view kDeleted = " (deleted)";
  if (name.ends_with(kDeleted)) name.resize(name.size() - kDeleted.size());
  return name;
}

/// What was asserted, in the words that a report of schema 1 has for it.
std::string Asserted(const Cause& cause) {
  return cause.old_sentence.empty() ? "assertion failed: " + cause.expression : cause.old_sentence;
}

/// Not only what the kernel shows as one: runtimes find their own.
bool IsStackOverflow(const Cause& cause) {
  if (cause.kind == CauseKind::kStackOverflow) return true;
  if (cause.kind != CauseKind::kGoPanic && cause.kind != CauseKind::kRuntimeFatal &&
      cause.kind != CauseKind::kAbort && cause.kind != CauseKind::kRustPanic)
    return false;
  return std::ranges::any_of(
      std::initializer_list<std::string_view>{"stack overflow", "stack exceeds", "overflowed its stack"},
      [&](std::string_view words) { return cause.message.contains(words); });
}

/// FNV-1a, 64 bits: short, the same everywhere, and nobody gains by a collision but a wrong neighbour in a
/// list.
std::uint64_t Hash(const std::vector<std::string>& words) {
  std::uint64_t hash = 0xcbf29ce484222325;
  const auto add = [&](unsigned char byte) { hash = (hash ^ byte) * 0x100000001b3; };
  for (const std::string& word : words) {
    for (const char c : word) add(static_cast<unsigned char>(c));
    add(0);
  }
  return hash;
}

class Namer {
 public:
  Namer(const Report& report, const CrashRecord& record)
      : report_(report), record_(record), stack_(report.stacks.front()) {}

  /// Never empty, as the stack is not.
  std::vector<std::string> Names() {
    ChoosePart();
    for (const Pick pick : {Pick::kOwn, Pick::kTemplates, Pick::kAll}) {
      if (IsStackOverflow(report_.cause))
        if (auto names = RoundNames(pick); !names.empty()) return names;
      if (auto names = FirstNames(pick); !names.empty()) return names;
    }
    return {"?"};  // no code at all, and nobody who called it
  }

 private:
  /// Which frames count. The others only where there are none of the ones before.
  enum class Pick { kOwn, kTemplates, kAll };

  /// [first_, end_) are the frames that tell of the crash.
  void ChoosePart() {
    const auto& frames = stack_.frames;
    const bool gave_up = IsSentByItself(record_);
    first_ = CauseFrameOf(report_, record_);
    end_ = EndOfHandler(frames, first_);
    if (end_ < frames.size()) {
      const auto handler = std::span(frames).subspan(first_, end_ - first_);
      const bool has_own =
          std::ranges::any_of(handler, [&](const Frame& one) { return !NameOfOne(one, Pick::kOwn).empty(); });
      if (!has_own) end_ = frames.size();
    }
    const int signal = record_.signal.number;
    if (gave_up || signal == SIGABRT || signal == SIGILL || signal == SIGTRAP)
      first_ += CountFatalHelpers(std::span(frames).subspan(first_, end_ - first_), report_.modules);
  }

  /// Empty: it does not count.
  [[nodiscard]] std::string NameOfOne(const Frame& frame, Pick pick) const {
    if (frame.inlined || !frame.module) return {};
    const Module& module = report_.modules[*frame.module];
    const FrameOwner owner = OwnerOf(frame, report_.modules);
    const std::string& function = frame.linked_as.empty() ? frame.function : frame.linked_as;
    if (owner != FrameOwner::kProgram && pick == Pick::kOwn) {
      const std::string lambda = owner == FrameOwner::kTemplate ? LambdaInside(function) : "";
      return lambda.empty() ? "" : ShortName(module) + "!" + lambda;
    }
    if (owner == FrameOwner::kRuntime && pick == Pick::kTemplates) return {};
    if (function.empty())
      return fmt::format("{}+{:#x}", module.build_id.empty() ? ShortName(module) : module.build_id,
                         frame.module_offset);
    // The arguments of a template are all that tells it from others.
    const bool whole = owner == FrameOwner::kTemplate && pick == Pick::kTemplates;
    return ShortName(module) + "!" + (whole ? function : PlainName(function));
  }

  [[nodiscard]] std::vector<std::string> FirstNames(Pick pick) const {
    std::vector<std::string> names;
    for (std::size_t i = first_; i < end_ && names.size() < kFrames; ++i) {
      std::string name = NameOfOne(stack_.frames[i], pick);
      if (!name.empty() && std::ranges::find(names, name) == names.end()) names.push_back(std::move(name));
    }
    // Made at run time, or no code at all: its address says nothing, but it was not its caller that crashed.
    if (!names.empty() && !stack_.frames[first_].module) names.insert(names.begin(), "?");
    return names;
  }

  /// Functions that nearly each round of the recursion has, in the order of their names: where in the cycle
  /// the stack ended, and which way an irregular one went, is chance. Empty if nothing goes round.
  [[nodiscard]] std::vector<std::string> RoundNames(Pick pick) const {
    constexpr std::uint64_t kTimesMin = 4, kTimesMax = UINT32_MAX;
    std::map<std::string, std::uint64_t> times;
    auto fold = stack_.folds.begin();
    for (std::size_t i = 0; i < end_; ++i) {
      while (fold != stack_.folds.end() && i >= std::size_t{fold->first} + fold->count) ++fold;
      const bool folded = fold != stack_.folds.end() && i >= fold->first;
      if (i < first_) continue;
      std::string name = NameOfOne(stack_.frames[i], pick);
      if (!name.empty()) times[std::move(name)] += folded ? std::min(fold->times, kTimesMax) : 1;
    }
    std::uint64_t most = 0;
    for (const auto& [name, count] : times) most = std::max(most, count);
    std::vector<std::string> names;
    if (most < kTimesMin) return names;
    for (const auto& [name, count] : times)
      if (count >= most - most / 3) names.push_back(name);
    return names;
  }

  const Report& report_;
  const CrashRecord& record_;
  const Stack& stack_;
  std::size_t first_ = 0, end_ = 0;
};

}  // namespace

Report::Fingerprint FindFingerprint(const Report& report, const CrashRecord& record) {
  Report::Fingerprint fingerprint;
  if (report.stacks.empty() || report.stacks.front().frames.empty()) return fingerprint;
  fingerprint.frames = Namer(report, record).Names();
  // Whatever an interpreter executes has one stack, the interpreter's.
  if (const std::string script = ScriptOf(record.process); !script.empty())
    fingerprint.frames.push_back("script " + script);
  const auto& first_fault = report.cause.first_fault;
  const int signal = first_fault ? first_fault->signal : record.signal.number;
  std::vector<std::string> words{std::to_string(signal), std::string(ClassOf(report.cause.kind))};
  if (report.cause.kind == CauseKind::kAssert) words.push_back(Asserted(report.cause));
  words.insert(words.end(), fingerprint.frames.begin(), fingerprint.frames.end());
  fingerprint.value = fmt::format("{:016x}", Hash(words));
  return fingerprint;
}

}  // namespace obit
