#include "elf/core_builder.h"

#include <elf.h>

#include "elf/core_layout.h"

namespace obit {
namespace {

template <class T>
void Append(std::vector<std::byte>& out, const T& value) {
  const auto* bytes = reinterpret_cast<const std::byte*>(&value);
  out.insert(out.end(), bytes, bytes + sizeof value);
}

void Align(std::vector<std::byte>& out, std::size_t to) { out.resize((out.size() + to - 1) / to * to); }

}  // namespace

void CoreBuilder::AddNote(std::string_view name, std::uint32_t type, std::span<const std::byte> payload) {
  Append(notes_,
         Elf64_Nhdr{static_cast<Elf64_Word>(name.size() + 1), static_cast<Elf64_Word>(payload.size()), type});
  const auto text = std::as_bytes(std::span(name));
  notes_.insert(notes_.end(), text.begin(), text.end());
  notes_.push_back(std::byte{0});
  Align(notes_, 4);
  notes_.insert(notes_.end(), payload.begin(), payload.end());
  Align(notes_, 4);
}

void CoreBuilder::AddSegment(std::uint64_t address, std::uint32_t flags, std::span<const std::byte> memory,
                             std::uint64_t memory_size) {
  segments_.push_back({address, flags, std::vector(memory.begin(), memory.end()), memory_size});
}

std::vector<std::byte> CoreBuilder::Build() const {
  std::vector<CoreRun> runs;
  for (const Segment& segment : segments_)
    runs.push_back({segment.address, segment.memory_size, segment.memory.size(), segment.flags});
  const CoreLayout layout(ElfClass::k64, machine_, notes_, std::move(runs));
  std::vector<std::byte> core = layout.Head();
  core.reserve(layout.core_bytes());
  for (const Segment& segment : segments_)
    core.insert(core.end(), segment.memory.begin(), segment.memory.end());
  const auto trailer = layout.Trailer();
  core.insert(core.end(), trailer.begin(), trailer.end());
  return core;
}

}  // namespace obit
