// HotSpot (src/hotspot/share/utilities/vmError.cpp, debug.hpp): what VMError keeps of an error that is none
// of a signal.

#include "analyze/runtime_words.h"

namespace obit {
namespace {

// VMErrorType of debug.hpp.
constexpr std::uint32_t kInternalError = 0xe0000000, kOutOfMemoryFirst = 0xe0000001, kJavaHeap = 0xe0000004;

}  // namespace

std::optional<Cause> RecogniseJava(RuntimeScene& scene, std::size_t frame) {
  if (!RuntimeScene::IsOneOf(scene.names()[frame],
                             {"VMError::report_and_die", "report_vm_error", "report_fatal*",
                              "report_java_out_of_memory", "report_vm_out_of_memory"}))
    return std::nullopt;
  const auto word_of = [&](std::string_view symbol) {
    const auto at = scene.Symbol("libjvm.so", symbol);
    return at ? scene.image().ReadWord(*at) : std::nullopt;
  };
  const auto id = word_of("_ZN7VMError3_idE");
  if (!id) return std::nullopt;
  const auto kind = static_cast<std::uint32_t>(*id);
  if (kind < kInternalError || kind > kJavaHeap) return std::nullopt;  // a signal: the fault came first
  const auto detail = scene.Symbol("libjvm.so", "_ZN7VMError11_detail_msgE");
  std::string message = detail ? scene.Text(*detail, 1024) : "";
  if (const auto text = word_of("_ZN7VMError8_messageE"); text && message.empty())
    message = scene.Text(*text, 1024);
  if (kind >= kOutOfMemoryFirst) return scene.Make(CauseKind::kOutOfMemory, "Java", message);
  Cause cause = scene.Make(CauseKind::kRuntimeFatal, "Java", message);
  cause.what = "internal error";
  return cause;
}

}  // namespace obit
