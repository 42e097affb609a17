// Any file is a core that can be read, or an error; one that was recovered opens.

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <span>

#include <sys/mman.h>
#include <unistd.h>

#include "base/io.h"
#include "store/core_reader.h"
#include "store/recover.h"

namespace {

using obit::CoreReader;

// A small file may claim an enormous core: the work is bounded here, as a user of the reader would.
constexpr int kPiecesMax = 32;

void ReadAround(CoreReader& reader, std::uint64_t offset) {
  std::array<std::byte, 4096> out;
  const auto got = reader.ReadAt(offset, out);
  const std::uint64_t there = offset < reader.size() ? reader.size() - offset : 0;
  if (got && *got != std::min<std::uint64_t>(there, out.size())) std::abort();
}

void Read(const obit::Fd& file) {
  auto reader = CoreReader::Open(obit::Fd(::dup(file.get())));
  if (!reader) return;
  for (const std::uint64_t offset :
       {std::uint64_t{0}, reader->size() / 2, reader->size() - 1, reader->size()})
    ReadAround(*reader, offset);
  std::uint64_t next = 0;
  int pieces = 0;
  (void)reader->Walk([&](const CoreReader::Piece& piece) -> obit::Result<void> {
    if (piece.offset != next || piece.length == 0) std::abort();
    if (!piece.hole() && piece.bytes.size() != piece.length) std::abort();
    next += piece.length;
    if (++pieces == kPiecesMax) return obit::Fail(ECANCELED, "enough");
    return {};
  });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const obit::Fd file(::memfd_create("fuzz", MFD_CLOEXEC));
  if (!obit::WriteAllAt(file, std::as_bytes(std::span(data, size)), 0)) std::abort();
  Read(file);
  const auto recovered = obit::RecoverCore(file);
  if (!recovered) return 0;
  const auto reader = CoreReader::Open(obit::Fd(::dup(file.get())));
  if (!reader || reader->size() != recovered->plain) std::abort();
  Read(file);
  return 0;
}
