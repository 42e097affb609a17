#include "server/test_fault.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <memory>

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/uio.h>

#include "base/io.h"
#include "base/text.h"
#include "kernel/pidfd.h"

namespace obit::testing {
namespace {

constexpr std::array<std::string_view, kFaultRoles> kNames = {
    "obitd", "obitd-manager", "obitd-inspect", "obitd-capture", "obitd-pump", "obitd-clerk"};

struct CallErrors {
  int call;
  std::vector<int> errors;
};

/// The calls of the path from a connection to a committed record; close(2) is left alone, which fails nobody.
const std::vector<CallErrors>& Calls() {
  static const std::vector<CallErrors> calls = {
      {SYS_openat, {EMFILE, ENOMEM, EIO, EINTR, ENOSPC}},
      {SYS_openat2, {EMFILE, ENOMEM, EIO, EINTR}},
      {SYS_open, {EMFILE, EINTR}},
      {SYS_read, {EIO, EINTR, kShortCount}},
      {SYS_pread64, {EIO, EINTR, kShortCount}},
      {SYS_write, {ENOSPC, EIO, EINTR, kShortCount}},
      {SYS_pwrite64, {ENOSPC, EIO, EINTR, kShortCount}},
      {SYS_writev, {ENOSPC, EIO, EINTR}},
      {SYS_pwritev2, {EIO, EINTR}},
      {SYS_fsync, {EIO, ENOSPC, EINTR}},
      {SYS_fdatasync, {EIO, ENOSPC, EINTR}},
      {SYS_ftruncate, {EIO, ENOSPC, EINTR}},
      {SYS_fallocate, {EIO, ENOSPC, EINTR}},
      {SYS_fchmod, {EIO, ENOSPC}},
      {SYS_fchown, {EIO, ENOSPC}},
      {SYS_fsetxattr, {ENOSPC, EIO, ENOMEM, EOPNOTSUPP}},
      {SYS_fgetxattr, {EIO, ENOMEM}},
      {SYS_renameat, {EIO, ENOSPC, ENOMEM}},
      {SYS_renameat2, {EIO, ENOSPC, ENOMEM}},
      {SYS_rename, {EIO, ENOSPC}},
      {SYS_unlinkat, {EIO, ENOMEM}},
      {SYS_unlink, {EIO, ENOMEM}},
      {SYS_mkdirat, {ENOSPC, EIO, ENOMEM}},
      {SYS_flock, {EINTR, ENOMEM}},
      {SYS_fstat, {EIO, ENOMEM}},
      {SYS_newfstatat, {EIO, ENOMEM}},
      {SYS_statx, {EIO, ENOMEM}},
      {SYS_getdents64, {EIO, ENOMEM}},
      {SYS_fcntl, {EMFILE}},
      {SYS_mmap, {ENOMEM}},
      {SYS_clone, {EAGAIN, ENOMEM}},
      {SYS_sendmsg, {ENOMEM, ENOBUFS, EINTR}},
      {SYS_recvmsg, {ENOMEM, EINTR}},
      {SYS_sendto, {ENOMEM, EINTR}},
      {SYS_recvfrom, {ENOMEM, EINTR}},
      {SYS_accept4, {EMFILE, ENOMEM, EINTR}},
      {SYS_getsockopt, {EMFILE, ENOMEM}},
      {SYS_socketpair, {EMFILE, ENOMEM}},
      {SYS_socket, {EMFILE, ENOMEM}},
      {SYS_pipe2, {EMFILE, ENOMEM}},
      {SYS_pidfd_open, {EMFILE, ENOMEM}},
      {SYS_epoll_create1, {EMFILE, ENOMEM}},
      {SYS_epoll_ctl, {ENOMEM, ENOSPC}},
      {SYS_epoll_wait, {EINTR}},
      {SYS_epoll_pwait, {EINTR}},
      {SYS_poll, {EINTR}},
      {SYS_ppoll, {EINTR}},
      {SYS_splice, {ENOMEM, EINTR}},
      {SYS_timerfd_create, {EMFILE, ENOMEM}},
      {SYS_eventfd2, {EMFILE, ENOMEM}},
      {SYS_signalfd4, {EMFILE, ENOMEM}},
      {SYS_inotify_init1, {EMFILE}},
      {SYS_inotify_add_watch, {ENOSPC, ENOMEM}},
  };
  return calls;
}

std::optional<FaultRole> RoleOf(pid_t thread) {
  const auto comm = ReadFile(fmt::format("/proc/{}/comm", thread), 64);
  if (!comm) return std::nullopt;
  const auto found = std::ranges::find(kNames, Trim(comm->text));
  if (found == kNames.end()) return std::nullopt;
  return static_cast<FaultRole>(found - kNames.begin());
}

bool IsCounted(const seccomp_data& data) {
  const auto command = static_cast<int>(data.args[1]);
  return data.nr != SYS_fcntl || command == F_DUPFD_CLOEXEC || command == F_DUPFD;
}

/// Errors that only some calls of a number have. A clock, a signal or another counter of the kernel is read
/// as a whole, or not yet.
bool Fits(pid_t thread, const seccomp_data& data, int error) {
  if (data.nr == SYS_openat) return error != ENOSPC || (data.args[2] & O_CREAT) != 0;
  if (data.nr != SYS_read || error == EINTR) return true;
  const auto target = ReadLinkAt(Fd(), fmt::format("/proc/{}/fd/{}", thread, data.args[0]));
  return target && !target->starts_with("anon_inode:");
}

pid_t ProcessOf(pid_t thread) {
  const auto status = ReadFile(fmt::format("/proc/{}/status", thread), 4096);
  if (!status) return -1;
  for (const std::string_view line : Split(status->text, '\n'))
    if (line.starts_with("Tgid:")) return static_cast<pid_t>(ParseUnsigned(Trim(line.substr(5))).value_or(0));
  return -1;
}

/// Does half of a read or write, in the place of whoever asked for all of it. Nothing, if it cannot be
/// halved, or would wait.
std::optional<std::int64_t> DoHalf(pid_t thread, const seccomp_data& data) {
  const std::size_t half = data.args[2] / 2;
  const pid_t process = ProcessOf(thread);
  const auto pidfd = OpenPidfd(process);
  if (half == 0 || half > (1U << 24) || !pidfd) return std::nullopt;
  const Fd file(static_cast<int>(::syscall(SYS_pidfd_getfd, pidfd->get(), data.args[0], 0)));
  const bool writes = data.nr == SYS_write || data.nr == SYS_pwrite64;
  pollfd ready{file.get(), static_cast<short>(writes ? POLLOUT : POLLIN), 0};
  if (!file || ::poll(&ready, 1, 0) <= 0) return std::nullopt;
  std::vector<std::byte> bytes(half);
  const iovec mine{bytes.data(), half};
  const iovec theirs{reinterpret_cast<void*>(data.args[1]), half};
  if (writes && ::process_vm_readv(process, &mine, 1, &theirs, 1, 0) != static_cast<ssize_t>(half))
    return std::nullopt;
  ssize_t done = -1;
  const auto offset = static_cast<off_t>(data.args[3]);
  if (data.nr == SYS_read) done = ::read(file.get(), bytes.data(), half);
  if (data.nr == SYS_pread64) done = ::pread(file.get(), bytes.data(), half, offset);
  if (data.nr == SYS_write) done = ::write(file.get(), bytes.data(), half);
  if (data.nr == SYS_pwrite64) done = ::pwrite(file.get(), bytes.data(), half, offset);
  if (done < 0) return -errno;
  if (!writes && done > 0 && ::process_vm_writev(process, &mine, 1, &theirs, 1, 0) < done) return -EFAULT;
  return done;
}

}  // namespace

std::string_view NameOf(FaultRole role) { return kNames[static_cast<std::size_t>(role)]; }

std::string Describe(const Fault& fault) {
  const std::unique_ptr<char, void (*)(void*)> name(
      ::seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, fault.call), ::free);
  return fmt::format("{} {} of {}: {}", name ? name.get() : "?", fault.nth, NameOf(fault.role),
                     fault.error == kShortCount ? "half of it" : ::strerrorname_np(fault.error));
}

std::span<const int> ErrorsOf(int call) {
  const auto found = std::ranges::find(Calls(), call, &CallErrors::call);
  return found == Calls().end() ? std::span<const int>() : found->errors;
}

FaultInjector::FaultInjector() {
  const pid_t parent = ::getpid();
  injector_.emplace(::fork());
  if (injector_->pid() != 0) return;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(0);
  Run();
}

void FaultInjector::WatchThisProcess() {
  std::vector<sock_filter> program = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
  };
  for (const CallErrors& call : Calls()) {
    program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(call.call), 0, 1));
    program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF));
  }
  program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  constexpr unsigned long kOnlyKilled = 1UL << 5;  // SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, Linux 5.19
  ::prctl(PR_SET_NAME, kNames[0].data());
  board_->server = ::getpid();
  const auto listener = static_cast<int>(::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                                                   SECCOMP_FILTER_FLAG_NEW_LISTENER | kOnlyKilled, &filter));
  if (listener < 0) ::_exit(2);
  // Without a call: none would be answered.
  board_->listener = listener;
  while (board_->listener >= 0) ::sched_yield();
  ::close(listener);
}

void FaultInjector::Arm(const Fault& fault) {
  Count();
  board_->hit = false;
  board_->fault = fault;
  board_->armed = true;
}

void FaultInjector::Count() {
  board_->armed = false;
  for (auto& role : board_->counts)
    for (auto& count : role) count = 0;
}

void FaultInjector::Disarm() { board_->armed = false; }

std::uint32_t FaultInjector::calls(FaultRole role, int call) const {
  return board_->counts[static_cast<std::size_t>(role)][static_cast<std::size_t>(call)];
}

std::vector<Fault> FaultInjector::FaultsOf(FaultRole role) const {
  std::vector<Fault> faults;
  for (const CallErrors& known : Calls())
    for (std::uint32_t nth = 1; nth <= calls(role, known.call); ++nth)
      for (const int error : known.errors) faults.push_back({role, known.call, nth, error});
  return faults;
}

void FaultInjector::Run() {
  for (;;) {
    while (board_->listener < 0) ::usleep(500);
    const auto pidfd = OpenPidfd(board_->server);
    const Fd listener(
        static_cast<int>(pidfd ? ::syscall(SYS_pidfd_getfd, pidfd->get(), board_->listener.load(), 0) : -1));
    board_->listener = -1;
    for (;;) {
      pollfd calls{listener.get(), POLLIN, 0};
      if (::poll(&calls, 1, -1) < 0 || (calls.revents & POLLIN) == 0) break;  // all of the server are gone
      Answer(listener.get());
    }
  }
}

void FaultInjector::Answer(int listener) {
  seccomp_notif call{};
  if (::ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) < 0) return;  // whoever made it was killed
  seccomp_notif_resp answer{.id = call.id, .val = 0, .error = 0, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
  ++board_->seen;
  const auto thread = static_cast<pid_t>(call.pid);
  const auto role = IsCounted(call.data) ? RoleOf(thread) : std::nullopt;
  if (role) {
    auto& count = board_->counts[static_cast<std::size_t>(*role)][static_cast<std::size_t>(call.data.nr)];
    const std::uint32_t nth = ++count;
    const Fault& fault = board_->fault;
    if (board_->armed && fault.role == *role && fault.call == call.data.nr && nth >= fault.nth &&
        Fits(thread, call.data, fault.error)) {
      std::optional<std::int64_t> result = -fault.error;
      if (fault.error == kShortCount) result = DoHalf(thread, call.data);
      if (result) {
        board_->armed = false;
        board_->hit = true;
        answer.flags = 0;
        answer.error = static_cast<int>(std::min<std::int64_t>(*result, 0));
        answer.val = std::max<std::int64_t>(*result, 0);
      }
    }
  }
  ::ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
}

}  // namespace obit::testing
