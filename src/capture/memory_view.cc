#include "capture/memory_view.h"

#include <algorithm>
#include <cstring>

namespace obit {
namespace {

/// What the core has, or will have, of [begin, end).
MemoryRun InCore(const ProcessMapping& mapping, std::uint64_t begin, std::uint64_t end) {
  return {begin, std::max(begin, std::min(end, mapping.begin + mapping.core_bytes))};
}

constexpr std::uint64_t kStep = 4 << 20;  // of a scan that reads, bytes

/// Nothing tells what was changed of it, and its file has what was not.
bool IsCode(const ProcessMapping& mapping) { return mapping.is_executable() && !mapping.is_writable(); }

bool IsZero(std::span<const std::byte> bytes) {
  return bytes.empty() ||
         (bytes[0] == std::byte{0} && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

}  // namespace

PageScan ProcessView::Scan(const ProcessMapping&, PageKind kind, std::uint64_t begin, std::uint64_t end) {
  // If it fails, the process is gone, which reading tells, too.
  return ScanPages(memory_.pagemap, kind, begin, end).value_or(PageScan{{}, begin});
}

bool ProcessView::Read(const ProcessMapping&, std::uint64_t address, std::span<std::byte> out) {
  const auto unread = ReadProcessMemory(memory_.mem, address, out);
  return unread && *unread == 0;
}

PageScan StoredView::Scan(const ProcessMapping& mapping, PageKind kind, std::uint64_t begin,
                          std::uint64_t end) {
  if (kind == PageKind::kChanged && IsCode(mapping)) return {{}, end};
  const std::uint64_t stored = core_.size() - std::min(core_.size(), mapping.core_offset);
  if (stored < mapping.core_bytes) end = std::min(end, mapping.begin + stored / PageBytes() * PageBytes());
  MemoryRun there = InCore(mapping, begin, end);
  if (there.begin == there.end) return {{}, begin};
  if (kind != PageKind::kFilled) return {{there}, there.end};
  there.end = std::min(there.end, there.begin + kStep);
  PageScan scan{{}, there.begin};
  std::vector<std::byte> bytes(64 * 1024);
  while (scan.end < there.end) {
    const std::uint64_t at = scan.end;
    const auto room = std::span(bytes).first(std::min<std::uint64_t>(bytes.size(), there.end - at));
    if (!Read(mapping, at, room)) break;
    for (std::size_t page = 0; page < room.size(); page += PageBytes()) {
      const std::uint64_t size = std::min<std::uint64_t>(PageBytes(), room.size() - page);
      if (IsZero(room.subspan(page, size))) continue;
      if (!scan.runs.empty() && scan.runs.back().end == at + page)
        scan.runs.back().end += size;
      else
        scan.runs.push_back({at + page, at + page + size});
    }
    scan.end += room.size();
  }
  return scan;
}

bool StoredView::Read(const ProcessMapping& mapping, std::uint64_t address, std::span<std::byte> out) {
  const std::uint64_t inside = address - mapping.begin;
  if (inside >= mapping.core_bytes || out.size() > mapping.core_bytes - inside) return false;
  if (mapping.core_offset > INT64_MAX - mapping.core_bytes) return false;
  const auto got = core_.ReadAt(mapping.core_offset + inside, out);
  if (!got && !failure_) failure_ = got.error();
  return got && *got == out.size();
}

PageScan PromisedView::Scan(const ProcessMapping& mapping, PageKind kind, std::uint64_t begin,
                            std::uint64_t end) {
  if (kind == PageKind::kChanged && IsCode(mapping)) return {{}, end};
  const MemoryRun there = InCore(mapping, begin, end);
  if (there.begin == there.end) return {{}, begin};
  return {{there}, there.end};
}

bool PromisedView::Read(const ProcessMapping&, std::uint64_t, std::span<std::byte>) { return false; }

}  // namespace obit
