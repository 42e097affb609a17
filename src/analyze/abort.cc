#include <algorithm>
#include <string_view>

#include "analyze/cause.h"
#include "analyze/runtime_traces.h"
#include "crash/plain_name.h"

namespace obit {
namespace {

/// Texts of glibc's malloc (malloc/malloc.c) begin so.
constexpr std::string_view kHeapMessages[] = {"free(): ",
                                              "malloc(): ",
                                              "realloc(): ",
                                              "calloc(): ",
                                              "double free or corruption",
                                              "corrupted ",
                                              "munmap_chunk(): ",
                                              "mremap_chunk(): ",
                                              "malloc_consolidate(): ",
                                              "invalid fastbin entry",
                                              "break adjusted to free malloc space",
                                              "Fatal error: glibc detected an invalid stdio handle",
                                              "tcache_"};

class AbortFinder {
 public:
  explicit AbortFinder(CrashScene& scene) : scene_(scene) {
    for (const Frame& frame : scene.stack.frames) names_.push_back(PlainName(frame.function));
  }

  Cause Find() {
    Cause cause{.message = FindAbortMessage(scene_.image, scene_.modules)};
    if (FindByMessage(cause) || FindCpp(cause) || FindRust(cause)) return cause;
    cause.kind = CauseKind::kAbort;
    cause.function = OwnFunction(scene_);
    return cause;
  }

 private:
  bool Calls(std::string_view prefix) const {
    return std::ranges::any_of(names_, [&](const std::string& name) { return name.starts_with(prefix); });
  }

  /// What the C library says in clear words.
  bool FindByMessage(Cause& cause) const {
    const std::string& message = cause.message;
    if (const std::size_t at = message.find("Assertion `"); at != std::string::npos) {
      const std::size_t from = at + std::string_view("Assertion `").size();
      const std::size_t end = message.rfind("' failed.");
      cause.kind = CauseKind::kAssert;
      cause.expression = message.substr(from, end == std::string::npos ? end : end - from);
      return true;
    }
    if (message.find("stack smashing detected") != std::string::npos) {
      cause.kind = CauseKind::kStackSmashing;
      cause.function = OwnFunction(scene_);
      return true;
    }
    if (message.starts_with("*** ")) {  // __fortify_fail()
      cause.kind = CauseKind::kFortify;
      cause.what = message.substr(4);
      cause.what = cause.what.substr(0, cause.what.find(" ***"));
      cause.function = OwnFunction(scene_);
      return true;
    }
    const bool heap =
        std::ranges::any_of(kHeapMessages, [&](std::string_view text) { return message.starts_with(text); });
    if (!heap) return false;
    cause.kind = CauseKind::kHeapCorruption;
    return true;
  }

  bool FindCpp(Cause& cause) const {
    if (Calls("__cxa_pure_virtual")) {
      cause.kind = CauseKind::kPureVirtualCall;
      return true;
    }
    const bool throws = Calls("__cxa_throw") || Calls("__cxa_rethrow");
    if (!throws && !Calls("std::terminate") && !Calls("__cxxabiv1::") &&
        !Calls("__gnu_cxx::__verbose_terminate"))
      return false;
    const auto exception = FindException(scene_.image, scene_.raw);
    if (!exception) {
      cause.kind = CauseKind::kTerminate;
      cause.function = OwnFunction(scene_);
      return true;
    }
    const bool no_memory =
        exception->type == "std::bad_alloc" || exception->type == "std::bad_array_new_length";
    cause.kind = no_memory ? CauseKind::kOutOfMemory : CauseKind::kUncaughtException;
    cause.type = exception->type;
    cause.message = exception->what;
    cause.guess = !throws;  // an old exception may be what was found
    return true;
  }

  bool FindRust(Cause& cause) const {
    if (!Calls("rust_panic") && !Calls("std::panicking::") && !Calls("core::panicking::") &&
        !Calls("rust_begin_unwind"))
      return false;
    cause.kind = CauseKind::kRustPanic;
    cause.message = FindPanicMessage(scene_.image, scene_.raw, scene_.stack);
    if (cause.message.empty()) cause.function = OwnFunction(scene_);
    return true;
  }

  CrashScene& scene_;
  std::vector<std::string> names_;
};

}  // namespace

Cause FindAbort(CrashScene& scene) { return AbortFinder(scene).Find(); }

}  // namespace obit
