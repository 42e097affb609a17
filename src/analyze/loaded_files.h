#pragma once

#include <vector>

#include "analyze/core_image.h"
#include "elf/core_notes.h"

namespace obit {

/// What NT_FILE would say of the program and its libraries, from the dynamic loader's lists and from their
/// program headers in memory: for a core without that note. The kernel leaves it out where it would be larger
/// than sysctl kernel.core_file_note_size_limit; qemu-user has none. By address; empty if the way there is
/// broken; the first mapping of the program alone, if its headers were not dumped. A file is named as the
/// loader was asked for it.
[[nodiscard]] std::vector<CoreNotes::File> FindLoadedFiles(CoreImage& image);

}  // namespace obit
