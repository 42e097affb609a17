#include <algorithm>

#include <unistd.h>

#include "base/text.h"
#include "checks.h"
#include "common.h"
#include "render/table.h"
#include "verbs.h"

namespace obit {
namespace {

Table::Cell VerdictCell(Finding::Verdict verdict) {
  switch (verdict) {
    case Finding::Verdict::kOk:
      return {"ok", Tone::kGood};
    case Finding::Verdict::kUnknown:
      return {"unknown", Tone::kDim};
    case Finding::Verdict::kWarning:
      return {"warn", Tone::kWarning};
    case Finding::Verdict::kFailure:
      break;
  }
  return {"FAIL", Tone::kBad};
}

/// A line for each finding; a remark that has no room at its end stands below it.
std::string Render(const std::vector<Finding>& findings, const Terminal& terminal) {
  Table table({{""}, {.title = "", .shrinks_to = 30}, {""}});
  for (const Finding& finding : findings)
    table.Add({{finding.what, Tone::kStrong}, {finding.found}, VerdictCell(finding.verdict)});
  Terminal plain = terminal;
  plain.colour = false;
  const std::string shown = table.Render(terminal), measured = table.Render(plain);
  const auto lines = Split(shown, '\n'), lengths = Split(measured, '\n');
  std::string out;
  for (std::size_t i = 0; i < findings.size(); ++i) {
    out += lines[i];
    const std::string remark = ", " + findings[i].remark;
    const std::size_t needed = DisplayWidth(lengths[i]) + DisplayWidth(remark);
    if (findings[i].remark.empty())
      out += "\n";
    else if (terminal.width == 0 || needed <= terminal.width)
      out += remark + "\n";
    else
      out += "\n    " + findings[i].remark + "\n";
  }
  return out;
}

}  // namespace

ExitCode Doctor(const std::string& store, const DoctorOptions& options) {
  std::vector<Finding> findings{CheckKernel(), CheckPattern()};
  std::ranges::move(CheckServer(), std::back_inserter(findings));
  std::ranges::move(CheckConfiguration(), std::back_inserter(findings));
  std::ranges::move(CheckStore(store), std::back_inserter(findings));
  findings.push_back(CheckDumpMode());
  findings.push_back(CheckCoreLimit());
  if (options.crash) findings.push_back(CheckCrash(store));
  Print(Render(findings, TerminalOf(STDOUT_FILENO)));
  const bool failed =
      std::ranges::any_of(findings, [](const Finding& f) { return f.verdict == Finding::Verdict::kFailure; });
  return failed ? ExitCode::kFailed : ExitCode::kDone;
}

}  // namespace obit
