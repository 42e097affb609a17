#include "elf/printable_core.h"

#include "elf/odd_vdso.h"
#include "elf/printable_libraries.h"
#include "elf/printable_notes.h"
#include "elf/program_lists.h"

namespace obit {

Result<void> MakeCorePrintable(const Fd& core, const Fd* program) {
  constexpr int kPassesMax = 16;
  const ProgramLists lists = program != nullptr ? OBIT_TRY(ReadProgramLists(*program)) : ProgramLists();
  // A core can have a name lie where a pointer, a note or a header is: to change one is to change the other,
  // and may lead to more names.
  for (int pass = 0; pass < kPassesMax; ++pass) {
    const auto parts = OBIT_TRY(MakeNotesPrintable(core));
    if (!parts) return {};
    CoreMemory memory(core, parts->elf_class, parts->memory);
    const bool hidden = OBIT_TRY(HideOddVdso(core, memory, *parts));
    const bool renamed = OBIT_TRY(MakeLibraryNamesPrintable(memory, *parts, lists));
    if (!parts->changed && !hidden && !renamed) return {};
  }
  return Refuse(EBADMSG, "the texts of the core lie in each other");
}

}  // namespace obit
