// What the manager counted, for the log and for metrics.

#include "base/log.h"
#include "base/signal_name.h"
#include "manager/count_cause.h"
#include "server/clerk.h"
#include "server/facts_record.h"

namespace obit {
namespace {

/// Behind what was counted; empty: nobody has to wonder.
std::string_view WhyCounted(std::uint32_t cause) {
  switch (static_cast<CountCause>(cause)) {
    case CountCause::kBudget:
      return ": its user or unit has had as many as are recorded ([budget] in obit.toml)";
    case CountCause::kDisk:
      return ": the disk is full, and many records wait for room already";
    case CountCause::kLoop:
    case CountCause::kConfiguration:
      break;
  }
  return "";
}

}  // namespace

void Clerk::OnRepeats(const Order& order) {
  const std::string id = TextIn(order.head.id);
  if (!IsCrashId(id) || order.count == 0) return;
  repeats_.Add(
      {order.head.time, {.id = id, .crashes = order.count, .first = order.first, .last = order.last}});
}

void Clerk::OnCount(const Order& order, std::string_view text) {
  const std::string signal = order.head.signal == 0 ? "" : " " + SignalName(order.head.signal);
  const std::string_view why = WhyCounted(order.cause);
  const Severity severity = why.empty() ? Severity::kInfo : Severity::kNotice;
  if (order.count == 1 && !text.empty())
    Log(severity, "{}[{}]{}: only counted{}", text, order.head.pid, signal, why);
  else
    Log(severity, "{} crash{} of {}{}: only counted{}", order.count, order.count == 1 ? "" : "es",
        text.empty() ? "others" : text, signal, why);
}

/// By the ledger, so that no death between two of these keeps a lost crash out of the log.
void Clerk::NoteLostTold() {
  if (Ledger* ledger = setup_.ledger; ledger != nullptr && ledger->lost_told() < ledger->lost())
    ledger->LostTold(ledger->lost_told() + 1);
}

/// Those that no line told of: there were too many, or whoever had the line died.
void Clerk::TellLost(std::uint64_t lost) {
  if (setup_.ledger == nullptr || lost <= setup_.ledger->lost_told()) return;
  Log(Severity::kError, "crashes not recorded: {} more, too many at once to say whose",
      lost - setup_.ledger->lost_told());
  setup_.ledger->LostTold(lost);
}

void Clerk::OnLoad(const Order::Load& load) {
  Metrics& counts = metrics_.counts();
  counts.queued = load.queued;
  counts.captures = load.captures;
  counts.left_behind = load.left_behind;
  counts.kept = load.kept;
  counts.kept_bytes = load.kept_bytes;
  counts.total.refused.now = load.refused;
  counts.total.replaced.now = load.replaced;
  counts.total.tallies = load.tallies;
  TellLost(load.tallies.lost);
  metrics_.Changed();
}

}  // namespace obit
