#include "store/unpack.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"

namespace obit {
namespace {

constexpr std::size_t kPage = 4096;
constexpr std::array<std::byte, 64 * 1024> kZeros{};

/// Where in `out` the core goes if it may have holes: a regular file with nothing behind its position.
std::optional<std::uint64_t> SparsePosition(const Fd& out) {
  struct stat status{};
  if (::fstat(out.get(), &status) < 0 || !S_ISREG(status.st_mode)) return std::nullopt;
  if ((::fcntl(out.get(), F_GETFL) & O_APPEND) != 0) return std::nullopt;  // pwrite(2) would append, too
  const off_t at = ::lseek(out.get(), 0, SEEK_CUR);
  if (at < status.st_size) return std::nullopt;
  return static_cast<std::uint64_t>(at);
}

bool IsZero(std::span<const std::byte> bytes) {
  return std::memcmp(bytes.data(), kZeros.data(), bytes.size()) == 0;
}

/// Writes `bytes` at `offset` without their pages of zeros.
Result<void> WritePages(const Fd& out, std::span<const std::byte> bytes, std::uint64_t offset) {
  std::size_t begin = 0, end = 0;  // of the data that waits to be written in one call
  while (end < bytes.size()) {
    const std::size_t page = std::min(kPage, bytes.size() - end);
    if (IsZero(bytes.subspan(end, page))) {
      OBIT_TRY(WriteAllAt(out, bytes.subspan(begin, end - begin), offset + begin));
      begin = end + page;
    }
    end += page;
  }
  return WriteAllAt(out, bytes.subspan(begin), offset + begin);
}

Result<void> WriteZeros(const Fd& out, std::uint64_t begin, std::uint64_t end,
                        const std::function<void(std::uint64_t)>& progress) {
  while (begin < end) {
    const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(end - begin, kZeros.size()));
    OBIT_TRY(WriteAll(out, std::span(kZeros).first(n)));
    progress(begin += n);
  }
  return {};
}

/// Fails with EFBIG where no file may be so long: before any of it is written, and not some hours later.
Result<void> CheckLength(const Fd& out, std::uint64_t end) {
  constexpr std::uint64_t kEverywhere = UINT32_MAX;  // vfat's; to lengthen a file may cost time there
  struct stat status{};
  if (end > INT64_MAX) return Fail(EFBIG, "end the core");
  if (end <= kEverywhere || ::fstat(out.get(), &status) < 0) return {};
  if (::ftruncate(out.get(), static_cast<off_t>(end)) < 0) return Fail(errno, "end the core");
  if (::ftruncate(out.get(), status.st_size) < 0) return Fail(errno, "begin the core");
  return {};
}

}  // namespace

Result<void> UnpackCore(CoreReader& reader, const Fd& out,
                        const std::function<void(std::uint64_t)>& progress) {
  const auto base = SparsePosition(out);
  if (base) OBIT_TRY(CheckLength(out, *base + reader.size()));
  OBIT_TRY(reader.Walk([&](const CoreReader::Piece& piece) -> Result<void> {
    if (base && !piece.hole()) OBIT_TRY(WritePages(out, piece.bytes, *base + piece.offset));
    const std::uint64_t done = piece.offset + piece.length;
    if (!base)
      OBIT_TRY(piece.hole() ? WriteZeros(out, piece.offset, done, progress) : WriteAll(out, piece.bytes));
    progress(done);
    return {};
  }));
  if (!base) return {};
  const std::uint64_t end = *base + reader.size();
  if (::ftruncate(out.get(), static_cast<off_t>(end)) < 0) return Fail(errno, "end the core");
  if (::lseek(out.get(), static_cast<off_t>(end), SEEK_SET) < 0) return Fail(errno, "end the core");
  return {};
}

}  // namespace obit
