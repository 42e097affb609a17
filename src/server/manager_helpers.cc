// What obit-pipe brings to the manager.

#include <cerrno>

#include <poll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/unix_socket.h"
#include "kernel/let_go_message.h"
#include "kernel/pipe_handover.h"
#include "server/manager_process.h"

namespace obit {
namespace {

bool HasHungUp(const Fd& helper) {
  pollfd watched{helper.get(), 0, 0};
  return ::poll(&watched, 1, 0) > 0 && (watched.revents & POLLHUP) != 0;
}

}  // namespace

/// One whose message may not be there yet. It is closed without an answer where it cannot be waited for: it
/// connects again then.
void ManagerProcess::OnHelper(Fd helper) {
  auto message = ReceiveMessage(helper, sizeof(PipeMessage), MSG_DONTWAIT, LostFds::kTell);
  if (message) return TakeHelper(helper, std::move(*message));
  if (message.error().code != EAGAIN && !IsShortage(message.error())) return Refuse(Fd(), message.error());
  const int fd = helper.get();
  if (!poller_.Watch(helper)) return Refuse(Fd(), Error{ENOMEM, "a helper cannot be watched"});
  watched_.insert_or_assign(fd, Watched{.what = Watched::What::kHelper});
  helpers_.insert_or_assign(fd,
                            std::pair(std::move(helper), MonotonicNow() + setup_.limits.exchange.count()));
}

void ManagerProcess::OnHelperReadable(int fd) {
  const auto found = helpers_.find(fd);
  if (found == helpers_.end()) return;
  auto message = ReceiveMessage(found->second.first, sizeof(PipeMessage), MSG_DONTWAIT, LostFds::kTell);
  if (!message && (message.error().code == EAGAIN || IsShortage(message.error()))) return;
  const Fd helper = std::move(found->second.first);
  helpers_.erase(found);
  watched_.erase(fd);
  if (!message) return Refuse(Fd(), message.error());
  TakeHelper(helper, std::move(*message));
}

/// One whose descriptors could not be taken is no stranger. It comes again, and finds room perhaps; but not
/// if it waits no longer, nor to who stops.
void ManagerProcess::LackFor(const Fd& helper, const Message& message) {
  constexpr const char* kWhy = "no descriptor was free for its pipe";
  if (!stopping_) PauseAccept(kWhy);
  if (!stopping_ && !HasHungUp(helper)) return;
  AnswerHandOver(helper);
  PeerIdentity peer;
  if (const auto told = DecodePipeMessage(message.bytes, 1)) {
    peer.info.pid = told->pid;
    if (told->has_uid != 0) peer.share = told->uid;
  }
  Lose(peer, kWhy);
}

/// In the ledger first, then answered: should the manager die, either the helper connects again or the next
/// clerk records it.
void ManagerProcess::TakeHelper(const Fd& helper, Message message) {
  if (message.lost_fds) return LackFor(helper, message);
  if (message.bytes.empty() && message.fds.empty()) return;  // a visitor: see Visitors
  if (const auto id = DecodeLetGoMessage(message.bytes)) return LetGo(helper, *id);
  const auto told = DecodePipeMessage(message.bytes, message.fds.size());
  if (!told) return Refuse(Fd(), told.error());
  const BegunCrash begun = Begin(Transport::kPipe);
  AnswerHandOver(helper);
  if (!AddHelpersCrash(begun, *told, std::move(message.fds)) && begun.slot) setup_.ledger->Clear(*begun.slot);
}

/// For root, and for whom obitd is. Others may connect where a socket lies open.
void ManagerProcess::LetGo(const Fd& asker, const std::string& id) {
  const auto peer = PeerCredentials(asker);
  if (!peer || (peer->uid != 0 && peer->uid != ::geteuid()))
    return Refuse(Fd(), Error{EPERM, "somebody who asks to let go of memory"});
  if (!manager_.Keeps(id)) return;
  AnswerHandOver(asker);
  Feed(event::LetGo{id});
}

/// True: it is a crash now.
bool ManagerProcess::AddHelpersCrash(const BegunCrash& begun, const PipeMessage& told, std::vector<Fd> fds) {
  Fd pidfd = fds.size() == 2 ? std::move(fds[1]) : Fd();
  auto peer = setup_.identifier.piped(std::move(pidfd), told.pid, fds[0]);
  if (!peer && peer.error().code == EPERM) return Refuse(Fd(), peer.error()), false;
  // Where nothing proves whose it was it is for root.
  if (!peer) peer = PeerIdentity{.pidfd = Fd(), .info = {.dump_mode = DumpMode::kRoot}};
  if (told.has_uid != 0) peer->share = told.uid;
  PidfdInfo& info = peer->info;
  info.pid = told.pid;
  if (told.dump_mode == 2) info.dump_mode = DumpMode::kRoot;
  // Kernels before 6.16 tell it by %d alone.
  if (told.dump_mode == 1 && info.dump_mode == DumpMode::kUnknown) info.dump_mode = DumpMode::kUser;
  if (!info.signal && told.signal != 0) info.signal = told.signal;
  if (!HasShare(*peer)) return Lose(*peer, kTooMany), false;
  const CrashKey key = AddCrash(begun, std::move(*peer));
  OpenCrash& crash = crashes_.at(key);
  crash.pipe = std::move(fds[0]);
  crash.head.tid = told.tid;
  crash.head.core_limit = told.core_limit;
  crash.head.has_core_limit = 1;
  Arrive(key, Transport::kPipe, told.core_limit);
  return true;
}

}  // namespace obit
