#include "present/crash_json.h"

#include <fmt/format.h>

#include "base/text.h"
#include "crash/record_json.h"
#include "crash/report_json.h"
#include "present/cause_sentence.h"

namespace obit {

std::string CrashToJson(const CrashRecord& record, const Report* report, const Repeats* repeats,
                        const RemovedCore* removed) {
  std::string text = fmt::format("{{\n\"record\": {}", Trim(RecordToJson(record)));
  if (report != nullptr)
    text += fmt::format(",\n\"report\": {}", Trim(ReportToJson(*report, CauseSentence(report->cause))));
  if (repeats != nullptr) text += fmt::format(",\n\"repeats\": {}", Trim(RepeatsToJson(*repeats)));
  if (removed != nullptr) text += fmt::format(",\n\"removed\": {}", Trim(RemovedCoreToJson(*removed)));
  return text + "\n}\n";
}

}  // namespace obit
