#include "capture/import.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file_time.h"
#include "base/inside.h"
#include "base/io.h"
#include "capture/core_file.h"
#include "capture/facts.h"
#include "capture/file_kind.h"
#include "capture/write_record.h"
#include "elf/core_head.h"
#include "elf/core_notes.h"
#include "store/access.h"
#include "store/commit.h"
#include "store/hole_marks.h"
#include "store/ownership.h"

namespace obit {
namespace {

/// Zeros in one run that the head of a core may have; a file system makes holes of them. Registers of the
/// largest kind have 8 KiB of them.
constexpr std::uint64_t kHoleInHeadMax = 1 << 20;
/// A shorter hole is kept as data: compressed zeros are cheaper than a frame cut in two.
constexpr std::uint64_t kHoleMin = kFrameBytes;

/// What of a file is held back until it is known to be a core, bytes, at most: the program headers of a core
/// of 70,000 mappings.
constexpr std::size_t kHeldMax = 4 << 20;

/// Learns the head of the core and writes it as core.zst, once it is one.
class Importer final : public CoreFileSink {
 public:
  using Begin = std::function<Result<CoreWriter*>()>;
  explicit Importer(Begin begin) : open_(std::move(begin)) {}

  void Expect(std::uint64_t holes) override {
    by_length_ = holes > kPlainHolesMax;
    if (by_length_ && writer_ != nullptr) writer_->KeepHolesByLength();
  }

  Result<void> Data(std::span<const std::byte> bytes) override {
    OBIT_TRY(Learn(bytes));
    if (writer_ != nullptr) return writer_->Append(bytes);
    held_.insert(held_.end(), bytes.begin(), bytes.end());
    if (!head_.core_bytes() && held_.size() < kHeldMax) return {};
    writer_ = OBIT_TRY(open_());
    if (by_length_) writer_->KeepHolesByLength();
    return writer_->Append(std::exchange(held_, {}));
  }

  Result<void> Hole(std::uint64_t length) override {
    static constexpr std::array<std::byte, 4096> kZeros{};
    if (!head_.complete()) {
      if (length > kHoleInHeadMax) return Refuse(EBADMSG, "its head has a hole of {} bytes", length);
    } else if (length >= kHoleMin) {
      return writer_->Skip(length);  // its head is known, so it is being written
    }
    while (length > 0) {
      const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(length, kZeros.size()));
      OBIT_TRY(Data(std::span(kZeros).first(n)));
      length -= n;
    }
    return {};
  }

  [[nodiscard]] const CoreHead& head() const { return head_; }
  /// What is held back of a file that is not known to be a core, bytes.
  [[nodiscard]] std::size_t held() const { return held_.size(); }
  /// Why it is no core: what came so far is something else, or not what a core begins with.
  [[nodiscard]] std::string Complaint() const {
    const bool is_core = IsElfCore(begin_);
    if (!is_core) return DescribeNoCore(begin_);
    return head_.invalid().empty() ? "" : "it is a core, but " + head_.invalid();
  }

 private:
  Result<void> Learn(std::span<const std::byte> bytes) {
    if (begin_.size() < kKindBytes) {
      const auto more = bytes.first(std::min(bytes.size(), kKindBytes - begin_.size()));
      begin_.insert(begin_.end(), more.begin(), more.end());
    }
    head_.Feed(bytes);
    // At once: nothing of a large file that is no core is stored.
    if (!head_.invalid().empty()) return Refuse(EBADMSG, "{}", Complaint());
    return {};
  }

  Begin open_;
  CoreWriter* writer_ = nullptr;
  bool by_length_ = false;
  std::vector<std::byte> held_;
  /// As much as most callers need, and obit's own note behind it: that makes a core a minimal one.
  CoreHead head_{NoteKeeper(CoreHead::kNotesKept, CoreHead::kNotesKept)};
  std::vector<std::byte> begin_;  // at most kKindBytes
};

/// Where a core goes.
struct Place {
  Store store;
  std::optional<IncomingCrash> incoming;  // made once the core is whole
  Fd core;
  std::optional<CoreWriter> writer;
};

/// A core without a name takes no room once whoever writes it is killed. Where root makes it in the store of
/// another user it is that user's from the beginning: whenever root is killed, the server can go on with what
/// is left. And never by its name, where that user may have put a file of somebody else.
Result<void> OpenCore(Place& place, const std::string& id) {
  auto nameless = OpenInside(place.store.root(), "incoming", O_TMPFILE | O_RDWR, kPrivateFile);
  if (nameless) {
    place.core = std::move(*nameless);
    return GiveToOwner(place.store.root(), place.core);
  }
  if (nameless.error().code != EOPNOTSUPP) return std::unexpected(std::move(nameless).error());
  place.incoming = OBIT_TRY(place.store.Begin(id));
  place.core = OBIT_TRY(MakePrivateFile(place.incoming->dir, kCoreFile, O_RDWR | O_EXCL));
  return {};
}

Result<void> NameCore(Place& place, const std::string& id) {
  if (place.incoming) return {};
  place.incoming = OBIT_TRY(place.store.Begin(id));
  const std::string nameless = fmt::format("/proc/self/fd/{}", place.core.get());
  if (::linkat(AT_FDCWD, nameless.c_str(), place.incoming->dir.get(), kCoreFile, AT_SYMLINK_FOLLOW) < 0)
    return Fail(errno, "name the core");
  return {};
}

/// Why nothing is made of a file that ended, or that could not be unpacked any further (`cut`).
std::unexpected<Error> NoCore(const Importer& importer, const std::string& cut) {
  if (importer.held() == 0 && !cut.empty()) return Refuse(EBADMSG, "{}", cut);
  if (const std::string why = importer.Complaint(); !why.empty()) return Refuse(EBADMSG, "{}", why);
  return Refuse(
      EBADMSG,
      "it is a core that ends within its program headers, after {} bytes: nothing of the process is "
      "in it",
      importer.held());
}

/// Writes the core to where `begin` opens for it, and says what goes into the record.
Result<CrashRecord> WriteCore(const Fd& file, std::optional<Place>& place, const Importer::Begin& begin,
                              CrashRecord record, const std::function<void(std::uint64_t)>& progress) {
  Importer importer(begin);
  const CoreFileEnd end = OBIT_TRY(ReadCoreFile(file, importer, progress));
  const CoreHead& head = importer.head();
  if (!place || !head.core_bytes()) return NoCore(importer, end.complaint);
  const StoredCore stored = OBIT_TRY(place->writer->Finish());
  if (auto failure = place->writer->failure()) return std::unexpected(std::move(*failure));
  OBIT_TRY(Sync(place->core));

  CrashRecord::Capture& capture = record.capture;
  capture.transport = "file";
  capture.method = CaptureMethod::kImport;
  capture.detail = Detail::kFull;
  capture.outcome = CrashOutcome::kFull;
  capture.promised_bytes = head.core_bytes();
  capture.core_bytes = stored.plain;
  capture.stored_bytes = stored.stored;
  capture.omitted_bytes = stored.omitted;
  if (stored.plain < *capture.promised_bytes) {
    capture.outcome = CrashOutcome::kTruncated;
    capture.reason = fmt::format("the file ends after {} of {} bytes", stored.plain, *capture.promised_bytes);
    if (!end.complaint.empty()) capture.reason += ": " + end.complaint;
  } else if (end.follows) {
    capture.reason = end.complaint;
  } else if (!end.complaint.empty()) {
    capture.outcome = CrashOutcome::kTruncated;
    capture.reason =
        fmt::format("all {} bytes are there, but not as they were packed: {}", stored.plain, end.complaint);
  }
  record.files.core = kCoreFile;
  const CoreNotes notes = ParseCoreNotes(head.notes(), head.elf_class(), head.machine());
  if (notes.mappings) {  // "obit dump" wrote it
    capture.detail = Detail::kMinimal;
    if (capture.outcome == CrashOutcome::kFull) capture.outcome = CrashOutcome::kMinimal;
  }
  ApplyCoreNotes(notes, record);
  return record;
}

}  // namespace

Result<ImportedCrash> ImportCore(const ImportTarget& target, const std::string& path,
                                 const CoreWriter::Options& options,
                                 const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
  const Fd file = OBIT_TRY(Open(path, O_RDONLY));
  struct stat status{};
  if (::fstat(file.get(), &status) < 0) return Fail(errno, "look at {}", path);
  const auto size = static_cast<std::uint64_t>(status.st_size);

  CrashRecord record;
  record.id = NewCrashId();
  record.time = NanosecondsOf(status.st_mtim);
  std::optional<Place> place;
  const auto begin = [&]() -> Result<CoreWriter*> {
    Store opened = OBIT_TRY(target.store());
    place.emplace().store = std::move(opened);
    OBIT_TRY(OpenCore(*place, record.id));
    return &place->writer.emplace(place->core, options);
  };
  std::optional<Error> unsynced;
  auto written = [&]() -> Result<Committed> {
    const auto count = [&](std::uint64_t done) { progress(done, size); };
    record = OBIT_TRY_IN(WriteCore(file, place, begin, record, count), "{}", path);
    const Store& store_now = place->store;
    StoreNumbers numbers = target.numbers(store_now);
    // As a range, which is on the disk before it is given: so is this crash.
    record.number = OBIT_TRY(numbers.accepted.TakeRange()).first;
    OBIT_TRY(NameCore(*place, record.id));
    const Fd& dir = place->incoming->dir;
    OBIT_TRY(StoreRecord(dir, record, [&](const Fd& made) { return GiveToOwner(store_now.root(), made); }));
    (void)OBIT_TRY(ShareCrash(dir, record));  // it has no owner: for the group only
    Committed done = OBIT_TRY(CommitNumbered(store_now, numbers.committed, record));
    // It is there: only a power cut can still take it.
    if (auto synced = store_now.SyncDay(done.location.day); !synced) unsynced = std::move(synced).error();
    return done;
  }();
  if (!written && place && place->incoming)
    (void)place->store.Discard(record.id);  // the first error is the one to tell
  if (!written) return std::unexpected(std::move(written).error());
  return ImportedCrash{std::move(record), std::move(*written), std::move(unsynced)};
}

}  // namespace obit
