// Checks of the C++ standard libraries: _GLIBCXX_ASSERTIONS (libstdc++-v3/src/c++11/assert_fail.cc), the
// debug mode of libstdc++ (debug.cc), hardening of libc++ (src/verbose_abort.cpp).

#include "analyze/runtime_words.h"
#include "base/text.h"

namespace obit {
namespace {

constexpr std::uint64_t kPrintedMax = 24 * 1024;  // below the stack: what vfprintf(3) and its like had there

Cause GnuAssertion(RuntimeScene& scene, std::size_t frame) {
  Cause cause = scene.Make(CauseKind::kAssert, "libstdc++");
  const CallArguments arguments = scene.Arguments(frame);
  const auto text = [&](std::size_t i) { return arguments[i] ? scene.Text(*arguments[i]) : ""; };
  const std::string file = text(0), function = text(2), condition = text(3);
  if (!condition.empty() && !file.empty()) {
    cause.expression = condition;
    cause.message = fmt::format("{}:{}: {}: Assertion '{}' failed.", file,
                                static_cast<std::uint32_t>(arguments[1].value_or(0)), function, condition);
    return cause;
  }
  cause.message = LineWith(scene.Bytes(scene.StackLeft(kPrintedMax)), ": Assertion '");
  cause.expression = Between(cause.message, ": Assertion '", "' failed.");
  return cause;
}

/// "file:12: assertion i < size() failed: index out of bounds", as the format's argument or the format
/// itself.
Cause LlvmAssertion(RuntimeScene& scene, std::size_t frame) {
  Cause cause = scene.Make(CauseKind::kAssert, "libc++");
  std::string format = scene.ArgumentText(frame, 0);
  cause.message = format == "%s" ? scene.ArgumentText(frame, 1) : std::string();
  if (cause.message.empty() && format.find('%') == std::string::npos) cause.message = std::move(format);
  cause.message = std::string(Trim(cause.message));
  if (cause.message.find(": assertion ") == std::string::npos) {
    cause.kind = cause.message.empty() ? CauseKind::kAbort : CauseKind::kRuntimeFatal;
    return cause;
  }
  cause.expression = Between(cause.message, ": assertion ", " failed");
  return cause;
}

/// __gnu_debug::_Error_formatter: the text that it formats has "%1;" for its parameters.
Cause DebugMode(RuntimeScene& scene, std::size_t frame) {
  Cause cause = scene.Make(CauseKind::kAssert, "libstdc++");
  cause.message = LineWith(scene.Bytes(scene.StackLeft(kPrintedMax)), "Error: attempt to ");
  if (frame + 1 <
      scene.names().size()) {  // the object, in which the text is, lives in the frame of the caller
    for (const std::uint64_t word : scene.Words(scene.StackOf(frame + 1))) {
      const std::string text = scene.IsWritable(word) ? "" : scene.Text(word, 512);
      if (text.starts_with("attempt to ")) cause.expression = text;
    }
  }
  std::string plain;
  for (std::size_t i = 0; i < cause.expression.size(); ++i) {
    if (cause.expression[i] != '%') {
      plain += cause.expression[i];
      continue;
    }
    i = std::min(cause.expression.find(';', i), cause.expression.size());
    plain += "...";
  }
  cause.expression = plain;
  return cause;
}

}  // namespace

std::optional<Cause> RecogniseCppLibrary(RuntimeScene& scene, std::size_t frame) {
  const std::string& name = scene.names()[frame];
  if (RuntimeScene::IsOneOf(name, {"std::__glibcxx_assert_fail", "std::__replacement_assert"}))
    return GnuAssertion(scene, frame);
  if (name == "__gnu_debug::_Error_formatter::_M_error") return DebugMode(scene, frame);
  // The part of it that aborts has no name where that was moved away.
  if (name.empty() && frame > 0 && frame + 1 < scene.names().size() &&
      RuntimeScene::IsOneOf(scene.names()[frame - 1], {"abort", "__GI_abort"}) &&
      scene.ModuleName(frame).starts_with("libstdc++.so") &&
      RuntimeScene::IsOneOf(scene.names()[frame + 1], {"std::__debug::*", "__gnu_debug::*"}))
    return DebugMode(scene, frame);
  if (name.starts_with("std::") && name.ends_with("__libcpp_verbose_abort"))
    return LlvmAssertion(scene, frame);
  return std::nullopt;
}

}  // namespace obit
