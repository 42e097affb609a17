#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "crash/kept_crash.h"
#include "crash/record.h"
#include "crash/removed_core.h"
#include "crash/repeats.h"
#include "crash/report.h"
#include "store/access.h"

namespace obit {

// Names in a crash directory and beside (docs/store-format.md).
inline constexpr const char* kRecordFile = "crash.json";
inline constexpr const char* kReportFile = "report.json";
inline constexpr const char* kRepeatsFile = "repeats.json";
inline constexpr const char* kCommitFile = "commit.json";
inline constexpr const char* kRemovedFile = "removed.json";  ///< the core was removed, the record stays
inline constexpr const char* kPinnedFile = "pinned";         // empty
inline constexpr const char* kCoreFile = "core.zst";
inline constexpr const char* kExeFile = "exe.zst";
inline constexpr const char* kBegunFile = "begun.json";  ///< the record as far as known when a capture began

inline constexpr const char* kMetricsFile = "metrics.prom";  ///< in the store itself: what its server counts
inline constexpr const char* kReserveFile = "reserve";       ///< there too: see Reserve

/// Where a committed crash lies: crashes/DAY/ID.
struct CrashLocation {
  std::string day;  ///< "2026-11-23", UTC
  std::string id;
  auto operator<=>(const CrashLocation&) const = default;
};

/// "2026-11-23": the name of a folder of crashes, and no other.
[[nodiscard]] bool IsDay(std::string_view name);
/// Both of its names are such as obit gives: no path out of the store is among them. Who read them anywhere
/// else than in the folders (an index row) asks here; and the store itself, each time it is given one.
[[nodiscard]] bool IsLocation(const CrashLocation& crash);

/// Tells one report of a crash from the next, and whether the core was removed. All 0: there is no report.
struct ReportStamp {
  std::uint64_t inode = 0;
  std::int64_t changed = 0;  ///< modification time, ns since 1970
  bool core_removed = false;
  bool operator==(const ReportStamp&) const = default;
};

/// A crash that is being written: incoming/ID, locked (flock) by whoever holds `dir` open. Uncommitted ones
/// whose lock is free are dead: a server recovers them.
struct IncomingCrash {
  std::string id;
  Fd dir;
};

/// A folder of crashes. The folder is the truth: no other state. Several processes may use one at a time;
/// what is committed changes only by a new report, by repeats and by removal.
class Store {
 public:
  /// Opens a store and makes the folders that it lacks. Everybody may look up what is theirs in it
  /// (store/access.h).
  [[nodiscard]] static Result<Store> Create(const std::string& path);
  /// Opens an existing one; reading rights suffice. ENOENT: there is no store.
  [[nodiscard]] static Result<Store> Open(const std::string& path);

  [[nodiscard]] const std::string& path() const { return path_; }

  /// Only one server may write to a store. EBUSY: another one does. Held as long as the Fd.
  [[nodiscard]] Result<Fd> LockForServer() const;

  // Writing a crash: Begin, files, Commit.

  /// Makes incoming/ID, locked.
  [[nodiscard]] Result<IncomingCrash> Begin(const std::string& id) const;
  /// Moves a crash whose files are written and synced into crashes/, by the day of `time` (ns since 1970):
  /// from here on readers see it. Survives a power cut only after SyncDay. It gets no number: CommitNumbered
  /// (store/commit.h) does that. EINVAL: that day is none, such as the first one of all, which begins earlier
  /// than a time can.
  [[nodiscard]] Result<CrashLocation> Commit(const std::string& id, std::int64_t time) const;
  [[nodiscard]] Result<void> SyncDay(const std::string& day) const;
  /// Removes incoming/ID and all in it.
  [[nodiscard]] Result<void> Discard(const std::string& id) const;
  /// Passes the crashes in incoming/ that nobody is writing to `visit`, one after the other, locked for the
  /// caller. Fails where `visit` does, or where this process, or the host, lacks what it takes to open one
  /// (IsShortage): those before it were passed.
  [[nodiscard]] Result<void> ForEachAbandoned(const std::function<Result<void>(IncomingCrash)>& visit) const;

  // Reading.

  /// The days that have a folder, oldest first.
  [[nodiscard]] Result<std::vector<std::string>> Days() const;
  /// The crashes of a day, in no order. A day without a folder has none.
  [[nodiscard]] Result<std::vector<CrashLocation>> CrashesOf(const std::string& day) const;
  /// When the folder of a day last changed, ns since 1970; 0 if there is none.
  [[nodiscard]] std::int64_t DayChanged(const std::string& day) const;
  /// ENOENT: no such crash. EBADMSG, EPROTONOSUPPORT: as RecordFromJson, or the record is of another crash.
  [[nodiscard]] Result<CrashRecord> Load(const CrashLocation& crash) const;
  /// What the last analysis of a crash said; of an older version in the group of today (crash/regroup.h),
  /// where its record can be read. ENOENT: there was none. EBADMSG, EPROTONOSUPPORT: as ReportFromJson, or
  /// the report is of another crash.
  [[nodiscard]] Result<Report> LoadReport(const CrashLocation& crash) const;
  /// The same as its file has it.
  [[nodiscard]] Result<Report> LoadReportAsWritten(const CrashLocation& crash) const;
  /// Cause and fingerprint of the report, without reading its stacks where that can be helped, and the stamp
  /// that it had before it was read. Fails as LoadReport.
  struct ReportHead {
    Report report;
    ReportStamp stamp;
    std::uint64_t bytes = 0;  ///< of the file
  };
  [[nodiscard]] Result<ReportHead> LoadReportHead(const CrashLocation& crash) const;
  /// The stamps of the reports of some crashes of one day, in their order. Nothing: it cannot be told whether
  /// there is one (EACCES, EIO, ...).
  [[nodiscard]] Result<std::vector<std::optional<ReportStamp>>> ReportStamps(
      const std::string& day, std::span<const CrashLocation> crashes) const;
  /// A file of a crash, opened for reading. EPERM: obit did not write it.
  [[nodiscard]] Result<Fd> OpenFile(const CrashLocation& crash, const std::string& name) const;
  [[nodiscard]] std::string PathOf(const CrashLocation& crash) const;

  /// Puts the report of a crash into its folder, in the place of an earlier one, and makes its day look
  /// changed: indexes look at reports where a day has changed. `owner` is OwnerOf its record, which is not
  /// read. EBUSY: another process is about to do the same. ENOENT: there is no such crash (any more). EPERM:
  /// it has no record that obit wrote. EISDIR: its owner has put a folder, or a mount, in the place of the
  /// report.
  [[nodiscard]] Result<void> WriteReport(const CrashLocation& crash, const Report& report,
                                         CrashOwner owner) const;

  /// Notes beside a crash what was counted after it, in the place of an earlier count: for the server, of
  /// which there is one. ENOENT, EPERM, EISDIR: as WriteReport.
  [[nodiscard]] Result<void> WriteRepeats(const CrashLocation& crash, const Repeats& repeats) const;
  /// ENOENT: nothing was counted. EBADMSG, EPROTONOSUPPORT: as RepeatsFromJson, or of another crash.
  [[nodiscard]] Result<Repeats> LoadRepeats(const CrashLocation& crash) const;

  /// Removes core and program of a crash and notes that; the record stays, and all else. Makes its day look
  /// changed, as WriteReport. Returns whether there was anything: to do it again changes nothing. ENOENT,
  /// EPERM: as WriteReport; with ENOENT a core that is there without a record is gone, too. Where there is no
  /// room for the note, it comes after the removal; what its owner put in the place of the note stays there.
  [[nodiscard]] Result<bool> RemoveCore(const CrashLocation& crash, const RemovedCore& removed) const;
  /// ENOENT: the core was not removed. EBADMSG, EPROTONOSUPPORT: as RemovedCoreFromJson, or of another crash.
  [[nodiscard]] Result<RemovedCore> LoadRemovedCore(const CrashLocation& crash) const;
  /// Whether there is such a note, or anything else in its place, and no core. Fails if that cannot be told.
  [[nodiscard]] Result<bool> IsCoreRemoved(const CrashLocation& crash) const;

  /// Notes when a crash was committed that got no number then. ENOENT, EPERM, EISDIR: as WriteReport.
  [[nodiscard]] Result<void> WriteCommitNumber(const CrashLocation& crash, std::uint64_t number) const;
  /// ENOENT: it has none. EBADMSG, EPROTONOSUPPORT: as CommitFromJson, or of another crash.
  [[nodiscard]] Result<std::uint64_t> LoadCommitNumber(const CrashLocation& crash) const;

  /// Removes a crash at once for readers; a removal that is cut short is for GoOnRemoving (store/removal.h).
  /// The owner of a crash may not remove its folder: they leave it empty, for RemoveIfEmptied. ENOTEMPTY: it
  /// is removed, and what its owner put there is left.
  [[nodiscard]] Result<void> Remove(const CrashLocation& crash) const;
  /// The same in milliseconds, whatever its owner put there. EAGAIN: it is removed, and the rest is for
  /// GoOnRemoving.
  [[nodiscard]] Result<void> RemoveInPassing(const CrashLocation& crash) const;
  /// True if there is such a folder and no crash in it: its owner removed it. Takes the folder away, if the
  /// caller may; much that its owner put there is for GoOnRemoving.
  [[nodiscard]] bool RemoveIfEmptied(const CrashLocation& crash) const;

  /// Keeps a crash from obit rm without --force, or no longer.
  [[nodiscard]] Result<void> Pin(const CrashLocation& crash, bool pinned) const;
  /// What an index does not know: the owner of a crash changes it without a trace in its day.
  struct Presence {
    bool exists = false, pinned = false, repeated = false;
    PinKind pin = PinKind::kNone;  ///< kNone exactly where it is not pinned
  };
  [[nodiscard]] Presence PresenceOf(const CrashLocation& crash) const;
  /// `exists` of these alone.
  [[nodiscard]] bool MayExist(const CrashLocation& crash) const;

  /// The folder itself, for the index.
  [[nodiscard]] const Fd& root() const { return root_; }

 private:
  [[nodiscard]] static Result<Store> OpenAs(Fd root, const std::string& path);
  [[nodiscard]] Result<Fd> OpenCrash(const CrashLocation& crash) const;
  [[nodiscard]] static Result<void> WriteBeside(const Fd& dir, const char* name, const std::string& text,
                                                CrashOwner owner);

  std::string path_;
  Fd root_, crashes_, incoming_;
};

/// What fails so, of a crash that is committed, fails each time: its owner has put something in the way.
[[nodiscard]] bool IsInTheWay(const Error& error);

/// Reads a record file of `dir`: crash.json or begun.json.
[[nodiscard]] Result<CrashRecord> LoadRecord(const Fd& dir, const char* name);

}  // namespace obit
