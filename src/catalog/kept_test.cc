// Crashes whose records cannot be read, as retention gets to know them from a new index.

#include "catalog/kept.h"

#include <filesystem>
#include <fstream>

#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "catalog/index.h"
#include "store/test_owner.h"

namespace obit {
namespace {

using testing::CanAs;
using testing::FailsWith;
using testing::kSomeTime;
using testing::Succeeds;
using testing::TemporaryFolder;

constexpr uid_t kOwner = 61001;

class KeptTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    ASSERT_EQ(::chmod(folder_.path().c_str(), 0755), 0);
  }

  CrashLocation Commit(bool privileged = false) { return testing::CommitOf(store_, kOwner, privileged); }
  [[nodiscard]] std::string RecordOf(const CrashLocation& crash) const {
    return store_.PathOf(crash) + "/" + kRecordFile;
  }
  void Damage(const CrashLocation& crash) const { std::ofstream(RecordOf(crash), std::ios::trunc) << "?"; }

  /// What an index says that was made anew.
  [[nodiscard]] std::vector<KeptCrash> Kept() {
    auto index = Index::Open(store_);
    EXPECT_THAT(index->Rebuild(store_), Succeeds());
    auto kept = index->Kept(store_);
    EXPECT_THAT(kept, Succeeds());
    return kept ? kept->crashes() : std::vector<KeptCrash>();
  }

  TemporaryFolder folder_;
  Store store_ = *Store::Create(folder_ / "store");
};

TEST_F(KeptTest, ADamagedRecordCountsByItsFolder) {
  const CrashLocation crash = Commit();
  ASSERT_THAT(WriteFileAtomically(*Open(store_.PathOf(crash), O_RDONLY), kExeFile, "exe", 0600), Succeeds());
  ASSERT_THAT(store_.WriteReport(crash, testing::SampleReport(crash.id), kOwner), Succeeds());
  Damage(crash);
  const auto kept = Kept();
  ASSERT_EQ(kept.size(), 1u);
  EXPECT_TRUE(kept[0].unread);
  EXPECT_EQ(fmt::format("{:016x}", kept[0].id), crash.id);
  EXPECT_EQ(kept[0].uid, kOwner) << "it takes his share";
  EXPECT_EQ(kept[0].user, kOwner + std::uint64_t{1});
  EXPECT_GE(kept[0].core_bytes, std::string("core"
                                            "exe")
                                    .size());
  EXPECT_TRUE(kept[0].analysed);
  EXPECT_EQ(FormatDay(kept[0].time), crash.day);
  EXPECT_GE(kept[0].time, kSomeTime) << "it is not older than it may be";
}

TEST_F(KeptTest, SoDoesOneThatItsOwnerReplaced) {
  const CrashLocation crash = Commit();
  ASSERT_TRUE(CanAs(kOwner, [&] {
    return ::unlink(RecordOf(crash).c_str()) == 0 && std::ofstream(RecordOf(crash)).put('?').good();
  }));
  ASSERT_THAT(store_.Load(crash), FailsWith(EPERM));
  const auto kept = Kept();
  ASSERT_EQ(kept.size(), 1u);
  EXPECT_EQ(kept[0].uid, kOwner);
}

TEST_F(KeptTest, OneOfAPrivilegedProcessIsNobodys) {
  Damage(Commit(true));
  const auto kept = Kept();
  ASSERT_EQ(kept.size(), 1u);
  EXPECT_EQ(kept[0].uid, std::nullopt);
  EXPECT_EQ(kept[0].user, 0u);
}

TEST_F(KeptTest, ItIsTakenOnlyWhileItCannotBeRead) {
  const CrashLocation crash = Commit();
  const std::string record = ReadFile(RecordOf(crash), 1 << 20)->text;
  Damage(crash);
  const auto kept = Kept();
  ASSERT_EQ(kept.size(), 1u);
  EXPECT_THAT(Confirm(store_, crash, kept[0]), Succeeds());
  std::ofstream(RecordOf(crash), std::ios::trunc) << record;
  EXPECT_THAT(Confirm(store_, crash, kept[0]), FailsWith(EBADMSG));
  ASSERT_EQ(::unlink(RecordOf(crash).c_str()), 0);
  EXPECT_THAT(Confirm(store_, crash, kept[0]), FailsWith(EBUSY)) << "somebody may be copying it";
}

TEST_F(KeptTest, WhatIsNoFolderIsLeftOut) {
  const CrashLocation crash = Commit();
  const std::filesystem::path path = store_.PathOf(crash), day = path.parent_path();
  std::filesystem::create_symlink(path, day / "00000000000000ab");
  std::ofstream(day / "00000000000000ac") << "a file";
  const auto kept = Kept();
  ASSERT_EQ(kept.size(), 1u);
  EXPECT_FALSE(kept[0].unread);
}

}  // namespace
}  // namespace obit
