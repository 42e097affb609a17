#include "catalog/index_memory.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <mutex>

#include <sys/mman.h>
#include <unistd.h>

namespace obit {
namespace {

/// What SQLite has mapped, for a signal handler, which must wait for nobody: places that are free have no
/// address.
struct Mapping {
  std::atomic<std::uintptr_t> begin = 0;
  std::atomic<std::size_t> size = 0;
  std::atomic<bool> is_cut = false;
};
/// One is of 4096 pages of the log: these are more than a log ever has.
constinit std::array<Mapping, 256> mappings;
constinit std::mutex changes;
static_assert(std::atomic<std::uintptr_t>::is_always_lock_free);

struct sigaction before;
std::uintptr_t page_size = 0;

/// The mapping that an address is in; the end of all: none.
auto Find(std::uintptr_t address) {
  return std::ranges::find_if(mappings, [&](const Mapping& mapping) {
    const std::uintptr_t begin = mapping.begin;
    return begin != 0 && address >= begin && address - begin < mapping.size;
  });
}

void OnBusError(int signal, siginfo_t* info, void* /*context*/) {
  const int saved = errno;
  const auto address = reinterpret_cast<std::uintptr_t>(info->si_addr);
  auto* const page = static_cast<std::byte*>(info->si_addr) - address % page_size;
  const auto mapping = Find(address);
  if (info->si_code == BUS_ADRERR && mapping != mappings.end() &&
      ::mmap(page, page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
          page) {
    mapping->is_cut = true;
  } else {
    // The fault comes again, and what was sent is sent again.
    ::sigaction(signal, &before, nullptr);
    if (info->si_code <= 0) (void)::raise(signal);
  }
  errno = saved;
}

// In the place of system calls, with their names and errno.

void* Map(void* address, std::size_t size, int protection, int flags, int file, off_t offset) {
  const std::lock_guard lock(changes);
  const auto free = std::ranges::find_if(mappings, [](const Mapping& mapping) { return mapping.begin == 0; });
  if (free == mappings.end()) return errno = ENOMEM, MAP_FAILED;
  void* const mapped = ::mmap(address, size, protection, flags, file, offset);
  if (mapped == MAP_FAILED) return mapped;
  free->size = size;
  free->is_cut = false;
  free->begin = reinterpret_cast<std::uintptr_t>(mapped);
  return mapped;
}

int Unmap(void* address, std::size_t size) {
  const std::lock_guard lock(changes);
  const auto found = Find(reinterpret_cast<std::uintptr_t>(address));
  if (found != mappings.end()) found->begin = 0;
  return ::munmap(address, size);
}

}  // namespace

void GuardIndexMemory(sqlite3_vfs* files) {
  page_size = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  struct sigaction action{};
  action.sa_sigaction = OnBusError;
  action.sa_flags = SA_SIGINFO | SA_RESTART;
  if (::sigaction(SIGBUS, &action, &before) < 0) return;
  files->xSetSystemCall(files, "mmap", reinterpret_cast<sqlite3_syscall_ptr>(Map));
  files->xSetSystemCall(files, "munmap", reinterpret_cast<sqlite3_syscall_ptr>(Unmap));
}

bool IsIndexMemoryCut() {
  return std::ranges::any_of(mappings,
                             [](const Mapping& mapping) { return mapping.begin != 0 && mapping.is_cut; });
}

}  // namespace obit
