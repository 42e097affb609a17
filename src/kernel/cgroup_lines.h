#pragma once

#include <string_view>
#include <vector>

#include "base/text.h"

namespace obit {

/// A line of /proc/PID/cgroup (cgroups(7)): "4:cpu,memory:/docker/c0ffee"; of version 2 "0::/system.slice".
struct CgroupLine {
  std::string_view controllers;  ///< separated by commas; empty: the unified hierarchy, version 2
  std::string_view path;
};

/// Refers to `text`. What is no such line is left out.
[[nodiscard]] inline std::vector<CgroupLine> ParseCgroupLines(std::string_view text) {
  std::vector<CgroupLine> lines;
  for (const std::string_view line : Split(text, '\n')) {
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string_view::npos ? first : line.find(':', first + 1);
    if (second == std::string_view::npos) continue;
    lines.push_back({line.substr(first + 1, second - first - 1), line.substr(second + 1)});
  }
  return lines;
}

}  // namespace obit
