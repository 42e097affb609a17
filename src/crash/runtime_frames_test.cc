#include "crash/runtime_frames.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crash/fatal_helper.h"
#include "crash/runtime_names.h"

namespace obit {
namespace {

const std::vector<Module> kModules = {{.path = "/usr/bin/shop"},
                                      {.path = "/usr/lib/x86_64-linux-gnu/libc.so.6"},
                                      {.path = "/usr/lib/libtill.so.1"}};

Frame In(std::uint32_t module, std::string function, std::string file = "") {
  Frame frame{.function = std::move(function), .file = std::move(file)};
  frame.module = module;
  return frame;
}

/// The name of the frame that is the program's own.
std::string Own(const std::vector<Frame>& frames, bool gave_up = false) {
  const std::size_t own = FindOwnFrame(frames, kModules, 0, gave_up);
  return own < frames.size() ? frames[own].function : "none";
}

TEST(FindOwnFrame, LeavesOutWhatComesWithTheCompiler) {
  EXPECT_EQ(
      Own({In(0, "std::vector<int>::operator[](unsigned long)", "/usr/include/c++/12/bits/stl_vector.h"),
           In(0, "total()", "/src/shop.cc")}),
      "total()");
  EXPECT_EQ(Own({In(0, "read<int>(int const*)", "/usr/include/boost/endian.hpp"), In(0, "total()")}),
            "total()");
  EXPECT_EQ(Own({In(0, "unwrap", "/rustc/9fc6b431/library/core/src/option.rs"), In(0, "shop::main")}),
            "shop::main");
  EXPECT_EQ(Own({In(0, "runtime.panicmem", "/usr/lib/go-1.19/src/runtime/panic.go"), In(0, "main.order")}),
            "main.order");
}

TEST(FindOwnFrame, ATemplateOfALambdaHasItsCode) {
  const std::string invoke =
      "std::_Function_handler<void (), pay()::{lambda()#1}>::_M_invoke(std::_Any_data const&)";
  EXPECT_EQ(Own({In(0, invoke), In(0, "run()")}), invoke);
  EXPECT_EQ(Own({In(0, invoke, "/usr/include/c++/12/bits/std_function.h"), In(0, "run()")}), "run()");
}

TEST(FindOwnFrame, LeavesInWhatOnlyLooksLikeARuntimes) {
  for (const char* function : {"rust_parse", "core::Engine::tick(int)", "alloc::Pool::take()",
                               "logging::init()", "Shop::clone()", "runtime::start()"})
    EXPECT_EQ(Own({In(1, "abort"), In(0, function), In(0, "main")}, true), function);
}

TEST(FindOwnFrame, LeavesInWhatIsNamedLikeAnAllocatorsFunction) {
  EXPECT_EQ(Own({In(0, "malloc_fails"), In(0, "main")}), "malloc_fails");
  EXPECT_EQ(Own({In(1, "abort"), In(0, "malloc_printerr"), In(0, "tcache_user"), In(0, "main")}, true),
            "tcache_user");
}

TEST(FindOwnFrame, LeavesOutStartCode) {
  EXPECT_EQ(Own({In(1, "free"), In(1, "__run_exit_handlers"), In(1, "exit"), In(1, "__libc_start_call_main"),
                 In(0, "_start")}),
            "none");
  EXPECT_EQ(Own({In(0, "raise"), In(0, "vfork"), In(0, "__libc_start_main"), In(0, "_start")}), "none");
}

TEST(FindOwnFrame, LeavesOutJumpsToNowhereAndWhatHasNoName) {
  EXPECT_EQ(Own({Frame{.pc = 0}, In(0, "pay")}), "pay");
  EXPECT_EQ(Own({In(2, ""), In(0, "pay")}), "pay");
  EXPECT_EQ(FindOwnFrame({Frame{.pc = 0}, In(1, "qsort"), In(0, "")}, kModules, 0, false), 2u)
      << "a program without symbols";
}

TEST(FindOwnFrame, LeavesOutHelpersToDieWhereTheProgramGaveUp) {
  const std::vector<Frame> frames{In(1, "abort"), In(0, "vdie"), In(0, "die(char const*, ...)"),
                                  In(0, "pay")};
  EXPECT_EQ(Own(frames, true), "pay");
  EXPECT_EQ(Own(frames, false), "vdie") << "a fault in it is its own";
  EXPECT_EQ(Own({In(1, "abort"), In(0, "die")}, true), "die") << "there is nobody else";
  EXPECT_EQ(Own({In(1, "abort"), In(2, ""), In(2, "till_log"), In(2, "till_fatal"), In(0, "pay")}, true),
            "pay")
      << "all of a library that leads to its helper";
}

TEST(RaisingFrame, IsWhereTheProgramGaveUpAndNotWhereATimerCame) {
  // abort() in the handler of a timer, whose own signal has a handler, too.
  std::vector<Frame> frames{In(1, "raise"),
                            In(0, "on_abort"),
                            In(1, "<signal handler called>"),
                            In(1, "__pthread_kill_implementation"),
                            In(1, "abort"),
                            In(0, "on_alarm"),
                            In(1, "<signal handler called>"),
                            In(0, "pay")};
  frames[3].interrupted = frames[7].interrupted = true;
  EXPECT_EQ(RaisingFrame(frames), 3u);
  frames[7].function.clear();
  EXPECT_EQ(RaisingFrame(frames), 7u) << "who knows what it did";
  EXPECT_EQ(RaisingFrame({In(1, "raise"), In(0, "pay")}), 0u);
}

TEST(IsFatalHelper, ByWordsThatSayNothingElse) {
  for (const char* name : {"die",
                           "fatal",
                           "panic",
                           "bug",
                           "xabort",
                           "vdie",
                           "log_fatal",
                           "LogFatal",
                           "LOG_FATAL",
                           "CheckFailed",
                           "check_failed",
                           "assert_fail",
                           "shop::fatal_error",
                           "Log::Fatalf",
                           "report_fatal_error",
                           "die_errno",
                           "google::LogMessageFatal::~LogMessageFatal",
                           "log.Panicf",
                           "unreachable",
                           "fail_fast",
                           "error_exit"})
    EXPECT_TRUE(IsFatalHelper(name)) << name;
  for (const char* name : {"check_orders", "order_abort", "panic_order", "fail_payment", "Order::abort",
                           "Session::crash", "pay", "check", "fail", "diet", "panicked_orders", "main",
                           "exit_shop", "handler", "", "::", "~", "fatality"})
    EXPECT_FALSE(IsFatalHelper(name)) << name;
}

TEST(IsRustLibraryFunction, ByTheTypeOfAMethod) {
  EXPECT_TRUE(IsRustLibraryFunction("core::option::unwrap_failed"));
  EXPECT_TRUE(IsRustLibraryFunction("<usize as core::slice::index::SliceIndex<[T]>>::index"));
  EXPECT_TRUE(IsRustLibraryFunction("<&mut alloc::vec::Vec<T> as core::fmt::Debug>::fmt"));
  EXPECT_FALSE(IsRustLibraryFunction("<shop::Cart as core::ops::drop::Drop>::drop"));
  EXPECT_FALSE(IsRustLibraryFunction("<&shop::Cart as core::fmt::Debug>::fmt"));
  EXPECT_FALSE(IsRustLibraryFunction("shop::main"));
}

}  // namespace
}  // namespace obit
