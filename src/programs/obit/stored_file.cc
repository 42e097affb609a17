#include "stored_file.h"

#include <cerrno>

#include "render/progress.h"
#include "render/units.h"
#include "store/core_reader.h"
#include "store/recover.h"
#include "store/selector.h"
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

Result<void> CheckHasCore(const ChosenCrash& crash) {
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

Result<void> UnpackStoredFile(const Store& store, const CrashLocation& crash, const std::string& name,
                              const Fd& out) {
  CoreReader reader =
      OBIT_TRY_IN(CoreReader::Open(OBIT_TRY(store.OpenFile(crash, name))), "crash {}", crash.id);
  Progress progress("unpacking " + name);
  auto unpacked = UnpackCore(reader, out, [&](std::uint64_t done) { progress.Update(done, reader.size()); });
  if (unpacked) return {};
  return std::unexpected(Explain(std::move(unpacked).error(), reader.size())
                             .In(fmt::format("unpack {} of crash {}", name, crash.id)));
}

}  // namespace obit
