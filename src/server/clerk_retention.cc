#include "server/clerk_retention.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/disk_space.h"
#include "base/log.h"
#include "catalog/list.h"

namespace obit {
namespace {

/// Plans after one look: each learns which crashes are pinned that an index does not know to be.
constexpr int kRoundsMax = 8;
/// A look at all crashes takes no more than a part of the time.
constexpr int kPauseFactor = 20;
/// Pauses get so many times longer while nothing may go.
constexpr int kPatienceMax = 128;

std::uint64_t Sum(std::uint64_t a, std::uint64_t b) { return a > UINT64_MAX - b ? UINT64_MAX : a + b; }

/// What happened before this may be too old by now.
std::int64_t OldBefore(const RetentionLimits& limits, std::int64_t now) {
  const std::int64_t age = std::min(limits.core_age, limits.record_age);
  return age == INT64_MAX ? INT64_MIN : now - age;
}

bool IsGone(const Error& error) { return error.code == ENOENT; }

}  // namespace

ClerkRetention::ClerkRetention(EventLoop& loop, const Store& store, ClerkIndex& index, const Config& config,
                               Handler handler, RetentionSenses senses)
    : loop_(loop),
      store_(store),
      index_(index),
      config_(config),
      handler_(std::move(handler)),
      senses_(std::move(senses)) {}

void ClerkRetention::Start() { Schedule(kPause); }

void ClerkRetention::Reconfigure(const Config& config) {
  Stop();
  config_ = config;
  used_.reset();
  patience_ = 1;
  Schedule(kPause);
}

void ClerkRetention::Added(const KeptCrash& crash) {
  const std::uint64_t bytes = crash.core_bytes + crash.record_bytes;
  added_ = Sum(added_, bytes);
  if (used_) *used_ = Sum(*used_, bytes);
  if (!freed_.empty()) freed_.back().added = Sum(freed_.back().added, bytes);
  Schedule(std::min(pause_ * patience_, kPauseMax));
}

void ClerkRetention::Stop() {
  config_.retention = false;
  steps_.clear();
  kept_ = {};
  look_ = EventSource();
  work_ = EventSource();
}

void ClerkRetention::Schedule(std::chrono::milliseconds pause) {
  const bool soon = pause < kIdlePause;
  if (work_ || (look_ && (soon_ || !soon))) return;
  soon_ = soon;
  if (auto later = loop_.After(pause, [this] { Look(); })) look_ = std::move(*later);
}

Result<RetentionLimits> ClerkRetention::LimitsNow() {
  const DiskSpace space = OBIT_TRY(senses_.disk(store_.root()));
  disk_bytes_ = space.all;
  disk_free_ = space.free;
  RetentionLimits limits = LimitsOf(config_, space.all, BelievedFree());
  if (!clock_.IsSteady(senses_.realtime(), senses_.boottime()))
    limits.core_age = limits.record_age = INT64_MAX;
  if (clock_.has_jumped() && !std::exchange(said_jump_, true))
    Log(Severity::kWarning,
        "retention: the clock was set by more than a day. For an hour after that nothing counts as old");
  return limits;
}

/// What was removed lately counts as free, but for what came since.
std::uint64_t ClerkRetention::BelievedFree() {
  constexpr std::int64_t kLate = std::chrono::nanoseconds(kFreesWithin).count();
  while (!freed_.empty() && senses_.boottime() - freed_.front().time > kLate) freed_.pop_front();
  if (freed_.empty()) return disk_free_;
  std::uint64_t free = freed_.front().free_before;
  for (const Freed& freed : freed_)
    free = Sum(free, freed.bytes) - std::min(Sum(free, freed.bytes), freed.added);
  return std::max(disk_free_, free);
}

void ClerkRetention::Look() {
  look_ = EventSource();
  limit_.reset();
  if (!config_.retention) return;
  const auto limits = LimitsNow();
  if (!limits) {
    Log(Severity::kWarning, "retention: {}", limits.error().what);
    return Schedule(kIdlePause);
  }
  if (limits->total_bytes < UINT64_MAX) limit_ = limits->total_bytes;
  constexpr std::int64_t kIdle = std::chrono::nanoseconds(kIdlePause).count();
  const std::int64_t now = senses_.boottime();
  if (used_ && !IsOver(*limits) && now - last_look_ < kIdle) return Schedule(kIdlePause);
  const std::int64_t begun = MonotonicNow();
  auto all = ListAll(*limits);
  const std::int64_t old_before = OldBefore(*limits, senses_.realtime());
  may_age_ = old_before != INT64_MIN;
  if (all) all->ShareAs(senses_.users);
  if (all)
    if (const auto stale = all->Measure(store_, old_before); !stale.empty()) index_.Add(stale);
  const auto took = std::chrono::nanoseconds(MonotonicNow() - begun);
  pause_ = std::clamp(std::chrono::duration_cast<std::chrono::milliseconds>(took * kPauseFactor), kPause,
                      kPauseMax);
  if (!all) {  // nobody can say what there is
    patience_ = std::min(patience_ * 2, kPatienceMax);
    return Schedule(std::min(pause_ * patience_, kPauseMax));
  }
  last_look_ = now;
  added_ = 0;
  if (now - learned_ >= kIdle) {
    pins_.clear();
    unread_.clear();
    fixed_.clear();
    learned_ = now;
  }
  kept_ = std::move(*all);
  rounds_ = 0;
  Plan(std::move(*limits));
}

bool ClerkRetention::IsOver(const RetentionLimits& limits) const {
  const std::uint64_t used = used_.value_or(0);
  return used > RoomBeside(staying_, limits) ||
         (limits.disk_free < limits.keep_free && used > limits.floor_bytes);
}

/// A disk that is full may be why there is no index.
std::optional<KeptCrashes> ClerkRetention::ListAll(const RetentionLimits& limits) {
  if (auto kept = index_.Kept()) return kept;
  if (limits.disk_free >= limits.keep_free) return std::nullopt;
  const auto list = ListFolders(store_);
  if (!list) return std::nullopt;
  KeptCrashes kept;
  for (const CrashSummary& crash : list->crashes) kept.Add(crash);
  for (const BrokenCrash& crash : list->broken) kept.Add(store_, crash);
  return kept;
}

void ClerkRetention::Plan(RetentionLimits limits) {
  // The clock may have become steady since the look, which asked for no arrivals then.
  if (!may_age_) limits.core_age = limits.record_age = INT64_MAX;
  std::uint64_t used = 0;
  for (KeptCrash& crash : kept_.crashes()) {
    if (const auto pin = pins_.find(crash.id); pin != pins_.end()) crash.pin = pin->second;
    crash.fixed = fixed_.contains(crash.id);
    used = Sum(used, Sum(crash.core_bytes, crash.record_bytes));
  }
  RetentionPlan plan = PlanRetention(kept_.crashes(), limits, senses_.realtime());
  staying_ = plan.staying;
  used_ = Sum(used - std::min(used, staying_), added_);
  SayIfTooMuchStays(limits);
  steps_ = std::move(plan.steps);
  std::ranges::reverse(steps_);
  again_ = false;
  ++rounds_;
  if (steps_.empty()) return EndRound();
  work_ = EventSource();
  Work();
}

void ClerkRetention::SayIfTooMuchStays(const RetentionLimits& limits) {
  const bool is_too_much = staying_ > limits.total_bytes;
  if (is_too_much && !said_staying_)
    Log(Severity::kWarning,
        "retention: crashes that are pinned or cannot be removed have {} MiB, of {} that the store may hold "
        "(obit unpin, or [retention] size in obit.toml)",
        staying_ >> 20, limits.total_bytes >> 20);
  said_staying_ = is_too_much;
}

void ClerkRetention::NoteFreed(std::uint64_t bytes) {
  const std::int64_t now = senses_.boottime();
  constexpr std::int64_t kOne = std::chrono::nanoseconds(kStep).count();
  if (freed_.empty() || now - freed_.back().time > kOne)
    freed_.push_back({.free_before = disk_free_, .time = now});
  freed_.back().bytes = Sum(freed_.back().bytes, bytes);
}

void ClerkRetention::Work() {
  work_ = EventSource();
  const std::int64_t until = MonotonicNow() + std::chrono::nanoseconds(kStep).count();
  for (int left = kAtOnce; left > 0 && !steps_.empty() && MonotonicNow() < until; --left) {
    const RetentionStep step = steps_.back();
    steps_.pop_back();
    Take(step);
  }
  if (steps_.empty()) return EndRound();
  if (auto later = loop_.After(kStepPause, [this] { Work(); })) work_ = std::move(*later);
}

void ClerkRetention::Take(const RetentionStep& step) {
  KeptCrash& known = kept_.crashes()[step.crash];
  const CrashLocation crash = kept_.LocationOf(step.crash);
  if (!MayTake(crash, known)) return;
  if (!IsConfirmed(crash, known)) return;
  const RemovedCore note{.id = crash.id,
                         .time = senses_.realtime(),
                         .bytes = step.frees,
                         .why = DescribeRemoval(step.why, step.whole, config_)};
  const auto remove_all = [&]() -> Result<bool> {
    OBIT_TRY(store_.RemoveInPassing(crash));
    return true;
  };
  const auto removed = step.whole ? remove_all() : store_.RemoveCore(crash, note);
  const bool is_left =
      !removed && step.whole && (removed.error().code == EAGAIN || removed.error().code == ENOTEMPTY);
  if (is_left) handler_.left();
  if (!removed && !is_left && !IsGone(removed.error())) return NoteFixed(known, removed.error());
  index_.Add(std::span(&crash, 1));
  *used_ -= std::min(*used_, step.frees);
  known.core_bytes = 0;
  if (step.whole) known.record_bytes = 0, fixed_.insert(known.id);
  if (!is_left && !removed.value_or(false)) return;  // somebody else did it
  ++(step.whole ? crashes_ : cores_);
  bytes_ += step.frees;
  NoteFreed(step.frees);
  handler_.removed(step.why, step.whole, step.frees);
}

/// An index knows neither who pinned a crash nor that its owner removed it.
bool ClerkRetention::MayTake(const CrashLocation& crash, const KeptCrash& known) {
  const PinKind pin = store_.PresenceOf(crash).pin;
  if (pin == PinKind::kNone || pin == known.pin) return true;
  pins_[known.id] = pin;
  again_ = true;
  return false;
}

/// A record that cannot be read, though an index has read it, may be damaged, or its owner has put another
/// file in its place: that counts as a pin of his, so that it costs nobody else more than his share. Where no
/// index knows what it said (KeptCrash::unread) it goes as any other.
bool ClerkRetention::IsConfirmed(const CrashLocation& crash, const KeptCrash& known) {
  if (unread_.contains(known.id)) return true;
  const auto confirmed = Confirm(store_, crash, known);
  if (confirmed) return true;
  const auto record = store_.Load(crash);
  if (record && known.unread)
    index_.Add(std::span(&crash, 1));
  else if (record)
    index_.Distrust();
  const int error = record ? 0 : record.error().code;
  if (error == EBADMSG || error == EPROTONOSUPPORT || error == EXDEV) {
    unread_.insert(known.id);
    pins_[known.id] = PinKind::kByOwner;
    again_ = true;
    SayOnce(known, confirmed.error());
  } else {
    NoteFixed(known, confirmed.error());
  }
  return false;
}

void ClerkRetention::NoteFixed(const KeptCrash& crash, const Error& why) {
  fixed_.insert(crash.id);
  again_ = true;
  SayOnce(crash, why);
}

void ClerkRetention::SayOnce(const KeptCrash& crash, const Error& why) {
  constexpr std::size_t kToldMax = 1000;
  if (told_.size() < kToldMax && told_.insert(crash.id).second)
    Log(Severity::kWarning, "retention: {}", why.what);
}

void ClerkRetention::EndRound() {
  if (again_ && rounds_ < kRoundsMax)
    if (const auto limits = LimitsNow()) return Plan(*limits);
  if (cores_ + crashes_ > 0)
    Log(Severity::kNotice, "retention: {} cores and {} whole crashes removed, {} MiB freed", cores_, crashes_,
        bytes_ >> 20);
  const auto limits = LimitsNow();
  const bool is_stuck = cores_ + crashes_ == 0 && limits && IsOver(*limits);
  patience_ = is_stuck ? std::min(patience_ * 2, kPatienceMax) : 1;
  cores_ = crashes_ = bytes_ = 0;
  kept_ = {};
  // Nothing was said of what was committed meanwhile.
  Schedule(limits && IsOver(*limits) && !is_stuck ? pause_ : kIdlePause);
}

}  // namespace obit
