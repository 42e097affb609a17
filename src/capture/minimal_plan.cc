// A minimal core is for a debugger's `thread apply all bt`, and for obit's own analysis. Text comes from the
// files of programs, so what is needed is small: what was measured, page by page, to change a trace if it is
// missing. It is taken in the order of its worth, until the limit is reached.
//
// Pages that are left out are in no PT_LOAD, so they read as unavailable. (Those with p_filesz < p_memsz read
// as zeros in gdb, without a word.) Only pages that never held anything have a PT_LOAD without content.

#include "capture/minimal_plan.h"

#include <algorithm>

#include <elf.h>

#include "capture/kept_memory.h"
#include "capture/minimal_loader.h"
#include "capture/minimal_pointers.h"
#include "capture/minimal_threads.h"

namespace obit {
namespace {

constexpr std::uint64_t kVdsoMax = 256 * 1024;
/// However many threads there are, each has so much of its stack, bytes, while there is room.
constexpr std::uint64_t kStackMin = 16 * 1024;

void KeepVdso(KeptMemory& memory, const CoreNotes& notes) {
  const auto where = notes.auxv.find(AT_SYSINFO_EHDR);
  const ProcessMapping* vdso = where == notes.auxv.end() ? nullptr : memory.map().Find(where->second);
  if (vdso != nullptr && vdso->may_be_vdso && vdso->end - vdso->begin <= kVdsoMax &&
      vdso->core_bytes == vdso->end - vdso->begin)
    memory.KeepWhole(*vdso);
}

}  // namespace

CoreHead HeadForMinimal() { return CoreHead(NoteKeeper(kMinimalNotesWhole, kMinimalNotesMax)); }

std::vector<CoreRun> PlanMinimal(MemoryView& view, const ProcessMap& map, const CoreNotes& notes,
                                 ElfClass elf_class, const MinimalLimits& limits,
                                 const std::function<bool()>& go_on) {
  KeptMemory memory(view, map, limits.all, {.go_on = go_on});
  MinimalThreads threads(memory, notes);
  KeepVdso(memory, notes);
  const auto others = std::span(notes.threads).subspan(std::min<std::size_t>(1, notes.threads.size()));
  if (!notes.threads.empty()) {
    threads.KeepStack(notes.threads.front(), limits.crashing_stack);
    threads.KeepControlBlock(notes.threads.front());
    threads.KeepVariables(notes.threads.front(), UINT64_MAX);
  }
  if (elf_class == ElfClass::k64) KeepLoaderLists(memory, notes);
  if (!memory.can_read()) KeepSmallMappings(memory, limits.small, limits.data);
  KeepWrittenData(memory, notes, limits.data);
  for (const CoreNotes::Thread& thread : others) threads.KeepControlBlock(thread);
  for (const CoreNotes::Thread& thread : others) threads.KeepStack(thread, std::min(limits.stack, kStackMin));
  // What the crashing thread points to comes last, and is worth more than the depths of others' stacks.
  const std::uint64_t for_others = limits.all - std::min(limits.pointed, limits.all / 4);
  for (std::size_t i = 0; i < others.size() && !memory.is_full(); ++i) {
    const std::uint64_t share = (for_others - std::min(memory.bytes(), for_others)) / (others.size() - i);
    const std::uint64_t before = memory.bytes();
    threads.KeepVariables(others[i], share);
    threads.KeepStack(others[i],
                      std::min(limits.stack, kStackMin + share - std::min(share, memory.bytes() - before)));
  }
  if (elf_class == ElfClass::k64) KeepWhatIsPointedTo(memory, notes, limits.pointed);
  return memory.Runs();
}

CoreLayout LayOutMinimal(const CoreHead& head, const ProcessMap& map, std::vector<CoreRun> runs) {
  std::vector<std::byte> notes;
  // Once: there may be MiB, and memory that is new costs more time than what is put there.
  notes.reserve(head.notes().size() + 4 + MappingsNoteBytes(map.mappings().size()));
  notes.assign(head.notes().begin(), head.notes().end());
  notes.resize((notes.size() + 3) / 4 * 4);
  std::vector<CoreNotes::Mapping> mappings;
  mappings.reserve(map.mappings().size());
  for (const ProcessMapping& one : map.mappings()) mappings.push_back({one.begin, one.end, one.flags});
  AppendMappingsNote(notes, mappings);
  return CoreLayout(head.elf_class(), head.machine(), std::move(notes), std::move(runs));
}

}  // namespace obit
