#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "elf/core_head.h"
#include "elf/core_notes.h"
#include "kernel/mappings.h"
#include "kernel/process_memory.h"

namespace obit {

/// A mapping of a crashed process, by what its core says and, where the process is still there, by
/// /proc/PID/maps.
struct ProcessMapping {
  std::uint64_t begin = 0, end = 0;
  std::uint32_t flags = 0;  ///< PF_R, PF_W, PF_X
  bool shared = false;
  std::string_view path;  ///< of the file behind it, kPathMax bytes at most; empty: anonymous
  std::uint64_t file_offset = 0;
  std::uint64_t core_offset = 0;  ///< in the core that the kernel makes
  std::uint64_t core_bytes = 0;   ///< so many of its first bytes are in there
  /// The kernel's own code, as far as is known: what else is mapped where a process should have that may wait
  /// for somebody.
  bool may_be_vdso = true;

  [[nodiscard]] bool is_anonymous() const { return path.empty(); }
  [[nodiscard]] bool is_writable() const;
  [[nodiscard]] bool is_executable() const;
  /// The pages that hold what nothing else has, and that can be read without a wait.
  [[nodiscard]] PageKind kind() const;
};

/// All mappings of a process, by address.
class ProcessMap {
 public:
  static constexpr std::size_t kPathMax = 4096;

  /// `head` has its mappings. `maps`, if any, tells more of them than the notes do. `notes` outlives it.
  ProcessMap(const CoreHead& head, const CoreNotes& notes, const std::vector<Mapping>* maps);
  ProcessMap(const CoreHead& head, CoreNotes&& notes, const std::vector<Mapping>* maps) = delete;
  ProcessMap(ProcessMap&&) = default;

  [[nodiscard]] std::span<const ProcessMapping> mappings() const { return mappings_; }
  /// The mapping at `address`, or null.
  [[nodiscard]] const ProcessMapping* Find(std::uint64_t address) const;
  /// The first mapping that one may write to at `address` or above it, at most `reach` bytes; or null.
  [[nodiscard]] const ProcessMapping* FindWritable(std::uint64_t address, std::uint64_t reach) const;

 private:
  std::vector<ProcessMapping> mappings_;
  std::unordered_set<std::string> names_;  // paths that the notes have not
};

}  // namespace obit
