#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "render/terminal.h"

namespace obit {

/// Some lines of a source file, around one of them.
struct SourceLines {
  std::uint32_t first = 0;  ///< number of the first line
  std::uint32_t marked = 0;
  std::vector<std::string> lines;  ///< any bytes
  bool newer = false;              ///< the file was changed after the crash: its lines may be others
};

/// Reads the lines around `line` of the file that debug information names. The path is untrusted: it may lead
/// to anything that the caller can open, so only regular files are, and of those only the first 4 MiB. Fails
/// with open(2)'s errno; EINVAL: the path is relative, or the file is none with text; ENOENT also if it has
/// no such line.
[[nodiscard]] Result<SourceLines> ReadSourceLines(const std::string& path, std::uint32_t line,
                                                  std::int64_t crash_time);

/// The lines with their numbers, the marked one with ">", each cut to the terminal's width; complete, with
/// newlines.
[[nodiscard]] std::string RenderSourceLines(const SourceLines& source, const Terminal& terminal);

}  // namespace obit
