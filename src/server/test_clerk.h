#pragma once

// What the tests of the clerk share. Included by tests only.

#include <cstring>
#include <string>

#include "crash/record_json.h"
#include "process/test_support.h"
#include "server/facts_record.h"
#include "server/messages.h"
#include "store/test_support.h"

namespace obit::testing {

inline constexpr const char* kId = "00000000000000aa";

/// What a manager knows of a crash.
inline RecordHead Head(const std::string& id = kId) {
  RecordHead head;
  SetText(head.id, id);
  head.time = kSomeTime;
  head.pid = 4711;
  head.signal = 11;
  head.uid = 1000;
  head.has_uid = 1;
  head.privileged = 0;
  head.outcome = static_cast<std::uint32_t>(CrashOutcome::kEvent);
  head.detail = static_cast<std::uint32_t>(Detail::kEvent);
  return head;
}

/// Facts, as an inspector tells them.
inline std::string Facts(const std::string& comm = "crashed") {
  CrashRecord record;
  record.id = kId;
  record.process.comm = comm;
  record.process.exe = "/usr/bin/" + comm;
  record.process.privileged = false;
  return RecordToJson(record);
}

/// A store, and a loop to work on it.
class ClerkStoreTest : public LoopTest {
 protected:
  /// incoming/NAME with begun.json, as a worker leaves it, and a core.
  void LeaveBegun(const std::string& name, const CrashRecord& record) const {
    const IncomingCrash incoming = *store_.Begin(name);
    EXPECT_THAT(WriteFileAtomically(incoming.dir, kBegunFile, RecordToJson(record), 0600), Succeeds());
    EXPECT_THAT(WriteFileAtomically(incoming.dir, kCoreFile, "core", 0600), Succeeds());
  }
  /// The same, complete.
  void LeaveComplete(const std::string& name, CrashRecord record, bool has_core = true) const {
    const IncomingCrash incoming = *store_.Begin(name);
    if (has_core) {
      record.files.core = kCoreFile;
      record.capture.outcome = CrashOutcome::kFull;
      EXPECT_THAT(WriteFileAtomically(incoming.dir, kCoreFile, "core", 0600), Succeeds());
    }
    EXPECT_THAT(WriteFileAtomically(incoming.dir, kRecordFile, RecordToJson(record), 0600), Succeeds());
  }
  [[nodiscard]] CrashRecord RecordOf(const std::string& id) const {
    CrashRecord record = SampleRecord();
    record.id = id;
    return record;
  }
  [[nodiscard]] Result<CrashRecord> Committed(const std::string& id = kId) const {
    return store_.Load({"2026-11-23", id});
  }
  [[nodiscard]] bool HasFile(const std::string& name) const {
    struct stat status{};
    return ::fstatat(store_.root().get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
  }

  TemporaryFolder folder_;
  Store store_ = *Store::Create(folder_ / "store");
};

}  // namespace obit::testing
