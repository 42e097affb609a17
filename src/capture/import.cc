#include "capture/import.h"

#include <algorithm>
#include <array>

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

/// Learns the head of the core and writes it as core.zst.
class Importer final : public CoreFileSink {
 public:
  explicit Importer(CoreWriter& writer) : writer_(writer) {}

  void Expect(std::uint64_t holes) override {
    if (holes > kPlainHolesMax) writer_.KeepHolesByLength();
  }

  Result<void> Data(std::span<const std::byte> bytes) override {
    OBIT_TRY(Learn(bytes));
    return writer_.Append(bytes);
  }

  Result<void> Hole(std::uint64_t length) override {
    static constexpr std::array<std::byte, 4096> kZeros{};
    if (!head_.complete()) {
      if (length > kHoleInHeadMax) return Refuse(EBADMSG, "its head has a hole of {} bytes", length);
    } else if (length >= kHoleMin) {
      return writer_.Skip(length);
    }
    while (length > 0) {
      const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(length, kZeros.size()));
      OBIT_TRY(Data(std::span(kZeros).first(n)));
      length -= n;
    }
    return {};
  }

  [[nodiscard]] const CoreHead& head() const { return head_; }
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

  CoreWriter& writer_;
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

/// Writes the core, and says what goes into the record.
Result<CrashRecord> WriteCore(const Fd& file, const Fd& dir, const CoreWriter::Options& options,
                              CrashRecord record, const std::function<void(std::uint64_t)>& progress) {
  const Fd core = OBIT_TRY(OpenAt(dir, kCoreFile, O_RDWR | O_CREAT | O_EXCL, 0600));
  CoreWriter writer(core, options);
  Importer importer(writer);
  const std::string cut = OBIT_TRY(ReadCoreFile(file, importer, progress));
  const StoredCore stored = OBIT_TRY(writer.Finish());
  if (auto failure = writer.failure()) return std::unexpected(std::move(*failure));
  OBIT_TRY(Sync(core));

  const CoreHead& head = importer.head();
  if (!head.core_bytes()) {
    std::string why = importer.Complaint();
    if (why.empty())
      why = fmt::format(
          "it is a core that ends within its program headers, after {} bytes: nothing of the process is in "
          "it",
          stored.plain);
    if (stored.plain == 0 && !cut.empty()) why = cut;
    return Refuse(EBADMSG, "{}", why);
  }
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

Result<Committed> ImportCore(const Store& store, const std::string& path, const CoreWriter::Options& options,
                             const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
  const Fd file = OBIT_TRY(Open(path, O_RDONLY));
  struct stat status{};
  if (::fstat(file.get(), &status) < 0) return Fail(errno, "look at {}", path);
  const auto size = static_cast<std::uint64_t>(status.st_size);

  CrashRecord record;
  record.id = NewCrashId();
  record.time = TimeOf(status);
  const IncomingCrash incoming = OBIT_TRY(store.Begin(record.id));
  const auto written = [&]() -> Result<Committed> {
    const auto count = [&](std::uint64_t done) { progress(done, size); };
    record = OBIT_TRY_IN(WriteCore(file, incoming.dir, options, record, count), "{}", path);
    // Only now: what is no core leaves nothing in the store.
    StoreNumbers numbers = OpenNumbers(store, 1, true);
    record.number = OBIT_TRY(numbers.accepted.Take());
    OBIT_TRY(WriteRecord(incoming.dir, record));
    OBIT_TRY(GiveFilesToOwner(store, incoming.dir));
    (void)OBIT_TRY(ShareCrash(incoming.dir, record));  // it has no owner: for the group only
    Committed done = OBIT_TRY(CommitNumbered(store, numbers.committed, record));
    OBIT_TRY(store.SyncDay(done.location.day));
    return done;
  }();
  if (!written) (void)store.Discard(record.id);  // the first error is the one to tell
  return written;
}

}  // namespace obit
