#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "crash/report.h"

namespace obit {

/// A report.json larger than this is not read, bytes: 4,096 mappings and some ten thousand frames fit.
inline constexpr std::size_t kReportJsonMax = 16 << 20;

/// The report as JSON, indented by one, with a newline at its end. Strings go through BytesToUtf8
/// (base/text.h). `sentence` goes into the cause: for whoever reads the JSON of a crash, and not into its
/// folder, where the facts are enough.
[[nodiscard]] std::string ReportToJson(const Report& report, const std::string& sentence = {});

/// Reads untrusted text: a report is made by a process that had a hostile core in its hands. EBADMSG: not
/// JSON, a field of the wrong type or out of range, an index that leads nowhere. EPROTONOSUPPORT: a schema
/// version that this obit does not know. Unknown fields are ignored.
[[nodiscard]] Result<Report> ReportFromJson(std::string_view text);

/// The first so many bytes of a report hold all that ReportHeadFromJson reads, unless a message is very long.
inline constexpr std::size_t kReportHeadMax = 64 << 10;

/// Cause, fingerprint and what else ReportToJson puts before the stacks; the rest stays empty. For lists:
/// `beginning` may be cut anywhere behind that. Fails as ReportFromJson; EBADMSG if the text is not in the
/// form of ReportToJson, or is cut too early: then the whole report is the one to ask.
[[nodiscard]] Result<Report> ReportHeadFromJson(std::string_view beginning);

}  // namespace obit
