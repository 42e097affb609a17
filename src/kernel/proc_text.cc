#include "kernel/proc_text.h"

#include <cerrno>

#include <unistd.h>

#include "base/io.h"

namespace obit {

Result<std::string_view> ReadOnce(const Fd& proc, const std::string& path, std::span<char> room) {
  const Fd file = OBIT_TRY(OpenAt(proc, path, O_RDONLY));
  const ssize_t length = ::read(file.get(), room.data(), room.size());
  if (length < 0) return Fail(errno, "read {}", path);
  const std::string_view text(room.data(), static_cast<std::size_t>(length));
  if (text.size() == room.size() || !text.ends_with('\n')) return Refuse(EMSGSIZE, "{} is too long", path);
  return text;
}

}  // namespace obit
