#include "analyze/jail.h"

#include <cerrno>

#include <fcntl.h>
#include <sys/prctl.h>

#include "base/capabilities.h"
#include "base/landlock.h"
#include "base/limits.h"
#include "base/system_call_filter.h"

namespace obit {
namespace {

// Limits.

constexpr rlim_t kMemoryMax = rlim_t{4} << 30;  // bytes of addresses; what files are mapped counts too
constexpr rlim_t kFileSizeMax = 512 << 20;  // bytes of one file: its report, or a program unpacked to memory
constexpr rlim_t kProcessorMax = 3600;      // seconds; whoever started it has a deadline, unless it is gone
constexpr rlim_t kFilesMax = 4096;          // module and debug file of each module

Result<void> SetLimits() {
  OBIT_TRY(LimitAddresses(kMemoryMax));
  OBIT_TRY(LowerLimit(RLIMIT_FSIZE, kFileSizeMax));
  OBIT_TRY(LowerLimit(RLIMIT_CPU, kProcessorMax));
  OBIT_TRY(LowerLimit(RLIMIT_NOFILE, kFilesMax));
  OBIT_TRY(LowerLimit(RLIMIT_CORE, 0));
  return LowerLimit(RLIMIT_NPROC, 0);
}

// System calls.

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

void AddCommonRules(SystemCallFilter& filter) {
  filter.Allow(BasicCalls());
  filter.Kill(DeadlyCalls());
  filter.AllowMemoryWithoutCode();
  filter.AllowDescriptorControl();
  filter.AllowOfItself();
  filter.RefuseIf(ENOTTY, SCMP_SYS(ioctl), {});
}

/// Opening for reading, and only for that.
void AllowOpening(SystemCallFilter& filter, int call, unsigned flags) {
  filter.AllowIf(call, {Masked(flags, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY)});
  for (const std::uint64_t mode : {O_WRONLY, O_RDWR})
    filter.RefuseIf(EACCES, call, {Masked(flags, O_ACCMODE, mode)});
  for (const std::uint64_t flag : {O_CREAT, O_TRUNC})
    filter.RefuseIf(EACCES, call, {Masked(flags, O_ACCMODE | flag, flag)});
}

}  // namespace

Result<void> EnterJail() {
  OBIT_TRY(ForbidNewPrivileges());
  if (::prctl(PR_SET_DUMPABLE, 0) < 0) return Fail(errno, "become undumpable");
  OBIT_TRY(SetLimits());
  // It opens the files of a process of any user, as far as the one who started it could.
  OBIT_TRY(KeepCapabilities(CapabilityBit(CAP_DAC_READ_SEARCH)));
  (void)OBIT_TRY(RestrictFiles(FileAccess::kRead));
  SystemCallFilter filter;
  AddCommonRules(filter);
  filter.Allow(kInFirstStep);
  AllowOpening(filter, SCMP_SYS(open), 1);
  AllowOpening(filter, SCMP_SYS(openat), 2);
  return filter.Load();
}

Result<void> LockJail() {
  OBIT_TRY(KeepCapabilities(0));
  (void)OBIT_TRY(RestrictFiles(FileAccess::kNothing));
  SystemCallFilter filter;
  AddCommonRules(filter);
  filter.Refuse(EACCES, kOfFiles);
  filter.AllowIf(SCMP_SYS(newfstatat), {Masked(3, AT_EMPTY_PATH, AT_EMPTY_PATH)});  // fstat(3)
  filter.RefuseIf(EACCES, SCMP_SYS(newfstatat), {Masked(3, AT_EMPTY_PATH, 0)});
  return filter.Load();
}

}  // namespace obit
