#include "crash/runtime_frames.h"

#include <algorithm>
#include <string>

#include "base/text.h"
#include "crash/plain_name.h"

namespace obit {
namespace {

constexpr std::string_view kLibraries[] = {
    "libc.so.",     "libc-2.",     "ld-linux",   "ld-2.",       "libpthread", "libstdc++.so", "libc++.so",
    "libc++abi.so", "libgcc_s.so", "libasan.so", "libubsan.so", "libtsan.so", "ld-musl",      "[vdso]"};

// Linked statically they have no file of their own; these are the names that a stack can begin with.
constexpr std::string_view kFunctions[] = {"abort",
                                           "raise",
                                           "gsignal",
                                           "pthread_kill",
                                           "tgkill",
                                           "__libc_message",
                                           "malloc_printerr",
                                           "__malloc_assert",
                                           "free",
                                           "malloc",
                                           "calloc",
                                           "realloc",
                                           "memcpy",
                                           "memmove",
                                           "memset",
                                           "strlen",
                                           "strcpy",
                                           "strcmp",
                                           "operator new",
                                           "operator new[]",
                                           "operator delete",
                                           "operator delete[]",
                                           "<signal handler called>",
                                           "rust_begin_unwind",
                                           "rust_panic",
                                           "rust_panic_with_hook",
                                           "__rust_start_panic",
                                           "__rust_abort",
                                           "panic_abort",
                                           "rust_oom",
                                           "_Unwind_RaiseException",
                                           "_Unwind_Resume",
                                           "__cxa_throw",
                                           "__cxa_rethrow",
                                           "__cxa_pure_virtual",
                                           "__cxa_deleted_virtual",
                                           "__gxx_personality_v0"};
constexpr std::string_view kPrefixes[] = {"__assert",
                                          "__GI_",
                                          "__pthread_kill",
                                          "__libc_",
                                          "__fortify_fail",
                                          "__chk_fail",
                                          "__stack_chk_",
                                          "_int_malloc",
                                          "_int_free",
                                          "_int_realloc",
                                          "__libc_malloc",
                                          "__mem",
                                          "__str",
                                          "sysmalloc",
                                          "unlink_chunk",
                                          "malloc_",
                                          "tcache_",
                                          "__gnu_cxx::__verbose_terminate",
                                          "__cxxabiv1::",
                                          "std::terminate",
                                          "std::unexpected",
                                          "std::__throw_",
                                          "std::panicking::",
                                          "core::panicking::",
                                          "core::result::unwrap_failed",
                                          "core::option::unwrap_failed",
                                          "core::option::expect_failed",
                                          "std::process::abort",
                                          "std::sys::",
                                          "std::sys_common::backtrace::",
                                          "std::rt::lang_start",
                                          "alloc::alloc::handle_alloc_error",
                                          "panic_abort::",
                                          "__rustc",
                                          "__sanitizer::",
                                          "__asan",
                                          "__ubsan",
                                          "__tsan",
                                          "__interceptor_"};

bool IsRuntimeFunction(std::string_view name) {
  return std::ranges::find(kFunctions, name) != std::end(kFunctions) ||
         std::ranges::any_of(kPrefixes, [&](std::string_view prefix) { return name.starts_with(prefix); });
}

bool IsRuntimeLibrary(std::string_view path) {
  const std::string_view name = FileNameOf(path);
  return std::ranges::any_of(kLibraries, [&](std::string_view library) { return name.starts_with(library); });
}

}  // namespace

std::size_t CountRuntimeFrames(const std::vector<Frame>& frames, const std::vector<Module>& modules,
                               bool gave_up) {
  auto from = frames.begin();
  if (gave_up) {
    const auto interrupted = std::ranges::find_if(frames.rbegin(), frames.rend(), &Frame::interrupted);
    if (interrupted != frames.rend()) from = interrupted.base() - 1;
  }
  const auto own = std::find_if(from, frames.end(), [&](const Frame& frame) {
    if (frame.module && IsRuntimeLibrary(modules[*frame.module].path)) return false;
    return !IsRuntimeFunction(PlainName(frame.function));
  });
  return static_cast<std::size_t>(own - frames.begin());
}

}  // namespace obit
