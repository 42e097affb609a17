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

Result<void> WriteZeros(const Fd& out, std::uint64_t length) {
  while (length > 0) {
    const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(length, kZeros.size()));
    OBIT_TRY(WriteAll(out, std::span(kZeros).first(n)));
    length -= n;
  }
  return {};
}

}  // namespace

Result<void> UnpackCore(CoreReader& reader, const Fd& out,
                        const std::function<void(std::uint64_t)>& progress) {
  const auto base = SparsePosition(out);
  OBIT_TRY(reader.Walk([&](const CoreReader::Piece& piece) -> Result<void> {
    if (base && !piece.hole()) OBIT_TRY(WritePages(out, piece.bytes, *base + piece.offset));
    if (!base) OBIT_TRY(piece.hole() ? WriteZeros(out, piece.length) : WriteAll(out, piece.bytes));
    progress(piece.offset + piece.length);
    return {};
  }));
  if (!base) return {};
  const std::uint64_t end = *base + reader.size();
  if (end > INT64_MAX) return Fail(EFBIG, "end the core");
  if (::ftruncate(out.get(), static_cast<off_t>(end)) < 0) return Fail(errno, "end the core");
  if (::lseek(out.get(), static_cast<off_t>(end), SEEK_SET) < 0) return Fail(errno, "end the core");
  return {};
}

}  // namespace obit
