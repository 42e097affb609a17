#include "kernel/memory_outlook.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <type_traits>

#include <fcntl.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "kernel/memory_load.h"
#include "kernel/memory_room.h"

namespace obit {
namespace {

/// For so long pressure has to last, ns.
constexpr std::int64_t kPressureTime = 1'000'000'000;
constexpr std::size_t kCgroupMax = 16 * 1024, kReasonMax = 256;

/// Between two processes of one program; behind it come the robust lists, the locked files, and the reason.
struct EncodedHead {
  std::uint64_t total = 0, available = 0, room_in_cgroup = 0, room_to_commit = 0;
  std::uint8_t knows_cgroup = 0, knows_commit = 0;
  std::uint16_t robust_lists = 0, locked = 0, reason = 0;
};
static_assert(sizeof(EncodedHead) == 40 && std::is_trivially_copyable_v<EncodedHead>);
static_assert(std::has_unique_object_representations_v<MemoryTies::LockedFile>);
static_assert(sizeof(EncodedHead) + MemoryTies::kThreadsMax * sizeof(std::uint64_t) +
                  MemoryTies::kLockedMax * sizeof(MemoryTies::LockedFile) + kReasonMax <=
              kEncodedOutlookMax);

template <class T>
void Append(std::string& bytes, const T* first, std::size_t count) {
  bytes.append(reinterpret_cast<const char*>(first), count * sizeof(T));
}

/// Takes `count` of them from the front of `bytes`. False: there are not so many.
template <class T>
bool TakeFront(std::span<const std::byte>& bytes, std::size_t count, std::vector<T>& taken) {
  if (bytes.size() / sizeof(T) < count) return false;
  taken.resize(count);
  if (count > 0) std::memcpy(taken.data(), bytes.data(), count * sizeof(T));
  bytes = bytes.subspan(count * sizeof(T));
  return true;
}

/// From its beginning, as it is now. Empty: it cannot be read.
template <std::size_t kRoom>
std::string_view ReadAnew(const Fd& file, std::array<char, kRoom>& room) {
  const ssize_t n = file ? ::pread(file.get(), room.data(), room.size(), 0) : -1;
  return {room.data(), n < 0 ? 0 : static_cast<std::size_t>(n)};
}

}  // namespace

MemoryOutlook ReadMemoryOutlook(const MemoryOutlookFiles& files, pid_t pid, pid_t parent) {
  MemoryOutlook outlook{.ties = ReadMemoryTies(files.proc, pid, parent),
                        .host = ReadMemoryLoad(files.proc),
                        .room_in_cgroup = {},
                        .room_to_commit = RoomToCommit(files.proc),
                        .meminfo = {},
                        .pressure = {}};
  if (files.cgroups)
    if (const auto cgroup = ReadFileAt(files.process, "cgroup", kCgroupMax); cgroup && !cgroup->truncated)
      outlook.room_in_cgroup = RoomInCgroup(files.cgroups, cgroup->text);
  if (auto meminfo = OpenAt(files.proc, "meminfo", O_RDONLY)) outlook.meminfo = *std::move(meminfo);
  if (auto pressure = OpenAt(files.proc, "pressure/memory", O_RDONLY))
    outlook.pressure = *std::move(pressure);
  return outlook;
}

std::string EncodeMemoryOutlook(const MemoryOutlook& outlook) {
  const MemoryTies& ties = outlook.ties;
  const std::size_t robust_lists = std::min(ties.robust_lists.size(), MemoryTies::kThreadsMax),
                    locked = std::min(ties.locked.size(), MemoryTies::kLockedMax);
  std::string_view reason = std::string_view(ties.hold).substr(0, kReasonMax);
  if (reason.empty() && (robust_lists < ties.robust_lists.size() || locked < ties.locked.size()))
    reason = "it has too many ties";
  const EncodedHead head{.total = outlook.host.total,
                         .available = outlook.host.available,
                         .room_in_cgroup = outlook.room_in_cgroup.value_or(0),
                         .room_to_commit = outlook.room_to_commit.value_or(0),
                         .knows_cgroup = outlook.room_in_cgroup ? std::uint8_t{1} : std::uint8_t{0},
                         .knows_commit = outlook.room_to_commit ? std::uint8_t{1} : std::uint8_t{0},
                         .robust_lists = static_cast<std::uint16_t>(robust_lists),
                         .locked = static_cast<std::uint16_t>(locked),
                         .reason = static_cast<std::uint16_t>(reason.size())};
  std::string bytes;
  Append(bytes, &head, 1);
  Append(bytes, ties.robust_lists.data(), robust_lists);
  Append(bytes, ties.locked.data(), locked);
  bytes += reason;
  return bytes;
}

std::optional<MemoryOutlook> DecodeMemoryOutlook(std::span<const std::byte> bytes) {
  EncodedHead head;
  if (bytes.size() < sizeof head) return std::nullopt;
  std::memcpy(&head, bytes.data(), sizeof head);
  bytes = bytes.subspan(sizeof head);
  MemoryOutlook outlook{.ties = {},
                        .host = {.pressure = {}, .total = head.total, .available = head.available},
                        .room_in_cgroup = {},
                        .room_to_commit = {},
                        .meminfo = {},
                        .pressure = {}};
  if (head.knows_cgroup != 0) outlook.room_in_cgroup = head.room_in_cgroup;
  if (head.knows_commit != 0) outlook.room_to_commit = head.room_to_commit;
  if (!TakeFront(bytes, head.robust_lists, outlook.ties.robust_lists) ||
      !TakeFront(bytes, head.locked, outlook.ties.locked) || bytes.size() != head.reason)
    return std::nullopt;
  outlook.ties.hold.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return outlook;
}

std::optional<std::uint64_t> ParsePressureTotal(std::string_view pressure) {
  if (!pressure.starts_with("some ")) return std::nullopt;
  const std::string_view line = pressure.substr(0, pressure.find('\n'));
  const std::size_t at = line.find("total=");
  return at == std::string_view::npos ? std::nullopt : ParseUnsigned(line.substr(at + 6));
}

MemoryWatch::MemoryWatch(const Fd& meminfo, const Fd& pressure) : meminfo_(meminfo), pressure_(pressure) {}

bool MemoryWatch::IsShort(std::int64_t now) {
  std::array<char, 4096> room;
  const std::string_view meminfo = ReadAnew(meminfo_, room);
  const auto total = MeminfoBytes(meminfo, "MemTotal:"), available = MeminfoBytes(meminfo, "MemAvailable:");
  if (!total || !available) return false;
  if (*available < *total / 20) return true;
  if (now - looked_ < kPressureTime) return false;
  const auto waited = ParsePressureTotal(ReadAnew(pressure_, room));
  const auto before = std::exchange(waited_, waited);
  const std::int64_t since = now - std::exchange(looked_, now);
  if (*available >= *total / 5 || !waited || !before || *waited < *before) return false;
  return (*waited - *before) * 1000 >= static_cast<std::uint64_t>(since) / 10;
}

}  // namespace obit
