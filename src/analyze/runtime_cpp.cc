// How C++ programs end: an exception that nobody catches, or std::terminate for another reason, which the
// frames tell.

#include <algorithm>
#include <array>

#include "analyze/exceptions.h"
#include "analyze/runtime_words.h"

namespace obit {
namespace {

constexpr std::size_t kFsBase = 21;  // in struct user_regs_struct

constexpr std::string_view kBegin[] = {"__cxa_throw",
                                       "__cxa_rethrow",
                                       "std::rethrow_exception",
                                       "std::terminate",
                                       "std::__terminate",
                                       "__cxa_pure_virtual",
                                       "__cxa_deleted_virtual",
                                       "std::unexpected",
                                       "__cxa_call_unexpected",
                                       "__cxa_call_terminate",
                                       "__clang_call_terminate",
                                       "__cxxabiv1::*",
                                       "__gnu_cxx::__verbose_terminate_handler",
                                       "__gxx_personality_v0"};

class Ending {
 public:
  Ending(RuntimeScene& scene, std::size_t frame)
      : scene_(scene), names_(scene.names()), first_(frame), last_(frame) {
    while (last_ + 1 < names_.size() && IsMachinery(last_ + 1)) ++last_;
  }

  std::optional<Cause> Find() {
    if (Has({"__cxa_pure_virtual", "__cxa_deleted_virtual"}))
      return Cause{.kind = CauseKind::kPureVirtualCall};
    const bool throws = Has({"__cxa_throw", "__cxa_rethrow", "std::rethrow_exception"});
    if (!throws) return Terminated();
    const auto exception = FindException(scene_.image(), scene_.WordsTo(last_));
    if (!exception) {
      if (Has({"__cxa_rethrow"})) return Terminate("no active exception to rethrow");
      Cause cause = scene_.Make(CauseKind::kUncaughtException, "");
      return cause;
    }
    Cause cause = Uncaught(*exception);
    // The unwinder found the end of the throwing at a function that lets nothing out.
    if (Has({"__gxx_personality_v0", "__cxa_call_terminate"})) cause.what = Noexcept(Globals());
    return cause;
  }

 private:
  /// Nothing may be thrown out of what runs while another exception is on its way, either.
  static std::string Noexcept(const std::optional<ExceptionGlobals>& globals) {
    return globals && globals->uncaught > 0 ? "thrown while another exception was on its way"
                                            : "an exception left a noexcept function";
  }

  bool IsMachinery(std::size_t frame) const {
    if (RuntimeScene::IsOneOf(names_[frame], kBegin) || names_[frame].starts_with("_Unwind_")) return true;
    if (RuntimeScene::IsOneOf(names_[frame], {"std::thread::*", "std::__1::thread::*", "std::jthread::*"}))
      return false;
    const std::string_view module = scene_.ModuleName(frame);
    const bool is_library = module.starts_with("libstdc++.so") || module.starts_with("libc++") ||
                            module.starts_with("libgcc_s.so") || module.starts_with("libunwind.so");
    return is_library && names_[frame].empty();
  }

  bool Has(std::initializer_list<std::string_view> names) const {
    const auto found = scene_.Find(names, first_);
    return found && *found <= last_;
  }

  Cause Terminate(std::string what) {
    Cause cause = scene_.Make(CauseKind::kTerminate, "");
    const auto caller = std::find_if(names_.begin() + static_cast<std::ptrdiff_t>(last_ + 1), names_.end(),
                                     [](const std::string& name) { return !name.starts_with("std::"); });
    if (caller != names_.end() && !caller->empty()) cause.function = *caller;
    cause.what = std::move(what);
    return cause;
  }

  static Cause Uncaught(const ThrownException& exception) {
    const bool no_memory =
        exception.type == "std::bad_alloc" || exception.type == "std::bad_array_new_length";
    Cause cause{.kind = no_memory ? CauseKind::kOutOfMemory : CauseKind::kUncaughtException};
    cause.type = exception.type;
    cause.message = exception.text;
    cause.message_guess = exception.text_guess;
    return cause;
  }

  /// std::terminate was called without anything being thrown just then.
  std::optional<Cause> Terminated() {
    const std::string caller = last_ + 1 < names_.size() ? names_[last_ + 1] : "";
    if (caller.ends_with("thread::~thread")) return Terminate("a joinable thread was destroyed");
    if (caller.ends_with("thread::operator=")) return Terminate("a joinable thread was assigned to");
    const bool left = Has({"__clang_call_terminate", "__cxa_call_terminate"});
    if (const auto globals = Globals()) {
      if (globals->caught != 0) {
        if (const auto exception = FindException(scene_.image(), std::array{globals->caught})) {
          Cause cause = Uncaught(*exception);
          cause.what = left ? Noexcept(globals) : "std::terminate called while it was handled";
          return cause;
        }
      }
      if (left) return Terminate("an exception left a noexcept function");
      // A destructor that the exception called may have asked for it, as that of a joinable thread does.
      return Terminate(globals->uncaught > 0 ? "while an exception was on its way" : "");
    }
    const auto exception = FindException(scene_.image(), scene_.WordsTo(left ? last_ : first_));
    if (!exception || !left) return Terminate(left ? Noexcept({}) : "");
    Cause cause = Uncaught(*exception);
    cause.guess = true;  // an old exception may be what was found
    cause.what = Noexcept({});
    return cause;
  }

  std::optional<ExceptionGlobals> Globals() {
    const auto& registers = scene_.crash().registers;
    if (registers.size() <= kFsBase) return std::nullopt;
    auto function = scene_.Symbol("libstdc++.so", "__cxa_get_globals");
    if (!function) function = scene_.Symbol("libc++abi.so", "__cxa_get_globals");
    if (!function) function = scene_.ProgramSymbol("__cxa_get_globals");
    if (!function) return std::nullopt;
    return FindExceptionGlobals(scene_.image(), *function, registers[kFsBase]);
  }

  RuntimeScene& scene_;
  const std::vector<std::string>& names_;
  std::size_t first_, last_;
};

}  // namespace

std::optional<Cause> RecogniseCpp(RuntimeScene& scene, std::size_t frame) {
  if (!RuntimeScene::IsOneOf(scene.names()[frame], kBegin)) return std::nullopt;
  return Ending(scene, frame).Find();
}

}  // namespace obit
