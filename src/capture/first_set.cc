#include "capture/first_set.h"

#include <algorithm>
#include <cstring>
#include <iterator>

#include "kernel/process_memory.h"

namespace obit {

bool FirstSet::Take(const Fd& mem, std::uint64_t address, std::uint64_t bytes) {
  if (bytes > UINT64_MAX - address) return false;
  const std::uint64_t end = address + bytes;
  while (address < end) {
    // What is there already was read as early as this would be.
    auto after = taken_.upper_bound(address);
    if (after != taken_.begin()) {
      const auto& [begin, held] = *std::prev(after);
      if (address < begin + held.size()) {
        address = begin + held.size();
        continue;
      }
    }
    const std::uint64_t stop = after == taken_.end() ? end : std::min(end, after->first);
    if (stop - address > kBytesMax - std::min(kBytesMax, bytes_)) return false;
    std::vector<std::byte> read(stop - address);
    const auto unread = ReadProcessMemory(mem, address, read);
    if (!unread || *unread > 0) return false;
    bytes_ += read.size();
    taken_.emplace_hint(after, address, std::move(read));
    address = stop;
  }
  return true;
}

void FirstSet::Put(std::uint64_t address, std::span<std::byte> room) const {
  const std::uint64_t end = address + room.size();
  auto next = taken_.upper_bound(address);
  if (next != taken_.begin()) --next;
  for (; next != taken_.end() && next->first < end; ++next) {
    const auto& [begin, held] = *next;
    const std::uint64_t from = std::max(begin, address), to = std::min(begin + held.size(), end);
    if (from < to) std::memcpy(room.data() + (from - address), held.data() + (from - begin), to - from);
  }
}

}  // namespace obit
