#include "elf/core_memory.h"

#include <algorithm>
#include <set>

#include "base/io.h"

namespace obit {
namespace {

constexpr std::uint64_t kCostMax = 1 << 20;  // reads, and blocks of kCostBlock bytes
constexpr std::uint64_t kCostBlock = 256;

std::vector<CoreMemory::Part> Apart(std::span<const CoreMemory::Part> parts) {
  struct Edge {
    std::uint64_t at;
    std::size_t part;
    bool begins;
  };
  std::vector<Edge> edges;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto [address, offset, all] = parts[i];
    const std::uint64_t bytes = std::min(all, UINT64_MAX - address);
    if (bytes == 0 || offset > INT64_MAX || bytes > INT64_MAX - offset) continue;
    edges.push_back({address, i, true});
    edges.push_back({address + bytes, i, false});
  }
  std::ranges::sort(edges, {}, &Edge::at);
  std::vector<CoreMemory::Part> apart;
  std::set<std::size_t> there;
  std::uint64_t from = 0;
  for (const Edge& edge : edges) {
    if (!there.empty() && edge.at > from) {
      const CoreMemory::Part& first = parts[*there.begin()];
      apart.push_back({from, first.offset + (from - first.address), edge.at - from});
    }
    if (edge.begins)
      there.insert(edge.part);
    else
      there.erase(edge.part);
    from = edge.at;
  }
  return apart;
}

}  // namespace

CoreMemory::CoreMemory(const Fd& core, ElfClass elf_class, std::span<const Part> parts)
    : core_(core), wide_(elf_class == ElfClass::k64), parts_(Apart(parts)) {}

std::uint64_t CoreMemory::Narrow(std::uint64_t address) const {
  return wide_ ? address : static_cast<std::uint32_t>(address);
}

std::optional<CoreMemory::Part> CoreMemory::Find(std::uint64_t address) const {
  const auto after = std::ranges::upper_bound(parts_, address, {}, &Part::address);
  if (after == parts_.begin()) return std::nullopt;
  const Part& part = *std::prev(after);
  const std::uint64_t inside = address - part.address;
  if (inside >= part.bytes) return std::nullopt;
  return Part{address, part.offset + inside, part.bytes - inside};
}

/// As much as one part has.
std::size_t CoreMemory::ReadSome(std::uint64_t address, std::span<std::byte> out) {
  const auto part = Find(address);
  if (!part || !state_) return 0;
  out = out.first(static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), part->bytes)));
  cost_ += 1 + out.size() / kCostBlock;
  if (cost_ > kCostMax) {
    state_ = Refuse(EBADMSG, "the lists in the memory of the core have no end");
    return 0;
  }
  const auto got = ReadFullAt(core_, out, part->offset);
  if (got) return *got;
  state_ = std::unexpected(got.error());
  return 0;
}

std::string CoreMemory::ReadUpTo(std::uint64_t address, std::size_t max) {
  std::string bytes(max, '\0');
  std::size_t size = 0;
  address = Narrow(address);
  while (size < max && address <= UINT64_MAX - size) {
    const std::size_t got = ReadSome(address + size, std::as_writable_bytes(std::span(bytes)).subspan(size));
    if (got == 0) break;
    size += got;
  }
  bytes.resize(size);
  return bytes;
}

bool CoreMemory::Read(std::uint64_t address, std::span<std::byte> out) {
  const std::string bytes = ReadUpTo(address, out.size());
  if (bytes.size() != out.size()) return false;
  std::ranges::copy(std::as_bytes(std::span(bytes)), out.begin());
  return true;
}

std::string CoreMemory::ReadText(std::uint64_t address, std::size_t max) {
  std::string text = ReadUpTo(address, max);
  text.resize(std::min(text.size(), text.find('\0')));
  return text;
}

Result<void> CoreMemory::Write(std::uint64_t address, std::span<const std::byte> bytes) {
  address = Narrow(address);
  while (!bytes.empty()) {
    const auto part = Find(address);
    if (!part) return Refuse(EFAULT, "the core does not have the memory at {:#x}", address);
    const auto now =
        bytes.first(static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), part->bytes)));
    OBIT_TRY(WriteAllAt(core_, now, part->offset));
    bytes = bytes.subspan(now.size());
    address += now.size();
  }
  return {};
}

Result<void> CoreMemory::Check() const { return state_; }

}  // namespace obit
