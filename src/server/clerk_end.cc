// How the clerk ends.

#include <climits>
#include <utility>

#include "base/log.h"
#include "server/clerk.h"

namespace obit {

void Clerk::Stop() {
  if (stopping_) return;
  stopping_ = true;
  analyses_.Stop();
  retention_.Stop();
  if (auto timer = loop_.After(setup_.config.stop_timeout, [this] { hooks_.Stop(), StopIfDone(); }))
    stop_ = std::move(*timer);
  else
    hooks_.Stop();
  StopIfDone();
}

void Clerk::StopIfDone() {
  if (!stopping_ || hooks_.busy() || ended_) return;
  books_.Finish();
  numbers_.NumberTheRest();
  const MetricCounts& counts = metrics_.counts().total;
  Log(Severity::kNotice, "stopped: {} recorded, {} only counted, {} lost, {} other connections closed",
      counts.crashes, counts.rejected() + counts.repeated() + counts.over_budget() + counts.no_room(),
      counts.all_lost(), counts.refused.total());
  End();
  Say({.kind = ClerkWord::Kind::kStopped});
}

/// What is not done is for the next clerk: the manager tells it again, or the ledger does.
void Clerk::End() {
  if (std::exchange(ended_, true)) return;
  orders_ = EventSource();
  books_.Sync();
  repeats_.Finish();
  metrics_.Write();
  log_.Flush();
  loop_.Stop();
}

void Clerk::GiveUp(std::string_view why) {
  Log(Severity::kError, "{}", why);
  (void)TakeSome(INT_MAX);
  End();
}

}  // namespace obit
