#pragma once

#include <optional>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "common.h"
#include "store/store.h"

namespace obit {

/// What is said of a core that was removed, if it was.
[[nodiscard]] std::optional<RemovedCore> LoadRemoved(const Store& store, const CrashLocation& crash);

/// ENODATA: there is no core of this crash, and why.
[[nodiscard]] Result<void> CheckHasCore(const ChosenCrash& crash);

/// Unpacks core.zst or exe.zst of a crash into `out`, with a progress bar. Where the disk does not give all
/// of it, what it gives is written, and why there may be more is returned.
[[nodiscard]] Result<std::optional<Error>> UnpackStoredFile(const Store& store, const CrashLocation& crash,
                                                            const std::string& name, const Fd& out);

}  // namespace obit
