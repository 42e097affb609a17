#include "base/log.h"

#include <functional>

#include "base/test_support.h"
#include "base/text.h"
#include "base/unix_socket.h"

namespace obit {
namespace {

using testing::Child;
using testing::FailsWith;
using ::testing::HasSubstr;
using testing::Succeeds;

/// Runs `logs` in a child, whose log is its own, with `error` as standard error; returns its wait status.
int InChild(const Fd& error, const std::function<void()>& logs) {
  Child child(::fork());
  if (child.pid() == 0) {
    ::unsetenv("JOURNAL_STREAM");
    ::alarm(20);  // a child that waits fails the test
    ::dup2(error.get(), STDERR_FILENO);
    SetLogName("test");
    logs();
    ::_exit(0);
  }
  return child.Wait();
}

struct Pipe {
  Fd read, write;
};
Pipe MakePipe() {
  int ends[2];
  EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  return {Fd(ends[0]), Fd(ends[1])};
}

/// What can be read of it without a wait.
std::string Drain(const Fd& pipe) {
  std::string text;
  char buffer[4096];
  ::fcntl(pipe.get(), F_SETFL, O_NONBLOCK);
  for (ssize_t n; (n = ::read(pipe.get(), buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<std::size_t>(n));
  return text;
}

TEST(Log, WritesALine) {
  const Pipe pipe = MakePipe();
  EXPECT_EQ(InChild(pipe.write, [] { Log(Severity::kError, "{} of\n{}", 1, 2); }), 0);
  EXPECT_EQ(Drain(pipe.read), "test: 1 of\\n2\n");
}

TEST(Log, NeverWaitsForAFullPipe) {
  const Pipe pipe = MakePipe();
  EXPECT_EQ(InChild(pipe.write,
                    [&] {
                      NeverWaitToLog();
                      std::string first;
                      for (int i = 0; i < 100'000; ++i) Log(Severity::kNotice, "line {}", i);
                      if ((::fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK) != 0) ::_exit(1);
                      first = Drain(pipe.read);
                      if (!first.starts_with("test: line 0\ntest: line 1\n")) ::_exit(2);
                      const auto lines = Split(first, '\n').size() - 1;
                      Log(Severity::kNotice, "after");
                      const std::string then = Drain(pipe.read);
                      if (then != fmt::format("test: {} lines of the log were dropped here: its reader is "
                                              "slow\ntest: after\n",
                                              100'000 - lines))
                        ::_exit(3);
                    }),
            0);
}

TEST(Log, CutsALineThatAPipeMightNotTakeAtOnce) {
  const Pipe pipe = MakePipe();
  EXPECT_EQ(InChild(pipe.write,
                    [] {
                      NeverWaitToLog();
                      for (int i = 0; i < 64; ++i) Log(Severity::kNotice, "{}", std::string(10'000, 'x'));
                    }),
            0);
  const std::string text = Drain(pipe.read);
  EXPECT_GE(text.size(), 4096u);
  EXPECT_EQ(text.find('\n'), 4095u);
}

TEST(Log, OutlivesTheReaderOfItsPipe) {
  Pipe pipe = MakePipe();
  pipe.read.Reset();
  EXPECT_EQ(InChild(pipe.write,
                    [] {
                      NeverWaitToLog();
                      Log(Severity::kNotice, "nobody reads this");
                    }),
            0);
}

TEST(Log, GoesToAnotherProcessInOrder) {
  auto pair = MakeSocketPair(SOCK_DGRAM);
  ASSERT_THAT(pair, Succeeds());
  const Fd nothing = *Open("/dev/null", O_WRONLY);
  EXPECT_EQ(InChild(nothing,
                    [&] {
                      SendLogTo(std::move(pair->second));
                      Log(Severity::kError, "first");
                      Log(Severity::kInfo, "");
                      Log(Severity::kNotice, "{}", std::string(kLogTextMax + 1, 'x'));
                    }),
            0);
  pair->second.Reset();
  const auto first = ReceiveLogLine(pair->first);
  ASSERT_THAT(first, Succeeds());
  EXPECT_EQ(first->severity, Severity::kError);
  EXPECT_EQ(first->text, "first");
  EXPECT_EQ(ReceiveLogLine(pair->first)->text, "");
  EXPECT_EQ(ReceiveLogLine(pair->first)->text, std::string(kLogTextMax, 'x'));
  EXPECT_THAT(ReceiveLogLine(pair->first), FailsWith(EAGAIN));
}

TEST(Log, GoesToStandardErrorAgainWithoutASocket) {
  const Pipe pipe = MakePipe();
  auto pair = MakeSocketPair(SOCK_DGRAM);
  ASSERT_THAT(pair, Succeeds());
  EXPECT_EQ(InChild(pipe.write,
                    [&] {
                      SendLogTo(std::move(pair->second));
                      SendLogTo(Fd());
                      Log(Severity::kError, "the last words");
                    }),
            0);
  EXPECT_EQ(Drain(pipe.read), "test: the last words\n");
}

TEST(Log, CountsWhatAnotherProcessDoesNotTake) {
  auto pair = MakeSocketPair(SOCK_DGRAM);
  ASSERT_THAT(pair, Succeeds());
  EXPECT_THAT(ReceiveLogLine(pair->first), FailsWith(EAGAIN));
  const Fd nothing = *Open("/dev/null", O_WRONLY);
  constexpr std::uint64_t kLines = 10'000;
  EXPECT_EQ(InChild(nothing,
                    [&] {
                      SendLogTo(std::move(pair->second));
                      for (std::uint64_t i = 0; i < kLines; ++i) Log(Severity::kNotice, "line {}", i);
                      std::uint64_t received = 0;
                      while (ReceiveLogLine(pair->first)) ++received;
                      Log(Severity::kNotice, "after");
                      const auto told = ReceiveLogLine(pair->first);
                      if (!told || received == kLines || told->dropped != kLines - received) ::_exit(1);
                      if (ReceiveLogLine(pair->first)->text != "after") ::_exit(2);
                    }),
            0);
}

TEST(Log, RefusesWhatIsNoLine) {
  const auto pair = MakeSocketPair(SOCK_DGRAM);
  for (const std::string_view wrong : {std::string_view("\x09text"), std::string_view("\0none", 5),
                                       std::string_view("\0"
                                                        "0",
                                                        2),
                                       std::string_view("\x02"), std::string_view()}) {
    ASSERT_THAT(SendMessage(pair->second, testing::BytesOf(wrong), {}), Succeeds());
    EXPECT_THAT(ReceiveLogLine(pair->first), FailsWith(EBADMSG));
  }
}

}  // namespace
}  // namespace obit
