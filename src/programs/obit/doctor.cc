#include <algorithm>

#include <unistd.h>

#include "checks.h"
#include "common.h"
#include "render/table.h"
#include "verbs.h"

namespace obit {
namespace {

Table::Cell VerdictCell(const Finding& finding) {
  using enum Finding::Verdict;
  const std::string remark = finding.remark.empty() ? "" : ", " + finding.remark;
  switch (finding.verdict) {
    case kOk:
      return {"ok" + remark, Tone::kGood};
    case kWarning:
      return {"warn" + remark, Tone::kWarning};
    case kFailure:
      break;
  }
  return {"FAIL" + remark, Tone::kBad};
}

}  // namespace

ExitCode Doctor(const std::string& store, const DoctorOptions& options) {
  std::vector<Finding> findings{CheckKernel(), CheckPattern()};
  std::ranges::move(CheckServer(), std::back_inserter(findings));
  findings.push_back(CheckStore(store));
  findings.push_back(CheckDumpMode());
  findings.push_back(CheckCoreLimit());
  if (options.crash) findings.push_back(CheckCrash(store));

  Table table({{""}, {.title = "", .shrinks_to = 30}, {""}});
  for (const Finding& finding : findings)
    table.Add({{finding.what, Tone::kStrong}, {finding.found}, VerdictCell(finding)});
  Print(table.Render(TerminalOf(STDOUT_FILENO)));
  const bool failed =
      std::ranges::any_of(findings, [](const Finding& f) { return f.verdict == Finding::Verdict::kFailure; });
  return failed ? ExitCode::kFailed : ExitCode::kDone;
}

}  // namespace obit
