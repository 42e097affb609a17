// Any bytes as a program.

#include <cstdlib>
#include <span>

#include <sys/mman.h>

#include "base/io.h"
#include "elf/build_id.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const obit::Fd file(::memfd_create("fuzz", MFD_CLOEXEC));
  if (!obit::WriteAll(file, std::as_bytes(std::span(data, size)))) std::abort();
  const auto id = obit::ReadBuildId(file);
  if (id && id->find_first_not_of("0123456789abcdef") != std::string::npos) std::abort();
  if (!id && id.error().code != EBADMSG) std::abort();
  return 0;
}
