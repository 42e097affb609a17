// Any bytes as a core and as the program that it is of: to make it printable ends, and once it is, nothing in
// it is left to be changed.

#include <cstdint>
#include <cstdlib>
#include <vector>

#include <sys/mman.h>
#include <sys/stat.h>

#include "base/io.h"
#include "elf/printable_core.h"

namespace {

std::vector<std::byte> ContentOf(const obit::Fd& file) {
  struct stat status{};
  if (::fstat(file.get(), &status) < 0) std::abort();
  std::vector<std::byte> content(static_cast<std::size_t>(status.st_size));
  if (obit::ReadFullAt(file, content, 0) != content.size()) std::abort();
  return content;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  const obit::Fd core(::memfd_create("core", MFD_CLOEXEC)), program(::memfd_create("program", MFD_CLOEXEC));
  if (!obit::WriteAllAt(core, bytes, 0) || !obit::WriteAllAt(program, bytes, 0)) std::abort();
  const auto done = obit::MakeCorePrintable(core, &program);
  if (!done && done.error().code != EBADMSG) std::abort();
  const auto content = ContentOf(core);
  if (content.size() != size) std::abort();
  if (!done) return 0;
  if (!obit::MakeCorePrintable(core, &program) || ContentOf(core) != content) std::abort();
  return 0;
}
