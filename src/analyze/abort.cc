#include <algorithm>
#include <string_view>

#include "analyze/cause.h"
#include "analyze/runtime_words.h"
#include "base/text.h"

namespace obit {
namespace {

constexpr std::size_t kMessageMax = 4096;

/// Texts of glibc's malloc (malloc/malloc.c) begin so.
constexpr std::string_view kHeapMessages[] = {"free(): ",
                                              "malloc(): ",
                                              "realloc(): ",
                                              "calloc(): ",
                                              "double free or corruption",
                                              "corrupted ",
                                              "munmap_chunk(): ",
                                              "mremap_chunk(): ",
                                              "malloc_consolidate(): ",
                                              "invalid fastbin entry",
                                              "break adjusted to free malloc space",
                                              "Fatal error: glibc detected an invalid stdio handle",
                                              "tcache_"};

bool IsCLibrary(const Modules& modules, std::uint32_t index) {
  const std::string_view name = FileNameOf(modules.files(index).module.path);
  return name.starts_with("libc.so") || name.starts_with("libc-2.");
}

/// What the C library said before it aborted: its __abort_msg ("free(): invalid pointer"). Empty if nothing.
std::string FindAbortMessage(CoreImage& image, Modules& modules) {
  // A program that is linked statically has it itself.
  std::vector<std::uint32_t> order;
  for (std::uint32_t i = 0; i < modules.count(); ++i)
    if (IsCLibrary(modules, i)) order.push_back(i);
  if (order.empty() && modules.count() > 0) order.push_back(0);
  for (const std::uint32_t index : order) {
    const auto symbol = modules.FindSymbol(index, "__abort_msg");
    const auto message = symbol ? image.ReadWord(symbol->address) : std::nullopt;
    if (!message || *message == 0) continue;
    // struct abort_msg_s (glibc, include/stdlib.h): its size, then the text.
    if (auto text = image.ReadText(*message + sizeof(std::uint32_t), kMessageMax))
      return std::string(Trim(*text));
  }
  return {};
}

/// What the C library says in clear words.
bool FindByMessage(const CrashScene& scene, Cause& cause) {
  const std::string& message = cause.message;
  if (const std::size_t at = message.find("Assertion `"); at != std::string::npos) {
    const std::size_t from = at + std::string_view("Assertion `").size();
    const std::size_t end = message.rfind("' failed.");
    cause.kind = CauseKind::kAssert;
    cause.expression = message.substr(from, end == std::string::npos ? end : end - from);
    return true;
  }
  if (message.find("stack smashing detected") != std::string::npos) {
    cause.kind = CauseKind::kStackSmashing;
    cause.function = OwnFunction(scene);
    return true;
  }
  if (message.starts_with("*** ")) {  // __fortify_fail()
    cause.kind = CauseKind::kFortify;
    cause.what = message.substr(4);
    cause.what = cause.what.substr(0, cause.what.find(" ***"));
    cause.function = OwnFunction(scene);
    return true;
  }
  const bool heap =
      std::ranges::any_of(kHeapMessages, [&](std::string_view text) { return message.starts_with(text); });
  if (heap) cause.kind = CauseKind::kHeapCorruption;
  return heap;
}

}  // namespace

Cause FindAbort(CrashScene& scene) {
  Cause cause{.message = FindAbortMessage(scene.image, scene.modules)};
  if (FindByMessage(scene, cause)) return cause;
  if (auto said = FindRuntimeWords(scene)) return *std::move(said);
  cause.kind = CauseKind::kAbort;
  cause.function = OwnFunction(scene);
  return cause;
}

}  // namespace obit
