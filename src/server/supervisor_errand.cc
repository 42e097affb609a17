#include "server/supervisor_errand.h"

#include <cerrno>
#include <cstring>
#include <span>
#include <utility>

#include <linux/capability.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/capabilities.h"
#include "base/log.h"
#include "base/unix_socket.h"
#include "kernel/pidfd.h"
#include "server/role_process.h"

namespace obit {
namespace {

// The answer is one message: an errno, 0 if the text behind it is no error.
using Code = std::int32_t;

[[noreturn]] void RunErrand(Fd socket, const SupervisorErrand::Work& work, pid_t parent) {
  BecomeChild("obitd-errand", parent);
  KeepWithLog({&socket}, Fd());
  const auto answer = [&]() -> Result<std::string> {
    OBIT_TRY(KeepCapabilities(CapabilityBit(CAP_DAC_READ_SEARCH)));
    std::string text = OBIT_TRY(work());
    if (text.size() > SupervisorErrand::kAnswerMax) return Fail(EMSGSIZE, "{} bytes", text.size());
    return text;
  }();
  const Code code = answer ? 0 : answer.error().code;
  std::string message(reinterpret_cast<const char*>(&code), sizeof code);
  message += answer ? *answer : answer.error().what.substr(0, SupervisorErrand::kAnswerMax);
  ::_exit(SendMessage(socket, std::as_bytes(std::span(message)), {}) ? 0 : 1);
}

}  // namespace

Result<std::unique_ptr<SupervisorErrand>> SupervisorErrand::Start(EventLoop& loop, const Work& work,
                                                                  std::chrono::nanoseconds patience,
                                                                  Done done) {
  SocketPair pair = OBIT_TRY(MakeSocketPair(SOCK_SEQPACKET));
  std::unique_ptr<SupervisorErrand> errand(new SupervisorErrand);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return Fail(errno, "fork");
  if (pid == 0) RunErrand(std::move(pair.second), work, parent);
  pair.second.Reset();
  errand->pidfd_ = OBIT_TRY(OpenPidfd(pid));  // the pid may be another's once it is reaped
  errand->socket_ = std::move(pair.first);
  errand->done_ = std::move(done);
  errand->readable_ = OBIT_TRY(loop.OnReadable(errand->socket_, [e = errand.get()] { e->OnAnswer(); }));
  errand->deadline_ = OBIT_TRY(loop.After(patience, [e = errand.get(), patience] {
    const double seconds = std::chrono::duration<double>(patience).count();
    e->Finish(Refuse(ETIMEDOUT, "it took longer than {:g} s", seconds));
  }));
  return errand;
}

SupervisorErrand::~SupervisorErrand() {
  if (pidfd_) KillProcess(pidfd_);
}

void SupervisorErrand::OnAnswer() {
  const auto message = ReceiveMessage(socket_, sizeof(Code) + kAnswerMax, MSG_DONTWAIT);
  if (!message && message.error().code == EAGAIN) return;
  if (!message) return Finish(std::unexpected(message.error()));
  if (message->bytes.size() < sizeof(Code)) return Finish(Refuse(EPIPE, "the process that did it died"));
  Code code = 0;
  std::memcpy(&code, message->bytes.data(), sizeof code);
  const auto* text = reinterpret_cast<const char*>(message->bytes.data());
  std::string rest(text + sizeof code, message->bytes.size() - sizeof code);
  if (code != 0) return Finish(std::unexpected(Error{code, std::move(rest)}));
  Finish(std::move(rest));
}

void SupervisorErrand::Finish(Result<std::string> answer) {
  readable_ = EventSource();
  deadline_ = EventSource();
  KillProcess(pidfd_);
  const Done done = std::move(done_);
  done(std::move(answer));
}

}  // namespace obit
