// OCaml (runtime/misc.c, runtime/printexc.c) and Erlang (erts/emulator/beam/erl_init.c): fatal errors that
// abort.

#include "analyze/runtime_words.h"
#include "base/text.h"

namespace obit {
namespace {

Cause OfFormat(RuntimeScene& scene, std::size_t frame, std::size_t argument, std::string_view runtime) {
  const std::string format = scene.ArgumentText(frame, argument);
  Cause cause = scene.Make(CauseKind::kRuntimeFatal, runtime,
                           format.find('%') == std::string::npos
                               ? format
                               : scene.FormattedByArguments(format, frame, argument + 1));
  cause.what = "fatal error";
  return cause;
}

}  // namespace

std::optional<Cause> RecogniseVirtualMachine(RuntimeScene& scene, std::size_t frame) {
  const std::string& name = scene.names()[frame];
  if (name == "caml_failed_assert") {
    Cause cause = scene.Make(CauseKind::kAssert, "OCaml");
    cause.expression = scene.ArgumentText(frame, 0);
    return cause;
  }
  if (RuntimeScene::IsOneOf(name, {"caml_fatal_uncaught_exception*", "default_fatal_uncaught_exception*"}))
    return scene.Make(CauseKind::kUncaughtException, "OCaml");
  if (name == "caml_fatal_error") return OfFormat(scene, frame, 0, "OCaml");
  if (RuntimeScene::IsOneOf(name, {"erts_exit", "erl_exit"})) return OfFormat(scene, frame, 1, "Erlang");
  return std::nullopt;
}

}  // namespace obit
