// index.db as a file: whatever is wrong with it, it is made anew or done without.

#include "catalog/index_open.h"

#include <fstream>

#include <sys/stat.h>

#include "catalog/test_index.h"

namespace obit {
namespace {

using testing::CommitCrash;
using ::testing::ElementsAre;
using testing::kSomeTime;
using testing::Locations;
using testing::SampleRecord;
using testing::Succeeds;

class IndexFileTest : public testing::IndexTest {};

TEST_F(IndexFileTest, IsMadeAnewFromWhatIsNoDatabase) {
  CommitCrash(store_, SampleRecord());
  for (const std::string& garbage : {std::string("x"), std::string(100'000, 'x')}) {
    std::filesystem::remove(File() + "-wal");
    std::ofstream(File(), std::ios::trunc) << garbage;
    EXPECT_EQ(ListAsTheFolders().crashes.size(), 1u);
  }
}

TEST_F(IndexFileTest, IsMadeAnewWhenDamagedInTheMiddle) {
  for (int i = 0; i < 200; ++i) CommitCrash(store_, SampleRecord(kSomeTime + i));
  SetDayChanged("2026-11-23", 1000);
  List();
  Sql("PRAGMA wal_checkpoint(TRUNCATE)");
  const auto size = static_cast<std::streamoff>(std::filesystem::file_size(File()));
  ASSERT_GT(size, 20'000);
  std::fstream file(File(), std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(4096);  // past the header and the names of the tables
  file << std::string(static_cast<std::size_t>(size - 4096), '\xa5');
  file.close();
  EXPECT_EQ(ListAsTheFolders().crashes.size(), 200u);
  SetPid(List().crashes.at(0).location, 7);
  EXPECT_EQ(List().crashes.at(0).pid, 48213) << "it was not rebuilt";
}

TEST_F(IndexFileTest, IsMadeAnewWhenARowMakesNoSense) {
  const CrashLocation crash = CommitCrash(store_, SampleRecord());
  SetDayChanged(crash.day, 1000);
  List();
  Sql("UPDATE crashes SET outcome = 'odd'");
  EXPECT_EQ(ListAsTheFolders().crashes.size(), 1u);
}

TEST_F(IndexFileTest, IsMadeAnewOfAnotherVersion) {
  CommitCrash(store_, SampleRecord());
  List();
  Sql("PRAGMA user_version = 99; DROP TABLE crashes");
  EXPECT_EQ(ListAsTheFolders().crashes.size(), 1u);
}

TEST_F(IndexFileTest, IsMadeAnewWithTablesOfAnotherProgram) {
  CommitCrash(store_, SampleRecord());
  // Without a journal: GuardIndexFiles keeps SQLite from that file, in this process too.
  Sql("PRAGMA journal_mode = MEMORY; CREATE TABLE crashes (when_it_was TEXT)");
  EXPECT_EQ(ListAsTheFolders().crashes.size(), 1u);
  Sql("DROP TABLE days; CREATE TABLE days (other TEXT)");  // the version is right, the tables are not
  EXPECT_EQ(ListAsTheFolders().crashes.size(), 1u);
}

TEST_F(IndexFileTest, TwoWhoJudgeOneFileMakeOneAnew) {
  const CrashLocation crash = CommitCrash(store_, SampleRecord());
  SetDayChanged(crash.day, 1000);
  List();
  auto first = Index::Open(store_), second = Index::Open(store_);
  ASSERT_TRUE(first && second);
  Sql("UPDATE crashes SET outcome = 'odd'");
  ASSERT_THAT(first->List(store_), Succeeds());
  struct stat made{}, named{};
  ASSERT_EQ(::stat(File().c_str(), &made), 0);
  ASSERT_THAT(second->List(store_), Succeeds());
  ASSERT_EQ(::stat(File().c_str(), &named), 0);
  EXPECT_EQ(made.st_ino, named.st_ino);
}

TEST_F(IndexFileTest, FileIsPrivateWhateverTheUmask) {
  for (const mode_t mask : {0u, 0777u}) {
    std::filesystem::remove(File());
    const mode_t old = ::umask(mask);
    List();
    ::umask(old);
    struct stat status{};
    ASSERT_EQ(::stat(File().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0600u) << mask;
  }
}

/// Without the rights of root, which no file mode binds, while it lives.
class WithoutRoot {
 public:
  WithoutRoot() {
    if (user_ == 0 && ::seteuid(65534) < 0) ADD_FAILURE() << errno;
  }
  WithoutRoot(WithoutRoot&&) = delete;
  ~WithoutRoot() {
    if (user_ == 0 && ::seteuid(0) < 0) ADD_FAILURE() << errno;
  }

 private:
  uid_t user_ = ::geteuid();
};

TEST_F(IndexFileTest, AStoreThatMayNotBeWrittenIsListedFromItsFolders) {
  const CrashLocation crash = CommitCrash(store_, SampleRecord());
  for (const bool with_file : {false, true}) {
    if (with_file) List();
    ::chmod(folder_.path().c_str(), 0755);
    using std::filesystem::perms;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_.path()))
      std::filesystem::permissions(entry.path(), entry.is_directory() ? perms{0555} : perms{0444});
    {
      const WithoutRoot without_root;
      EXPECT_FALSE(Index::Open(store_)) << with_file;
      const auto list = ListCrashes(store_);
      ASSERT_THAT(list, Succeeds());
      EXPECT_THAT(Locations(*list), ElementsAre(crash));
    }
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_.path()))
      std::filesystem::permissions(entry.path(), entry.is_directory() ? perms{0700} : perms{0600});
  }
}

TEST_F(IndexFileTest, ASymlinkInItsPlaceIsNotFollowed) {
  const CrashLocation crash = CommitCrash(store_, SampleRecord());
  ASSERT_THAT(WriteFileAtomically(folder_.fd(), "elsewhere", "", 0600), Succeeds());
  std::filesystem::create_symlink(folder_ / "elsewhere", File());
  EXPECT_FALSE(Index::Open(store_));
  const auto list = ListCrashes(store_);
  ASSERT_THAT(list, Succeeds());
  EXPECT_THAT(Locations(*list), ElementsAre(crash));
  EXPECT_EQ(std::filesystem::file_size(folder_ / "elsewhere"), 0u);
}

}  // namespace
}  // namespace obit
