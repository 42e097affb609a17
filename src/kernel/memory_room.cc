#include "kernel/memory_room.h"

#include <algorithm>
#include <string>

#include <fcntl.h>

#include "base/io.h"
#include "base/text.h"
#include "kernel/cgroup_lines.h"
#include "kernel/memory_load.h"

namespace obit {
namespace {

constexpr std::size_t kNumberMax = 64, kMeminfoMax = 16 * 1024;
constexpr int kDepthMax = 64;  // of cgroups in each other

struct Files {
  std::string_view folder, limit, usage;  // below /sys/fs/cgroup
};
constexpr Files kVersion1{"memory", "memory.limit_in_bytes", "memory.usage_in_bytes"},
    kVersion2{".", "memory.max", "memory.current"};

/// A number in a file of its own; "max" is no limit.
std::optional<std::uint64_t> NumberIn(const Fd& dir, const std::string& name) {
  const auto file = ReadFileAt(dir, name, kNumberMax);
  if (!file) return std::nullopt;
  const std::string_view text = Trim(file->text);
  return text == "max" ? std::optional(UINT64_MAX) : ParseUnsigned(text);
}

/// The path of the hierarchy with the memory controller.
std::optional<std::string> PathIn(std::string_view told, bool version_2) {
  for (const CgroupLine& line : ParseCgroupLines(told)) {
    const auto controllers = Split(line.controllers, ',');
    const bool is_it =
        version_2 ? line.controllers.empty() : std::ranges::find(controllers, "memory") != controllers.end();
    if (is_it) return std::string(line.path);
  }
  return std::nullopt;
}

/// The narrowest of the cgroup `path` and of all above it. One without a limit of its own has no such files.
std::uint64_t RoomOf(const Fd& root, std::string path, const Files& files) {
  std::uint64_t room = UINT64_MAX;
  for (int depth = 0; depth < kDepthMax && path.size() > 1; ++depth) {
    const std::string folder = path.substr(1) + "/";
    const auto limit = NumberIn(root, folder + std::string(files.limit)),
               usage = NumberIn(root, folder + std::string(files.usage));
    if (limit && usage && *limit < UINT64_MAX) room = std::min(room, *limit - std::min(*limit, *usage));
    path.resize(path.rfind('/'));
  }
  return room;
}

}  // namespace

std::optional<std::uint64_t> RoomInCgroup(const Fd& cgroups, std::string_view told) {
  const bool is_unified = OpenAt(cgroups, "cgroup.controllers", O_RDONLY).has_value();
  const Files& files = is_unified ? kVersion2 : kVersion1;
  auto path = PathIn(told, is_unified);
  const auto root = OpenAt(cgroups, std::string(files.folder), O_RDONLY | O_DIRECTORY);
  if (!path || !root || !path->starts_with('/') || path->contains("/..")) return std::nullopt;
  return RoomOf(*root, *std::move(path), files);
}

std::optional<std::uint64_t> RoomToCommit(const Fd& proc) {
  const auto mode = NumberIn(proc, "sys/vm/overcommit_memory");
  if (!mode) return std::nullopt;
  if (*mode != 2) return UINT64_MAX;
  const auto meminfo = ReadFileAt(proc, "meminfo", kMeminfoMax);
  if (!meminfo) return std::nullopt;
  const auto limit = MeminfoBytes(meminfo->text, "CommitLimit:"),
             used = MeminfoBytes(meminfo->text, "Committed_AS:");
  if (!limit || !used) return std::nullopt;
  return *limit - std::min(*limit, *used);
}

}  // namespace obit
