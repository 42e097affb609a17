#include "policy/crash_sites.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

namespace obit {
namespace {

std::int64_t Nanoseconds(std::chrono::seconds seconds) { return std::chrono::nanoseconds(seconds).count(); }

std::uint64_t NotZero(std::uint64_t hash) { return hash == 0 ? 1 : hash; }

/// The hash of the numbers and of the first 256 bytes of the text.
template <std::size_t kNumbers>
std::uint64_t Hash(const HashKey& key, const std::array<std::uint64_t, kNumbers>& numbers,
                   std::string_view text) {
  constexpr std::size_t kTextMax = 256;
  std::array<std::byte, sizeof numbers + kTextMax> bytes;
  std::memcpy(bytes.data(), numbers.data(), sizeof numbers);
  text = text.substr(0, kTextMax);
  if (!text.empty()) std::memcpy(bytes.data() + sizeof numbers, text.data(), text.size());
  return NotZero(KeyedHash(key, std::span(bytes).first(sizeof numbers + text.size())));
}

std::uint64_t KeyOf(const HashKey& key, const CrashSite& site) {
  const FileStamp& program = site.program;
  return Hash<9>(key,
                 {site.uid, (site.privileged ? 2U : 0U) + (site.wants_core ? 1U : 0U),
                  static_cast<std::uint64_t>(site.signal), program.inode,
                  static_cast<std::uint64_t>(program.made), static_cast<std::uint64_t>(program.written),
                  std::uint64_t{program.made_ns} << 32 | program.written_ns, site.module_inode, site.offset},
                 site.service);
}

std::uint64_t VariantOf(const HashKey& key, const CrashSite& site) {
  return Hash<1>(key, {site.callers}, site.comm);
}

/// Also one that lasts longer than any: of an earlier boot, or of another configuration.
bool IsOver(const SiteState& state, std::int64_t now, const Config& config) {
  return now >= state.until || now < state.until - Nanoseconds(config.loop_window);
}

std::uint64_t Sum(std::uint64_t a, std::uint64_t b) { return a + std::min(b, UINT64_MAX - a); }

/// What the core of one more may come to: as much as any before it, or more if its process has more memory.
std::uint64_t Promised(const SiteState& state, std::uint64_t resident, const Config& config) {
  if (state.largest > 0) return std::max(state.largest, StoredEstimate(resident));
  return std::max(config.loop_bytes / std::max(config.loop_cores, 1U), StoredEstimate(resident));
}

}  // namespace

void CrashSites::Changed(std::uint32_t index) {
  if (!std::exchange(marks_[index].changed, true)) changed_.push_back(index);
}

/// What was counted after the crash that is kept is told as it is, and no more is counted there.
void CrashSites::EndCount(std::uint32_t index) {
  SiteState& state = states_[index];
  if (std::exchange(marks_[index].untold, false)) ended_.push_back(state.AllRepeats());
  state.repeats = 0;
  state.first = state.last = 0;
}

void CrashSites::NoteKept(std::uint32_t index, std::string_view id, std::int64_t time) {
  EndCount(index);
  SiteState& state = states_[index];
  std::ranges::fill(state.kept_id, '\0');
  id.copy(state.kept_id, sizeof state.kept_id);
  state.kept_time = time;
}

void CrashSites::Drop(std::uint32_t index) {
  EndCount(index);
  const SiteState& state = states_[index];
  known_.erase(state.key);
  if (const auto user = per_share_.find(state.share); --user->second == 0) per_share_.erase(user);
}

/// Sites come from outside. Whoever makes most of them is whose are forgotten.
std::uint32_t CrashSites::Victim(std::int64_t now, std::uint32_t but) {
  for (std::size_t i = 0; i < states_.size(); ++i) {
    hand_ = (hand_ + 1) % static_cast<std::uint32_t>(states_.size());
    if (states_[hand_].until <= now && hand_ != but) return hand_;
  }
  const auto most = std::ranges::max_element(per_share_, {}, [&](const auto& user) {
    const bool has_it = but != kNone && states_[but].share == user.first;
    return std::pair(user.second - (has_it ? 1 : 0), user.first);
  });
  std::uint32_t oldest = kNone;  // there is one: kStatesMax states are not all `but`
  for (std::uint32_t i = 0; i < states_.size(); ++i)
    if (states_[i].share == most->first && i != but &&
        (oldest == kNone || states_[i].until < states_[oldest].until))
      oldest = i;
  return oldest;
}

std::uint32_t CrashSites::Take(std::uint64_t key, uid_t share, std::int64_t now, std::uint32_t but) {
  if (const auto found = known_.find(key); found != known_.end()) return found->second;
  auto index = static_cast<std::uint32_t>(states_.size());
  if (index < kStatesMax) {
    states_.emplace_back();
    marks_.emplace_back();
  } else {
    index = Victim(now, but);
    Drop(index);
  }
  states_[index] = {.key = key, .until = now, .share = share};  // its window is to begin
  known_.emplace(key, index);
  ++per_share_[share];
  return index;
}

void CrashSites::Begin(std::uint32_t index, std::int64_t until, std::uint64_t variant) {
  EndCount(index);
  const SiteState& before = states_[index];
  states_[index] = {.key = before.key, .until = until, .variant = variant, .share = before.share};
  marks_[index].window = ++windows_;
  Changed(index);
}

/// The states of variants end with that of their site: what is left of its last window is none of them.
std::uint32_t CrashSites::StateOf(const Crash& crash, const Config& config) {
  const std::uint64_t key = KeyOf(key_, crash.site), variant = VariantOf(key_, crash.site);
  const uid_t share = crash.share.value_or(static_cast<uid_t>(-1));
  const std::uint32_t site = Take(key, share, crash.now, kNone);
  if (IsOver(states_[site], crash.now, config))
    Begin(site, crash.now + Nanoseconds(config.loop_window), variant);
  if (states_[site].variant == variant) return site;
  const std::uint64_t of_variant = Hash<2>(key_, {key, variant}, {});
  if (const auto found = known_.find(of_variant);
      found != known_.end() && states_[found->second].until == states_[site].until)
    return found->second;
  if (states_[site].variants + 1 >= kVariantsMax) return site;
  ++states_[site].variants;
  Changed(site);
  const std::uint32_t index = Take(of_variant, share, crash.now, site);
  Begin(index, states_[site].until, variant);
  return index;
}

CrashSites::Judgement CrashSites::Judge(const Crash& crash, const Config& config) {
  if (config.loop_cores == 0) return {};
  const std::uint32_t index = StateOf(crash, config);
  SiteState& state = states_[index];
  Mark& mark = marks_[index];
  Changed(index);
  Judgement judgement;
  const std::uint64_t promised = Promised(state, crash.resident, config);
  const bool fits = Sum(Sum(state.bytes, state.promised), promised) <= config.loop_bytes;
  const std::uint64_t records_max = std::uint64_t{config.loop_cores} + config.loop_events;
  const bool has_record = state.records < records_max;
  const bool again = state.failed > 0 && crash.now >= state.core_at + kAgain;
  if (crash.may_have_core && (has_record || again) &&
      (state.cores == 0 || (state.cores < config.loop_cores && fits))) {
    if (!has_record) --state.failed;
    ++state.cores;
    ++state.records;
    state.core_at = crash.now;
    state.promised = Sum(state.promised, promised);
    NoteKept(index, crash.id, crash.time);
    judgement.ticket = {index, true, mark.window, promised};
  } else if (has_record || !state.has_kept()) {
    judgement.bound = !has_record                        ? Bound::kRecords
                      : state.cores >= config.loop_cores ? Bound::kCores
                                                         : Bound::kBytes;
    judgement.like = state.kept();
    ++state.records;
    // The crash with a core is that whose group is known.
    if (!state.has_kept()) NoteKept(index, crash.id, crash.time);
    judgement.verdict = Verdict::kEvent;
    judgement.ticket = {index, false, mark.window};
  } else {
    Count(index, 1, crash.time, crash.time);
    judgement.verdict = std::exchange(state.is_loop, 1) == 0 ? Verdict::kLoopBegins : Verdict::kCount;
  }
  judgement.state = state;
  judgement.at = {index, mark.window};
  return judgement;
}

void CrashSites::Count(std::uint32_t index, std::uint64_t crashes, std::int64_t first, std::int64_t last) {
  SiteState& state = states_[index];
  if (state.repeats == 0) state.first = first;
  state.repeats += crashes;
  state.last = last;
  if (!std::exchange(marks_[index].untold, true)) untold_.push_back(index);
}

/// Null: its window is over.
const SiteState* CrashSites::StateAt(const Whereabouts& at) const {
  const bool is_there = at.window != 0 && at.state < marks_.size() && marks_[at.state].window == at.window;
  return is_there ? &states_[at.state] : nullptr;
}

void CrashSites::SendToDoor(const Whereabouts& at, std::uint32_t place, std::uint64_t counted) {
  SiteState* state = StateAt(at);
  DoorPlace& door = doors_.at(place);
  if (state == nullptr || door.at == at) return;
  if (SiteState* before = StateAt(door.at)) {
    before->door_place = 0;
    Changed(door.at.state);
  }
  if (state->door_place != 0) doors_.at(state->door_place - 1).at = {};
  door = {at, counted};
  state->door_place = place + 1;
  state->door_counted = counted;
  Changed(at.state);
}

std::uint64_t CrashSites::CountedAtDoor(std::uint32_t place, std::uint64_t counted, std::int64_t last) {
  constexpr std::uint64_t kPlausible = 10'000'000;
  DoorPlace& door = doors_.at(place);
  const std::uint64_t more = counted - std::exchange(door.counted, counted);
  if (more == 0) return 0;
  SiteState* state = StateAt(door.at);
  if (state != nullptr) {
    if (more <= kPlausible && state->has_kept()) Count(door.at.state, more, last, last);
    state->door_counted = counted;
    Changed(door.at.state);
  }
  return more <= kPlausible ? more : 0;
}

std::int64_t CrashSites::UntilOf(const Whereabouts& at) const {
  const SiteState* state = StateAt(at);
  return state == nullptr ? 0 : state->until;
}

void CrashSites::Ended(const Ticket& ticket, std::uint64_t bytes) {
  if (!ticket.has_core || marks_[ticket.state].window != ticket.window) return;
  SiteState& state = states_[ticket.state];
  state.promised -= std::min(ticket.promised, state.promised);
  state.bytes = Sum(state.bytes, bytes);
  state.largest = std::max(state.largest, bytes);
  if (bytes == 0) --state.cores;
  Changed(ticket.state);
}

void CrashSites::Failed(const Ticket& ticket) {
  if (!ticket.has_core || marks_[ticket.state].window != ticket.window) return;
  Ended(ticket, 0);
  ++states_[ticket.state].failed;
}

void CrashSites::Withdraw(const Ticket& ticket, std::string_view id) {
  if (ticket.window == 0 || marks_[ticket.state].window != ticket.window) return;
  Ended(ticket, 0);
  SiteState& state = states_[ticket.state];
  --state.records;
  if (state.kept() == id) NoteKept(ticket.state, {}, 0);
}

void CrashSites::Forget(std::string_view id) {
  if (id.empty()) return;
  for (std::uint32_t i = 0; i < states_.size(); ++i) {
    if (states_[i].kept() != id) continue;
    NoteKept(i, {}, 0);
    Changed(i);
  }
}

std::vector<RepeatsOfKept> CrashSites::TakeRepeats() {
  std::vector<RepeatsOfKept> counts = std::exchange(ended_, {});
  for (const std::uint32_t index : std::exchange(untold_, {}))
    if (std::exchange(marks_[index].untold, false)) counts.push_back(states_[index].AllRepeats());
  return counts;
}

void CrashSites::Restore(std::span<const SiteState> states) {
  *this = CrashSites(key_);
  for (const SiteState& state : states.first(std::min(states.size(), kStatesMax))) {
    // What is no state keeps its place, so that the others have theirs; it goes first.
    SiteState taken = state;
    if (state.key == 0 || known_.contains(state.key)) taken = {.key = NotZero(0)};
    while (known_.contains(taken.key)) ++taken.key;
    taken.promised = 0;
    known_.emplace(taken.key, static_cast<std::uint32_t>(states_.size()));
    ++per_share_[taken.share];
    states_.push_back(taken);
    marks_.push_back({.window = ++windows_});
    RestoreDoor(static_cast<std::uint32_t>(states_.size() - 1));
  }
}

/// Whatever stands there: a place has one state.
void CrashSites::RestoreDoor(std::uint32_t index) {
  SiteState& state = states_[index];
  const std::uint32_t place = state.door_place;
  if (place == 0 || place > kDoorPlaces || doors_[place - 1].at.window != 0)
    state.door_place = 0;
  else
    doors_[place - 1] = {{index, marks_[index].window}, state.door_counted};
}

}  // namespace obit
