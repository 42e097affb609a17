#pragma once

// For tests of what an owner may do with his crash, and with the rest of a store.

#include <functional>

#include <grp.h>
#include <unistd.h>

#include "base/io.h"
#include "base/test_support.h"
#include "crash/record_json.h"
#include "store/access.h"
#include "store/test_support.h"

namespace obit::testing {

/// A committed crash with a core, shared with the user `owner` unless it is privileged.
inline CrashLocation CommitOf(const Store& store, uid_t owner, bool privileged) {
  CrashRecord record = SampleRecord();
  record.process.uid = owner;
  record.process.privileged = privileged;
  const IncomingCrash incoming = *store.Begin(record.id);
  EXPECT_THAT(WriteFileAtomically(incoming.dir, kRecordFile, RecordToJson(record), 0600), Succeeds());
  EXPECT_THAT(WriteFileAtomically(incoming.dir, kCoreFile, "core", 0600), Succeeds());
  EXPECT_EQ(ShareCrash(incoming.dir, record).value_or(false), true);
  return *store.Commit(record.id, record.time);
}

/// True if `user` can do it.
inline bool CanAs(uid_t user, const std::function<bool()>& what) {
  Child child(::fork());
  if (child.pid() == 0) {
    if (::setgroups(0, nullptr) < 0 || ::setgid(user) < 0 || ::setuid(user) < 0) ::_exit(2);
    ::_exit(what() ? 0 : 1);
  }
  const int status = child.Wait();
  EXPECT_TRUE(status == 0 || status == 1 << 8) << status;
  return status == 0;
}

}  // namespace obit::testing
