#include "server/supervisor_errand.h"

#include <csignal>

#include <sys/wait.h>
#include <unistd.h>

#include "base/test_support.h"
#include "process/test_support.h"

namespace obit {
namespace {

class SupervisorErrandTest : public testing::LoopTest {
 protected:
  SupervisorErrandTest() {
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {  // whom other tests left behind
    }
  }
  /// Does it, and reaps the child.
  Result<std::string> Do(const SupervisorErrand::Work& work,
                         std::chrono::nanoseconds patience = std::chrono::seconds(20)) {
    std::optional<Result<std::string>> answer;
    auto errand = SupervisorErrand::Start(loop_, work, patience,
                                          [&](Result<std::string> got) { answer = std::move(got); });
    EXPECT_THAT(errand, testing::Succeeds());
    RunThrough({{[&] { return answer.has_value(); }}});
    ::waitpid(-1, &status_, 0);
    return *answer;
  }
  int status_ = 0;
};

TEST_F(SupervisorErrandTest, BringsAText) {
  const std::string text(SupervisorErrand::kAnswerMax, 'x');
  EXPECT_EQ(Do([&] { return text; }), text);
}

TEST_F(SupervisorErrandTest, BringsAnError) {
  const auto answer = Do([]() -> Result<std::string> { return Refuse(EINVAL, "obit.toml:3: no"); });
  EXPECT_THAT(answer, testing::FailsWith(EINVAL));
  EXPECT_EQ(answer.error().what, "obit.toml:3: no");
}

TEST_F(SupervisorErrandTest, BringsNoMoreThanItMay) {
  EXPECT_THAT(Do([] { return std::string(SupervisorErrand::kAnswerMax + 1, 'x'); }),
              testing::FailsWith(EMSGSIZE));
}

TEST_F(SupervisorErrandTest, EndsInTimeWhateverItWaitsFor) {
  const auto answer = Do(
      []() -> Result<std::string> {
        for (;;) ::pause();
      },
      std::chrono::milliseconds(10));
  EXPECT_THAT(answer, testing::FailsWith(ETIMEDOUT));
  EXPECT_EQ(answer.error().what, "it took longer than 0.01 s");
  EXPECT_TRUE(WIFSIGNALED(status_) && WTERMSIG(status_) == SIGKILL);
}

TEST_F(SupervisorErrandTest, SaysThatItDied) {
  EXPECT_THAT(Do([]() -> Result<std::string> { ::_exit(3); }), testing::FailsWith(EPIPE));
}

TEST_F(SupervisorErrandTest, HasNoDescriptorOfItsParent) {
  const Fd mine = *Open("/dev/null", O_RDONLY);
  EXPECT_EQ(
      Do([&] { return std::string(::fcntl(mine.get(), F_GETFD) < 0 || mine.get() < 4 ? "none" : "one"); }),
      "none");
}

}  // namespace
}  // namespace obit
