#pragma once

// For tests of the numbers that crashes have.

#include "store/commit.h"
#include "store/test_support.h"

namespace obit::testing {

class NumbersFixture : public ::testing::Test {
 protected:
  /// Makes incoming/ID with a record, as a worker does.
  CrashRecord Write(std::uint64_t number, std::int64_t time) const {
    CrashRecord record = SampleRecord(time);
    record.number = number;
    const auto incoming = store_.Begin(record.id);
    EXPECT_THAT(incoming, Succeeds());
    EXPECT_THAT(WriteFileAtomically(incoming->dir, kRecordFile, RecordToJson(record), 0600), Succeeds());
    return record;
  }
  CrashLocation Add(StoreNumbers& numbers, std::int64_t time = kSomeTime) const {
    const CrashRecord record = Write(*numbers.accepted.Take(), time);
    const auto done = CommitNumbered(store_, numbers.committed, record);
    EXPECT_THAT(done, Succeeds());
    EXPECT_FALSE(done->unnumbered);
    return done->location;
  }

  TemporaryFolder folder_;
  Store store_ = Store::Create(folder_ / "store").value();
};

}  // namespace obit::testing
