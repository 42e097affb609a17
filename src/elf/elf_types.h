#pragma once

#include <cstdint>

#include <elf.h>

namespace obit {

/// The structures of a file of each class, for code that is written once for both.
struct Elf32 {
  using Header = Elf32_Ehdr;
  using Segment = Elf32_Phdr;
  using Section = Elf32_Shdr;
  using Symbol = Elf32_Sym;
  using Dynamic = Elf32_Dyn;
  using Word = std::uint32_t;
};
struct Elf64 {
  using Header = Elf64_Ehdr;
  using Segment = Elf64_Phdr;
  using Section = Elf64_Shdr;
  using Symbol = Elf64_Sym;
  using Dynamic = Elf64_Dyn;
  using Word = std::uint64_t;
};

}  // namespace obit
