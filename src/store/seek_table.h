#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "store/seekable.h"

namespace obit {

/// Where the seek table of a file is. The file is untrusted: what its end claims is held against its size
/// before memory is taken for it, and the table is read a piece at a time.
struct SeekTable {
  SeekFooter footer;
  std::uint64_t begin = 0;  ///< its place in the file: the bytes of all frames
};

/// Looks for the table that `file`, of `size` bytes, ends with. EBADMSG: there is none, or it claims more
/// frames than the file has room for.
[[nodiscard]] Result<SeekTable> FindSeekTable(const Fd& file, std::uint64_t size);

/// What the frames of a table come to.
struct SeekTableSums {
  std::uint64_t plain = 0;      ///< bytes
  bool may_have_marks = false;  ///< of holes, whose lengths it does not tell (store/hole_marks.h)
};
/// Looks at all entries, in a few MiB of memory. EBADMSG: they are not of frames that fill the file up to the
/// table.
[[nodiscard]] Result<SeekTableSums> SumSeekTable(const Fd& file, const SeekTable& table);

/// The entries, after that check.
[[nodiscard]] Result<std::vector<SeekEntry>> ReadSeekTable(const Fd& file, const SeekTable& table);

/// Reads all of `out`; the file had these bytes when it was looked at. EBADMSG: it has them no more.
[[nodiscard]] Result<void> ReadStored(const Fd& file, std::span<std::byte> out, std::uint64_t offset);

}  // namespace obit
