// Any stack of the functions that runtimes die in, over any registers and memory: what looks for their last
// words believes no word of it.

#include <csignal>

#include "analyze/fuzz_process.h"
#include "analyze/runtime_words.h"

namespace obit {
namespace {

constexpr std::string_view kFunctions[] = {"abort",
                                           "__assert_fail",
                                           "__cxa_throw",
                                           "__cxa_rethrow",
                                           "__cxa_pure_virtual",
                                           "std::terminate",
                                           "__clang_call_terminate",
                                           "__gnu_cxx::__verbose_terminate_handler",
                                           "std::rethrow_exception",
                                           "std::__replacement_assert",
                                           "std::__glibcxx_assert_fail",
                                           "__gnu_debug::_Error_formatter::_M_error",
                                           "std::__1::__libcpp_verbose_abort",
                                           "tcmalloc::Crash",
                                           "tcmalloc::Log",
                                           "je_malloc",
                                           "malloc_abort",
                                           "g_log",
                                           "g_logv",
                                           "g_assertion_message",
                                           "g_assertion_message_expr",
                                           "google::LogMessage::Fail",
                                           "google::LogMessageFatal::~LogMessageFatal",
                                           "absl::log_internal::LogMessage::Die",
                                           "absl::raw_log_internal::RawLog",
                                           "QMessageLogger::fatal",
                                           "qt_assert",
                                           "qt_assert_x",
                                           "qt_message_fatal",
                                           "_serverAssert",
                                           "_serverPanic",
                                           "core::panicking::panic_fmt",
                                           "core::option::expect_failed",
                                           "core::result::unwrap_failed",
                                           "std::panicking::rust_panic_with_hook",
                                           "rust_begin_unwind",
                                           "alloc::alloc::handle_alloc_error",
                                           "__rust_start_panic",
                                           "runtime.gopanic",
                                           "runtime.throw",
                                           "runtime.fatalpanic",
                                           "runtime.sigpanic",
                                           "runtime.raise.abi0",
                                           "Py_FatalError",
                                           "_Py_FatalErrorFunc",
                                           "_Py_FatalErrorFormat",
                                           "_PyObject_AssertFailed",
                                           "node::Assert",
                                           "node::OnFatalError",
                                           "node::OOMErrorHandler",
                                           "node::errors::TriggerUncaughtException",
                                           "napi_fatal_error",
                                           "VMError::report_and_die",
                                           "report_java_out_of_memory",
                                           "report_vm_error",
                                           "caml_fatal_error",
                                           "caml_failed_assert",
                                           "caml_fatal_uncaught_exception",
                                           "erts_exit",
                                           "__asan::ReportGenericError",
                                           "__sanitizer::Die",
                                           "__ubsan_handle_add_overflow_abort",
                                           "__tsan::ReportRace",
                                           "pay"};
constexpr std::string_view kModules[] = {"/usr/bin/shop", "/usr/lib/libjvm.so", "/usr/lib/libtcmalloc.so.4",
                                         "/usr/lib/libjemalloc.so.2"};
constexpr std::size_t kStackFrames = 16;

/// Modules have names alone, and no files.
std::vector<ModuleFiles> MakeModules() {
  std::vector<ModuleFiles> modules(std::size(kModules));
  for (std::size_t i = 0; i < modules.size(); ++i) {
    modules[i].module.path = kModules[i];
    modules[i].module.begin = fuzz::kCode + i * 0x1000;
    modules[i].module.end = modules[i].module.begin + 0x1000;
  }
  return modules;
}

struct Scene {
  Scene(fuzz::Input& input, const CoreImage& image, std::span<const std::uint64_t> at_death) {
    const std::size_t count = 1 + input.Take<std::uint8_t>() % kStackFrames;
    Registers registers(image.arch(), at_death);
    for (std::size_t i = 0; i < count; ++i) {
      registers.SetPc(fuzz::kCode + input.Take<std::uint16_t>() % 0x4000);
      if (i > 0) registers.SetSp(registers.sp() + input.Take<std::uint8_t>() * std::uint64_t{8});
      raw.frames.push_back({.pc = registers.pc(), .sp = registers.sp(), .origin = FrameOrigin::kCfi});
      raw.registers.push_back(registers);
      Frame frame{.pc = registers.pc()};
      frame.function = kFunctions[input.Take<std::uint8_t>() % std::size(kFunctions)];
      frame.offset = input.Take<std::uint8_t>();
      frame.module =
          static_cast<std::uint32_t>((registers.pc() - fuzz::kCode) / 0x1000 % std::size(kModules));
      stack.frames.push_back(std::move(frame));
    }
  }

  RawStack raw;
  Stack stack;
};

}  // namespace
}  // namespace obit

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace obit;
  fuzz::Input input(data, size);
  const auto frames = input.TakeBytes(2 + kStackFrames * 5);
  const fuzz::Process process(input);
  auto image = CoreImage::Open(process.Core());
  if (!image || image->notes().threads.empty()) return 0;
  const std::vector<std::uint64_t>& registers = image->notes().threads.front().registers;
  if (registers.size() != image->arch().register_count) return 0;
  fuzz::Input choices(reinterpret_cast<const std::uint8_t*>(frames.data()), frames.size());
  Scene known(choices, *image, registers);
  std::vector<ModuleFiles> files = MakeModules();
  Modules modules(files, *image);
  const AddressNames names(*image, modules);
  CrashRecord record;
  record.signal.number = SIGABRT;
  const std::optional<Instruction> instruction;
  const std::vector<DataFile> data_files;
  CrashScene scene{*image,    modules,     names,       record,    registers,
                   known.raw, known.stack, instruction, data_files};
  (void)FindRuntimeWords(scene);
  return 0;
}
