#include "process/launcher.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstring>
#include <span>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/capabilities.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/limits.h"
#include "base/unix_socket.h"
#include "process/descriptors.h"

namespace obit {
namespace {

// A launch is one message, with the texts behind this header, each with a NUL; then as many descriptors, in
// as many messages as that takes. The answer is a Launched.
struct LaunchHeader {
  std::uint32_t arguments = 0, environment = 0, fds = 0;
};
constexpr std::size_t kMessageMax = 128 * 1024;  // bytes; a socket takes half as much again

struct Program {
  std::string path;
  Fd file;  // O_PATH
};

/// The next text; empty where there is none.
std::string TakeText(std::string_view& rest) {
  const std::string_view text = rest.substr(0, rest.find('\0'));
  rest.remove_prefix(std::min(rest.size(), text.size() + 1));
  return std::string(text);
}

/// One request, with the descriptors, which the launch borrows from `fds`.
Result<Launch> ReceiveLaunch(const Fd& socket, std::vector<Fd>& fds) {
  const Message message = OBIT_TRY(ReceiveMessage(socket, kMessageMax, 0));
  LaunchHeader header;
  if (message.bytes.size() < sizeof header) return Refuse(EPIPE, "the parent is gone");
  std::memcpy(&header, message.bytes.data(), sizeof header);
  std::string_view rest(reinterpret_cast<const char*>(message.bytes.data()), message.bytes.size());
  rest.remove_prefix(sizeof header);
  Launch launch;
  launch.program = TakeText(rest);
  for (std::uint32_t i = 0; i < header.arguments; ++i) launch.arguments.push_back(TakeText(rest));
  for (std::uint32_t i = 0; i < header.environment; ++i) launch.environment.push_back(TakeText(rest));
  while (fds.size() < header.fds) {
    Message more = OBIT_TRY(ReceiveMessage(socket, 1, 0));
    if (more.fds.empty()) return Refuse(EPIPE, "the parent is gone");
    std::ranges::move(more.fds, std::back_inserter(fds));
  }
  for (const Fd& fd : fds) launch.fds.push_back(fd.get());
  return launch;
}

/// Waits until the socket can be used so. A launcher that hangs must not hang its parent.
Result<void> Await(const Fd& socket, short events, std::int64_t deadline) {
  for (;;) {
    const std::int64_t left = (deadline - MonotonicNow()) / 1'000'000;  // ms
    pollfd ready{socket.get(), events, 0};
    const int found = ::poll(&ready, 1, static_cast<int>(std::max<std::int64_t>(left, 0)));
    if (found > 0) return {};
    if (found < 0 && errno != EINTR) return Fail(errno, "wait for the process that starts programs");
    if (left <= 0) return Refuse(ETIMEDOUT, "the process that starts programs does not answer");
  }
}

/// The other end waits for all of them: what is short for a moment must not end in the middle.
Result<void> SendFds(const Fd& socket, std::span<const int> fds, std::int64_t deadline) {
  constexpr std::chrono::milliseconds kPause(10);
  for (;;) {
    OBIT_TRY(Await(socket, POLLOUT, deadline));
    auto sent = SendMessage(socket, std::as_bytes(std::span("", 1)), fds);
    if (sent || !IsShortage(sent.error())) return sent;
    if (MonotonicNow() >= deadline) return Refuse(ETIMEDOUT, "{}", sent.error().what);
    std::this_thread::sleep_for(kPause);
  }
}

Result<void> SendLaunch(const Fd& socket, const Launch& launch, std::int64_t deadline) {
  const LaunchHeader header{static_cast<std::uint32_t>(launch.arguments.size()),
                            static_cast<std::uint32_t>(launch.environment.size()),
                            static_cast<std::uint32_t>(launch.fds.size())};
  std::string message(reinterpret_cast<const char*>(&header), sizeof header);
  const auto add = [&](const std::string& text) { message.append(text.c_str(), text.size() + 1); };
  add(launch.program);
  for (const std::string& argument : launch.arguments) add(argument);
  for (const std::string& variable : launch.environment) add(variable);
  if (message.size() > kMessageMax) return Refuse(E2BIG, "{} bytes of arguments", message.size());
  OBIT_TRY(Await(socket, POLLOUT, deadline));
  OBIT_TRY(SendMessage(socket, std::as_bytes(std::span(message)), {}));
  std::span<const int> fds = launch.fds;
  while (!fds.empty()) {
    const auto some = fds.first(std::min(fds.size(), kMaxPassedFds));
    fds = fds.subspan(some.size());
    OBIT_TRY(SendFds(socket, some, deadline));
  }
  return {};
}

Result<Launched> AskLauncher(const Fd& socket, const Launch& launch, std::int64_t deadline) {
  OBIT_TRY(SendLaunch(socket, launch, deadline));
  OBIT_TRY(Await(socket, POLLIN, deadline));
  const Message answer = OBIT_TRY(ReceiveMessage(socket, sizeof(Launched), 0));
  Launched launched;
  if (answer.bytes.size() != sizeof launched)
    return Refuse(EPIPE, "the process that starts programs is gone");
  std::memcpy(&launched, answer.bytes.data(), sizeof launched);
  return launched;
}

[[noreturn]] void RunLauncher(Fd socket, std::vector<Program> programs, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(0);  // it died before the line above
  ::prctl(PR_SET_DUMPABLE, 0);            // its crash must not connect to its own server
  ::prctl(PR_SET_NAME, "obitd-launch");
  // A program that gained rights as it began would not die with its parent (PR_SET_PDEATHSIG).
  if (!ForbidNewPrivileges() || !KeepCapabilities(0)) ::_exit(1);
  std::vector<Fd*> kept{&socket};
  for (Program& program : programs) kept.push_back(&program.file);
  KeepOnly(kept);
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) ::signal(number, SIG_IGN);
  const Fd nowhere;
  for (;;) {
    std::vector<Fd> fds;
    const auto launch = ReceiveLaunch(socket, fds);
    if (!launch) ::_exit(0);
    const auto known = std::ranges::find(programs, launch->program, &Program::path);
    const auto launched = LaunchProgram(*launch, known == programs.end() ? nowhere : known->file,
                                        LaunchParent::kParentOfCaller);
    const Launched answer = launched ? *launched : Launched{.error = launched.error().code};
    if (!SendMessage(socket, std::as_bytes(std::span(&answer, 1)), {})) ::_exit(0);
  }
}

}  // namespace

Result<Launcher> Launcher::Fork(const std::vector<std::string>& programs) {
  std::vector<Program> opened;
  for (const std::string& path : programs)
    if (auto file = Open(path, O_PATH)) opened.push_back({path, std::move(*file)});
  SocketPair pair = OBIT_TRY(MakeSocketPair(SOCK_SEQPACKET));
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return Fail(errno, "fork the process that starts programs");
  if (pid == 0) RunLauncher(std::move(pair.second), std::move(opened), parent);
  ::fcntl(pair.first.get(), F_SETFL, O_NONBLOCK);  // this end alone
  return Launcher(std::move(pair.first), pid);
}

Result<Launched> Launcher::Start(const Launch& launch) const {
  const std::int64_t deadline = MonotonicNow() + std::chrono::nanoseconds(kPatience).count();
  auto launched = AskLauncher(socket_, launch, deadline);
  if (launched) return launched;
  // What it answers after this would be taken for the answer to another launch.
  if (launched.error().code == ETIMEDOUT) ::kill(pid_, SIGKILL);
  return std::unexpected(std::move(launched).error().In("start " + launch.program));
}

}  // namespace obit
