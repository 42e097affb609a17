// Any registers, code, heap and stack of a thread that died of any signal: the readers of instructions,
// signal frames, guards of stacks and arguments of calls, which a core of any bytes seldom comes to.

#include <cstdlib>

#include "analyze/analyze.h"
#include "analyze/fuzz_process.h"
#include "crash/report_json.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  obit::fuzz::Input input(data, size);
  obit::AnalysisJob job;
  job.record.id = "0123456789abcdef";
  job.record.process.pid = 4711;
  job.record.signal.number = input.Take<std::uint8_t>();
  job.record.signal.code = input.Take<std::int8_t>();
  if (*job.record.signal.code <= 0) job.record.signal.sender_pid = 4711;
  job.record.signal.address = input.Take<std::uint64_t>();
  job.core = obit::fuzz::Process(input).Core();
  job.debug_directories.clear();
  auto analysis = obit::Analysis::Prepare(std::move(job));
  if (!analysis) return 0;
  // What it writes, others must be able to read.
  if (!obit::ReportFromJson(obit::ReportToJson(analysis->Run()))) std::abort();
  return 0;
}
