#include "policy/early_release.h"

#include <algorithm>

#include <fmt/format.h>

#include "policy/rounded.h"

namespace obit {
namespace {

EarlyRelease Hold(std::string reason) { return {false, std::move(reason)}; }

/// What the host can give beside a tenth of its memory, which is left to others.
std::uint64_t RoomOfHost(const MemoryToKeep& memory) {
  const std::uint64_t left = memory.total / 10;
  return memory.available - std::min(memory.available, left);
}

}  // namespace

std::string Describe(KeepRefusal refusal) {
  switch (refusal) {
    case KeepRefusal::kNone:
      return "";
    case KeepRefusal::kConfigured:
      return "capture.early_release says never";
    case KeepRefusal::kTooMany:
      return "the memory of too many others is kept already";
  }
  return "";
}

EarlyRelease DecideEarlyRelease(const MemoryToKeep& memory) {
  if (!memory.refused.empty()) return Hold(memory.refused);
  if (memory.bytes < kKeptMin) return Hold(fmt::format("it has only {} of memory", Rounded(memory.bytes)));
  if (!memory.has_minimal) return Hold("there is no minimal core of it");
  if (!memory.tied.empty()) return Hold(memory.tied);
  if (memory.total == 0) return Hold("how much memory is available is not known");
  // The kept memory of others is no longer available; but those who took their places may still be growing.
  const std::uint64_t room = RoomOfHost(memory);
  if (memory.bytes > room || memory.kept > room - memory.bytes)
    return Hold(
        fmt::format("it has {} of memory, and {} of the host's may be used for a while, of which "
                    "{} may be wanted by others",
                    Rounded(memory.bytes), Rounded(room), Rounded(memory.kept)));
  if (!memory.room_in_cgroup || !memory.room_to_commit) return Hold("the limits of its memory are not known");
  if (memory.bytes > *memory.room_in_cgroup)
    return Hold(fmt::format("it has {} of memory, and its cgroup may take only {} more",
                            Rounded(memory.bytes), Rounded(*memory.room_in_cgroup)));
  if (memory.mapped > *memory.room_to_commit)
    return Hold(fmt::format("it has mapped {}, and the commit limit leaves only {}", Rounded(memory.mapped),
                            Rounded(*memory.room_to_commit)));
  return {true, fmt::format("there is room for its {} twice", Rounded(memory.bytes))};
}

}  // namespace obit
