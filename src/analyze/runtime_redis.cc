// Redis, and Valkey (src/debug.c): serverAssert, serverPanic.

#include "analyze/runtime_words.h"

namespace obit {

namespace {

/// (expression, file, line), or these behind a client and an object.
std::optional<Cause> Assertion(RuntimeScene& scene, std::size_t frame) {
  const CallArguments arguments = scene.Arguments(frame);
  for (const std::size_t first : {std::size_t{0}, std::size_t{2}}) {
    const auto text = [&](std::size_t i) {
      return arguments[first + i] ? scene.Text(*arguments[first + i], 1024) : "";
    };
    const std::string expression = text(0), file = text(1);
    const auto line = arguments[first + 2];
    if (expression.empty() || !(file.ends_with(".c") || file.ends_with(".h")) || !line || *line > 100'000)
      continue;
    Cause cause = scene.Make(CauseKind::kAssert, "Redis");
    cause.expression = expression;
    cause.message = fmt::format("{}:{} '{}' is not true", file, *line, expression);
    return cause;
  }
  return std::nullopt;
}

}  // namespace

std::optional<Cause> RecogniseRedis(RuntimeScene& scene, std::size_t frame) {
  const std::string& name = scene.names()[frame];
  if (RuntimeScene::IsOneOf(name, {"_serverAssert", "_serverAssertWithInfo", "_redisAssert"})) {
    if (auto cause = Assertion(scene, frame)) return cause;
    // The one calls the other, which has the arguments in its hands no more.
    return scene.names().size() > frame + 1 && scene.names()[frame + 1] == "_serverAssertWithInfo"
               ? std::nullopt
               : std::optional(scene.Make(CauseKind::kAssert, "Redis"));
  }
  // A part of it that the compiler moved away has no name.
  if (name.empty() && frame > 0 && RuntimeScene::IsOneOf(scene.names()[frame - 1], {"abort", "__GI_abort"}) &&
      scene.ProgramSymbol("_serverPanic"))
    return Assertion(scene, frame);
  if (name != "_serverPanic" && name != "_redisPanic") return std::nullopt;
  // (file, line, format, ...), formatted into a buffer of its own
  const std::string format = scene.ArgumentText(frame, 2);
  std::string message = format.empty() ? "" : scene.Formatted(format, scene.StackOf(frame), {});
  if (message.empty()) message = scene.FormattedByArguments(format, frame, 3);
  Cause cause = scene.Make(CauseKind::kRuntimeFatal, "Redis", message);
  cause.what = "panic";
  return cause;
}

}  // namespace obit
