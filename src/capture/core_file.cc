#include "capture/core_file.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include <archive.h>
#include <archive_entry.h>
#include <elf.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "capture/file_kind.h"
#include "capture/packed_source.h"
#include "store/core_reader.h"
#include "store/recover.h"

namespace obit {
namespace {

constexpr std::size_t kStep = 256 * 1024;

/// The first bytes of a file that can be read again.
Result<std::vector<std::byte>> Beginning(const Fd& file) {
  std::vector<std::byte> begin(kKindBytes);
  begin.resize(OBIT_TRY(ReadFullAt(file, begin, 0)));
  return begin;
}

bool BeginsWith(std::span<const std::byte> bytes, std::string_view magic) {
  return bytes.size() >= magic.size() && std::memcmp(bytes.data(), magic.data(), magic.size()) == 0;
}

bool IsPacked(std::span<const std::byte> begin) {
  using namespace std::string_view_literals;
  // lz4's, its older one's, and what zstd and lz4 have in common: skippable frames.
  return BeginsWith(begin, "\x28\xb5\x2f\xfd"sv) || BeginsWith(begin, "\x04\x22\x4d\x18"sv) ||
         BeginsWith(begin, "\x02\x21\x4c\x18"sv) || IsXz(begin) || IsGzip(begin) ||
         (begin.size() > 4 && (begin[0] & std::byte{0xf0}) == std::byte{0x50} &&
          BeginsWith(begin.subspan(1), "\x2a\x4d\x18"sv));
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

/// A core.zst, or the beginning of one: read as what it is, it has its holes, also those that zstd leaves
/// out.
Result<std::optional<CoreReader>> OpenStored(const Fd& file) {
  if (auto whole = CoreReader::Open(OBIT_TRY(Duplicate(file)))) return std::move(*whole);
  CoreFrames found = OBIT_TRY(FindFrames(file));
  if (found.holes.empty()) return std::nullopt;  // anybody's: libarchive gives the bytes of half a frame, too
  return OBIT_TRY(
      CoreReader::OpenFrames(OBIT_TRY(Duplicate(file)), std::move(found.frames), std::move(found.holes)));
}

Result<CoreFileEnd> ReadStored(CoreReader& core, std::uint64_t size, CoreFileSink& sink,
                               const std::function<void(std::uint64_t)>& progress) {
  sink.Expect(core.omitted());
  bool refused = false;  // by the sink
  const auto walked = core.Walk([&](const CoreReader::Piece& piece) -> Result<void> {
    auto taken = piece.hole() ? sink.Hole(piece.length) : sink.Data(piece.bytes);
    refused = !taken;
    const auto part = static_cast<double>(piece.offset + piece.length) / static_cast<double>(core.size());
    progress(static_cast<std::uint64_t>(part * static_cast<double>(size)));
    return taken;
  });
  if (walked) return CoreFileEnd{};
  if (refused || walked.error().code != EBADMSG) return std::unexpected(walked.error());
  return CoreFileEnd{walked.error().what};
}

using Archive = std::unique_ptr<archive, decltype(&archive_read_free)>;

std::string Complaint(archive* reader) {
  const char* text = archive_error_string(reader);
  return text != nullptr ? text : "it is damaged";
}

/// What libarchive reads from. It takes errors as texts.
la_ssize_t GiveMore(archive* reader, void* source, const void** bytes) {
  const auto more = static_cast<PackedSource*>(source)->Next();
  if (!more) {
    archive_set_error(reader, more.error().code, "%s", more.error().what.c_str());
    return -1;
  }
  *bytes = more->data();
  return static_cast<la_ssize_t>(more->size());
}

/// Only filters that libarchive has built in: others would start a program by its name.
Result<Archive> OpenArchive(PackedSource& source) {
  Archive reader(archive_read_new(), &archive_read_free);
  if (!reader) return Fail(ENOMEM, "unpack");
  archive_read_support_format_raw(reader.get());
  archive_read_support_format_empty(reader.get());
  archive_read_support_filter_zstd(reader.get());
  archive_read_support_filter_lz4(reader.get());
  archive_entry* entry = nullptr;
  if (archive_read_open(reader.get(), &source, nullptr, &GiveMore, nullptr) != ARCHIVE_OK)
    return Refuse(EBADMSG, "it cannot be unpacked: {}", Complaint(reader.get()));
  const int begun = archive_read_next_header(reader.get(), &entry);
  if (begun == ARCHIVE_EOF) return Refuse(EBADMSG, "{}", DescribeNoCore({}));
  if (begun != ARCHIVE_OK) return Refuse(EBADMSG, "it cannot be unpacked: {}", Complaint(reader.get()));
  return reader;
}

}  // namespace

Result<CoreFileEnd> ReadCoreFile(const Fd& file, CoreFileSink& sink,
                                 const std::function<void(std::uint64_t)>& progress) {
  struct stat status{};
  if (::fstat(file.get(), &status) < 0) return Fail(errno, "look at the file");
  const auto size = static_cast<std::uint64_t>(status.st_size);
  if (S_ISDIR(status.st_mode)) return Refuse(EISDIR, "it is a folder, not a core file");
  if (S_ISREG(status.st_mode)) {
    const auto begin = OBIT_TRY(Beginning(file));
    if (BeginsWith(begin, std::string_view(ELFMAG, SELFMAG))) {
      const std::uint64_t there = static_cast<std::uint64_t>(status.st_blocks) * 512;
      sink.Expect(size - std::min(size, there));
      OBIT_TRY(ReadPlain(file, size, sink, progress));
      return CoreFileEnd{};
    }
    if (!IsPacked(begin)) return Refuse(EBADMSG, "{}", DescribeNoCore(begin));
    if (auto stored = OBIT_TRY(OpenStored(file))) return ReadStored(*stored, size, sink, progress);
  }
  PackedSource source(file);
  const auto begin = OBIT_TRY(source.Begin());
  if (IsXz(begin)) return ReadXz(source, sink, progress);
  if (IsZstd(begin)) return ReadZstd(source, sink, progress);
  if (IsGzip(begin)) return ReadGzip(source, sink, progress);
  const Archive reader = OBIT_TRY(OpenArchive(source));
  for (;;) {
    const void* block = nullptr;
    std::size_t bytes = 0;
    la_int64_t offset = 0;
    const int got = archive_read_data_block(reader.get(), &block, &bytes, &offset);
    if (got == ARCHIVE_EOF) {
      progress(static_cast<std::uint64_t>(status.st_size));  // libarchive counts some filters' bytes late
      return CoreFileEnd{};
    }
    if (got != ARCHIVE_OK) return CoreFileEnd{Complaint(reader.get())};
    OBIT_TRY(sink.Data(std::span(static_cast<const std::byte*>(block), bytes)));
    progress(static_cast<std::uint64_t>(std::max<la_int64_t>(archive_filter_bytes(reader.get(), -1), 0)));
  }
}

}  // namespace obit
