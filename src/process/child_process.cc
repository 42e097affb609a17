#include "process/child_process.h"

#include <array>
#include <csignal>
#include <ctime>

#include <fcntl.h>
#include <sys/wait.h>

#include "base/io.h"
#include "base/signal_name.h"
#include "base/text.h"

namespace obit {
namespace {

constexpr std::size_t kLastWordsMax = 1024;  // bytes that are looked at

/// The last line that says something, without the name of the program.
std::string LastLine(std::string_view text, const std::string& name) {
  text = Trim(text);
  std::string_view line = text.substr(text.rfind('\n') + 1);
  if (const std::string prefix = name + ": "; line.starts_with(prefix)) line.remove_prefix(prefix.size());
  return std::string(line);
}

}  // namespace

Result<ChildPipe> MakeChildPipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) < 0) return Fail(errno, "make a pipe");
  ChildPipe pipe{Fd(ends[0]), Fd(ends[1])};
  if (::fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0) return Fail(errno, "make a pipe");
  return pipe;
}

bool ReadSome(const Fd& fd, std::string& text, EventSource& source) {
  std::array<char, 64 * 1024> buffer;
  ssize_t n = 0;
  do {
    n = ::read(fd.get(), buffer.data(), buffer.size());
  } while (n < 0 && errno == EINTR);
  if (n == 0 || (n < 0 && errno != EAGAIN)) source = EventSource();
  if (n <= 0) return false;
  text.append(buffer.data(), static_cast<std::size_t>(n));
  return true;
}

Result<std::unique_ptr<ChildProcess>> ChildProcess::Start(EventLoop& loop, Command command,
                                                          std::chrono::seconds timeout,
                                                          std::function<void(const End&)> done,
                                                          UndeadChildren* undead) {
  ChildPipe words = OBIT_TRY(MakeChildPipe());
  const std::string& program = command.program();
  std::unique_ptr<ChildProcess> process(
      new ChildProcess(loop, program.substr(program.rfind('/') + 1), std::move(done), undead));
  process->words_ = std::move(words.read);
  process->pid_ = OBIT_TRY(command.Start(words.write));
  OBIT_TRY(process->Watch(timeout));
  return process;
}

Result<void> ChildProcess::Watch(std::chrono::seconds timeout) {
  words_readable_ = OBIT_TRY(loop_.OnReadable(words_, [this] { TakeWords(); }));
  death_ = OBIT_TRY(loop_.OnChild(pid_, [this](int status) { OnDeath(status); }));
  deadline_ = OBIT_TRY(loop_.After(
      timeout, [this, timeout] { Kill(fmt::format("did not end within {} s", timeout.count())); }));
  return {};
}

ChildProcess::~ChildProcess() {
  death_ = EventSource();  // it would reap too
  if (pid_ <= 0) return;
  ::kill(-pid_, SIGKILL);
  // It may wait for a dead file server, as in Kill(): then it is left, a zombie in the end.
  constexpr timespec kPause{0, 2'000'000};  // ns
  for (int tried = 0; tried < 500 && ::waitpid(pid_, nullptr, WNOHANG) == 0; ++tried)
    ::nanosleep(&kPause, nullptr);
}

bool ChildProcess::TakeWords() {
  if (!words_readable_ || !ReadSome(words_, last_words_, words_readable_)) return false;
  if (last_words_.size() > kLastWordsMax) last_words_.erase(0, last_words_.size() - kLastWordsMax);
  return true;
}

void ChildProcess::Kill(std::string why) {
  if (!killed_.empty()) return;
  killed_ = std::move(why);
  if (pid_ <= 0) return;  // it is dead already
  ::kill(-pid_, SIGKILL);
  if (auto timer = loop_.After(kGrace, [this] {
        death_ = EventSource();
        if (undead_ != nullptr) undead_->Add(pid_);
        pid_ = -1;  // a zombie in the end, if ever
        Finish(killed_ + ", and cannot be killed");
      }))
    deadline_ = std::move(*timer);
}

void ChildProcess::OnDeath(int status) {
  ::kill(-pid_, SIGKILL);  // what it left behind: it is not reaped yet, so the number is its own still
  pid_ = -1;
  deadline_ = EventSource();
  TakeWords();
  if (!killed_.empty()) return Finish(killed_);
  if (WIFSIGNALED(status)) return Finish("was killed by " + SignalName(WTERMSIG(status)));
  Finish(WEXITSTATUS(status) == 0 ? "" : fmt::format("ended with status {}", WEXITSTATUS(status)));
}

/// The callback by copy: it may drop this object.
void ChildProcess::Finish(std::string failure) {
  const auto done = done_;
  done({std::move(failure), LastLine(last_words_, name_)});
}

}  // namespace obit
