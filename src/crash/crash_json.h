#pragma once

#include <string>

#include "crash/record.h"
#include "crash/report.h"

namespace obit {

/// All that is known of a crash, as one JSON object: {"record": ..., "report": ...}, each as it is stored;
/// without the report where that is null. With a newline at its end.
[[nodiscard]] std::string CrashToJson(const CrashRecord& record, const Report* report);

}  // namespace obit
