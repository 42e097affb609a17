// Any bytes as a core: read whole and in pieces (as long as the last byte says) it must give the same.

#include <cstdlib>

#include "elf/core_head.h"
#include "elf/core_notes.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto core = std::as_bytes(std::span(data, size));
  obit::CoreHead whole, pieces;
  whole.Feed(core);
  const std::size_t piece = size == 0 ? 1 : data[size - 1] + 1u;
  for (auto rest = core; !rest.empty(); rest = rest.subspan(std::min(piece, rest.size())))
    pieces.Feed(rest.first(std::min(piece, rest.size())));
  if (whole.complete() != pieces.complete() || whole.invalid() != pieces.invalid() ||
      whole.core_bytes() != pieces.core_bytes() || whole.notes().size() != pieces.notes().size())
    std::abort();
  if (whole.notes().size() > obit::CoreHead::kNotesKept) std::abort();
  (void)obit::ParseCoreNotes(whole.notes(), whole.elf_class(), whole.machine()).ExecutablePath();
  return 0;
}
