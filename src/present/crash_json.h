#pragma once

#include <string>

#include "crash/record.h"
#include "crash/removed_core.h"
#include "crash/repeats.h"
#include "crash/report.h"

namespace obit {

/// All that is known of a crash, as one JSON object: {"record": ..., "report": ..., "repeats": ...,
/// "removed": ...}, each as it is stored, and the sentence of its
/// cause; without those that are null. With a newline at its end.
[[nodiscard]] std::string CrashToJson(const CrashRecord& record, const Report* report, const Repeats* repeats,
                                      const RemovedCore* removed = nullptr);

}  // namespace obit
