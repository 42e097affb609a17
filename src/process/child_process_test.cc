#include "process/child_process.h"

#include <csignal>

#include <sys/ptrace.h>
#include <unistd.h>

#include "base/test_support.h"
#include "process/test_support.h"

namespace obit {
namespace {

using namespace std::chrono_literals;

class ChildProcessTest : public testing::LoopTest {
 protected:
  UndeadChildren undead_{loop_};
};

/// As the traced process ends, it waits for its tracer, who looks away: SIGKILL or not, until the tracer
/// ends.
pid_t TraceAndLookAway(pid_t traced) {
  int ready[2];
  EXPECT_EQ(::pipe2(ready, O_CLOEXEC), 0);
  const Fd read(ready[0]), write(ready[1]);
  const pid_t tracer = ::fork();
  if (tracer == 0) {
    const char done = ::ptrace(PTRACE_SEIZE, traced, nullptr, PTRACE_O_TRACEEXIT) == 0 ? 'y' : 'n';
    if (::write(write.get(), &done, 1) == 1)
      for (;;) ::pause();
    ::_exit(1);
  }
  char done = 'n';
  EXPECT_EQ(::read(read.get(), &done, 1), 1);
  EXPECT_EQ(done, 'y');
  return tracer;
}

TEST_F(ChildProcessTest, IsLeftAmongTheUndeadUntilItDies) {
  std::optional<std::string> failure;
  Command command("/bin/sleep");
  command.Add("1000");
  std::unique_ptr<ChildProcess> process;
  auto started = ChildProcess::Start(
      loop_, std::move(command), 1s,
      [&](const ChildProcess::End& end) {
        failure = end.failure;
        process.reset();
      },
      &undead_);
  ASSERT_THAT(started, testing::Succeeds());
  process = std::move(*started);
  testing::Child tracer(TraceAndLookAway(process->pid()));
  RunThrough({{[&] { return failure.has_value(); },
               [&] {
                 EXPECT_EQ(*failure, "did not end within 1 s, and cannot be killed");
                 EXPECT_EQ(undead_.count(), 1U);
                 ::kill(tracer.pid(), SIGKILL);
               }},
              {[&] { return undead_.count() == 0; }}});
}

}  // namespace
}  // namespace obit
