#include "kernel/thread_names.h"

#include <thread>

#include <sys/prctl.h>

#include "base/io.h"
#include "base/test_support.h"

namespace obit {
namespace {

using testing::Child;
using testing::FailsWith;
using testing::Succeeds;

/// Threads that are called `names`, of this process' child, and wait there.
class Threads {
 public:
  /// `flags` of clone(2). The child tells of each thread its id as it sees it.
  explicit Threads(const std::vector<std::string>& names, int flags = 0) {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    const Fd reader(ends[0]), writer(ends[1]);
    child_.emplace(
        static_cast<pid_t>(::syscall(SYS_clone, flags | SIGCHLD, nullptr, nullptr, nullptr, nullptr)));
    if (child_->pid() == 0) {
      ::prctl(PR_SET_NAME, "imgproxy");
      for (const std::string& name : names) std::thread(Wait, std::cref(name), std::cref(writer)).detach();
      for (;;) ::pause();
    }
    if (child_->pid() < 0) return;
    ids_.resize(names.size());
    for (auto& id : ids_) EXPECT_EQ(::read(reader.get(), &id, sizeof id), static_cast<ssize_t>(sizeof id));
    std::ranges::sort(ids_);
  }

  [[nodiscard]] bool started() const { return child_->pid() > 0; }
  [[nodiscard]] const std::vector<pid_t>& ids() const { return ids_; }
  [[nodiscard]] Result<ThreadNames> Names() const {
    return ReadThreadNames(*Open(fmt::format("/proc/{}", child_->pid()), O_RDONLY | O_DIRECTORY), "imgproxy");
  }

 private:
  static void Wait(const std::string& name, const Fd& writer) {
    ::prctl(PR_SET_NAME, name.c_str());
    const auto tid = static_cast<pid_t>(::syscall(SYS_gettid));
    (void)!::write(writer.get(), &tid, sizeof tid);
    for (;;) ::pause();
  }

  std::optional<Child> child_;
  std::vector<pid_t> ids_;
};

TEST(ReadThreadNames, LeavesOutThoseThatAreCalledAsTheProcess) {
  const Threads threads({"imgproxy"});
  EXPECT_EQ(*threads.Names(), ThreadNames{});
}

TEST(ReadThreadNames, TakesAnyBytes) {
  const std::string evil = "a\n) R \x1b[0m\xff";
  const Threads threads({evil});
  EXPECT_EQ(*threads.Names(), (ThreadNames{{threads.ids()[0], evil}}));
}

TEST(ReadThreadNames, KnowsThemByTheIdsOfTheirOwnNamespace) {
  const Threads threads({"worker"}, CLONE_NEWPID);
  if (!threads.started()) GTEST_SKIP() << "only root may make namespaces";
  EXPECT_EQ(*threads.Names(), (ThreadNames{{2, "worker"}}));
}

TEST(ReadThreadNames, HasAnEnd) {
  const Threads threads(std::vector<std::string>(kThreadNamesMax + 5, "worker"));
  const auto names = threads.Names();
  ASSERT_THAT(names, Succeeds());
  EXPECT_EQ(names->size(), kThreadNamesMax);
  EXPECT_EQ(names->begin()->first, threads.ids().front()) << "the oldest";
}

TEST(ReadThreadNames, NeedsAProcess) {
  EXPECT_THAT(ReadThreadNames(*Open("/", O_RDONLY | O_DIRECTORY), ""), FailsWith(ENOENT));
}

}  // namespace
}  // namespace obit
