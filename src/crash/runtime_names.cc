#include "crash/runtime_names.h"

#include <algorithm>

#include "base/text.h"
#include "crash/name_lists.h"

namespace obit {
namespace {

constexpr std::string_view kLibraries[] = {
    "libc.so.",   "libc-2.",      "libc.musl",    "ld-linux",    "ld-2.",      "libpthread",  "libstdc++.so",
    "libc++.so",  "libc++abi.so", "libunwind.so", "libgcc_s.so", "libasan.so", "libubsan.so", "libtsan.so",
    "liblsan.so", "libclang_rt",  "ld-musl",      "libjvm.so",   "[vdso]",     "librt.so.",   "libdl.so."};

constexpr std::string_view kFunctions[] = {"vfork",
                                           "fork",
                                           "kill",
                                           "syscall",
                                           "exit",
                                           "_exit",
                                           "_Exit",
                                           "pause",
                                           "sigsuspend",
                                           "strcat",
                                           "strncpy",
                                           "strncat",
                                           "strncmp",
                                           "strchr",
                                           "strrchr",
                                           "strstr",
                                           "strdup",
                                           "strtol",
                                           "atoi",
                                           "memchr",
                                           "memcmp",
                                           "printf",
                                           "fprintf",
                                           "vfprintf",
                                           "vprintf",
                                           "sprintf",
                                           "vsprintf",
                                           "snprintf",
                                           "vsnprintf",
                                           "printf_core",
                                           "puts",
                                           "fputs",
                                           "fwrite",
                                           "fread",
                                           "fclose",
                                           "nanosleep",
                                           "clock_nanosleep",
                                           "waitpid",
                                           "wait4",
                                           "pthread_join",
                                           "pthread_mutex_lock",
                                           "pthread_mutex_unlock",
                                           "abort",
                                           "raise",
                                           "gsignal",
                                           "pthread_kill",
                                           "tgkill",
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
                                           "panic_abort",
                                           "__gxx_personality_v0",
                                           "_start",
                                           "start_thread",
                                           "clone",
                                           "clone3",
                                           "frame_dummy",
                                           "_init",
                                           "_fini",
                                           "register_tm_clones",
                                           "deregister_tm_clones",
                                           "__do_global_dtors_aux",
                                           "execute_native_thread_routine",
                                           "__restore",
                                           "a_crash",
                                           "get_meta",
                                           "libc_start_main_stage2",
                                           "libc_start_init",
                                           "longjmp",
                                           "siglongjmp",
                                           "malloc_printerr",
                                           "malloc_consolidate",
                                           "malloc_usable_size",
                                           "malloc_trim",
                                           "malloc_hook_ini",
                                           "tcache_init",
                                           "tcache_get",
                                           "tcache_put",
                                           "tcache_thread_shutdown",
                                           "tcache_key_initialize",
                                           "qsort",
                                           "qsort_r",
                                           "bsearch",
                                           "JVM_handle_linux_signal",
                                           "javaSignalHandler",
                                           "call_stub",
                                           "thread_native_entry"};

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
                                          "__interceptor_",
                                          "__clone",
                                          "__start_thread",
                                          "__restore_",
                                          "__cxa_",
                                          "_Unwind_",
                                          "runtime.",
                                          "runtime/",
                                          "internal/runtime/",
                                          "internal/abi.",
                                          "caml_fatal",
                                          "caml_main",
                                          "caml_start",
                                          "caml_raise",
                                          "caml_c_call",
                                          "caml_callback",
                                          "caml_init",
                                          "caml_sys_exit",
                                          "_dl_",
                                          "__run_exit_handlers",
                                          "__msan",
                                          "__lsan",
                                          "__hwasan",
                                          "core::ops::function::Fn",
                                          "<core::",
                                          "<alloc::",
                                          "<std::",
                                          "__rust_",
                                          "rust_begin_unwind",
                                          "rust_panic",
                                          "rust_oom",
                                          "rust_eh_",
                                          "std::rt::",
                                          "std::thread::local_impl",
                                          "std::sys_common::",
                                          "main::lang_start"};

// Libraries of which programs have most as templates and inlined functions.
constexpr std::string_view kTemplates[] = {
    "std::",      "__gnu_cxx::", "boost::", "absl::", "fmt::",      "Eigen::",
    "nlohmann::", "folly::",     "gsl::",   "tbb::",  "rapidjson::"};

}  // namespace

bool IsRuntimeFunction(std::string_view name) {
  return IsOneOf(name, kFunctions) || HasPrefix(name, kPrefixes);
}

bool IsSendingFunction(std::string_view name) {
  // restore_sigs is where musl lets the signal through that its raise(3) has sent.
  constexpr std::string_view kNames[] = {"raise",
                                         "gsignal",
                                         "abort",
                                         "kill",
                                         "killpg",
                                         "tgkill",
                                         "pthread_kill",
                                         "sigqueue",
                                         "pthread_sigqueue",
                                         "restore_sigs",
                                         "pthread_kill_internal",
                                         "pthread_kill_implementation"};
  if (name.starts_with("__")) name.remove_prefix(name.starts_with("__GI_") ? 5 : 2);
  return std::ranges::find(kNames, name) != std::end(kNames);
}

bool IsRustLibraryFunction(std::string_view name) {
  constexpr std::string_view kCrates[] = {
      "core::", "alloc::", "std::", "backtrace::", "gimli::", "hashbrown::"};
  if (!name.starts_with('<')) return HasPrefix(name, kCrates);
  // "<T as Trait>::method": by T, which may be none of a crate: "[u8]", "&T", "fn()", "str".
  std::string_view type = name.substr(1);
  while (!type.empty() && std::string_view("&*[( ").contains(type.front())) type.remove_prefix(1);
  for (const std::string_view word : {"mut ", "const ", "dyn "})
    if (type.starts_with(word)) type.remove_prefix(word.size());
  const std::size_t end = type.find_first_of(" <>()[],;");
  return HasPrefix(type, kCrates) || !type.substr(0, end).contains("::");
}

bool IsTemplateFunction(std::string_view name) { return HasPrefix(name, kTemplates); }

bool IsRuntimeLibrary(std::string_view path) {
  const std::string_view name = FileNameOf(path);
  return name == "libc.so" || HasPrefix(name, kLibraries);
}

bool IsLibrarySource(std::string_view path) {
  constexpr std::string_view kFolders[] = {"/usr/include/", "/usr/lib/gcc/",      "/usr/lib/llvm", "/rustc/",
                                           "/usr/lib/go",   "/usr/local/go/src/", "/usr/share/go-"};
  constexpr std::string_view kInside[] = {"/include/c++/", "/lib/rustlib/src/rust/", "/.cargo/registry/"};
  return HasPrefix(path, kFolders) ||
         std::ranges::any_of(kInside, [&](std::string_view folder) { return path.contains(folder); });
}

}  // namespace obit
