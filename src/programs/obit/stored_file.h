#pragma once

#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "common.h"
#include "store/store.h"

namespace obit {

/// ENODATA: there is no core of this crash, and why.
[[nodiscard]] Result<void> CheckHasCore(const ChosenCrash& crash);

/// Unpacks core.zst or exe.zst of a crash into `out`, with a progress bar.
[[nodiscard]] Result<void> UnpackStoredFile(const Store& store, const CrashLocation& crash,
                                            const std::string& name, const Fd& out);

}  // namespace obit
