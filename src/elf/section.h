#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace obit {

/// What the sections of an ELF file say about where its debug information is (64-bit, this machine's byte
/// order). Empty where the file has no such section.
struct DebugSections {
  bool has_debug_info = false;  ///< .debug_info, compressed or not
  bool has_symbols = false;     ///< .symtab
  std::string link;             ///< .gnu_debuglink: a file name, never with a slash
  std::uint32_t link_crc = 0;
  std::string alternate;           ///< .gnu_debugaltlink: a path
  std::string alternate_build_id;  ///< hex
  std::string package;             ///< .note.package: its JSON (https://systemd.io/ELF_PACKAGE_METADATA)
};

/// Bounded reads of an untrusted file. EBADMSG: not such an ELF file. Sections that are cut or odd read as
/// absent.
[[nodiscard]] Result<DebugSections> ReadDebugSections(const Fd& file);

}  // namespace obit
