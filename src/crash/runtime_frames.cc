#include "crash/runtime_frames.h"

#include <algorithm>
#include <span>
#include <string>

#include "base/text.h"
#include "crash/fatal_helper.h"
#include "crash/plain_name.h"
#include "crash/runtime_names.h"

namespace obit {
namespace {

/// By how the linker's name is mangled: v0, or a legacy one, which ends in a hash.
bool IsRust(const Frame& frame) {
  constexpr std::size_t kHash = 20;  // "17h", 16 digits, "E"
  const std::string_view symbol = frame.symbol;
  if (symbol.starts_with("_R")) return true;
  return symbol.starts_with("_ZN") && symbol.size() > kHash &&
         symbol.substr(symbol.size() - kHash).starts_with("17h") && symbol.ends_with('E');
}

bool IsInRuntimeLibrary(const Frame& frame, const std::vector<Module>& modules) {
  return frame.module && IsRuntimeLibrary(modules[*frame.module].path);
}

std::string NameOf(const Frame& frame) {
  return PlainName(frame.linked_as.empty() ? frame.function : frame.linked_as);
}

/// With what debug information says, too.
bool IsOwn(const Frame& frame, const std::vector<Module>& modules) {
  if (!frame.module || IsLibrarySource(frame.file)) return false;
  const FrameOwner owner = OwnerOf(frame, modules);
  // A template that was made of a lambda has its code inlined.
  return owner == FrameOwner::kProgram ||
         (owner == FrameOwner::kTemplate && !LambdaInside(frame.function).empty());
}

}  // namespace

FrameOwner OwnerOf(const Frame& frame, const std::vector<Module>& modules) {
  if (IsInRuntimeLibrary(frame, modules)) return FrameOwner::kRuntime;
  const std::string name = NameOf(frame);
  if (IsRuntimeFunction(name) || (IsRust(frame) && IsRustLibraryFunction(name))) return FrameOwner::kRuntime;
  return IsTemplateFunction(name) ? FrameOwner::kTemplate : FrameOwner::kProgram;
}

std::size_t InterruptedFrame(const std::vector<Frame>& frames) {
  const auto interrupted = std::ranges::find_if(frames.rbegin(), frames.rend(), &Frame::interrupted);
  return interrupted == frames.rend() ? 0 : static_cast<std::size_t>(interrupted.base() - frames.begin()) - 1;
}

std::size_t CauseFrameOf(const Report& report, const CrashRecord& record) {
  if (report.cause_frame) return *report.cause_frame;
  const bool handled = IsSentByItself(record) || report.cause.first_fault;
  return handled && !report.stacks.empty() ? InterruptedFrame(report.stacks.front().frames) : 0;
}

std::size_t RaisingFrame(const std::vector<Frame>& frames, std::size_t end) {
  for (std::size_t i = std::min(end, frames.size()); i-- > 0;)
    if (frames[i].interrupted && (frames[i].function.empty() || IsSendingFunction(NameOf(frames[i]))))
      return i;
  return 0;
}

std::size_t EndOfHandler(const std::vector<Frame>& frames, std::size_t first) {
  const std::size_t interrupted = InterruptedFrame(frames);
  return interrupted > first ? interrupted : frames.size();
}

std::size_t CountFatalHelpers(std::span<const Frame> frames, const std::vector<Module>& modules) {
  const auto is_helper = [&](const Frame& frame) {
    return !IsInRuntimeLibrary(frame, modules) && IsFatalHelper(NameOf(frame));
  };
  std::size_t behind = 0;
  bool others = false;
  for (std::size_t i = 0; i < frames.size() && !others; ++i) {
    const Frame& frame = frames[i];
    if (is_helper(frame)) {
      behind = i + 1;
      continue;
    }
    // What has no name may be a helper's, if another one follows. So may all of a library's functions.
    if (frame.function.empty() || OwnerOf(frame, modules) != FrameOwner::kProgram) continue;
    std::size_t of_library = i;
    if (frame.module && FileNameOf(modules[*frame.module].path).contains(".so"))
      while (of_library < frames.size() && frames[of_library].module == frame.module) ++of_library;
    const auto rest = frames.subspan(i, of_library - i);
    const auto last = std::ranges::find_if(rest.rbegin(), rest.rend(), is_helper);
    others = last == rest.rend();
    if (!others) i = (behind = i + static_cast<std::size_t>(last.base() - rest.begin())) - 1;
  }
  return others ? behind : 0;
}

std::size_t FindOwnFrame(const std::vector<Frame>& frames, const std::vector<Module>& modules,
                         std::size_t first, bool gave_up) {
  if (gave_up)
    first +=
        CountFatalHelpers(std::span(frames).subspan(first, EndOfHandler(frames, first) - first), modules);
  const auto from = frames.begin() + static_cast<std::ptrdiff_t>(first);
  const auto own_by = [&](auto is_own) { return std::find_if(from, frames.end(), is_own); };
  const auto named = [&](const Frame& one) { return !one.function.empty() && IsOwn(one, modules); };
  auto own = own_by(named);
  // A program without any symbols has no name to offer.
  if (own == frames.end()) own = own_by([&](const Frame& one) { return IsOwn(one, modules); });
  return static_cast<std::size_t>(own - frames.begin());
}

}  // namespace obit
