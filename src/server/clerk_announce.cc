#include "server/clerk_announce.h"

#include "base/log.h"
#include "base/signal_name.h"
#include "present/cause_sentence.h"
#include "server/journal.h"

namespace obit {
namespace {

std::string Headline(const CrashRecord& record) {
  const auto& capture = record.capture;
  std::string line = fmt::format("{} {}[{}] {}: {}", record.id, record.process.comm, record.process.pid,
                                 SignalName(record.signal.number), NameOf(capture.outcome));
  if (capture.core_bytes > 0)
    line += fmt::format(", {} bytes in {}, held for {:.3f} s", capture.core_bytes, capture.stored_bytes,
                        capture.held_seconds);
  if (!capture.reason.empty()) line += ": " + capture.reason;
  return line;
}

}  // namespace

void AnnounceCrash(const Store& store, const CrashLocation& crash, const CrashRecord& record, bool journal) {
  const bool sent = journal && SendToJournal(EntryOfCrash(record, store.PathOf(crash)));
  if (!sent || !LogsToJournal()) Log(Severity::kNotice, "{}", Headline(record));
}

void AnnounceReport(const Store& store, const CrashLocation& crash, CrashOwner owner, const Report& report,
                    bool journal) {
  const bool quotes = owner.has_value();
  const bool sent = journal && quotes && SendToJournal(EntryOfReport(report, store.PathOf(crash)));
  if (sent && LogsToJournal()) return;
  std::string line = fmt::format("{} analysed in {:.3f} s", crash.id, report.seconds);
  if (const std::string cause = CauseSentence(report.cause); quotes && !cause.empty()) line += ": " + cause;
  if (!report.failure.empty()) line += ": " + report.failure;
  Log(report.failure.empty() ? Severity::kNotice : Severity::kWarning, "{}", line);
}

}  // namespace obit
