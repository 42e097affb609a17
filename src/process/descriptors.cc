#include "process/descriptors.h"

#include <algorithm>
#include <iterator>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

namespace obit {

void KeepOnly(std::span<Fd* const> all) {
  std::vector<Fd*> kept;
  std::ranges::copy_if(all, std::back_inserter(kept), [](const Fd* fd) { return static_cast<bool>(*fd); });
  constexpr int kFirst = 3;
  const int end = kFirst + static_cast<int>(kept.size());
  for (Fd* fd : kept) {  // above all numbers that are given next
    const int moved = ::fcntl(fd->get(), F_DUPFD_CLOEXEC, end);
    if (moved < 0) ::_exit(1);
    *fd = Fd(moved);
  }
  int number = kFirst;
  for (Fd* fd : kept) {
    if (::dup3(fd->get(), number, O_CLOEXEC) < 0) ::_exit(1);
    *fd = Fd(number++);
  }
  ::close_range(static_cast<unsigned>(end), ~0U, 0);
}

}  // namespace obit
