// tcmalloc (gperftools: src/internal_logging.cc) and jemalloc (src/malloc_io.c, src/safety_check.c): what
// they found wrong with the heap. tcmalloc's line lies on the stack of the function that gives up, jemalloc's
// was left below it.

#include <algorithm>

#include "analyze/runtime_words.h"
#include "base/text.h"

namespace obit {
namespace {

Cause HeapCause(RuntimeScene& scene, std::string_view runtime, std::string message) {
  const bool no_memory =
      message.find("llocation") != std::string::npos && message.find("ailed") != std::string::npos;
  const bool is_size = message.find("allocate") != std::string::npos || no_memory;
  const CauseKind kind = message.empty() ? CauseKind::kAbort
                         : is_size       ? CauseKind::kOutOfMemory
                                         : CauseKind::kHeapCorruption;
  return scene.Make(kind, runtime, message);
}

}  // namespace

std::optional<Cause> RecogniseAllocator(RuntimeScene& scene, std::size_t frame) {
  const std::string& name = scene.names()[frame];
  const std::string_view module = scene.ModuleName(frame);
  if (RuntimeScene::IsOneOf(name,
                            {"tcmalloc::Log", "tcmalloc::Crash*", "(anonymous namespace)::InvalidFree"}) ||
      module.starts_with("libtcmalloc")) {
    std::size_t last = frame;
    while (last + 1 < scene.names().size() && (scene.ModuleName(last + 1).starts_with("libtcmalloc") ||
                                               scene.names()[last + 1].starts_with("tcmalloc::")))
      ++last;
    // "src/tcmalloc.cc:333] Attempt to free invalid pointer 0x55d0c0de0010"
    const std::string line = LineWith(scene.Bytes(scene.StackTo(last)), ".cc:");
    const std::size_t at = line.find("] ");
    const bool good = at != std::string::npos && at > 0 && line[at - 1] >= '0' && line[at - 1] <= '9';
    return HeapCause(scene, "tcmalloc", good ? line.substr(at + 2) : "");
  }
  if (!module.starts_with("libjemalloc") &&
      !RuntimeScene::IsOneOf(name, {"je_*", "safety_check_fail", "malloc_abort"}))
    return std::nullopt;
  constexpr std::string_view kMark = "<jemalloc>: ";
  const std::string line = LineWith(scene.Bytes(scene.StackLeft(32 * 1024)), kMark);
  return HeapCause(scene, "jemalloc", line.starts_with(kMark) ? line.substr(kMark.size()) : "");
}

}  // namespace obit
