#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "arch/architecture.h"
#include "base/fd.h"
#include "base/result.h"
#include "elf/core_notes.h"
#include "store/core_reader.h"

namespace obit {

/// A stored core as the memory of the process that it was: what is asked for is unpacked, no more. The core
/// is untrusted. 64-bit only.
class CoreImage {
 public:
  /// A mapping of the process; the core may have all, some or none of its bytes.
  struct Mapping {
    std::uint64_t begin = 0, end = 0;
    std::uint32_t flags = 0;  ///< PF_R, PF_W, PF_X
    [[nodiscard]] std::uint64_t size() const { return end - begin; }
  };

  /// Takes core.zst over. EBADMSG: not a core. EOPNOTSUPP: of a machine whose registers obit does not know.
  [[nodiscard]] static Result<CoreImage> Open(Fd core);

  [[nodiscard]] const Architecture& arch() const { return *arch_; }
  /// Why there may be more of the core than what is read: the disk does not give it.
  [[nodiscard]] const std::optional<Error>& unreadable() const { return unreadable_; }

  [[nodiscard]] const CoreNotes& notes() const { return notes_; }
  /// By address, none overlaps another.
  [[nodiscard]] std::span<const Mapping> mappings() const { return mappings_; }
  /// Memory was left out that the process had.
  [[nodiscard]] bool is_minimal() const { return notes_.mappings.has_value(); }
  /// The core should have the byte at `address`, unless it ends early.
  [[nodiscard]] bool Promises(std::uint64_t address) const;
  /// The mapping at `address`, or null.
  [[nodiscard]] const Mapping* Find(std::uint64_t address) const;
  [[nodiscard]] bool IsExecutable(std::uint64_t address) const;

  /// Bytes of `file`, from `offset` on, stand for [begin, end) where the core has none: program text is not
  /// dumped, since it can be read there; or it was, and the core ends before it. `file` outlives this object.
  void AddFile(std::uint64_t begin, std::uint64_t end, std::uint64_t offset, const Fd& file);

  /// Fills `out` from `address` on; returns how many bytes are known without a gap.
  std::size_t Read(std::uint64_t address, std::span<std::byte> out);
  [[nodiscard]] std::optional<std::uint64_t> ReadWord(std::uint64_t address);
  /// The NUL-terminated text at `address`; nothing if it is not known up to its end, or longer than `max`.
  [[nodiscard]] std::optional<std::string> ReadText(std::uint64_t address, std::size_t max);

 private:
  struct File {
    std::uint64_t end, offset;
    const Fd* file;
  };
  /// PT_LOAD. The core has its first `bytes` bytes, from `offset` on.
  struct Segment {
    std::uint64_t begin, end, offset, bytes;
  };
  explicit CoreImage(CoreReader core) : core_(std::move(core)) {}
  Result<void> ReadHead();
  [[nodiscard]] const Segment* FindSegment(std::uint64_t address) const;
  std::size_t ReadCore(std::uint64_t offset, std::span<std::byte> out);
  std::size_t ReadFile(std::uint64_t address, std::span<std::byte> out) const;

  CoreReader core_;
  const Architecture* arch_ = nullptr;
  std::optional<Error> unreadable_;
  CoreNotes notes_;
  std::vector<Mapping> mappings_;
  std::vector<Segment> segments_;                                     // by address, too
  std::map<std::uint64_t, File> files_;                               // by begin
  std::unordered_map<std::uint64_t, std::vector<std::byte>> blocks_;  // by number
  std::uint64_t last_number_ = UINT64_MAX;
  const std::vector<std::byte>* last_block_ = nullptr;
};

}  // namespace obit
