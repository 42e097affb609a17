// Redis, and Valkey (src/debug.c): serverAssert, serverPanic.

#include "analyze/runtime_words.h"

namespace obit {

std::optional<Cause> RecogniseRedis(RuntimeScene& scene, std::size_t frame) {
  const std::string& name = scene.names()[frame];
  const bool with_info = name == "_serverAssertWithInfo";
  if (with_info || name == "_serverAssert" || name == "_redisAssert") {
    // The one calls the other.
    const bool called =
        frame + 1 < scene.names().size() && scene.names()[frame + 1] == "_serverAssertWithInfo";
    const std::size_t from = called ? frame + 1 : frame, first = with_info || called ? 2 : 0;
    Cause cause = scene.Make(CauseKind::kAssert, "Redis");
    cause.expression = scene.ArgumentText(from, first);
    const std::string file = scene.ArgumentText(from, first + 1);
    const auto line = scene.Arguments(from)[first + 2];
    if (!cause.expression.empty() && !file.empty() && line)
      cause.message =
          fmt::format("{}:{} '{}' is not true", file, static_cast<std::uint32_t>(*line), cause.expression);
    return cause;
  }
  if (name != "_serverPanic" && name != "_redisPanic") return std::nullopt;
  // (file, line, format, ...), formatted into a buffer of its own
  const std::string format = scene.ArgumentText(frame, 2);
  Cause cause = scene.Make(CauseKind::kRuntimeFatal, "Redis",
                           format.empty() ? "" : scene.Formatted(format, scene.StackOf(frame), {}));
  cause.what = "panic";
  return cause;
}

}  // namespace obit
