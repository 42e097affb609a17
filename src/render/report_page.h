#pragma once

#include <string>

#include "crash/record.h"
#include "crash/report.h"
#include "render/record_page.h"

namespace obit {

/// What a page shows beyond what a reader wants first.
struct ReportSections {
  bool all_threads = false;
  bool registers = false;
  bool modules = false;
  bool mappings = false;
  bool environment = false;
  bool record = false;  ///< all that was recorded at the crash itself
};

/// What killed a process, and where, as a page of text: the cause, the source lines if they can be read here,
/// the stack, and in short what process it was and what is kept of it.
[[nodiscard]] std::string RenderReportPage(const CrashRecord& record, const Report& report,
                                           const PageContext& context, const ReportSections& sections);

}  // namespace obit
