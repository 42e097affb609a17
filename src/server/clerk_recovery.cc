#include "server/clerk_recovery.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <utility>

#include "base/inside.h"
#include "base/io.h"
#include "base/limits.h"
#include "base/log.h"
#include "crash/record_json.h"
#include "server/facts_record.h"
#include "store/removal.h"

namespace obit {
namespace {

/// Keys of this object's own orders: a manager never counts so far.
constexpr CrashKey kOwnKeys = CrashKey{1} << 63;

}  // namespace

ClerkRecovery::ClerkRecovery(EventLoop& loop, const Store& store, Ledger* ledger, std::uint32_t generation,
                             Handler handler)
    : loop_(loop),
      store_(store),
      ledger_(ledger),
      generation_(generation),
      handler_(std::move(handler)),
      next_key_(kOwnKeys) {}

void ClerkRecovery::Start() {
  if (ledger_ != nullptr) {
    for (Ledger::Left& left : ledger_->LeftBy(generation_)) left_.emplace(TextIn(left.entry.head.id), left);
    constexpr std::uint32_t kNobody = 0;  // managers count from 1
    for (const Ledger::Left& left : ledger_->LeftBy(kNobody))
      if (std::string id = TextIn(left.entry.head.id); !left_.contains(id)) theirs_.insert(std::move(id));
  }
  Look();
  LookForRemoved();
}

void ClerkRecovery::LookForRemoved() {
  removed_ = HalfRemoved(store_.root()).value_or(std::vector<std::string>());
  removing_ = EventSource();
  GoOnRemoving();
}

/// Only schedules it the first time: Start() is waited for.
void ClerkRecovery::GoOnRemoving() {
  if (removing_ && !removed_.empty()) {
    const auto removed = obit::GoOnRemoving(store_.root(), removed_.back());
    // What cannot be removed stays: it must not keep a server from the rest.
    // One that does not come to an end must not, either.
    if (removed || removed.error().code != EAGAIN)
      removed_.pop_back();
    else
      std::ranges::rotate(removed_, std::prev(removed_.end()));
  }
  removing_ = EventSource();
  auto later = removed_.empty() ? loop_.After(kRemovalsLooked, [this] { LookForRemoved(); })
                                : loop_.After(kRemovalPause, [this] { GoOnRemoving(); });
  if (later) removing_ = std::move(*later);
}

void ClerkRecovery::Look() {
  again_ = EventSource();
  const auto looked = LookAtFolders();
  if (!looked && !std::exchange(said_, true))
    Log(Severity::kWarning, "not all that was left unfinished can be looked at yet: {}", looked.error().what);
  if (looked) {
    looked_ = true;
    said_ = false;
  }
  Schedule();
}

Result<void> ClerkRecovery::LookAtFolders() {
  incoming_.clear();
  auto was_open = std::exchange(open_, {});
  // One at a time: there may be more of them than descriptors.
  auto looked = store_.ForEachAbandoned([&](IncomingCrash crash) -> Result<void> {
    const bool open = was_open.contains(crash.id);
    if (!open && looked_) return {};
    return LookAtFolder(std::move(crash), open);
  });
  if (looked) looked = NoteOpen();
  if (looked) looked = RecordLost();
  if (!looked) open_.merge(was_open);
  return looked;
}

/// One whose lock this process has.
Result<void> ClerkRecovery::LookAtFolder(IncomingCrash crash, bool was_open) {
  auto looked = LookAtLeft(crash.dir);
  if (!looked && IsShortage(looked.error())) return std::unexpected(looked.error());
  if (!looked && !was_open) {  // the others do not wait for it
    open_.insert(crash.id);
    return {};
  }
  // What the disk does not give again is for a worker, and then the books: they try it for longer.
  const LeftCrash left = std::move(looked).value_or(LeftCrash{.state = LeftCrash::State::kBegun});
  if (left.state == LeftCrash::State::kNothing) {
    (void)store_.Discard(crash.id);
    return {};
  }
  const std::string id = left.id.empty() ? crash.id : left.id;
  if (theirs_.contains(id)) return {};
  incoming_.insert(id);
  handler_.saw_number(left.number);
  const bool complete = left.state == LeftCrash::State::kComplete;
  if (complete && !was_open && !left_.contains(id)) {
    open_.insert(crash.id);  // the order may be under way, and with it whose crash it is
    return {};
  }
  if (id != crash.id)
    if (const auto renamed = RenameIncoming(store_, crash.id, id); !renamed) {
      Log(Severity::kWarning, "what is left of a crash stays where it is: {}", renamed.error().what);
      return {};
    }
  crash.dir.Reset();  // the lock: others go on with it
  const bool taken = std::ranges::any_of(taken_, [&](const auto& one) { return one.second == id; });
  if (complete && !taken)
    Take(id, Order::Kind::kCommit);
  else if (!complete && told_.insert(id).second)
    handler_.tell(id);
  return {};
}

/// Folders of crashes that a manager who is gone had: others work on them, and nobody will say when that
/// ends. An error: there may be more than is known now.
Result<void> ClerkRecovery::NoteOpen() {
  const Fd incoming = OBIT_TRY(OpenInside(store_.root(), "incoming", O_RDONLY | O_DIRECTORY));
  for (const std::string& name : OBIT_TRY(ListDirectory(incoming))) {
    if (!IsCrashId(name)) continue;
    const auto dir = OpenInside(incoming, name, O_RDONLY | O_DIRECTORY);
    auto looked = dir ? LookAtLeft(*dir) : std::unexpected(dir.error());
    if (!looked && IsShortage(looked.error())) return std::unexpected(looked.error());
    const LeftCrash left = std::move(looked).value_or(LeftCrash{.state = LeftCrash::State::kBegun});
    if (left.state == LeftCrash::State::kNothing) continue;
    const std::string id = left.id.empty() ? name : left.id;
    incoming_.insert(id);
    if (left_.contains(id) && !told_.contains(id)) open_.insert(name);
  }
  return {};
}

/// Crashes in the ledger of which nothing else is left. An error: not all were looked at.
Result<void> ClerkRecovery::RecordLost() {
  for (auto next = left_.begin(); next != left_.end();) {
    const auto& [id, left] = *next;
    const std::size_t slot = left.slot;
    const bool under_way = std::ranges::any_of(slots_, [&](const auto& one) { return one.second == slot; });
    if (under_way || incoming_.contains(id)) {
      ++next;
    } else if (OBIT_TRY(FindCommitted(store_, id, left.entry.head.time))) {
      ledger_->Clear(slot);
      next = left_.erase(next);
    } else {
      const std::string lost = id;
      ++next;  // Take() may be over at once, and drop this one
      Take(lost, Order::Kind::kRecord);
    }
  }
  return {};
}

void ClerkRecovery::Take(const std::string& id, Order::Kind kind) {
  BookOrder order{.kind = kind, .crash = ++next_key_};
  SetText(order.head.id, id);
  if (kind == Order::Kind::kRecord) {
    order.head.outcome = static_cast<std::uint32_t>(CrashOutcome::kFailed);
    order.reason = "the manager of obitd died while it had this crash";
  }
  FillIn(order);
  taken_.emplace(order.crash, id);
  handler_.take(std::move(order));
}

void ClerkRecovery::FillIn(BookOrder& order) {
  const auto found = left_.find(TextIn(order.head.id));
  if (found == left_.end()) return;
  const LedgerEntry& entry = found->second.entry;
  const std::uint32_t outcome = order.head.outcome;
  const bool privileged = order.head.privileged != 0 && order.head.has_uid != 0;
  const std::uint8_t owner_killed = order.head.owner_killed;
  order.head = entry.head;
  order.head.outcome = outcome;
  order.head.owner_killed = owner_killed;
  if (privileged) order.head.privileged = 1;
  if (order.facts.empty()) {
    CrashRecord facts;
    facts.id = TextIn(entry.head.id);
    facts.process.comm.assign(entry.comm, ::strnlen(entry.comm, sizeof entry.comm));
    order.facts = RecordToJson(facts);
  }
  slots_[order.crash] = found->second.slot;
}

bool ClerkRecovery::OnDone(CrashKey crash) {
  taken_.erase(crash);
  if (const auto slot = slots_.find(crash); slot != slots_.end()) {
    std::erase_if(left_, [&](const auto& left) { return left.second.slot == slot->second; });
    ledger_->Clear(slot->second);
    slots_.erase(slot);
  }
  return crash >= kOwnKeys;
}

void ClerkRecovery::Schedule() {
  if (open_.empty() && looked_) return;
  if (auto later = loop_.After(pause_, [this] { Look(); })) again_ = std::move(*later);
  pause_ = std::min(pause_ * 2, kPauseMax);
}

}  // namespace obit
