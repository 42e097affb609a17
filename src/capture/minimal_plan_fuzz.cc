// Any bytes as a core, of which a minimal one is made: whatever its memory says, that ends, within its
// limits, and what comes of it is a core with the same mappings.

#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "capture/kept_memory.h"
#include "capture/minimal_plan.h"
#include "elf/core_notes.h"

namespace {

/// The core as it is, in memory.
class BytesView final : public obit::MemoryView {
 public:
  explicit BytesView(std::span<const std::byte> core) : core_(core) {}
  obit::PageScan Scan(const obit::ProcessMapping& mapping, obit::PageKind, std::uint64_t begin,
                      std::uint64_t end) override {
    end = std::min(end, mapping.begin + mapping.core_bytes);
    if (begin >= end) return {{}, begin};
    return {{{begin, end}}, end};
  }
  bool Read(const obit::ProcessMapping& mapping, std::uint64_t address, std::span<std::byte> out) override {
    const std::uint64_t inside = address - mapping.begin;
    if (mapping.core_offset > core_.size() || inside > core_.size() - mapping.core_offset) return false;
    const auto there = core_.subspan(mapping.core_offset + inside);
    if (there.size() < out.size()) return false;
    std::memcpy(out.data(), there.data(), out.size());
    return true;
  }

 private:
  std::span<const std::byte> core_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace obit;
  const auto core = std::as_bytes(std::span(data, size));
  CoreHead head = HeadForMinimal();
  head.Feed(core);
  if (!head.complete()) return 0;
  const CoreNotes notes = ParseCoreNotes(head.notes(), head.elf_class(), head.machine());
  const ProcessMap map(head, notes, nullptr);
  BytesView view(core);
  const MinimalLimits limits{.all = 1 << 20};
  const auto runs = PlanMinimal(view, map, notes, head.elf_class(), limits);
  std::uint64_t end = 0, bytes = 0;
  for (const CoreRun& run : runs) {
    if (run.address < end || run.bytes == 0 || run.address > UINT64_MAX - run.bytes) std::abort();
    end = run.address + run.bytes;
    bytes += run.file_bytes;
    const ProcessMapping* mapping = map.Find(run.address);
    if (mapping == nullptr || end > mapping->end) std::abort();
  }
  if (bytes > limits.all + (256 << 10)) std::abort();  // the vdso is taken whatever there is
  const CoreLayout layout = LayOutMinimal(head, map, runs);
  CoreHead made = HeadForMinimal();
  made.Feed(layout.Head());
  if (!made.complete() || made.core_bytes() != layout.core_bytes()) std::abort();
  return 0;
}
