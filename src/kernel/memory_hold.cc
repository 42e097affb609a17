#include "kernel/memory_hold.h"

#include <array>
#include <atomic>
#include <csignal>
#include <system_error>
#include <thread>

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "kernel/process_memory.h"

namespace obit {
namespace {

// include/uapi/linux/userfaultfd.h of Linux 6.1; the headers of Debian 12 have it, those of Debian 11 do not.
#ifndef USERFAULTFD_IOC_NEW
#define USERFAULTFD_IOC_NEW _IO(0xAA, 0x00)
#endif

/// For the read to come to its page, which takes some microseconds, ms.
constexpr int kPatience = 2000;

/// A page that is never there.
class EmptyPage {
 public:
  EmptyPage()
      : at_(::mmap(nullptr, PageBytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {}
  EmptyPage(EmptyPage&&) = delete;
  ~EmptyPage() {
    if (at_ != MAP_FAILED) ::munmap(at_, PageBytes());
  }
  [[nodiscard]] explicit operator bool() const { return at_ != MAP_FAILED; }
  [[nodiscard]] void* get() const { return at_; }
  [[nodiscard]] std::uint64_t address() const { return reinterpret_cast<std::uint64_t>(at_); }

 private:
  void* at_;
};

/// Any pending signal makes a fault of the kernel spin: it waits interruptibly, is woken, and faults again
/// (handle_userfault() of fs/userfaultfd.c). So the thread that waits takes none.
class BlockedSignals {
 public:
  BlockedSignals() {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_BLOCK, &all, &before_);
  }
  BlockedSignals(BlockedSignals&&) = delete;
  ~BlockedSignals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
};

std::unexpected<Error> Lacks(int code, const char* what) {
  if (code == ENOSYS || code == ENOTTY || code == EINVAL || code == EPERM || code == ENODEV)
    code = EOPNOTSUPP;
  return Fail(code, "{}", what);
}

}  // namespace

struct MemoryHold::Reader {
  EmptyPage page;
  Fd faults;  // of `page`; closed, it lets the read go on
  Fd ended;   // an eventfd: the read came back
  std::atomic<int> result{0};
  std::jthread thread;

  Result<void> Prepare(const Fd& device);
  void Start(const Fd& mem, std::uint64_t address);
  Result<void> AwaitFault();
  ~Reader();
};

Result<void> MemoryHold::Reader::Prepare(const Fd& device) {
  if (!page) return Fail(errno, "map a page");
  ended = Fd(::eventfd(0, EFD_CLOEXEC));
  if (!ended) return Fail(errno, "make an eventfd");
  faults = Fd(::ioctl(device.get(), USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK));
  if (!faults) return Lacks(errno, "make a userfaultfd");
  uffdio_api api{.api = UFFD_API, .features = 0, .ioctls = 0};
  if (::ioctl(faults.get(), UFFDIO_API, &api) < 0) return Lacks(errno, "agree with userfaultfd");
  uffdio_register range{
      .range = {page.address(), PageBytes()}, .mode = UFFDIO_REGISTER_MODE_MISSING, .ioctls = 0};
  if (::ioctl(faults.get(), UFFDIO_REGISTER, &range) < 0) return Lacks(errno, "register a page");
  return {};
}

void MemoryHold::Reader::Start(const Fd& mem, std::uint64_t address) {
  const BlockedSignals none;  // the thread inherits that
  thread = std::jthread([this, file = mem.get(), address] {
    const ssize_t n = ::pread(file, page.get(), 1, static_cast<off_t>(address));
    result = n < 0 ? errno : n == 0 ? ESRCH : 0;
    const std::uint64_t one = 1;
    (void)!::write(ended.get(), &one, sizeof one);
  });
}

/// Until the read stands at the page.
Result<void> MemoryHold::Reader::AwaitFault() {
  std::array<pollfd, 2> watched{{{faults.get(), POLLIN, 0}, {ended.get(), POLLIN, 0}}};
  if (::poll(watched.data(), watched.size(), kPatience) <= 0)
    return Refuse(ETIMEDOUT, "the read did not come to its page");
  if ((watched[1].revents & POLLIN) != 0) return Fail(result.load(), "read memory");
  uffd_msg message{};
  if (::read(faults.get(), &message, sizeof message) != sizeof message ||
      message.event != UFFD_EVENT_PAGEFAULT)
    return Refuse(EPROTO, "userfaultfd told of no fault");
  return {};
}

MemoryHold::Reader::~Reader() {
  faults.Reset();  // wakes the read, which then gets a page like any other
}

MemoryHold::MemoryHold(std::unique_ptr<Reader> reader) : reader_(std::move(reader)) {}
MemoryHold::MemoryHold(MemoryHold&&) noexcept = default;
MemoryHold& MemoryHold::operator=(MemoryHold&&) noexcept = default;
MemoryHold::~MemoryHold() = default;

Result<MemoryHold> MemoryHold::Take(const Fd& mem, std::uint64_t address, const Fd& device) {
  auto reader = std::make_unique<Reader>();
  OBIT_TRY_IN(reader->Prepare(device), "keep the memory of a process");
  try {
    reader->Start(mem, address);
  } catch (const std::system_error& error) {
    return Fail(error.code().value(), "keep the memory of a process");
  }
  OBIT_TRY_IN(reader->AwaitFault(), "keep the memory of a process");
  return MemoryHold(std::move(reader));
}

}  // namespace obit
