// Node.js (src/node_errors.cc, src/debug_utils.cc) and V8 (src/api/api.cc, src/base/logging.cc).

#include <algorithm>

#include "analyze/runtime_words.h"
#include "base/text.h"

namespace obit {
namespace {

Cause OutOfMemory(RuntimeScene& scene, std::size_t frame) {
  Cause cause = scene.Make(CauseKind::kOutOfMemory, "Node", "JavaScript heap out of memory");
  // FatalProcessOutOfMemory(this or isolate, location, ...), the outermost of them has it as it was written.
  std::string where;
  for (std::size_t i = frame; i < scene.names().size() && i < frame + 8; ++i) {
    const std::string& name = scene.names()[i];
    if (name.find("FatalProcessOutOfMemory") == std::string::npos &&
        name.find("ReportOOMFailure") == std::string::npos)
      continue;
    if (std::string text = scene.ArgumentText(i, 1); !text.empty()) where = std::move(text);
  }
  if (!where.empty()) cause.message = where + " - JavaScript heap out of memory";
  return cause;
}

/// struct AssertionInfo { const char* file_line; const char* message; const char* function; }
Cause Assertion(RuntimeScene& scene, std::size_t frame) {
  Cause cause = scene.Make(CauseKind::kAssert, "Node");
  const auto info = scene.Arguments(frame)[0];
  if (!info) return cause;
  const auto words = scene.Words({*info, *info + 24});
  if (words.size() != 3 || *info % 8 != 0) return cause;
  const std::string where = scene.Text(words[0]), text = scene.Text(words[1]);
  if (where.empty() || text.empty()) return cause;
  cause.expression = text;
  cause.message = fmt::format("{}: Assertion `{}' failed.", where, text);
  return cause;
}

/// V8_Fatal formats its words into a buffer between two marks on its stack (FailureMessage of
/// src/base/logging.cc).
std::string V8Message(RuntimeScene& scene, std::size_t frame) {
  constexpr std::uint64_t kBegin = 0xdecade10;
  const RuntimeScene::Range range = scene.StackTo(frame);
  const auto words = scene.Words(range);
  for (std::size_t i = 0; i + 1 < words.size(); ++i)
    if (words[i] == kBegin) return scene.Text(range.begin + 8 * (i + 1), 512);
  return {};
}

}  // namespace

std::optional<Cause> RecogniseNode(RuntimeScene& scene, std::size_t frame) {
  const auto& names = scene.names();
  const std::string& name = names[frame];
  if (name == "node::Assert") return Assertion(scene, frame);
  if (RuntimeScene::IsOneOf(name, {"node::*", "v8::*"})) {
    const auto memory =
        scene.Find({"node::OOMErrorHandler", "v8::internal::V8::FatalProcessOutOfMemory",
                    "v8::internal::Heap::FatalProcessOutOfMemory", "v8::Utils::ReportOOMFailure"},
                   frame);
    if (memory && *memory <= frame + 2) return OutOfMemory(scene, *memory);
  }
  if (name == "V8_Fatal") {
    Cause cause = scene.Make(CauseKind::kRuntimeFatal, "V8", V8Message(scene, frame));
    cause.what = "fatal error";
    return cause;
  }
  if (RuntimeScene::IsOneOf(name, {"node::OnFatalError", "node::FatalError", "napi_fatal_error"})) {
    std::string message = scene.ArgumentText(frame, name == "napi_fatal_error" ? 2 : 1);
    Cause cause = scene.Make(CauseKind::kRuntimeFatal, "Node", message);
    cause.what = "fatal error";
    return cause;
  }
  // --abort-on-uncaught-exception
  if (RuntimeScene::IsOneOf(name, {"v8::internal::Isolate::Throw", "v8::internal::Isolate::ThrowInternal",
                                   "node::errors::TriggerUncaughtException"}))
    return scene.Make(CauseKind::kUncaughtException, "Node");
  return std::nullopt;
}

}  // namespace obit
