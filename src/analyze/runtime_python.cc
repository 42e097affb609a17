// CPython (Python/pylifecycle.c, Objects/object.c): Py_FatalError, and assertions of objects.

#include <algorithm>

#include "analyze/runtime_words.h"
#include "base/text.h"

namespace obit {

std::optional<Cause> RecognisePython(RuntimeScene& scene, std::size_t frame) {
  const std::string& name = scene.names()[frame];
  const bool with_function = RuntimeScene::IsOneOf(name, {"_Py_FatalErrorFunc", "_Py_FatalErrorFormat"});
  if (!with_function && !RuntimeScene::IsOneOf(name, {"Py_FatalError", "_PyObject_AssertFailed"}))
    return std::nullopt;
  Cause cause = scene.Make(CauseKind::kRuntimeFatal, "Python");
  cause.what = "fatal error";
  if (name == "_PyObject_AssertFailed") {  // (object, expression, message, file, line, function)
    cause.kind = CauseKind::kAssert;
    cause.expression = scene.ArgumentText(frame, 1);
    cause.message = scene.ArgumentText(frame, 2);
    return cause;
  }
  std::string text = scene.ArgumentText(frame, with_function ? 1 : 0);
  std::string function = with_function ? scene.ArgumentText(frame, 0) : "";
  // It calls fatal_error(stream, header, function, message, status), which has no name in a stripped Python.
  if (frame > 0 && (text.empty() || (with_function && function.empty())) &&
      RuntimeScene::IsOneOf(scene.names()[frame - 1], {"", "fatal_error*"})) {
    text = scene.ArgumentText(frame - 1, 3);
    function = scene.ArgumentText(frame - 1, 2);
  }
  if (name == "_Py_FatalErrorFormat" && text.find('%') != std::string::npos)
    text = scene.FormattedByArguments(text, frame, 2);
  cause.message = text.empty() || function.empty() ? text : fmt::format("{}: {}", function, text);
  return cause;
}

}  // namespace obit
