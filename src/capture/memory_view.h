#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "capture/process_map.h"
#include "kernel/process_memory.h"
#include "store/core_reader.h"

namespace obit {

/// The memory of a crashed process, to look around in before it is decided what is kept of it.
class MemoryView {
 public:
  virtual ~MemoryView() = default;
  /// Looks for the pages from `begin` to `end`, both within `mapping`, that hold something of that kind. It
  /// may stop before `end`: then look on from where it did. If that is `begin`, nothing can be told.
  virtual PageScan Scan(const ProcessMapping& mapping, PageKind kind, std::uint64_t begin,
                        std::uint64_t end) = 0;
  /// False: Read() never gives anything.
  [[nodiscard]] virtual bool can_read() const { return true; }
  /// Fills `out` from `address`, all of which is within pages that Scan() found; false: it cannot be read.
  virtual bool Read(const ProcessMapping& mapping, std::uint64_t address, std::span<std::byte> out) = 0;
};

/// The process itself, which stands still. Nothing is read that may have to be waited for.
class ProcessView final : public MemoryView {
 public:
  /// `memory` outlives this object.
  explicit ProcessView(const ProcessMemory& memory) : memory_(memory) {}
  PageScan Scan(const ProcessMapping& mapping, PageKind kind, std::uint64_t begin,
                std::uint64_t end) override;
  bool Read(const ProcessMapping& mapping, std::uint64_t address, std::span<std::byte> out) override;

 private:
  const ProcessMemory& memory_;
};

/// A stored full core. It does not tell what its process had changed: all that the kernel dumped counts, but
/// for pages of zeros. One that ends early has what is in it.
class StoredView final : public MemoryView {
 public:
  /// `core` outlives this object.
  explicit StoredView(CoreReader& core) : core_(core) {}
  PageScan Scan(const ProcessMapping& mapping, PageKind kind, std::uint64_t begin,
                std::uint64_t end) override;
  bool Read(const ProcessMapping& mapping, std::uint64_t address, std::span<std::byte> out) override;
  /// Why some of it cannot be read: it is damaged.
  [[nodiscard]] const std::optional<Error>& failure() const { return failure_; }

 private:
  CoreReader& core_;
  std::optional<Error> failure_;
};

/// A core of which only the head has come: all that will come counts, and nothing can be read.
class PromisedView final : public MemoryView {
 public:
  [[nodiscard]] bool can_read() const override { return false; }
  PageScan Scan(const ProcessMapping& mapping, PageKind kind, std::uint64_t begin,
                std::uint64_t end) override;
  bool Read(const ProcessMapping& mapping, std::uint64_t address, std::span<std::byte> out) override;
};

}  // namespace obit
