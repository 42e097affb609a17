#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace obit {

/// Writes ELF cores in the kernel's layout: header, program headers, one PT_NOTE, padding to a page, memory
/// (64-bit, this machine). The result is whole in memory: for small ones.
class CoreBuilder {
 public:
  explicit CoreBuilder(std::uint16_t machine) : machine_(machine) {}

  /// Appends a note; `name` without its NUL.
  void AddNote(std::string_view name, std::uint32_t type, std::span<const std::byte> payload);
  /// Appends a PT_LOAD at `address`; `memory_size` >= memory.size() is its p_memsz, bytes.
  void AddSegment(std::uint64_t address, std::uint32_t flags, std::span<const std::byte> memory,
                  std::uint64_t memory_size);

  [[nodiscard]] std::vector<std::byte> Build() const;

 private:
  struct Segment {
    std::uint64_t address;
    std::uint32_t flags;
    std::vector<std::byte> memory;
    std::uint64_t memory_size;
  };
  std::uint16_t machine_;
  std::vector<std::byte> notes_;
  std::vector<Segment> segments_;
};

}  // namespace obit
