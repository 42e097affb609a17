#include "capture/minimal_copy.h"

#include <algorithm>

#include "base/io.h"
#include "capture/minimal_plan.h"
#include "capture/stored_head.h"
#include "elf/core_notes.h"
#include "store/unpack.h"

namespace obit {

Result<MinimalCopy> WriteMinimalCore(CoreReader& core, const Fd& out) {
  const CoreHead head = OBIT_TRY(ReadStoredHead(core, HeadForMinimal()));
  if (!head.invalid().empty()) return Refuse(EBADMSG, "it is not a core: {}", head.invalid());
  if (!head.complete()) return Refuse(EBADMSG, "it ends before the memory of its process");
  if (!head.has_all_segments()) return Refuse(E2BIG, "it has too many mappings for a minimal one");
  const CoreNotes notes = ParseCoreNotes(head.notes(), head.elf_class(), head.machine());
  MinimalCopy copy{.ends_early = core.size() < head.core_bytes().value_or(0)};
  if (notes.mappings) {
    OBIT_TRY(UnpackCore(core, out, [](std::uint64_t) {}));
    return copy;
  }
  const ProcessMap map(head, notes, nullptr);
  StoredView view(core);
  const CoreLayout layout =
      LayOutMinimal(head, map, PlanMinimal(view, map, notes, head.elf_class(), MinimalLimits()));
  OBIT_TRY(WriteAll(out, layout.Head()));
  std::vector<std::byte> buffer(256 * 1024);
  for (const CoreRun& run : layout.runs()) {
    const ProcessMapping* mapping = map.Find(run.address);
    for (std::uint64_t done = 0; mapping != nullptr && done < run.file_bytes; done += buffer.size()) {
      const auto room =
          std::span(buffer).first(std::min<std::uint64_t>(buffer.size(), run.file_bytes - done));
      if (!view.Read(*mapping, run.address + done, room)) {
        if (view.failure()) return std::unexpected(*view.failure());
        return Refuse(EBADMSG, "it ends at {:#x}, before what was found in it", run.address + done);
      }
      OBIT_TRY(WriteAll(out, room));
    }
  }
  OBIT_TRY(WriteAll(out, layout.Trailer()));
  copy.damaged = view.failure();
  return copy;
}

}  // namespace obit
