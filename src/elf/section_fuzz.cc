// Any bytes as an ELF file whose sections are looked at.

#include <cstdlib>

#include <sys/mman.h>

#include "base/io.h"
#include "elf/section.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const obit::Fd file(::memfd_create("fuzz", MFD_CLOEXEC));
  if (!obit::WriteAll(file, std::as_bytes(std::span(data, size)))) return 0;
  if (const auto found = obit::ReadDebugSections(file); found && found->link.find('/') != std::string::npos)
    std::abort();  // it becomes part of a path
  return 0;
}
