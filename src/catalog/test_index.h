#pragma once

// What the tests of the index share. Included by tests only.

#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include <sqlite3.h>
#include <sys/stat.h>

#include "catalog/index.h"
#include "catalog/list.h"
#include "store/test_support.h"

namespace obit::testing {

inline std::string Text(const CrashSummary& crash) {
  return fmt::format("{}/{} {} {} {} {} {} {} {} {} {} {} {}", crash.location.day, crash.location.id,
                     crash.time, crash.pid, crash.uid ? std::to_string(*crash.uid) : "none", crash.comm,
                     crash.exe, crash.signal, NameOf(crash.detail), NameOf(crash.outcome), crash.core_bytes,
                     crash.stored_bytes, crash.reason) +
         fmt::format(" {} {} {} {} {} {} {} {} {}", crash.unit, crash.disk_bytes, NameOf(crash.retention),
                     crash.core_removed, crash.report_bytes, NameOf(crash.kind), crash.cause, crash.guess,
                     crash.group ? fmt::format("{}:{:x}", crash.group->version, crash.group->value) : "none");
}

inline std::vector<std::string> Texts(const CrashList& list) {
  std::vector<std::string> texts;
  for (const CrashSummary& crash : list.crashes) texts.push_back(Text(crash));
  for (const BrokenCrash& crash : list.broken) texts.push_back("broken " + crash.location.id);
  return texts;
}

inline std::vector<CrashLocation> Locations(const CrashList& list) {
  std::vector<CrashLocation> locations;
  for (const CrashSummary& crash : list.crashes) locations.push_back(crash.location);
  return locations;
}

class IndexTest : public ::testing::Test {
 protected:
  TemporaryFolder folder_;
  Store store_ = Store::Create(folder_ / "store").value();

  [[nodiscard]] std::string File() const { return store_.path() + "/index.db"; }
  [[nodiscard]] std::string DayFolder(const std::string& day) const {
    return store_.path() + "/crashes/" + day;
  }

  /// What the index says; checks that the folders say the same.
  CrashList List() {
    auto index = Index::Open(store_);
    EXPECT_THAT(index, Succeeds());
    if (!index) return {};
    auto list = index->List(store_);
    EXPECT_THAT(list, Succeeds());
    if (!list) return {};
    return std::move(*list);
  }
  CrashList ListAsTheFolders() {
    CrashList list = List();
    const auto folders = ListFolders(store_);
    EXPECT_THAT(folders, Succeeds());
    EXPECT_EQ(Texts(list), Texts(*folders));
    return list;
  }

  /// Makes a day look as if it had changed last at `nanoseconds`, long ago.
  void SetDayChanged(const std::string& day, std::int64_t nanoseconds) const {
    const timespec times[] = {{0, UTIME_OMIT}, {nanoseconds / 1'000'000'000, nanoseconds % 1'000'000'000}};
    ASSERT_EQ(::utimensat(AT_FDCWD, DayFolder(day).c_str(), times, 0), 0);
  }

  /// Changes what is stored of a crash without a trace in its day: only a record that is read again shows it.
  void ChangeRecord(const CrashLocation& crash, const std::function<std::string(CrashRecord)>& text) const {
    auto record = store_.Load(crash);
    ASSERT_THAT(record, Succeeds());
    const std::string changed = text(*record);
    std::ofstream(store_.PathOf(crash) + "/" + kRecordFile, std::ios::trunc) << changed;
  }
  void SetPid(const CrashLocation& crash, pid_t pid) const {
    ChangeRecord(crash, [pid](CrashRecord record) {
      record.process.pid = pid;
      return RecordToJson(record);
    });
  }

  void Sql(const char* sql) const {
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open(File().c_str(), &database), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(database, sql, nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(database);
    sqlite3_close(database);
  }
};

}  // namespace obit::testing
