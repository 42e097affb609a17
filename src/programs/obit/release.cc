#include "base/text.h"
#include "common.h"
#include "kernel/let_go_message.h"
#include "store/kept_memory_list.h"
#include "verbs.h"

namespace obit {
namespace {

/// Those whose id begins so; all, without a beginning.
std::vector<CrashRecord> Matching(std::vector<CrashRecord> kept, std::string_view beginning) {
  std::erase_if(kept, [&](const CrashRecord& record) { return !record.id.starts_with(beginning); });
  return kept;
}

}  // namespace

ExitCode Release(const std::string& store_path, const ReleaseOptions& options) {
  const auto store = OpenStore(store_path);
  if (!store) return store.error();
  auto kept = ListKeptMemory(*store);
  if (!kept) return Failed(kept.error());
  const auto chosen = Matching(*std::move(kept), options.id);
  if (chosen.empty()) {
    const std::string of = options.id.empty() ? "" : " of crash " + EscapeForTerminal(options.id);
    (void)Failed(Error{ENOENT, fmt::format("no memory is kept{}", of)});
    return ExitCode::kNoMatch;
  }
  ExitCode code = ExitCode::kDone;
  for (const CrashRecord& record : chosen) {
    const auto done = AskToLetGo(options.pipe_socket, record.id);
    if (!done)
      code = Failed(done.error());
    else
      Print(
          fmt::format("{}: {}\n", record.id,
                      *done ? "its memory is let go; its minimal core is kept" : "it was copied meanwhile"));
  }
  return code;
}

}  // namespace obit
