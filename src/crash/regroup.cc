#include "crash/regroup.h"

#include "crash/fingerprint.h"
#include "crash/runtime_frames.h"

namespace obit {

bool Regroup(Report& report, const CrashRecord& record) {
  if (report.fingerprint.version >= Report::Fingerprint::kVersion) return false;
  report.fingerprint = FindFingerprint(report, record);
  report.own_frame.reset();
  if (report.stacks.empty()) return true;
  const auto& frames = report.stacks.front().frames;
  const std::size_t own = FindOwnFrame(frames, report.modules, CauseFrameOf(report, record),
                                       !report.cause.first_fault && IsSentByItself(record));
  if (own < frames.size()) report.own_frame = static_cast<std::uint32_t>(own);
  return true;
}

}  // namespace obit
