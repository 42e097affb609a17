// Any text is a report or an error; what was taken is written and read again as the same, and so is its head.

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "crash/report_json.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  (void)obit::ReportHeadFromJson(input);
  const auto report = obit::ReportFromJson(input);
  if (!report) return 0;
  const std::string text = obit::ReportToJson(*report);
  // Bytes that JSON must escape take up to six times the room: a report near the limit may grow past it.
  if (text.size() > obit::kReportJsonMax) return 0;
  const auto again = obit::ReportFromJson(text);
  if (!again || obit::ReportToJson(*again) != text) std::abort();
  const auto head = obit::ReportHeadFromJson(text);
  if (!head || head->cause != report->cause || head->fingerprint != report->fingerprint) std::abort();
  return 0;
}
