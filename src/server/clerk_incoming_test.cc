#include "server/clerk_incoming.h"

#include <sys/resource.h>

#include "base/clock.h"
#include "server/facts_record.h"
#include "server/test_clerk.h"
#include "store/prepared.h"
#include "store/recover.h"
#include "store/test_disk.h"

namespace obit {
namespace {

using testing::Bytes;
using testing::Content;
using testing::DiskFault;
using testing::FailsWith;
using ::testing::HasSubstr;
using testing::kId;
using testing::Noise;
using testing::StoredFile;
using testing::Succeeds;

class ClerkIncomingTest : public testing::ClerkStoreTest {
 protected:
  ClerkIncomingTest() { known_.capture.reason = "that is why"; }

  void Put(const char* name, const Bytes& content) const {
    ASSERT_THAT(WriteFileAtomically(crash_.dir, name,
                                    {reinterpret_cast<const char*>(content.data()), content.size()}, 0600),
                Succeeds());
  }
  /// As a worker writes it that runs in this boot of the host.
  void PutBegun(const std::string& boot_id) const {
    CrashRecord begun = RecordOf(kId);
    begun.host.boot_id = boot_id;
    ASSERT_THAT(WriteFileAtomically(crash_.dir, kBegunFile, RecordToJson(begun), 0600), Succeeds());
  }
  [[nodiscard]] CrashRecord Written() const { return *LoadRecord(crash_.dir, kRecordFile); }

  const IncomingCrash crash_ = *store_.Begin(kId);
  CrashRecord known_ = RecordOf(kId);
};

TEST_F(ClerkIncomingTest, KeepsWhatIsStoredOfACoreThatNobodyCompleted) {
  Bytes stored = Content(StoredFile(Noise(3 * kFrameBytes, 1)));
  stored.resize(stored.size() - 100'000);  // a killed worker leaves no table
  Put(kCoreFile, stored);
  ASSERT_THAT(WriteWithoutCore(crash_.dir, known_), Succeeds());
  const CrashRecord record = Written();
  EXPECT_EQ(record.files.core, kCoreFile);
  EXPECT_EQ(record.capture.outcome, CrashOutcome::kTruncated);
  EXPECT_EQ(record.capture.stored_bytes, stored.size());
  EXPECT_EQ(record.capture.core_bytes, 0u) << "nobody has looked into it";
  EXPECT_EQ(record.capture.reason, "that is why; its core could not be completed, and is kept");
  auto opened = OpenStoredCore(*OpenAt(crash_.dir, kCoreFile, O_RDONLY));
  ASSERT_THAT(opened, Succeeds());
  EXPECT_EQ(opened->reader.size(), 2 * kFrameBytes);
}

TEST_F(ClerkIncomingTest, KeepsTheCopyOfAProgramThatIsWhole) {
  const Bytes whole = Content(StoredFile(Noise(1000, 1)));
  Put(kCoreFile, whole);
  Put(kExeFile, whole);
  ASSERT_THAT(WriteWithoutCore(crash_.dir, known_), Succeeds());
  EXPECT_EQ(Written().files.exe, kExeFile);
  Put(kExeFile, Bytes(whole.begin(), whole.end() - 1));
  ASSERT_THAT(WriteWithoutCore(crash_.dir, known_), Succeeds());
  EXPECT_EQ(Written().files.exe, "");
  EXPECT_FALSE(HasFile(std::string("incoming/") + kId + "/exe.zst"));
}

TEST_F(ClerkIncomingTest, WhoLacksDescriptorsDoesNotTakeACrashForNotCommitted) {
  const CrashLocation crash = testing::CommitCrash(store_, RecordOf("00000000000000bb"));
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  const rlimit none{0, limit.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const auto found = FindCommitted(store_, crash.id, 0);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  EXPECT_THAT(found, FailsWith(EMFILE));
  EXPECT_EQ(*FindCommitted(store_, crash.id, 0), crash);
}

TEST_F(ClerkIncomingTest, AnUnknownTimeIsThatOfTheCore) {
  Put(kCoreFile, Bytes(100, std::byte{1}));
  known_.time = 0;
  ASSERT_THAT(WriteWithoutCore(crash_.dir, known_), Succeeds());
  EXPECT_EQ(FormatDay(Written().time), FormatDay(RealtimeNow()));
}

TEST_F(ClerkIncomingTest, TakesNothingForGoneThatCannotBeLookedAt) {
  const Bytes whole = Content(StoredFile(Noise(1000, 1)));
  Put(kCoreFile, whole);
  {
    const DiskFault fault({.unseen = kCoreFile});
    EXPECT_THAT(LookAtLeft(crash_.dir), FailsWith(EIO));
    EXPECT_THAT(WriteWithoutCore(crash_.dir, known_), FailsWith(EIO));
  }
  EXPECT_EQ(Content(*OpenAt(crash_.dir, kCoreFile, O_RDONLY)), whole);
  EXPECT_EQ(LookAtLeft(crash_.dir)->state, LeftCrash::State::kBegun) << "it has a core";
}

TEST_F(ClerkIncomingTest, AMinimalCoreTakesThePlaceOfOneThatNobodyCompleted) {
  const Bytes whole = Content(StoredFile(Noise(1000, 1))), minimal = Content(StoredFile(Noise(500, 2)));
  const Bytes part(whole.begin(), whole.end() - 1), half(minimal.begin(), minimal.end() - 1);
  PutBegun(ThisHost().boot_id);
  for (const auto& [core, beside, kept] :
       {std::tuple(&part, &minimal, &minimal), {&part, &half, &part}, {&whole, &minimal, &whole}}) {
    Put(kCoreFile, *core);
    Put(kMinimalFile, *beside);
    ASSERT_THAT(WriteWithoutCore(crash_.dir, known_), Succeeds());
    EXPECT_EQ(Content(*OpenAt(crash_.dir, kCoreFile, O_RDONLY)), *kept);
    EXPECT_EQ(Written().capture.stored_bytes, kept->size());
    EXPECT_EQ(Written().capture.reason.ends_with("; it is a minimal one"), kept == &minimal)
        << Written().capture.reason;
    EXPECT_FALSE(OpenAt(crash_.dir, kMinimalFile, O_RDONLY));
    PutBegun(ThisHost().boot_id);  // the record has taken its place
  }
}

TEST_F(ClerkIncomingTest, AMinimalCoreOfAnotherBootMayBeTorn) {
  const Bytes whole = Content(StoredFile(Noise(1000, 1))), minimal = Content(StoredFile(Noise(500, 2)));
  const Bytes part(whole.begin(), whole.end() - 1);
  for (const std::string boot_id : {"of another", ""}) {
    PutBegun(boot_id);
    Put(kCoreFile, part);
    Put(kMinimalFile, minimal);
    ASSERT_THAT(WriteWithoutCore(crash_.dir, known_), Succeeds());
    EXPECT_EQ(Content(*OpenAt(crash_.dir, kCoreFile, O_RDONLY)), part);
    EXPECT_EQ(Written().capture.reason, "that is why; its core could not be completed, and is kept");
  }
}

TEST_F(ClerkIncomingTest, RemembersThatItTookAMinimalCore) {
  const Bytes minimal = Content(StoredFile(Noise(500, 2)));
  PutBegun(ThisHost().boot_id);
  Put(kCoreFile, Bytes(100, std::byte{1}));
  Put(kMinimalFile, minimal);
  {
    const DiskFault fault({.unseen = kCoreFile});
    EXPECT_THAT(WriteWithoutCore(crash_.dir, known_), FailsWith(EIO));
  }
  ASSERT_EQ(Content(*OpenAt(crash_.dir, kCoreFile, O_RDONLY)), minimal);
  ASSERT_THAT(WriteWithoutCore(crash_.dir, known_), Succeeds());
  EXPECT_EQ(Written().capture.reason,
            "that is why; its core had been stored, and is kept; it is a minimal one");
}

TEST_F(ClerkIncomingTest, AMinimalCoreAloneIsACrash) {
  for (const char* name : {kCoreFile, kMinimalFile, kBegunFile}) Put(name, {});
  EXPECT_EQ(LookAtLeft(crash_.dir)->state, LeftCrash::State::kNothing);
  Put(kMinimalFile, Bytes(1));
  EXPECT_EQ(LookAtLeft(crash_.dir)->state, LeftCrash::State::kBegun);
}

TEST_F(ClerkIncomingTest, ARecordThatTheDiskDoesNotGiveIsNotTakenForNone) {
  Put(kCoreFile, Content(StoredFile(Noise(1000, 1))));
  known_.files.core = kCoreFile;
  ASSERT_THAT(WriteFileAtomically(crash_.dir, kRecordFile, RecordToJson(known_), 0600), Succeeds());
  {
    const DiskFault fault({.unread = kRecordFile});
    EXPECT_THAT(LookAtLeft(crash_.dir), FailsWith(EIO));
  }
  EXPECT_EQ(LookAtLeft(crash_.dir)->state, LeftCrash::State::kComplete);
}

TEST_F(ClerkIncomingTest, WhichRuleWonIsNotForWorkersToSay) {
  RecordHead head{.pid = 40};
  SetText(head.rule, "databases");
  SetHandling({.hooks = false}, head);
  known_.capture.rule = "another";
  known_.capture.handling = {.environment = EnvironmentKept::kAll, .retention = RetentionClass::kKeep};
  const auto was_given = [](std::uint64_t) { return true; };
  EXPECT_TRUE(ApplyHead(head, known_, was_given));
  EXPECT_EQ(known_.capture.rule, "databases");
  EXPECT_EQ(known_.capture.handling, CrashHandling{.hooks = false});
  EXPECT_FALSE(ApplyHead(head, known_, was_given));
  (void)ApplyHead({}, known_, was_given);
  EXPECT_EQ(known_.capture.rule, "databases") << "nobody else knows";
}

}  // namespace
}  // namespace obit
