#include "analyze/jail.h"

#include <cstdlib>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/xattr.h>

#include "base/test_support.h"
#include "base/text.h"

namespace obit {
namespace {

using testing::Child;
using testing::kDied;
using testing::kWorked;
using testing::Outcome;
using testing::OutcomeOf;
using testing::TemporaryFolder;

enum class Step { kEntered, kLocked };
/// What the kernel that a test plays on has; without Landlock the jail must hold as well.
enum class Landlock { kThere, kMissing };

/// landlock_create_ruleset(2) fails from here on as on a kernel before 5.13.
void TakeLandlockAway() {
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
  seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(landlock_create_ruleset), 0);
  seccomp_load(filter);
  seccomp_release(filter);
}

constexpr int kNoJail = 255;

/// The errno of a system call that returned `result`.
int ErrorOf(long result) { return result < 0 ? errno : 0; }

/// Makes an attempt in a child that is in the jail.
Outcome Try(Landlock landlock, Step step, const std::function<int()>& attempt) {
  Child child(::fork());
  if (child.pid() == 0) {
    if (landlock == Landlock::kMissing) TakeLandlockAway();
    if (!EnterJail()) ::_exit(kNoJail);
    if (step == Step::kLocked && !LockJail()) ::_exit(kNoJail);
    ::_exit(attempt());
  }
  const int status = child.Wait();
  EXPECT_FALSE(WIFEXITED(status) && WEXITSTATUS(status) == kNoJail) << "there is no jail";
  EXPECT_FALSE(WIFSIGNALED(status) && WCOREDUMP(status)) << "it left a core";
  return OutcomeOf(status);
}

class JailTest : public ::testing::TestWithParam<Landlock> {
 protected:
  JailTest() {
    EXPECT_TRUE(WriteFileAtomically(folder_.fd(), "file", "text", 0600));
    file_ = *Open(folder_ / "file", O_RDONLY);
  }
  static Outcome Entered(const std::function<int()>& attempt) {
    return Try(GetParam(), Step::kEntered, attempt);
  }
  static Outcome Locked(const std::function<int()>& attempt) {
    return Try(GetParam(), Step::kLocked, attempt);
  }
  /// In both steps.
  static void ExpectDeath(const char* what, const std::function<int()>& attempt) {
    EXPECT_EQ(Entered(attempt), kDied) << what;
    EXPECT_EQ(Locked(attempt), kDied) << what;
  }
  static void ExpectError(int error, const char* what, const std::function<int()>& attempt) {
    EXPECT_EQ(Entered(attempt), (Outcome{error, 0})) << what;
    EXPECT_EQ(Locked(attempt), (Outcome{error, 0})) << what;
  }

  TemporaryFolder folder_;
  Fd file_;  // open for reading since before the jail
};
INSTANTIATE_TEST_SUITE_P(Kernel, JailTest, ::testing::Values(Landlock::kThere, Landlock::kMissing),
                         [](const auto& parameter) {
                           return parameter.param == Landlock::kThere ? "WithLandlock" : "WithoutLandlock";
                         });

TEST_P(JailTest, NoOtherProcessIsMade) {
  ExpectDeath("fork", [] { return ErrorOf(::syscall(SYS_fork)); });
  ExpectDeath("vfork", [] { return ErrorOf(::syscall(SYS_vfork)); });
  ExpectDeath("clone", [] { return ErrorOf(::syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, 0)); });
  ExpectDeath("clone3", [] { return ErrorOf(::syscall(SYS_clone3, nullptr, 0)); });
  ExpectDeath("a thread", [] {
    pthread_t thread{};
    return ::pthread_create(&thread, nullptr, [](void*) -> void* { return nullptr; }, nullptr);
  });
  ExpectDeath("execve", [] { return ErrorOf(::execl("/bin/true", "true", nullptr)); });
  ExpectDeath("fexecve", [this] {
    char* none[] = {nullptr};
    return ErrorOf(::fexecve(file_.get(), none, none));
  });
}

TEST_P(JailTest, NoOtherProcessIsTouched) {
  const pid_t other = ::getpid();
  ExpectDeath("kill", [=] { return ErrorOf(::kill(other, SIGTERM)); });
  ExpectDeath("kill of all", [] { return ErrorOf(::kill(-1, 0)); });
  ExpectDeath("tkill", [=] { return ErrorOf(::syscall(SYS_tkill, other, SIGTERM)); });
  ExpectDeath("sigqueue", [=] { return ErrorOf(::sigqueue(other, SIGTERM, {})); });
  ExpectError(ENOSYS, "tgkill", [=] { return ErrorOf(::syscall(SYS_tgkill, other, other, SIGTERM)); });
  ExpectDeath("ptrace", [=] { return ErrorOf(::ptrace(PTRACE_ATTACH, other, nullptr, nullptr)); });
  ExpectDeath("process_vm_readv", [=] {
    int byte = 0;
    iovec here{&byte, 1}, there{&byte, 1};
    return ErrorOf(::process_vm_readv(other, &here, 1, &there, 1, 0));
  });
  ExpectDeath("pidfd_open", [=] { return ErrorOf(::syscall(SYS_pidfd_open, other, 0)); });
  ExpectError(ENOSYS, "prlimit", [=] {
    const rlimit none{};
    return ErrorOf(::prlimit(other, RLIMIT_NOFILE, &none, nullptr));
  });
  ExpectError(ENOSYS, "setpriority", [] { return ErrorOf(::setpriority(PRIO_PROCESS, 0, 0)); });
  ExpectError(ENOSYS, "SIGIO of a pipe",
              [this] { return ErrorOf(::fcntl(file_.get(), F_SETOWN, ::getppid())); });
}

TEST_P(JailTest, NothingIsSent) {
  ExpectDeath("socket", [] { return ErrorOf(::socket(AF_UNIX, SOCK_STREAM, 0)); });
  ExpectDeath("socketpair", [] {
    int ends[2];
    return ErrorOf(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
  });
  // By a socket that was open before.
  const Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = "/run/obit/coredump.socket"};
  const auto* to = reinterpret_cast<const sockaddr*>(&address);
  ExpectDeath("connect", [&] { return ErrorOf(::connect(socket.get(), to, sizeof address)); });
  ExpectDeath("bind", [&] { return ErrorOf(::bind(socket.get(), to, sizeof address)); });
  ExpectDeath("sendto", [&] { return ErrorOf(::sendto(socket.get(), "x", 1, 0, to, sizeof address)); });
  const msghdr message{};
  ExpectDeath("sendmsg", [&] { return ErrorOf(::sendmsg(socket.get(), &message, 0)); });
}

TEST_P(JailTest, TheSystemStaysAsItIs) {
  ExpectDeath("mount", [] { return ErrorOf(::syscall(SYS_mount, "none", "/mnt", "tmpfs", 0, nullptr)); });
  ExpectDeath("unshare", [] { return ErrorOf(::unshare(CLONE_NEWUSER)); });
  ExpectDeath("setns", [this] { return ErrorOf(::setns(file_.get(), 0)); });
  ExpectDeath("chroot", [] { return ErrorOf(::chroot("/")); });
  ExpectDeath("bpf", [] { return ErrorOf(::syscall(SYS_bpf, 0, nullptr, 0)); });
  ExpectDeath("io_uring", [] { return ErrorOf(::syscall(SYS_io_uring_setup, 1, nullptr)); });
  ExpectDeath("userfaultfd", [] { return ErrorOf(::syscall(SYS_userfaultfd, 0)); });
  ExpectDeath("perf_event_open",
              [] { return ErrorOf(::syscall(SYS_perf_event_open, nullptr, 0, -1, -1, 0)); });
  ExpectDeath("keyctl", [] { return ErrorOf(::syscall(SYS_keyctl, 0, 0, 0, 0, 0)); });
  ExpectDeath("open_by_handle_at",
              [this] { return ErrorOf(::syscall(SYS_open_by_handle_at, file_.get(), nullptr, O_RDONLY)); });
  ExpectError(ENOTTY, "TIOCSTI", [this] { return ErrorOf(::ioctl(file_.get(), TIOCSTI, "x")); });
  ExpectError(ENOSYS, "prctl", [] { return ErrorOf(::prctl(PR_SET_DUMPABLE, 1)); });
}

TEST_P(JailTest, NothingIsWritten) {
  const std::string file = folder_ / "file", made = folder_ / "made";
  for (const int flags : {O_WRONLY, O_RDWR, O_WRONLY | O_APPEND, O_RDONLY | O_TRUNC, O_WRONLY | O_TRUNC})
    ExpectError(EACCES, "open", [&] { return ErrorOf(::open(file.c_str(), flags)); });
  for (const int flags : {O_RDONLY | O_CREAT, O_WRONLY | O_CREAT | O_EXCL, O_RDWR | O_CREAT})
    ExpectError(EACCES, "open", [&] { return ErrorOf(::syscall(SYS_open, made.c_str(), flags, 0600)); });
  ExpectError(EACCES, "O_TMPFILE", [&] { return ErrorOf(::open("/tmp", O_TMPFILE | O_RDWR, 0600)); });
  ExpectError(ENOSYS, "truncate", [&] { return ErrorOf(::truncate(file.c_str(), 0)); });
  ExpectError(ENOSYS, "unlink", [&] { return ErrorOf(::unlink(file.c_str())); });
  ExpectError(ENOSYS, "rename", [&] { return ErrorOf(::rename(file.c_str(), made.c_str())); });
  ExpectError(ENOSYS, "link", [&] { return ErrorOf(::link(file.c_str(), made.c_str())); });
  ExpectError(ENOSYS, "symlink", [&] { return ErrorOf(::symlink("x", made.c_str())); });
  ExpectError(ENOSYS, "mkdir", [&] { return ErrorOf(::mkdir(made.c_str(), 0700)); });
  ExpectError(ENOSYS, "mkfifo", [&] { return ErrorOf(::mkfifo(made.c_str(), 0700)); });
  ExpectError(ENOSYS, "chmod", [&] { return ErrorOf(::chmod(file.c_str(), 0777)); });
  ExpectError(ENOSYS, "fchown", [&] { return ErrorOf(::fchown(file_.get(), 1, 1)); });
  ExpectError(ENOSYS, "setxattr", [&] { return ErrorOf(::setxattr(file.c_str(), "user.x", "", 0, 0)); });
  EXPECT_EQ(ReadFile(file, 100)->text, "text");
  EXPECT_EQ(ListDirectory(folder_.fd())->size(), 1u);
}

TEST_P(JailTest, NoMemoryBecomesCode) {
  constexpr int kAnonymous = MAP_PRIVATE | MAP_ANONYMOUS;
  const auto map = [](int protection, int flags, int fd) {
    return ::mmap(nullptr, 4096, protection, flags, fd, 0) == MAP_FAILED ? errno : 0;
  };
  ExpectError(EACCES, "memory", [&] { return map(PROT_READ | PROT_WRITE | PROT_EXEC, kAnonymous, -1); });
  ExpectError(EACCES, "a file", [&] { return map(PROT_READ | PROT_EXEC, MAP_PRIVATE, file_.get()); });
  void* page = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, kAnonymous, -1, 0);
  ExpectError(EACCES, "later", [&] { return ErrorOf(::mprotect(page, 4096, PROT_READ | PROT_EXEC)); });
  ExpectError(0, "no code", [&] { return ErrorOf(::mprotect(page, 4096, PROT_READ)); });
  ::munmap(page, 4096);
}

TEST_P(JailTest, FilesAreReadInTheFirstStepOnly) {
  const std::string file = folder_ / "file";
  const std::vector<std::pair<const char*, std::function<int()>>> ways{
      {"open", [&] { return ErrorOf(::open(file.c_str(), O_RDONLY | O_CLOEXEC)); }},
      {"open of old", [&] { return ErrorOf(::syscall(SYS_open, file.c_str(), O_RDONLY)); }},
      {"openat", [&] { return ErrorOf(::openat(folder_.fd().get(), "file", O_RDONLY | O_NOFOLLOW)); }},
      {"a folder", [&] { return ErrorOf(::open("/", O_RDONLY | O_DIRECTORY)); }},
      {"itself", [] { return ErrorOf(::open("/proc/self/maps", O_RDONLY)); }},
      {"reopen",
       [this] { return ErrorOf(::open(fmt::format("/proc/self/fd/{}", file_.get()).c_str(), O_RDONLY)); }},
      {"O_PATH", [&] { return ErrorOf(::open(file.c_str(), O_PATH)); }},
      {"stat",
       [&] {
         struct stat status{};
         return ErrorOf(::stat(file.c_str(), &status));
       }},
      {"access", [&] { return ErrorOf(::access(file.c_str(), R_OK)); }},
      {"readlink",
       [] {
         char target[100];
         return ErrorOf(::readlink("/proc/self/exe", target, sizeof target));
       }},
  };
  for (const auto& [name, way] : ways) {
    EXPECT_EQ(Entered(way), kWorked) << name;
    EXPECT_EQ(Locked(way), (Outcome{EACCES, 0})) << name;
  }
}

TEST_P(JailTest, ReadsFilesOfOtherUsersIfItCouldBefore) {
  if (::geteuid() != 0) GTEST_SKIP() << "not root";
  ASSERT_EQ(::chown((folder_ / "file").c_str(), 65534, 65534), 0);
  EXPECT_EQ(Entered([&] { return ErrorOf(::open((folder_ / "file").c_str(), O_RDONLY)); }), kWorked);
}

TEST_P(JailTest, WhatIsOpenStaysOfUse) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const Fd read_end(ends[0]), write_end(ends[1]);
  const auto use = [&] {
    char text[5]{};
    if (::pread(file_.get(), text, 4, 0) != 4 || std::string_view(text) != "text") return 1;
    if (::lseek(file_.get(), 0, SEEK_SET) != 0 || ::read(file_.get(), text, 4) != 4) return 2;
    struct stat status{};
    if (::fstat(file_.get(), &status) < 0 || status.st_size != 4) return 3;
    const void* map = ::mmap(nullptr, 4, PROT_READ, MAP_PRIVATE, file_.get(), 0);
    if (map == MAP_FAILED || std::memcmp(map, "text", 4) != 0) return 4;
    const int copy = ::fcntl(file_.get(), F_DUPFD_CLOEXEC, 3);
    if (copy < 0 || ::close(copy) < 0) return 5;
    return ::write(write_end.get(), "done", 4) == 4 ? 0 : 6;
  };
  for (const Step step : {Step::kEntered, Step::kLocked}) {
    EXPECT_EQ(Try(GetParam(), step, use), kWorked);
    char said[5]{};
    EXPECT_EQ(::read(read_end.get(), said, 4), 4);
    EXPECT_STREQ(said, "done");
  }
}

TEST_P(JailTest, ProgramsOfCxxLiveInIt) {
  const auto live = [] {
    std::vector<std::string> texts;
    for (int i = 0; i < 10'000; ++i) texts.emplace_back(1000, 'x');
    texts.clear();
    try {
      throw std::runtime_error("an exception");
    } catch (const std::exception&) {
      return ::time(nullptr) > 0 ? 0 : 1;
    }
  };
  EXPECT_EQ(Entered(live), kWorked);
  EXPECT_EQ(Locked(live), kWorked);
  EXPECT_EQ(Locked([] {
              std::abort();
              return 0;
            }),
            (Outcome{0, SIGABRT}))
      << "and die of their own faults";
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // they reserve terabytes
TEST_P(JailTest, HasBoundedMemory) {
  const auto take = [] {
    void* memory = ::mmap(nullptr, 5ULL << 30, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? errno : 0;
  };
  EXPECT_EQ(Entered(take), (Outcome{ENOMEM, 0}));
  EXPECT_EQ(Locked(take), (Outcome{ENOMEM, 0}));
}
#endif

/// A child in the jail that stays there as long as this object.
class Prisoner {
 public:
  explicit Prisoner(Step step, uid_t user = 0) : child_(Start(step, user)) {}

  /// A line of /proc/PID/status.
  [[nodiscard]] std::string Status(std::string_view name) const {
    const auto status = ReadFile(StatusFile(), 64 * 1024);
    for (const std::string_view line : Split(status->text, '\n'))
      if (line.starts_with(std::string(name) + ":")) return std::string(Trim(line.substr(name.size() + 1)));
    return "";
  }
  [[nodiscard]] std::string StatusFile() const { return fmt::format("/proc/{}/status", child_.pid()); }

 private:
  /// Returns once it is in the jail.
  pid_t Start(Step step, uid_t user) {
    int ready[2], hold[2];
    EXPECT_EQ(::pipe2(ready, O_CLOEXEC) | ::pipe2(hold, O_CLOEXEC), 0);
    const Fd told(ready[0]), held(hold[0]);
    Fd tell(ready[1]);
    hold_ = Fd(hold[1]);
    const pid_t pid = ::fork();
    if (pid == 0) {
      char byte = 0;
      if (user != 0 && ::setresuid(user, user, user) < 0) ::_exit(1);
      ::prctl(PR_SET_DUMPABLE, 1);
      if (!EnterJail() || (step == Step::kLocked && !LockJail())) ::_exit(1);
      if (::write(tell.get(), "x", 1) != 1) ::_exit(1);
      ::_exit(static_cast<int>(::read(held.get(), &byte, 1)));  // for ever
    }
    tell.Reset();
    char byte = 0;
    EXPECT_EQ(::read(told.get(), &byte, 1), 1) << "there is no jail";
    return pid;
  }

  Fd hold_;
  Child child_;
};

TEST(Jail, HasNoRights) {
  const std::string none = "0000000000000000", open_anything = "0000000000000004";
  for (const Step step : {Step::kEntered, Step::kLocked}) {
    const Prisoner prisoner(step);
    const bool may_open = step == Step::kEntered && ::geteuid() == 0;
    EXPECT_EQ(prisoner.Status("CapEff"), may_open ? open_anything : none);
    EXPECT_EQ(prisoner.Status("CapPrm"), may_open ? open_anything : none);
    EXPECT_EQ(prisoner.Status("CapInh"), none);
    EXPECT_EQ(prisoner.Status("CapAmb"), none);
    EXPECT_TRUE(::geteuid() != 0 || prisoner.Status("CapBnd") == none);
    EXPECT_EQ(prisoner.Status("NoNewPrivs"), "1");
    EXPECT_EQ(prisoner.Status("Seccomp"), "2");
  }
}

TEST(Jail, IsNotDumpable) {
  constexpr uid_t kNobody = 65534;
  const bool is_root = ::geteuid() == 0;
  for (const Step step : {Step::kEntered, Step::kLocked}) {
    const Prisoner prisoner(step, is_root ? kNobody : 0);
    struct stat status{};
    ASSERT_EQ(::stat(prisoner.StatusFile().c_str(), &status), 0);
    EXPECT_EQ(status.st_uid, 0u) << "of its user, as long as it is dumpable (proc(5))";
  }
}

}  // namespace
}  // namespace obit
