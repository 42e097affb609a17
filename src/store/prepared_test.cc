#include "store/prepared.h"

#include <thread>

#include <sys/resource.h>
#include <sys/stat.h>

#include "crash/record_json.h"
#include "store/store.h"
#include "store/test_support.h"

namespace obit {
namespace {

using ::testing::ElementsAre;
using testing::FailsWith;
using ::testing::IsEmpty;
using testing::SampleRecord;
using testing::Succeeds;
using testing::TemporaryFolder;
using ::testing::UnorderedElementsAre;

class PreparedTest : public ::testing::Test {
 protected:
  TemporaryFolder folder_;
  Store store_ = Store::Create(folder_ / "store").value();
  Fd incoming_ = *Open(folder_ / "store/incoming", O_RDONLY | O_DIRECTORY);
  CrashRecord record_ = SampleRecord();

  [[nodiscard]] std::vector<std::string> Folders() const { return *ListDirectory(incoming_); }
  void Begin(const PreparedCrash& prepared) const {
    ASSERT_THAT(WriteAll(prepared.begun, RecordToJson(record_)), Succeeds());
  }
};

TEST_F(PreparedTest, IsAFolderForNobodyElse) {
  const auto prepared = PrepareCrash(incoming_);
  ASSERT_THAT(prepared, Succeeds());
  EXPECT_TRUE(IsCrashId(prepared->name));
  EXPECT_THAT(*ListDirectory(prepared->dir), UnorderedElementsAre(kCoreFile, kMinimalFile, kBegunFile));
  for (const auto& [fd, mode] : {std::pair{&prepared->dir, 0700U},
                                 {&prepared->core, 0600U},
                                 {&prepared->minimal, 0600U},
                                 {&prepared->begun, 0600U}}) {
    struct stat status{};
    ASSERT_EQ(::fstat(fd->get(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, mode);
  }
  EXPECT_THAT(*testing::TakeAbandoned(store_), IsEmpty()) << "it is locked";
}

TEST_F(PreparedTest, GetsTheNameOfItsCrash) {
  const auto prepared = PrepareCrash(incoming_);
  ASSERT_THAT(prepared, Succeeds());
  Begin(*prepared);
  ASSERT_THAT(NamePrepared(incoming_, *prepared, record_.id), Succeeds());
  EXPECT_THAT(Folders(), ElementsAre(record_.id));
  const auto other = PrepareCrash(incoming_);
  EXPECT_THAT(NamePrepared(incoming_, *other, record_.id), FailsWith(EEXIST));
}

TEST_F(PreparedTest, GoesUnused) {
  const auto prepared = PrepareCrash(incoming_);
  ASSERT_THAT(prepared, Succeeds());
  DropPrepared(incoming_, *prepared);
  EXPECT_THAT(Folders(), IsEmpty());
}

TEST_F(PreparedTest, IsTakenUnderEitherName) {
  for (const bool named : {true, false}) {
    {
      const auto prepared = PrepareCrash(incoming_);
      ASSERT_THAT(prepared, Succeeds());
      Begin(*prepared);
      if (named) {
        ASSERT_THAT(NamePrepared(incoming_, *prepared, record_.id), Succeeds());
      }
      EXPECT_THAT(TakeIncoming(incoming_, record_.id), FailsWith(EBUSY));
    }
    const auto waiting = PrepareCrash(incoming_);  // of another worker
    {
      const auto taken = TakeIncoming(incoming_, record_.id);
      ASSERT_THAT(taken, Succeeds());
      EXPECT_THAT(*testing::TakeAbandoned(store_), IsEmpty()) << "it is locked";
      EXPECT_THAT(Folders(), UnorderedElementsAre(record_.id, waiting->name));
    }
    DropPrepared(incoming_, *waiting);
    ASSERT_THAT(store_.Discard(record_.id), Succeeds());
  }
  EXPECT_THAT(TakeIncoming(incoming_, record_.id), FailsWith(ENOENT));
}

TEST_F(PreparedTest, IsNotMissingBecauseItCannotBeOpened) {
  const auto prepared = PrepareCrash(incoming_);
  ASSERT_THAT(prepared, Succeeds());
  Begin(*prepared);
  const int free = Open("/dev/null", O_RDONLY)->get();
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  for (int more = 0; more < 2; ++more) {  // for the list of the folder, and for the prepared one
    const rlimit few{static_cast<rlim_t>(free + more), limit.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
    const auto found = FindIncoming(incoming_, record_.id);
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
    EXPECT_THAT(found, FailsWith(EMFILE)) << more;
  }
  EXPECT_EQ(FindIncoming(incoming_, record_.id)->name, prepared->name);
}

TEST_F(PreparedTest, StandsWhoLooksForAbandonedOnes) {
  std::jthread looking([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      const auto abandoned = testing::TakeAbandoned(store_);
      for (const IncomingCrash& crash : *abandoned) (void)store_.Discard(crash.id);
    }
  });
  int made = 0;
  for (int i = 0; i < 100; ++i) {
    const auto prepared = PrepareCrash(incoming_);
    if (!prepared) continue;
    ++made;
    ASSERT_THAT(NamePrepared(incoming_, *prepared, record_.id), Succeeds()) << "who has it, has it";
    DropPrepared(incoming_, {.name = record_.id, .dir = *Duplicate(prepared->dir)});
  }
  EXPECT_GT(made, 0);
}

}  // namespace
}  // namespace obit
