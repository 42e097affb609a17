#include "capture/import.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "capture/capture.h"
#include "capture/core_file.h"
#include "capture/facts.h"
#include "capture/file_kind.h"
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
  CoreHead head_;
  std::vector<std::byte> begin_;  // at most kKindBytes
};

std::int64_t TimeOf(const struct stat& status) {
  return status.st_mtim.tv_sec * 1'000'000'000LL + status.st_mtim.tv_nsec;
}

/// Files that root makes in the store of another user belong to that user, so that its server can handle
/// them.
Result<void> GiveFilesToOwner(const Store& store, const Fd& dir) {
  for (const std::string& name : OBIT_TRY(ListDirectory(dir)))
    OBIT_TRY_IN(GiveToOwner(store.root(), OBIT_TRY(OpenAt(dir, name, O_RDONLY))), "{}", name);
  return {};
}

/// Where a core goes.
struct Place {
  Store store;
  IncomingCrash incoming;
  Fd core;
  std::optional<CoreWriter> writer;
};

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
  const std::string cut = OBIT_TRY(ReadCoreFile(file, importer, progress));
  const CoreHead& head = importer.head();
  if (!place || !head.core_bytes()) return NoCore(importer, cut);
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
    if (!cut.empty()) capture.reason += ": " + cut;
  }
  record.files.core = kCoreFile;
  ApplyCoreNotes(ParseCoreNotes(head.notes(), head.elf_class(), head.machine()), record);
  return record;
}

}  // namespace

Result<Committed> ImportCore(const std::function<Result<Store>()>& store, const std::string& path,
                             const CoreWriter::Options& options,
                             const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
  const Fd file = OBIT_TRY(Open(path, O_RDONLY));
  struct stat status{};
  if (::fstat(file.get(), &status) < 0) return Fail(errno, "look at {}", path);
  const auto size = static_cast<std::uint64_t>(status.st_size);

  CrashRecord record;
  record.id = NewCrashId();
  record.time = TimeOf(status);
  std::optional<Place> place;
  const auto begin = [&]() -> Result<CoreWriter*> {
    Store opened = OBIT_TRY(store());
    place.emplace().store = std::move(opened);
    place->incoming = OBIT_TRY(place->store.Begin(record.id));
    place->core = OBIT_TRY(OpenAt(place->incoming.dir, kCoreFile, O_RDWR | O_CREAT | O_EXCL, 0600));
    return &place->writer.emplace(place->core, options);
  };
  const auto written = [&]() -> Result<Committed> {
    const auto count = [&](std::uint64_t done) { progress(done, size); };
    record = OBIT_TRY_IN(WriteCore(file, place, begin, record, count), "{}", path);
    const auto& [store_now, incoming, core, writer] = *place;
    StoreNumbers numbers = OpenNumbers(store_now, 1, true);
    record.number = OBIT_TRY(numbers.accepted.Take());
    OBIT_TRY(WriteRecord(incoming.dir, record));
    OBIT_TRY(GiveFilesToOwner(store_now, incoming.dir));
    (void)OBIT_TRY(ShareCrash(incoming.dir, record));  // it has no owner: for the group only
    Committed done = OBIT_TRY(CommitNumbered(store_now, numbers.committed, record));
    OBIT_TRY(store_now.SyncDay(done.location.day));
    return done;
  }();
  if (!written && place) (void)place->store.Discard(record.id);  // the first error is the one to tell
  return written;
}

}  // namespace obit
