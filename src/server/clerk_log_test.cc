#include "server/clerk_log.h"

#include "base/test_support.h"
#include "base/text.h"
#include "base/unix_socket.h"
#include "process/test_support.h"

namespace obit {
namespace {

using testing::Succeeds;

/// With a pipe as standard error.
class ClerkLogTest : public testing::LoopTest {
 protected:
  ClerkLogTest() : error_(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3)) {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    read_ = Fd(ends[0]);
    ::fcntl(read_.get(), F_SETFL, O_NONBLOCK);
    ::dup2(Fd(ends[1]).get(), STDERR_FILENO);
    SetLogName("test");
  }
  ~ClerkLogTest() override {
    log_.reset();
    ::dup2(error_.get(), STDERR_FILENO);
  }
  /// What was written since the last call.
  std::string Read() {
    std::string text;
    char buffer[65536];
    for (ssize_t n; (n = ::read(read_.get(), buffer, sizeof buffer)) > 0;)
      text.append(buffer, static_cast<std::size_t>(n));
    return text;
  }

  Fd error_, read_;
  std::optional<ClerkLog> log_;
};

TEST_F(ClerkLogTest, WritesTheLinesOfOthersInTheirOrder) {
  auto pair = *MakeSocketPair(SOCK_DGRAM);
  log_.emplace(loop_, std::move(pair.second));
  testing::Child other(::fork());
  if (other.pid() == 0) {
    GiveLogTo({});
    SendLogTo(std::move(pair.first));
    for (int i = 0; i < 100; ++i) Log(Severity::kNotice, "{}", i);
    ::_exit(0);
  }
  other.Wait();
  Log(Severity::kNotice, "its own");
  std::string wanted, text;
  for (int i = 0; i < 100; ++i) wanted += fmt::format("test: {}\n", i);
  RunThrough({{[&] { return (text += Read()).ends_with(wanted); }}});
  EXPECT_EQ(text, "test: its own\n" + wanted);
}

TEST_F(ClerkLogTest, KeepsALittleForAReaderThatIsSlowAndCountsTheRest) {
  log_.emplace(loop_, Fd());
  constexpr int kLines = 20'000;
  for (int i = 0; i < kLines; ++i) Log(Severity::kNotice, "line {}", i);
  EXPECT_GT(log_->dropped(), 0u);
  std::string text;
  RunThrough({{[&] {
    text += Read();
    return std::ranges::count(text, '\n') == static_cast<std::ptrdiff_t>(kLines - log_->dropped());
  }}});
  Log(Severity::kNotice, "after");
  EXPECT_EQ(Read(),
            fmt::format("test: {} lines of the log were dropped here: its reader is slow\ntest: after\n",
                        log_->dropped()));
  const auto lines = Split(text, '\n');
  for (std::size_t i = 0; i + 1 < lines.size(); ++i) ASSERT_EQ(lines[i], fmt::format("test: line {}", i));
}

TEST_F(ClerkLogTest, CountsWhatOthersDropped) {
  auto pair = *MakeSocketPair(SOCK_DGRAM);
  log_.emplace(loop_, std::move(pair.second));
  ASSERT_THAT(SendMessage(pair.first,
                          testing::BytesOf(std::string_view("\0"
                                                            "17",
                                                            3)),
                          {}),
              Succeeds());
  RunThrough({{[&] { return log_->dropped() == 17; }}});
  EXPECT_EQ(Read(), "test: 17 lines of the log were dropped here: its reader is slow\n");
}

TEST_F(ClerkLogTest, GoesOnAfterWhatIsNoLine) {
  auto pair = *MakeSocketPair(SOCK_DGRAM);
  log_.emplace(loop_, std::move(pair.second));
  for (const std::string_view sent : {"", "\x09", "\x05line"})
    ASSERT_THAT(SendMessage(pair.first, testing::BytesOf(sent), {}), Succeeds());
  std::string text;
  RunThrough({{[&] { return (text += Read()) == "test: line\n"; }}});
}

}  // namespace
}  // namespace obit
