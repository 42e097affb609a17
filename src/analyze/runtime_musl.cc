// musl (src/exit/assert.c) keeps no message: what was asserted was passed to __assert_fail.

#include "analyze/runtime_words.h"

namespace obit {

std::optional<Cause> RecogniseMusl(RuntimeScene& scene, std::size_t frame) {
  if (scene.names()[frame] != "__assert_fail") return std::nullopt;
  Cause cause = scene.Make(CauseKind::kAssert, "");
  const CallArguments arguments = scene.Arguments(frame);
  const auto text = [&](std::size_t i) { return arguments[i] ? scene.Text(*arguments[i]) : ""; };
  const std::string file = text(1), function = text(3);
  cause.expression = text(0);
  if (cause.expression.empty()) return cause;
  if (!function.empty()) cause.function = function;
  cause.message = fmt::format("Assertion failed: {} ({}: {}: {})", cause.expression, file, function,
                              static_cast<std::uint32_t>(arguments[2].value_or(0)));
  return cause;
}

}  // namespace obit
