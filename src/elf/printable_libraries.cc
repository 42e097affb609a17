#include "elf/printable_libraries.h"

#include <algorithm>
#include <set>
#include <span>
#include <string>

#include <elf.h>

#include "elf/loader_lists.h"
#include "elf/printable_text.h"

namespace obit {
namespace {

constexpr std::size_t kNameMax = 4096;  // bytes; gdb takes 511

/// Goes every way to the lists that gdb may go; one that leads to no list changes nothing.
class Names {
 public:
  Names(CoreMemory& memory, ElfClass elf_class)
      : memory_(memory),
        read_(
            [&memory](std::uint64_t address, std::span<std::byte> out) { return memory.Read(address, out); }),
        lists_(elf_class, read_) {}

  /// By a program's headers in memory. gdb knows their class by their size, whatever that of the core is.
  void ByHeaders(std::uint64_t address, std::uint64_t count, std::uint64_t bytes) {
    const LoaderLists headers(bytes == sizeof(Elf32_Phdr) ? ElfClass::k32 : ElfClass::k64, read_);
    const auto linked = headers.ReadHeaders(address, count);
    if (!linked.dynamic) return;
    const std::uint64_t moved = linked.headers ? address - *linked.headers : 0;
    headers.ForEachDynamic(*linked.dynamic + moved, [&](const LoaderLists::Dynamic& entry) {
      if (LeadsToLists(entry.tag)) ByEntry(entry.tag, entry.value, entry.at);
      return true;
    });
  }

  /// By the program's file.
  void ByProgram(const ProgramLists& program, std::uint64_t moved) {
    for (const ProgramLists::Dynamic& one : program.dynamic)
      ByEntry(one.tag, lists_.ReadWord(one.value_at + moved).value_or(one.value), one.at + moved);
    for (const std::uint64_t symbol : program.symbols) InLists(symbol + moved);
  }

  [[nodiscard]] Result<bool> Changed() const {
    OBIT_TRY(memory_.Check());
    if (!state_) return std::unexpected(state_.error());
    return changed_;
  }

 private:
  void ByEntry(std::uint64_t tag, std::uint64_t value, std::uint64_t at) {
    if (tag == DT_DEBUG) return InLists(value);
    const std::uint64_t where = tag == DT_MIPS_RLD_MAP ? value : value + at;
    if (const auto debug = lists_.ReadWord(where)) InLists(*debug);
  }

  void InLists(std::uint64_t debug) {
    if (!seen_.insert(debug).second) return;
    const auto in_list = [](std::uint64_t, std::uint64_t) { return true; };
    const auto in_library = [&](const LoaderLists::Library& one) {
      // gdb ends such a list here. What an overwritten pointer leads to is no name, and stays as it is.
      if (one.previous != one.before) return false;
      std::string name = memory_.ReadText(one.name, kNameMax);
      if (!ReplaceUnprintable(name)) return true;
      changed_ = true;
      if (state_) state_ = memory_.Write(one.name, std::as_bytes(std::span(name)));
      return true;
    };
    lists_.ForEachLibrary(debug, {in_list, in_library});
  }

  CoreMemory& memory_;
  LoaderLists::Read read_;
  LoaderLists lists_;
  std::set<std::uint64_t> seen_;
  Result<void> state_;
  bool changed_ = false;
};

std::uint64_t Find(const std::vector<CoreParts::Auxiliary>& vector, std::uint64_t type) {
  const auto found = std::ranges::find(vector, type, &CoreParts::Auxiliary::type);
  return found == vector.end() ? 0 : found->value;
}

}  // namespace

Result<bool> MakeLibraryNamesPrintable(CoreMemory& memory, const CoreParts& parts,
                                       const ProgramLists& program) {
  Names names(memory, parts.elf_class);
  names.ByProgram(program, 0);
  for (const auto& vector : parts.auxiliary) {
    names.ByHeaders(Find(vector, AT_PHDR), Find(vector, AT_PHNUM), Find(vector, AT_PHENT));
    if (const std::uint64_t entry = Find(vector, AT_ENTRY); entry != 0)
      names.ByProgram(program, entry - program.entry);
  }
  return names.Changed();
}

}  // namespace obit
