#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>

#include "elf/core_head.h"

namespace obit {

/// The way from a program's headers to the dynamic loader's lists, in the memory of a process (elf.h,
/// link.h). Every address on it may be anything.
class LoaderLists {
 public:
  /// Fills `out` with the memory at `address`; false: not all of it can be read. Is never asked for what goes
  /// past the last address.
  using Read = std::function<bool(std::uint64_t address, std::span<std::byte> out)>;

  LoaderLists(ElfClass elf_class, Read read) : wide_(elf_class == ElfClass::k64), read_(std::move(read)) {}

  /// What the program's headers say, by the addresses that the program was linked for.
  struct Headers {
    std::optional<std::uint64_t> headers;  ///< PT_PHDR: of themselves; before PT_DYNAMIC, if there are more
    std::optional<std::uint64_t> dynamic;  ///< PT_DYNAMIC, the first one
    std::uint64_t begin = 0;               ///< of what the file begins with
  };
  [[nodiscard]] Headers ReadHeaders(std::uint64_t address, std::uint64_t count) const;
  [[nodiscard]] std::uint64_t header_bytes() const;

  /// An entry of a dynamic section.
  struct Dynamic {
    std::uint64_t at = 0, bytes = 0, tag = 0, value = 0;
  };
  /// Calls `visit` with the entries from `address` on, until it returns false or they end.
  void ForEachDynamic(std::uint64_t address, const std::function<bool(const Dynamic&)>& visit) const;

  /// A struct link_map.
  struct Library {
    std::uint64_t at = 0, name = 0, dynamic = 0;
    std::uint64_t before = 0, previous = 0;  ///< the one that led here, and the one that this one says did
  };
  struct Visitor {
    /// Is called with each struct r_debug; false: neither its list nor those behind it.
    std::function<bool(std::uint64_t address, std::uint64_t bytes)> list;
    /// False: this list ends here.
    std::function<bool(const Library&)> library;
  };
  /// From the struct r_debug at `debug` on: all lists, nothing twice.
  void ForEachLibrary(std::uint64_t debug, const Visitor& visitor) const;

  [[nodiscard]] std::optional<std::uint64_t> ReadWord(std::uint64_t address) const;

 private:
  template <class T>
  std::optional<T> ReadAs(std::uint64_t address) const;
  template <class Elf>
  Headers ReadHeadersOf(std::uint64_t address, std::uint64_t count) const;
  template <class Elf>
  std::optional<Dynamic> ReadDynamic(std::uint64_t address) const;
  template <class Elf>
  void ForEachLibraryOf(std::uint64_t debug, const Visitor& visitor) const;

  bool wide_;
  Read read_;
};

}  // namespace obit
