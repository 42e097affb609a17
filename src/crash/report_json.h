#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "crash/report.h"

namespace obit {

/// A report.json larger than this is not read, bytes: 4,096 mappings and some ten thousand frames fit.
inline constexpr std::size_t kReportJsonMax = 16 << 20;

/// The report as JSON, indented by one, with a newline at its end. Strings go through BytesToUtf8
/// (base/text.h).
[[nodiscard]] std::string ReportToJson(const Report& report);

/// Reads untrusted text: a report is made by a process that had a hostile core in its hands. EBADMSG: not
/// JSON, a field of the wrong type or out of range, an index that leads nowhere. EPROTONOSUPPORT: a schema
/// version that this obit does not know. Unknown fields are ignored.
[[nodiscard]] Result<Report> ReportFromJson(std::string_view text);

}  // namespace obit
