#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "crash/record.h"
#include "crash/report.h"

namespace obit {

inline constexpr const char* kJournalSocket = "/run/systemd/journal/socket";

/// An entry in the journal's native protocol (systemd.journal-fields(7), "Native Journal Protocol").
class JournalEntry {
 public:
  /// `name` is of the journal's own alphabet. Only the beginning of a value that is longer than kValueMax is
  /// kept; an empty one is left out.
  void Add(std::string_view name, std::string_view value);
  [[nodiscard]] const std::string& text() const { return text_; }
  static constexpr std::size_t kValueMax = 16 * 1024;

 private:
  std::string text_;
};

/// A crash that was committed, with the fields and the MESSAGE_ID of systemd-coredump, which coredumpctl(1)
/// and log tools know, and OBIT_*. `folder` is where it is stored. Neither arguments nor folders of a
/// privileged process are told: the journal has other readers than the store.
[[nodiscard]] JournalEntry EntryOfCrash(const CrashRecord& record, const std::string& folder);
/// What its analysis found: the stack of the thread that crashed, as text.
[[nodiscard]] JournalEntry EntryOfReport(const Report& report, const std::string& folder);

/// Sends an entry, if that works at once. sd_journal_send(3) waits for a journal that does not read, and it
/// does not read when it has crashed itself: then it waits for obitd. ENOENT: there is no journal; EAGAIN: it
/// does not keep up; EMSGSIZE.
[[nodiscard]] Result<void> SendToJournal(const JournalEntry& entry,
                                         const std::string& socket = kJournalSocket);

}  // namespace obit
