#include "crash/fingerprint.h"

#include <algorithm>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "base/text.h"
#include "crash/plain_name.h"
#include "crash/runtime_frames.h"

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

/// "libfoo.so!parse": functions of different programs have the same names, "main" above all.
std::string NameFor(const Frame& frame, const std::vector<Module>& modules) {
  if (!frame.module) return "?";  // made at run time, or no code at all: its address says nothing
  const Module& module = modules[*frame.module];
  if (!frame.function.empty()) return ShortName(module) + "!" + PlainName(frame.function);
  return fmt::format("{}+{:#x}", module.build_id.empty() ? ShortName(module) : module.build_id,
                     frame.module_offset);
}

/// What was asserted, in the words that a report of schema 1 has for it.
std::string Asserted(const Cause& cause) {
  return cause.old_sentence.empty() ? "assertion failed: " + cause.expression : cause.old_sentence;
}

/// Functions of a recursion, beginning with the first by name: where in the cycle the stack ended is chance.
std::vector<std::string> CycleNames(const Report& report, const Stack::Fold& fold) {
  std::vector<std::string> names;
  for (std::uint32_t i = fold.first; i < fold.first + fold.count; ++i)
    names.push_back(NameFor(report.stacks.front().frames[i], report.modules));
  std::ranges::rotate(names, std::ranges::min_element(names));
  return names;
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

}  // namespace

Report::Fingerprint FindFingerprint(const Report& report, const CrashRecord& record) {
  Report::Fingerprint fingerprint;
  if (report.stacks.empty() || report.stacks.front().frames.empty()) return fingerprint;
  const Stack& stack = report.stacks.front();
  if (report.cause.kind == CauseKind::kStackOverflow && !stack.folds.empty()) {
    fingerprint.frames = CycleNames(report, stack.folds.front());
  } else {
    std::size_t first = CountRuntimeFrames(stack.frames, report.modules,
                                           IsSentByItself(record) || report.cause.first_fault.has_value());
    if (first == stack.frames.size()) first = 0;
    for (std::size_t i = first; i < stack.frames.size() && fingerprint.frames.size() < kFrames; ++i)
      fingerprint.frames.push_back(NameFor(stack.frames[i], report.modules));
  }
  std::vector<std::string> words{std::string(ClassOf(report.cause.kind))};
  if (report.cause.kind == CauseKind::kAssert) words.push_back(Asserted(report.cause));
  words.insert(words.end(), fingerprint.frames.begin(), fingerprint.frames.end());
  fingerprint.value = fmt::format("{:016x}", Hash(words));
  return fingerprint;
}

}  // namespace obit
