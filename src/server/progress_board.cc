#include "server/progress_board.h"

#include <cerrno>
#include <utility>

#include <sys/mman.h>
#include <unistd.h>

namespace obit {
namespace {

std::size_t PageBytes() {
  static const auto bytes = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  return bytes;
}

std::size_t AllBytes() { return ProgressBoard::kCounters * PageBytes(); }

Result<void> LetChildrenHaveMemory(std::byte* memory, std::size_t bytes, bool have) {
  if (::madvise(memory, bytes, have ? MADV_DOFORK : MADV_DONTFORK) < 0)
    return Fail(errno, "say whether children have counters");
  return {};
}

}  // namespace

Result<ProgressBoard> ProgressBoard::Create() {
  // The kernel gives zeros, and a page when it is first touched.
  void* memory = ::mmap(nullptr, AllBytes(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return Fail(errno, "share memory between processes");
  ProgressBoard board(static_cast<std::byte*>(memory));
  OBIT_TRY(board.LetChildrenHaveIt(false));
  return board;
}

ProgressBoard::ProgressBoard(ProgressBoard&& other) noexcept : pages_(std::exchange(other.pages_, nullptr)) {}

ProgressBoard::~ProgressBoard() {
  if (pages_ != nullptr) ::munmap(pages_, AllBytes());
}

std::byte* ProgressBoard::PageOf(std::size_t number) const { return pages_ + number * PageBytes(); }

std::atomic<std::uint64_t>& ProgressBoard::counter(std::size_t number) const {
  return *reinterpret_cast<std::atomic<std::uint64_t>*>(PageOf(number));
}

Result<void> ProgressBoard::LetChildrenHaveIt(bool have) const {
  return LetChildrenHaveMemory(pages_, AllBytes(), have);
}

Result<void> ProgressBoard::LetChildrenHave(std::size_t number, bool have) const {
  return LetChildrenHaveMemory(PageOf(number), PageBytes(), have);
}

}  // namespace obit
