#include "server/command.h"

#include <csignal>

#include <fcntl.h>
#include <unistd.h>

namespace obit {

Command::Command(const std::string& program) : arguments_{program} {
  ::posix_spawn_file_actions_init(&actions_);
  ::posix_spawnattr_init(&attributes_);
}

Command::~Command() {
  ::posix_spawn_file_actions_destroy(&actions_);
  ::posix_spawnattr_destroy(&attributes_);
}

void Command::Note(int error) {
  if (error_ == 0) error_ = error;
}

Result<int> Command::Pass(const Fd& fd) {
  int number = fd.get();
  if (number <= STDERR_FILENO) {
    moved_.emplace_back(::fcntl(number, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
    number = moved_.back().get();
    if (number < 0) return Fail(errno, "duplicate a descriptor");
  }
  Note(::posix_spawn_file_actions_adddup2(&actions_, number, number));  // takes O_CLOEXEC away, in the child
  return number;
}

Result<pid_t> Command::Start(const Fd& words) {
  const int error = OBIT_TRY(Pass(words));
  Note(::posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0));
  Note(::posix_spawn_file_actions_addopen(&actions_, STDOUT_FILENO, "/dev/null", O_WRONLY, 0));
  Note(::posix_spawn_file_actions_adddup2(&actions_, error, STDERR_FILENO));
  Note(::posix_spawn_file_actions_addclose(&actions_, error));
  sigset_t none, all;
  ::sigemptyset(&none);
  ::sigfillset(&all);
  Note(::posix_spawnattr_setsigmask(&attributes_, &none));
  Note(::posix_spawnattr_setsigdefault(&attributes_, &all));
  Note(::posix_spawnattr_setpgroup(&attributes_, 0));
  Note(::posix_spawnattr_setflags(&attributes_,
                                  POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP));
  std::vector<char*> argv;
  for (std::string& argument : arguments_) argv.push_back(argument.data());
  argv.push_back(nullptr);
  char* environment[] = {nullptr};
  pid_t pid = -1;
  if (error_ == 0) error_ = ::posix_spawn(&pid, argv[0], &actions_, &attributes_, argv.data(), environment);
  if (error_ != 0) return Fail(error_, "start {}", arguments_.front());
  return pid;
}

}  // namespace obit
