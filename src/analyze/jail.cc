#include "analyze/jail.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <utility>

#include <fcntl.h>
#include <linux/capability.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "analyze/landlock.h"

namespace obit {
namespace {

// Limits.

constexpr rlim_t kMemoryMax = rlim_t{4} << 30;  // bytes of addresses; what files are mapped counts too
constexpr rlim_t kFileSizeMax = 512 << 20;  // bytes of one file: its report, or a program unpacked to memory
constexpr rlim_t kProcessorMax = 3600;      // seconds; whoever started it has a deadline, unless it is gone
constexpr rlim_t kFilesMax = 4096;          // module and debug file of each module

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kReservesAddresses = true;  // terabytes, for shadow memory
#else
constexpr bool kReservesAddresses = false;
#endif

Result<void> SetLimits() {
  struct Limit {
    __rlimit_resource which;
    rlim_t value;
  };
  for (const auto& [which, value] : {Limit{RLIMIT_AS, kReservesAddresses ? RLIM_INFINITY : kMemoryMax},
                                     {RLIMIT_FSIZE, kFileSizeMax},
                                     {RLIMIT_CPU, kProcessorMax},
                                     {RLIMIT_NOFILE, kFilesMax},
                                     {RLIMIT_CORE, 0},
                                     {RLIMIT_NPROC, 0}}) {
    rlimit limit{};
    if (::getrlimit(which, &limit) < 0) return Fail(errno, "read limit {}", static_cast<int>(which));
    limit.rlim_cur = limit.rlim_max = std::min(limit.rlim_max, value);
    if (::setrlimit(which, &limit) < 0) return Fail(errno, "set limit {}", static_cast<int>(which));
  }
  return {};
}

// Capabilities.

constexpr std::uint64_t kOpenAnything = std::uint64_t{1} << CAP_DAC_READ_SEARCH;

/// Keeps no more than these of the capabilities, a bit for each.
Result<void> KeepCapabilities(std::uint64_t kept) {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3]{};
  if (::syscall(SYS_capget, &header, data) < 0) return Fail(errno, "read the capabilities");
  for (unsigned i = 0; i < _LINUX_CAPABILITY_U32S_3; ++i) {
    const auto word = static_cast<std::uint32_t>(kept >> (32 * i));
    data[i].permitted &= word;
    data[i].effective &= word;
    data[i].inheritable = 0;
  }
  if (::syscall(SYS_capset, &header, data) < 0) return Fail(errno, "drop the capabilities");
  return {};
}

/// What an execve(2) would give. None can happen: this is for the case that a hole lets one.
void DropInheritable() {
  ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  for (unsigned long capability = 0; capability < 64; ++capability)
    ::prctl(PR_CAPBSET_DROP, capability);  // fails without CAP_SETPCAP: no_new_privs holds all the same
}

// System calls.

/// To read and write what is open, to manage memory, to ask for the time, to end.
constexpr int kInBothSteps[] = {
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

/// To find files, to unpack one into memory, and to set up the second step.
constexpr int kInFirstStep[] = {
    SCMP_SYS(stat),
    SCMP_SYS(lstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(statx),
    SCMP_SYS(fstatfs),
    SCMP_SYS(access),
    SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2),
    SCMP_SYS(readlink),
    SCMP_SYS(readlinkat),
    SCMP_SYS(getdents64),
    SCMP_SYS(getcwd),
    SCMP_SYS(memfd_create),
    SCMP_SYS(ftruncate),
    SCMP_SYS(pwrite64),
    SCMP_SYS(seccomp),
    SCMP_SYS(landlock_create_ruleset),
    SCMP_SYS(landlock_restrict_self),
    SCMP_SYS(capget),
    SCMP_SYS(capset),
};

/// The same, and opening, once the second step is taken.
constexpr int kOfFiles[] = {
    SCMP_SYS(open),       SCMP_SYS(openat),   SCMP_SYS(openat2),    SCMP_SYS(creat),  SCMP_SYS(stat),
    SCMP_SYS(lstat),      SCMP_SYS(statx),    SCMP_SYS(statfs),     SCMP_SYS(access), SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2), SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(getcwd), SCMP_SYS(chdir),
};

/// Nothing that obit or a library of it does: an attack.
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

/// A filter that is being put together. The first error stays, and Load() tells it.
class Filter {
 public:
  Filter() : context_(seccomp_init(SCMP_ACT_ERRNO(ENOSYS)), seccomp_release) {
    Note(seccomp_attr_set(context_.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS));
    Note(seccomp_attr_set(context_.get(), SCMP_FLTATR_CTL_NNP, 0));  // it is set already
  }

  template <class Calls>
  void Add(std::uint32_t action, const Calls& calls) {
    for (const int call : calls) Note(seccomp_rule_add_array(context_.get(), action, call, 0, nullptr));
  }
  void AddIf(std::uint32_t action, int call, std::initializer_list<scmp_arg_cmp> arguments) {
    Note(seccomp_rule_add_array(context_.get(), action, call, static_cast<unsigned>(arguments.size()),
                                arguments.begin()));
  }
  Result<void> Load() {
    if (error_ == 0) Note(seccomp_load(context_.get()));
    if (error_ != 0) return Fail(error_, "set a system call filter");
    return {};
  }

 private:
  void Note(int result) {
    if (error_ == 0) error_ = -result;
  }

  std::unique_ptr<void, void (*)(scmp_filter_ctx)> context_;
  int error_ = 0;
};

scmp_arg_cmp Argument(unsigned index, std::uint64_t value) { return {index, SCMP_CMP_EQ, value, 0}; }
scmp_arg_cmp Masked(unsigned index, std::uint64_t mask, std::uint64_t value) {
  return {index, SCMP_CMP_MASKED_EQ, mask, value};
}

void AddCommonRules(Filter& filter) {
  filter.Add(SCMP_ACT_ALLOW, kInBothSteps);
  filter.Add(SCMP_ACT_KILL_PROCESS, kDeadly);
  for (const auto& [call, protection] : {std::pair{SCMP_SYS(mmap), 2U}, {SCMP_SYS(mprotect), 2U}}) {
    filter.AddIf(SCMP_ACT_ALLOW, call, {Masked(protection, PROT_EXEC, 0)});
    filter.AddIf(SCMP_ACT_ERRNO(EACCES), call, {Masked(protection, PROT_EXEC, PROT_EXEC)});
  }
  filter.AddIf(SCMP_ACT_ALLOW, SCMP_SYS(tgkill),
               {Argument(0, static_cast<std::uint64_t>(::getpid()))});    // abort(3)
  for (const int command : {F_GETFD, F_SETFD, F_GETFL, F_DUPFD_CLOEXEC})  // not F_SETOWN: it sends signals
    filter.AddIf(SCMP_ACT_ALLOW, SCMP_SYS(fcntl), {Argument(1, static_cast<std::uint64_t>(command))});
  // getrlimit(3), of itself only.
  filter.AddIf(SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), {Argument(0, 0), Argument(2, 0)});
  filter.AddIf(SCMP_ACT_ERRNO(ENOTTY), SCMP_SYS(ioctl), {});
}

/// Opening for reading, and only for that.
void AllowOpening(Filter& filter, int call, unsigned flags) {
  filter.AddIf(SCMP_ACT_ALLOW, call, {Masked(flags, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY)});
  for (const std::uint64_t mode : {O_WRONLY, O_RDWR})
    filter.AddIf(SCMP_ACT_ERRNO(EACCES), call, {Masked(flags, O_ACCMODE, mode)});
  for (const std::uint64_t flag : {O_CREAT, O_TRUNC})
    filter.AddIf(SCMP_ACT_ERRNO(EACCES), call, {Masked(flags, O_ACCMODE | flag, flag)});
}

}  // namespace

Result<void> EnterJail() {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return Fail(errno, "set no_new_privs");
  if (::prctl(PR_SET_DUMPABLE, 0) < 0) return Fail(errno, "become undumpable");
  OBIT_TRY(SetLimits());
  DropInheritable();
  // It opens the files of a process of any user, as far as the one who started it could.
  OBIT_TRY(KeepCapabilities(kOpenAnything));
  (void)OBIT_TRY(RestrictFiles(FileAccess::kRead));
  Filter filter;
  AddCommonRules(filter);
  filter.Add(SCMP_ACT_ALLOW, kInFirstStep);
  AllowOpening(filter, SCMP_SYS(open), 1);
  AllowOpening(filter, SCMP_SYS(openat), 2);
  return filter.Load();
}

Result<void> LockJail() {
  OBIT_TRY(KeepCapabilities(0));
  (void)OBIT_TRY(RestrictFiles(FileAccess::kNothing));
  Filter filter;
  AddCommonRules(filter);
  filter.Add(SCMP_ACT_ERRNO(EACCES), kOfFiles);
  filter.AddIf(SCMP_ACT_ALLOW, SCMP_SYS(newfstatat), {Masked(3, AT_EMPTY_PATH, AT_EMPTY_PATH)});  // fstat(3)
  filter.AddIf(SCMP_ACT_ERRNO(EACCES), SCMP_SYS(newfstatat), {Masked(3, AT_EMPTY_PATH, 0)});
  return filter.Load();
}

}  // namespace obit
