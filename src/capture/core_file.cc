#include "capture/core_file.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <vector>

#include <archive.h>
#include <archive_entry.h>
#include <elf.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"

namespace obit {
namespace {

constexpr std::size_t kStep = 256 * 1024;

bool BeginsWithElf(const Fd& file) {
  std::array<std::byte, SELFMAG> magic{};
  const auto got = ReadFullAt(file, magic, 0);
  return got && *got == magic.size() && std::memcmp(magic.data(), ELFMAG, magic.size()) == 0;
}

/// The next run of data at or behind `at`; {size, size} if there is none. A file system without holes has one
/// run.
struct Run {
  std::uint64_t begin, end;
};
Result<Run> NextRun(const Fd& file, std::uint64_t at, std::uint64_t size) {
  const off_t data = ::lseek(file.get(), static_cast<off_t>(at), SEEK_DATA);
  if (data < 0 && errno == ENXIO) return Run{size, size};
  if (data < 0 && errno == EINVAL) return Run{at, size};
  if (data < 0) return Fail(errno, "look for data");
  const off_t hole = ::lseek(file.get(), data, SEEK_HOLE);
  if (hole < 0) return Fail(errno, "look for a hole");
  return Run{std::min(static_cast<std::uint64_t>(data), size),
             std::min(static_cast<std::uint64_t>(hole), size)};
}

Result<void> ReadPlain(const Fd& file, std::uint64_t size, CoreFileSink& sink,
                       const std::function<void(std::uint64_t)>& progress) {
  std::vector<std::byte> buffer(kStep);
  for (std::uint64_t at = 0; at < size;) {
    const Run run = OBIT_TRY(NextRun(file, at, size));
    if (run.begin > at) OBIT_TRY(sink.Hole(run.begin - at));
    for (at = run.begin; at < run.end;) {
      const auto want = static_cast<std::size_t>(std::min<std::uint64_t>(kStep, run.end - at));
      const auto got = OBIT_TRY(ReadFullAt(file, std::span(buffer).first(want), at));
      if (got == 0) return {};  // it was cut while it was read
      OBIT_TRY(sink.Data(std::span(buffer).first(got)));
      at += got;
      progress(at);
    }
  }
  return {};
}

using Archive = std::unique_ptr<archive, decltype(&archive_read_free)>;

std::string Complaint(archive* reader) {
  const char* text = archive_error_string(reader);
  return text != nullptr ? text : "it cannot be unpacked";
}

/// Only filters that libarchive has built in: others would start a program by its name.
Result<Archive> OpenArchive(const Fd& file) {
  Archive reader(archive_read_new(), &archive_read_free);
  if (!reader) return Fail(ENOMEM, "unpack");
  archive_read_support_format_raw(reader.get());
  archive_read_support_filter_zstd(reader.get());
  archive_read_support_filter_lz4(reader.get());
  archive_read_support_filter_xz(reader.get());
  archive_read_support_filter_gzip(reader.get());
  archive_entry* entry = nullptr;
  if (archive_read_open_fd(reader.get(), file.get(), kStep) != ARCHIVE_OK)
    return Refuse(EBADMSG, "{}", Complaint(reader.get()));
  const int begun = archive_read_next_header(reader.get(), &entry);
  if (begun == ARCHIVE_EOF || archive_filter_bytes(reader.get(), -1) == 0)
    return Refuse(EBADMSG, "it is empty");
  if (begun != ARCHIVE_OK) return Refuse(EBADMSG, "{}", Complaint(reader.get()));
  return reader;
}

}  // namespace

Result<std::string> ReadCoreFile(const Fd& file, CoreFileSink& sink,
                                 const std::function<void(std::uint64_t)>& progress) {
  struct stat status{};
  if (::fstat(file.get(), &status) < 0) return Fail(errno, "look at the file");
  if (S_ISDIR(status.st_mode)) return Fail(EISDIR, "read");
  if (S_ISREG(status.st_mode) && BeginsWithElf(file)) {
    OBIT_TRY(ReadPlain(file, static_cast<std::uint64_t>(status.st_size), sink, progress));
    return std::string();
  }
  const Archive reader = OBIT_TRY(OpenArchive(file));
  for (;;) {
    const void* block = nullptr;
    std::size_t size = 0;
    la_int64_t offset = 0;
    const int got = archive_read_data_block(reader.get(), &block, &size, &offset);
    if (got == ARCHIVE_EOF) {
      progress(static_cast<std::uint64_t>(status.st_size));  // libarchive counts some filters' bytes late
      return std::string();
    }
    if (got != ARCHIVE_OK) return Complaint(reader.get());
    OBIT_TRY(sink.Data(std::span(static_cast<const std::byte*>(block), size)));
    progress(static_cast<std::uint64_t>(std::max<la_int64_t>(archive_filter_bytes(reader.get(), -1), 0)));
  }
}

}  // namespace obit
