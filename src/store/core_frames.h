#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "store/seekable.h"

namespace obit {

/// Sizes of a stored core, bytes.
struct StoredCore {
  std::uint64_t plain = 0;    ///< of the core
  std::uint64_t stored = 0;   ///< of the file
  std::uint64_t omitted = 0;  ///< of holes that are kept by their length alone (store/hole_marks.h)
  bool has_table = true;      ///< false: the disk did not take the seek table (OpenStoredCore reads it)
};

/// The whole frames of a file from its beginning on: what its seek table says, or will say.
struct CoreFrames {
  std::vector<SeekEntry> frames;
  std::vector<std::uint64_t> holes;  ///< the lengths of the hole marks among them
  StoredCore core;                   ///< `stored` of these frames

  void Add(SeekEntry frame);
  /// A hole that is kept by its length alone.
  void AddMark(std::uint64_t hole);
  /// Drops as many frames from the end as make room for the end of the file (EncodeEnd) and `spare` bytes.
  void CutBack(std::uint64_t spare);
};

/// True if what could not be written has no room: frames that are cut give it some. They help against nothing
/// else.
[[nodiscard]] bool LacksRoom(const Error& error);

}  // namespace obit
