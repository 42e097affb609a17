// Any bytes as the notes of a core, of each machine whose registers are known and of another.

#include <elf.h>

#include "elf/core_notes.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto notes = std::as_bytes(std::span(data, size));
  using obit::ElfClass;
  for (const auto& [elf_class, machine] : {std::pair{ElfClass::k64, EM_X86_64},
                                           {ElfClass::k64, EM_AARCH64},
                                           {ElfClass::k32, EM_386},
                                           {ElfClass::k32, EM_MIPS}})
    (void)obit::ParseCoreNotes(notes, elf_class, static_cast<std::uint16_t>(machine)).ExecutablePath();
  return 0;
}
