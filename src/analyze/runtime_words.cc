#include "analyze/runtime_words.h"

namespace obit {
namespace {

/// In no order: of two that know a stack, the one whose frame is innermost is heard.
constexpr Recogniser kRecognisers[] = {
    RecogniseAllocator, RecogniseCpp,     RecogniseCppLibrary, RecogniseGlib,      RecogniseGo,
    RecogniseJava,      RecogniseLogging, RecogniseMusl,       RecogniseNode,      RecognisePython,
    RecogniseQt,        RecogniseRedis,   RecogniseRust,       RecogniseSanitizer, RecogniseVirtualMachine};

}  // namespace

std::optional<Cause> FindRuntimeWords(CrashScene& scene) {
  RuntimeScene runtime(scene);
  for (std::size_t frame = 0; frame < runtime.names().size(); ++frame)
    for (const Recogniser recognise : kRecognisers)
      if (auto cause = recognise(runtime, frame)) return cause;
  return std::nullopt;
}

}  // namespace obit
