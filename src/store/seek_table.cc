#include "store/seek_table.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <vector>

#include "base/io.h"
#include "store/hole_marks.h"

namespace obit {
namespace {

/// Passes the entries to `take`, in order; those before one that is wrong, too.
template <class Take>
Result<void> ForEachEntry(const Fd& file, const SeekTable& table, Take take) {
  constexpr std::size_t kAtOnce = 1 << 18;  // entries: 2 MiB
  std::vector<std::byte> bytes;
  std::uint64_t at = table.begin + kSeekHeaderBytes, unlisted = table.begin;
  for (std::size_t left = table.footer.frames, now = 0; left > 0; left -= now) {
    now = std::min(left, kAtOnce);
    bytes.resize(now * table.footer.entry_bytes);
    OBIT_TRY(ReadStored(file, bytes, at));
    at += bytes.size();
    for (std::size_t i = 0; i < now; ++i) {
      const auto entry = DecodeSeekEntry(std::span(bytes).subspan(i * table.footer.entry_bytes));
      if (!entry || entry->stored < kFrameBytesMin) return Refuse(EBADMSG, "odd seek table");
      if (entry->stored > unlisted) return Refuse(EBADMSG, "its seek table is of another file");
      unlisted -= entry->stored;
      take(*entry);
    }
  }
  if (unlisted > 0) return Refuse(EBADMSG, "its seek table is of another file");
  return {};
}

}  // namespace

Result<void> ReadStored(const Fd& file, std::span<std::byte> out, std::uint64_t offset) {
  const std::size_t got = OBIT_TRY(ReadFullAt(file, out, offset));
  if (got < out.size()) return Refuse(EBADMSG, "it has been shortened");
  return {};
}

Result<SeekTable> FindSeekTable(const Fd& file, std::uint64_t size) {
  std::array<std::byte, kSeekFooterBytes> end{};
  if (size < end.size()) return Refuse(EBADMSG, "it is too short to have a seek table");
  OBIT_TRY(ReadStored(file, end, size - end.size()));
  SeekTable table{OBIT_TRY(DecodeSeekFooter(end)), 0};
  const std::size_t frames = table.footer.frames, bytes = table.footer.table_bytes;
  if (bytes > size) return Refuse(EBADMSG, "its seek table is larger than the file");
  table.begin = size - bytes;
  if (frames > table.begin / kFrameBytesMin)
    return Refuse(EBADMSG, "its seek table claims {} frames, and there is room for {}", frames,
                  table.begin / kFrameBytesMin);
  std::array<std::byte, kSeekHeaderBytes> header{};
  OBIT_TRY(ReadStored(file, header, table.begin));
  if (!IsSeekHeader(header, table.footer)) return Refuse(EBADMSG, "odd seek table");
  return table;
}

Result<SeekTableSums> SumSeekTable(const Fd& file, const SeekTable& table) {
  SeekTableSums sums;
  OBIT_TRY(ForEachEntry(file, table, [&](const SeekEntry& entry) {
    sums.plain += entry.plain;  // cannot overflow: at most 2^27 entries of 2^32
    sums.may_have_marks |= MayBeHoleMark(entry);
  }));
  return sums;
}

Result<std::vector<SeekEntry>> ReadSeekTable(const Fd& file, const SeekTable& table) {
  (void)OBIT_TRY(
      SumSeekTable(file, table));  // a file may have pages of zeros for a GiB of entries, on no disk
  std::vector<SeekEntry> entries;
  entries.reserve(table.footer.frames);
  OBIT_TRY(ForEachEntry(file, table, [&](const SeekEntry& entry) { entries.push_back(entry); }));
  return entries;
}

}  // namespace obit
