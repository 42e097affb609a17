#include "base/system_call_filter.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace obit {
namespace {

constexpr int kBasic[] = {
    SCMP_SYS(read),          SCMP_SYS(readv),          SCMP_SYS(pread64),
    SCMP_SYS(preadv),        SCMP_SYS(write),          SCMP_SYS(writev),
    SCMP_SYS(lseek),         SCMP_SYS(close),          SCMP_SYS(fstat),
    SCMP_SYS(fadvise64),     SCMP_SYS(readahead),      SCMP_SYS(brk),
    SCMP_SYS(munmap),        SCMP_SYS(mremap),         SCMP_SYS(madvise),
    SCMP_SYS(futex),         SCMP_SYS(sched_yield),    SCMP_SYS(restart_syscall),
    SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres),   SCMP_SYS(clock_nanosleep),
    SCMP_SYS(gettimeofday),  SCMP_SYS(time),           SCMP_SYS(getrandom),
    SCMP_SYS(getrusage),     SCMP_SYS(sysinfo),        SCMP_SYS(uname),
    SCMP_SYS(getpid),        SCMP_SYS(gettid),         SCMP_SYS(getuid),
    SCMP_SYS(geteuid),       SCMP_SYS(getgid),         SCMP_SYS(getegid),
    SCMP_SYS(rt_sigaction),  SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sigaltstack),   SCMP_SYS(exit),           SCMP_SYS(exit_group),
};

constexpr int kDeadly[] = {
    // Other processes.
    SCMP_SYS(fork),
    SCMP_SYS(vfork),
    SCMP_SYS(clone),
    SCMP_SYS(clone3),
    SCMP_SYS(execve),
    SCMP_SYS(execveat),
    SCMP_SYS(ptrace),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(process_madvise),
    SCMP_SYS(kill),
    SCMP_SYS(tkill),
    SCMP_SYS(rt_sigqueueinfo),
    SCMP_SYS(rt_tgsigqueueinfo),
    SCMP_SYS(pidfd_open),
    SCMP_SYS(pidfd_getfd),
    SCMP_SYS(pidfd_send_signal),
    SCMP_SYS(kcmp),
    // Sockets and what else carries messages.
    SCMP_SYS(socket),
    SCMP_SYS(socketpair),
    SCMP_SYS(connect),
    SCMP_SYS(bind),
    SCMP_SYS(listen),
    SCMP_SYS(accept),
    SCMP_SYS(accept4),
    SCMP_SYS(sendto),
    SCMP_SYS(sendmsg),
    SCMP_SYS(sendmmsg),
    SCMP_SYS(recvfrom),
    SCMP_SYS(recvmsg),
    SCMP_SYS(recvmmsg),
    SCMP_SYS(shmget),
    SCMP_SYS(shmat),
    SCMP_SYS(msgget),
    SCMP_SYS(semget),
    SCMP_SYS(mq_open),
    // Where the kernel does much for a caller, and had its holes.
    SCMP_SYS(bpf),
    SCMP_SYS(userfaultfd),
    SCMP_SYS(perf_event_open),
    SCMP_SYS(io_uring_setup),
    SCMP_SYS(io_uring_enter),
    SCMP_SYS(io_uring_register),
    SCMP_SYS(io_setup),
    SCMP_SYS(memfd_secret),
    SCMP_SYS(keyctl),
    SCMP_SYS(add_key),
    SCMP_SYS(request_key),
    SCMP_SYS(splice),
    SCMP_SYS(vmsplice),
    SCMP_SYS(modify_ldt),
    SCMP_SYS(personality),
    SCMP_SYS(remap_file_pages),
    // The system as a whole.
    SCMP_SYS(mount),
    SCMP_SYS(umount2),
    SCMP_SYS(move_mount),
    SCMP_SYS(open_tree),
    SCMP_SYS(fsopen),
    SCMP_SYS(fsmount),
    SCMP_SYS(mount_setattr),
    SCMP_SYS(pivot_root),
    SCMP_SYS(chroot),
    SCMP_SYS(unshare),
    SCMP_SYS(setns),
    SCMP_SYS(open_by_handle_at),
    SCMP_SYS(name_to_handle_at),
    SCMP_SYS(init_module),
    SCMP_SYS(finit_module),
    SCMP_SYS(delete_module),
    SCMP_SYS(kexec_load),
    SCMP_SYS(kexec_file_load),
    SCMP_SYS(reboot),
    SCMP_SYS(swapon),
    SCMP_SYS(swapoff),
    SCMP_SYS(settimeofday),
    SCMP_SYS(clock_settime),
    SCMP_SYS(iopl),
    SCMP_SYS(ioperm),
    SCMP_SYS(quotactl),
    SCMP_SYS(acct),
    SCMP_SYS(syslog),
};

std::uint32_t DefaultAction(UnnamedCalls unnamed) {
  if (unnamed == UnnamedCalls::kAllowed) return SCMP_ACT_ALLOW;
  const char* wanted = std::getenv("OBIT_SYSTEM_CALLS");
  return wanted != nullptr && std::string_view(wanted) == "kill" ? SCMP_ACT_KILL_PROCESS
                                                                 : SCMP_ACT_ERRNO(ENOSYS);
}

}  // namespace

SystemCallFilter::SystemCallFilter(UnnamedCalls unnamed)
    : context_(nullptr, seccomp_release), default_action_(DefaultAction(unnamed)) {
  context_.reset(seccomp_init(default_action_));
  Note(seccomp_attr_set(context_.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS));
  Note(seccomp_attr_set(context_.get(), SCMP_FLTATR_CTL_NNP, 0));       // it is set already
  Note(seccomp_attr_set(context_.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2));  // as a binary tree
}

void SystemCallFilter::Add(std::uint32_t action, int call, std::initializer_list<scmp_arg_cmp> arguments) {
  if (action == default_action_) return;  // libseccomp takes such a rule for a mistake
  Note(seccomp_rule_add_array(context_.get(), action, call, static_cast<unsigned>(arguments.size()),
                              arguments.begin()));
}

void SystemCallFilter::AddAll(std::uint32_t action, std::span<const int> calls) {
  for (const int call : calls) Add(action, call, {});
}

void SystemCallFilter::AllowMemoryWithoutCode() {
  for (const int call : {SCMP_SYS(mmap), SCMP_SYS(mprotect)}) {
    AllowIf(call, {Masked(2, PROT_EXEC, 0)});
    RefuseIf(EACCES, call, {Masked(2, PROT_EXEC, PROT_EXEC)});
  }
}

void SystemCallFilter::AllowDescriptorControl() {
  for (const int command : {F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC})
    AllowIf(SCMP_SYS(fcntl), {Equals(1, static_cast<std::uint64_t>(command))});
}

void SystemCallFilter::AllowOfItself() {
  AllowIf(SCMP_SYS(tgkill), {Equals(0, static_cast<std::uint64_t>(::getpid()))});
  AllowIf(SCMP_SYS(prlimit64), {Equals(0, 0), Equals(2, 0)});
}

Result<void> SystemCallFilter::Load() {
  if (error_ == 0) Note(seccomp_load(context_.get()));
  if (error_ != 0) return Fail(error_, "set a system call filter");
  return {};
}

scmp_arg_cmp Equals(unsigned index, std::uint64_t value) { return {index, SCMP_CMP_EQ, value, 0}; }
scmp_arg_cmp Masked(unsigned index, std::uint64_t mask, std::uint64_t value) {
  return {index, SCMP_CMP_MASKED_EQ, mask, value};
}

std::span<const int> BasicCalls() { return kBasic; }

std::vector<int> DeadlyCalls(std::initializer_list<int> needed) {
  std::vector<int> calls;
  std::ranges::copy_if(kDeadly, std::back_inserter(calls),
                       [&](int call) { return std::ranges::find(needed, call) == needed.end(); });
  return calls;
}

}  // namespace obit
