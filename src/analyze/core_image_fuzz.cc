// Any bytes as a core: its threads are unwound, its cause is looked for, without any file of a module.

#include <cstdlib>

#include <sys/mman.h>

#include "analyze/analyze.h"
#include "base/io.h"
#include "crash/report_json.h"
#include "store/core_writer.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  obit::Fd file(::memfd_create("fuzz", MFD_CLOEXEC));
  obit::CoreWriter writer(file, {.threads = 1});
  if (!writer.Append(std::as_bytes(std::span(data, size))) || !writer.Finish()) return 0;
  obit::AnalysisJob job;
  job.record.id = "0123456789abcdef";
  job.record.signal.number = 11;
  job.record.signal.code = 1;
  job.record.signal.address = 0x18;
  job.core = std::move(file);
  job.debug_directories.clear();
  auto analysis = obit::Analysis::Prepare(std::move(job));
  if (!analysis) return 0;
  // What it writes, others must be able to read.
  if (!obit::ReportFromJson(obit::ReportToJson(analysis->Run()))) std::abort();
  return 0;
}
