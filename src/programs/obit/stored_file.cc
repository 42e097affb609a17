#include "stored_file.h"

#include <cerrno>

#include "base/clock.h"
#include "base/log.h"
#include "catalog/selector.h"
#include "render/progress.h"
#include "render/units.h"
#include "store/core_reader.h"
#include "store/recover.h"
#include "store/unpack.h"

namespace obit {
namespace {

/// Tells who has no room how much it takes, and where there may be some.
Error Explain(Error error, std::uint64_t bytes) {
  const bool too_long = error.code == EFBIG;
  if (!too_long && error.code != ENOSPC && error.code != EDQUOT) return error;
  constexpr std::string_view kElsewhere =
      "Write it elsewhere: obit dump -o PATH, or TMPDIR=FOLDER for a debugger";
  const std::string size = fmt::format("it is {} ({} bytes)", FormatBytes(bytes), bytes);
  if (too_long)
    return {error.code, fmt::format("{}, and no file may be so long here (the limit of this file system, or "
                                    "ulimit -f). {}; xfs and btrfs have files of 8 EiB",
                                    size, kElsewhere)};
  return {error.code,
          fmt::format("{}, and there is no room for it ({}). {}, on a file system that keeps holes", size,
                      error.what, kElsewhere)};
}

}  // namespace

std::optional<RemovedCore> LoadRemoved(const Store& store, const CrashLocation& crash) {
  const auto is_removed = store.IsCoreRemoved(crash);
  if (!is_removed || !*is_removed) return std::nullopt;
  auto removed = store.LoadRemovedCore(crash);
  // Whatever its owner made of the note, the core is gone.
  return removed ? *removed : RemovedCore{.id = crash.id};
}

Result<void> CheckHasCore(const ChosenCrash& crash) {
  if (const auto removed = LoadRemoved(crash.store, crash.location))
    return Refuse(ENODATA, "the core of crash {} was removed{}{}: record and report stay (obit show {})",
                  ShortId(crash.location), removed->time > 0 ? " on " + FormatDay(removed->time) : "",
                  removed->why.empty() ? "" : " (" + removed->why + ")", ShortId(crash.location));
  if (!crash.record.files.core.empty()) {
    OBIT_TRY_IN(CheckNotShifted(crash.record.capture), "crash {}", ShortId(crash.location));
    return {};
  }
  const CrashRecord::Capture& capture = crash.record.capture;
  std::string text =
      fmt::format("crash {} has no core: {}", ShortId(crash.location),
                  capture.outcome == CrashOutcome::kEvent ? "only the event was kept" : "its capture failed");
  if (!capture.reason.empty()) text += fmt::format(" ({})", capture.reason);
  return Refuse(ENODATA, "{}", text);
}

Result<std::optional<Error>> UnpackStoredFile(const Store& store, const CrashLocation& crash,
                                              const std::string& name, const Fd& out) {
  Fd packed = OBIT_TRY_IN(store.OpenFile(crash, name), "crash {}", crash.id);
  auto [reader, has_table, unreadable] = OBIT_TRY_IN(OpenStoredCore(std::move(packed)), "crash {}", crash.id);
  if (!has_table && !unreadable)
    Log(Severity::kWarning, "{} of crash {} has no seek table: what is read are the {} of its whole frames",
        name, crash.id, FormatBytes(reader.size()));
  Progress progress("unpacking " + name);
  auto unpacked = UnpackCore(reader, out, [&](std::uint64_t done) { progress.Update(done, reader.size()); });
  if (unpacked && unreadable)
    return std::optional(Error(*unreadable).In(fmt::format("{} of crash {}", name, crash.id)));
  if (unpacked) return std::nullopt;
  return std::unexpected(Explain(std::move(unpacked).error(), reader.size())
                             .In(fmt::format("unpack {} of crash {}", name, crash.id)));
}

}  // namespace obit
