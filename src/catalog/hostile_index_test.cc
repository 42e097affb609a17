// The index of a store whose user is hostile, as root meets it.

#include <csignal>
#include <filesystem>

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "catalog/index.h"
#include "catalog/index_memory.h"
#include "catalog/list.h"
#include "store/test_hostile.h"

namespace obit {
namespace {

using testing::Child;
using testing::FailsWith;
using testing::Succeeds;

class HostileIndexTest : public testing::HostileStoreTest {
 protected:
  void SetUp() override {
    testing::HostileStoreTest::SetUp();
    if (IsSkipped()) return;
    ASSERT_TRUE(ListsTheCrash());
  }

  [[nodiscard]] bool ListsTheCrash() const {
    const auto list = ListCrashes(store_);
    return list && list->crashes.size() == 1 && list->crashes[0].location == crash_;
  }

  /// What the store's user writes into the index.
  void Sql(const std::string& sql) const {
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open(IndexFile("").c_str(), &database), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(database, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
        << sqlite3_errmsg(database);
    sqlite3_close(database);
  }
  /// The first page of a table or an index, as SQLite has written it to the file.
  [[nodiscard]] std::uint32_t RootOf(const std::string& name) const {
    sqlite3* database = nullptr;
    sqlite3_stmt* query = nullptr;
    EXPECT_EQ(sqlite3_open(IndexFile("").c_str(), &database), SQLITE_OK);
    const std::string sql = "SELECT rootpage FROM sqlite_schema WHERE name = '" + name + "'";
    EXPECT_EQ(sqlite3_prepare_v2(database, sql.c_str(), -1, &query, nullptr), SQLITE_OK);
    EXPECT_EQ(sqlite3_step(query), SQLITE_ROW);
    const auto root = static_cast<std::uint32_t>(sqlite3_column_int64(query, 0));
    sqlite3_finalize(query);
    sqlite3_close(database);
    return root;
  }
  [[nodiscard]] std::string IndexFile(const std::string& suffix) const {
    return store_.path() + "/index.db" + suffix;
  }
};

TEST_F(HostileIndexTest, RowsLeadNowhereElse) {
  const std::string id = crash_.id;
  for (const auto& [day, name] : {std::pair<std::string, std::string>{"../..", id},
                                  {"..", id},
                                  {"", id},
                                  {crash_.day + "/../..", id},
                                  {"2026-13-40", id},
                                  {crash_.day, "../.."},
                                  {crash_.day, ""},
                                  {crash_.day, "../" + crash_.day + "/" + id},
                                  {crash_.day, id + std::string(1, '\n')}}) {
    Sql("UPDATE crashes SET number = 1, commit_number = 0, day = '" + day + "', id = '" + name + "'");
    EXPECT_THAT(Index::Open(store_)->Unnumbered(), FailsWith(EBADMSG)) << day << " " << name;
    EXPECT_TRUE(ListsTheCrash()) << day << " " << name;
  }
}

/// A hot rollback journal that names a "super-journal", as SQLite writes it (sqlite.org/fileformat2.html).
std::string JournalNaming(const std::string& file) {
  const std::string magic = "\xd9\xd5\x05\xf9\x20\xa1\x63\xd7";
  const auto number = [](std::uint32_t value) {
    std::string bytes;
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift);
    return bytes;
  };
  constexpr std::uint32_t kPage = 4096, kSector = 512;
  std::string journal = magic + number(0) + number(0) + number(1) + number(kSector) + number(kPage);
  journal.resize(kSector);
  std::uint32_t sum = 0;
  for (const char c : file) sum += static_cast<std::uint32_t>(static_cast<signed char>(c));
  journal += number(0x40000000 / kPage + 1) + file;
  return journal + number(static_cast<std::uint32_t>(file.size())) + number(sum) + magic;
}

TEST_F(HostileIndexTest, AJournalHasNothingDeleted) {
  const std::string victim = folder_ / "victim";
  ASSERT_THAT(WriteFileAtomically(folder_.fd(), "victim", "kept", 0600), Succeeds());
  ASSERT_THAT(WriteFileAtomically(store_.root(), "index.db-journal", JournalNaming(victim), 0600),
              Succeeds());
  EXPECT_TRUE(ListsTheCrash());
  EXPECT_TRUE(Exists(victim));
}

TEST_F(HostileIndexTest, NothingInThePlaceOfTheIndexHangs) {
  for (const char* suffix : {"", "-journal", "-wal", "-shm"})
    for (const mode_t mode : {0600, 0400}) {
      for (const char* other : {"", "-journal", "-wal", "-shm"}) ::unlink(IndexFile(other).c_str());
      EXPECT_TRUE(ListsTheCrash());
      ::unlink(IndexFile(suffix).c_str());
      ASSERT_EQ(::mkfifo(IndexFile(suffix).c_str(), mode), 0);
      EXPECT_TRUE(Soon([&] { return ListsTheCrash(); })) << suffix;
    }
}

TEST_F(HostileIndexTest, NoForeignFileIsTakenForTheIndex) {
  const std::string secret(8192, 's');
  for (const char* suffix : {"", "-wal", "-shm"})
    for (const bool link : {true, false}) {
      for (const char* other : {"", "-wal", "-shm"}) ::unlink(IndexFile(other).c_str());
      EXPECT_TRUE(ListsTheCrash());
      ASSERT_THAT(WriteFileAtomically(folder_.fd(), "secret", secret, 0600), Succeeds());
      ::unlink(IndexFile(suffix).c_str());
      ASSERT_EQ((link ? &::link : &::symlink)((folder_ / "secret").c_str(), IndexFile(suffix).c_str()), 0);
      EXPECT_TRUE(ListsTheCrash()) << suffix;
      struct stat status{};
      ASSERT_EQ(::stat((folder_ / "secret").c_str(), &status), 0);
      EXPECT_EQ(status.st_uid, 0u);
      EXPECT_EQ(status.st_mode & 07777, 0600u);
      EXPECT_EQ(ReadFile(folder_ / "secret", secret.size())->text, secret) << suffix;
    }
}

/// Whoever owns a folder above the store can put another folder in its place, whenever he likes.
TEST_F(HostileIndexTest, AFolderInThePlaceOfTheStoreIsNotEntered) {
  const std::string path = store_.path(), moved = path + ".moved";
  const auto exchange = [&] {
    ASSERT_EQ(::rename(path.c_str(), moved.c_str()), 0);
    ASSERT_EQ(::mkdir(path.c_str(), 0755), 0);
    const Fd put = *Open(path, O_RDONLY | O_DIRECTORY);
    for (const char* name : {"index.db-wal", "index.db-shm"})
      ASSERT_THAT(WriteFileAtomically(put, name, "kept", 0600), Succeeds());
  };
  const auto is_as_put = [&] {
    EXPECT_FALSE(Exists(IndexFile("")));
    for (const char* suffix : {"-wal", "-shm"}) EXPECT_EQ(ReadFile(IndexFile(suffix), 100)->text, "kept");
    std::filesystem::remove_all(path);
    ASSERT_EQ(::rename(moved.c_str(), path.c_str()), 0);
  };
  {
    auto opened = Index::Open(store_);
    exchange();
    EXPECT_EQ(opened->List(store_)->crashes.size(), 1u);
  }  // with the last that has it open the log goes
  EXPECT_FALSE(Exists(moved + "/index.db-wal"));
  is_as_put();
  for (const char* suffix : {"", "-wal", "-shm"}) ::unlink(IndexFile(suffix).c_str());
  exchange();
  EXPECT_EQ(Index::Open(store_)->List(store_)->crashes.size(), 1u);
  EXPECT_TRUE(Exists(moved + "/index.db"));
  is_as_put();
}

/// SQLite opens further files of a database when it needs them, and by the path of whoever opened it first.
TEST_F(HostileIndexTest, AnIndexOutlivesTheStoreAndWhoOpenedItFirst) {
  auto other = Store::Open(store_.path());
  auto first = Index::Open(*other), second = Index::Open(store_);
  other = Fail(ENOENT, "closed");
  EXPECT_EQ(first->List(store_)->crashes.size(), 1u);
  first = Fail(ENOENT, "closed");
  const std::string later = store_.PathOf(Commit());
  for (const char* name : {kRecordFile, kCoreFile})
    ASSERT_EQ(::lchown((later + "/" + name).c_str(), testing::kUser, testing::kUser), 0);
  EXPECT_EQ(second->List(store_)->crashes.size(), 2u);
  second = Fail(ENOENT, "closed");
  for (const char* suffix : {"-wal", "-shm"}) EXPECT_FALSE(Exists(IndexFile(suffix))) << suffix;
}

TEST_F(HostileIndexTest, AnIndexRunsNothing) {
  for (const char* sql :
       {"DROP TABLE days; CREATE VIEW days AS WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i FROM n) "
        "SELECT 'x' AS day, i AS changed FROM n",
        "CREATE TRIGGER eager AFTER INSERT ON crashes BEGIN DELETE FROM crashes; END; UPDATE days SET "
        "changed = 0; DELETE FROM crashes",
        "CREATE INDEX costly ON crashes (hex(zeroblob(1000000)))",
        "UPDATE crashes SET comm = zeroblob(40000000)"}) {
    Sql(sql);
    EXPECT_TRUE(Soon([&] { return ListsTheCrash(); })) << sql;
  }
}

/// A file of SQLite (sqlite.org/fileformat2.html), as its pages.
class Pages {
 public:
  explicit Pages(std::string file) : file_(std::move(file)) {}
  [[nodiscard]] std::uint32_t count() const { return static_cast<std::uint32_t>(file_.size() / kSize); }
  [[nodiscard]] const std::string& file() const { return file_; }

  /// Has the interior page `root` lead to its last leaf, by `depth` copies of itself, each of which all
  /// children of the one before are.
  void Multiply(std::uint32_t root, int depth) {
    const std::string page = file_.substr(At(root), kSize);
    ASSERT_TRUE(page[0] == kInteriorIndex) << "it has one page only";
    const std::uint32_t leaf = Number(page, 8);
    ASSERT_NE(file_[At(leaf)], kInteriorIndex);
    const std::uint32_t first = count() + 1;
    for (int i = 0; i < depth; ++i)
      file_ += WithChildren(page, i + 1 < depth ? first + static_cast<std::uint32_t>(i) + 1 : leaf);
    file_.replace(At(root), kSize, WithChildren(page, first));
    SetNumber(file_, 28, count());
  }

 private:
  static constexpr std::size_t kSize = 4096;
  static constexpr char kInteriorIndex = 2;
  static std::size_t At(std::uint32_t page) { return (page - 1) * kSize; }
  static std::uint32_t Number(const std::string& bytes, std::size_t at, std::size_t size = 4) {
    std::uint32_t number = 0;
    for (std::size_t i = 0; i < size; ++i) number = number << 8 | static_cast<unsigned char>(bytes[at + i]);
    return number;
  }
  static void SetNumber(std::string& bytes, std::size_t at, std::uint32_t number) {
    for (int i = 0; i < 4; ++i)
      bytes[at + static_cast<std::size_t>(i)] = static_cast<char>(number >> (24 - 8 * i));
  }
  static std::string WithChildren(std::string page, std::uint32_t child) {
    SetNumber(page, 8, child);
    for (std::uint32_t cell = 0; cell < Number(page, 3, 2); ++cell)
      SetNumber(page, Number(page, 12 + 2 * cell, 2), child);
    return page;
  }
  std::string file_;
};

/// SQLite does not notice that pages have the same children: eight copies of one claim more rows than can
/// ever be read.
TEST_F(HostileIndexTest, RowsWithoutEndAreNotRead) {
  for (const char* table : {"crashes", "crashes_by_day", "crashes_by_commit", "crashes_by_size", "days"}) {
    ASSERT_TRUE(Index::Open(store_)->Rebuild(store_)) << table;
    Sql("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) INSERT INTO crashes "
        "SELECT number + i, 0, time, printf('%016x', i), day, pid, uid, comm, exe, signal, detail, outcome, "
        "core_bytes, i, reason, unit, disk_bytes, retention, kind, cause, guess, group_version, group_value, "
        "report_bytes, "
        "report_inode, report_changed, core_removed FROM crashes, n");
    Sql("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) INSERT INTO days "
        "SELECT date('1980-01-01', i || ' days'), 1, 0 FROM n");
    Sql("UPDATE days SET changed = 0");  // else the list would believe the rows
    const std::string sound = ReadFile(IndexFile(""), 16 << 20)->text;
    Pages pages(sound);
    pages.Multiply(RootOf(table), 8);
    ASSERT_LT(pages.file().size(), sound.size() + (64 << 10));
    const auto soon = [&](const char* what, const std::function<bool()>& does) {
      for (const char* suffix : {"-wal", "-shm"}) ::unlink(IndexFile(suffix).c_str());
      ASSERT_THAT(WriteFileAtomically(store_.root(), "index.db", pages.file(), 0600), Succeeds());
      EXPECT_TRUE(Soon(does)) << table << ": " << what;
    };
    soon("list", [&] { return ListsTheCrash(); });
    soon("rebuild", [&] { return Index::Open(store_)->Rebuild(store_)->crashes.size() == 1; });
    soon("refresh", [&] {
      (void)Index::Open(store_)->Refresh(store_, crash_.day);
      return ListsTheCrash();
    });
    soon("add", [&] {
      (void)Index::Open(store_)->Add(store_, std::span(&crash_, 1));
      return ListsTheCrash();
    });
    soon("the rest", [&] {
      auto index = *Index::Open(store_);
      (void)index.Use(), (void)index.Unnumbered(), (void)index.HighestNumbers(), (void)index.Kept(store_);
      return ListsTheCrash();
    });
  }
}

TEST_F(HostileIndexTest, WhoCutsTheMemoryOfTheIndexEndsNobody) {
  EXPECT_TRUE(Soon([&] {
    auto index = *Index::Open(store_);
    for (int round = 0; round < 3; ++round) {
      if (!index.List(store_) || ::truncate(IndexFile("-shm").c_str(), 0) < 0) return false;
      (void)index.Use();
      if (!IsIndexMemoryCut()) return false;
      const auto list = index.List(store_);
      if (!list || list->crashes.size() != 1 || IsIndexMemoryCut()) return false;
      if (::truncate(IndexFile("-shm").c_str(), 0) < 0 || !index.Kept(store_) || IsIndexMemoryCut())
        return false;
    }
    return true;
  }));
}

TEST_F(HostileIndexTest, NorWhoDoesSoAtAnyMoment) {
  Child cutter(::fork());
  if (cutter.pid() == 0) {
    ::alarm(20);
    for (;;) (void)::truncate(IndexFile("-shm").c_str(), 0);
  }
  EXPECT_TRUE(Soon([&] {
    const std::int64_t end = MonotonicNow() + 2'000'000'000;
    bool listed = true;
    while (MonotonicNow() < end && listed) listed = ListsTheCrash();
    return listed;
  }));
}

TEST_F(HostileIndexTest, AFaultInOtherMemoryEndsTheProcess) {
  ASSERT_THAT(WriteFileAtomically(folder_.fd(), "short", "x", 0600), Succeeds());
  EXPECT_FALSE(Soon([&] {
    ::prctl(PR_SET_DUMPABLE, 0);  // else its crash comes to whichever server the kernel has now
    const auto index = Index::Open(store_);
    const auto file = Open(folder_ / "short", O_RDWR);
    void* const memory = ::mmap(nullptr, 1, PROT_READ, MAP_SHARED, file->get(), 0);
    if (!index || memory == MAP_FAILED || ::ftruncate(file->get(), 0) < 0) return true;
    return *static_cast<volatile char*>(memory) == 0;
  }));
}

TEST_F(HostileIndexTest, ALockOnTheIndexIsNotWaitedForLong) {
  Child holder(::fork());
  if (holder.pid() == 0) {
    sqlite3* database = nullptr;
    if (sqlite3_open(IndexFile("").c_str(), &database) != SQLITE_OK ||
        sqlite3_exec(database, "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE", nullptr, nullptr,
                     nullptr) != SQLITE_OK)
      ::_exit(1);
    ::raise(SIGSTOP);
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(holder.pid(), &status, WUNTRACED), holder.pid());
  ASSERT_TRUE(WIFSTOPPED(status)) << "it has no lock";
  EXPECT_TRUE(Soon([&] { return ListsTheCrash(); }));
}

}  // namespace
}  // namespace obit
