// What of the manager's means each crash takes, and whose share it is.

#include "base/clock.h"
#include "base/unix_socket.h"
#include "server/manager_process.h"

namespace obit {

/// What is open, and the bags that the clerk has not taken yet: nothing of them is closed here.
bool ManagerProcess::HasRoom() {
  const auto has = [this] {
    return budget_.HasRoomBeside(crashes_.size() - shares_.waiting() + helpers_.size(), orders_.discarded());
  };
  if (has()) return true;
  LookAtLeaving(INT64_MAX);
  return has();
}

bool ManagerProcess::HasShare(const PeerIdentity& peer) const {
  return shares_.HasRoomFor(ShareOf(peer), budget_.crashes());
}

CrashShares::User ManagerProcess::ShareOf(const PeerIdentity& peer) const {
  return peer.share ? std::optional(setup_.user_ranges.ShareOf(*peer.share)) : std::nullopt;
}

/// It is let go at once. In the ledger first: whoever dies from here on, it is counted.
void ManagerProcess::Lose(const PeerIdentity& peer, std::string_view why) {
  const std::string whose = peer.info.pid == 0 ? "of a process that could not be asked for"
                                               : fmt::format("pid {} of uid {}", peer.info.pid,
                                                             peer.share ? std::to_string(*peer.share) : "?");
  setup_.ledger->Count(&Tallies::lost);
  orders_.AddLost(fmt::format("crash not recorded: {}: {}", whose, why));
  NoteChange();
}

void ManagerProcess::Settle(OpenCrash& crash) {
  if (std::exchange(crash.settled, true)) return;
  shares_.Settle(crash.user);
  crash.pidfd.Reset();
  DropBag(crash);
}

/// Closing what is in it may wait.
void ManagerProcess::DropBag(OpenCrash& crash) {
  if (!crash.bag) return;
  --bags_;
  orders_.Discard(std::move(crash.bag));
}

void ManagerProcess::ClearSlot(OpenCrash& crash) {
  if (std::exchange(crash.unlisted, false)) setup_.ledger->CountUnlisted(-1);
  if (!crash.ledger_slot) return;
  setup_.ledger->Clear(*crash.ledger_slot);
  crash.ledger_slot.reset();
  shares_.GiveSlotBack(crash.user);
}

/// Something that metrics or counts tell has changed: at most once a second, so an idle server sleeps.
void ManagerProcess::NoteChange() {
  if (numbers_due_ == INT64_MAX) numbers_due_ = MonotonicNow() + 1'000'000'000;
}

}  // namespace obit
