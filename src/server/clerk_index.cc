#include "server/clerk_index.h"

#include <algorithm>

#include "base/limits.h"
#include "base/log.h"

namespace obit {
namespace {

/// Rows that are put off, at most: of more, their days are compared.
constexpr std::size_t kPutOffMax = 4096;
/// Rows that are added between two looks at what else is to be done.
constexpr std::size_t kAtOnce = 256;

std::set<std::string> DaysOf(std::span<const CrashLocation> crashes) {
  std::set<std::string> days;
  for (const CrashLocation& crash : crashes) days.insert(crash.day);
  return days;
}

}  // namespace

ClerkIndex::ClerkIndex(EventLoop& loop, const Store& store) : loop_(loop), store_(store) { Work(); }

void ClerkIndex::Add(std::span<const CrashLocation> crashes) {
  if (crashes.empty()) return;
  PutOff(crashes);
  if (!work_) Work();
}

/// Those that have to wait are read again when their turn comes: what is kept of them meanwhile is small.
void ClerkIndex::AddCommitted(std::span<const CrashSummary> crashes) {
  if (crashes.empty()) return;
  std::vector<CrashLocation> locations;
  for (const CrashSummary& crash : crashes) locations.push_back(crash.location);
  if (has_work()) return Add(locations);
  if (const auto added = index_->AddCommitted(store_, crashes); !added) {
    PutOff(locations);
    TryLater(added.error());
  }
}

void ClerkIndex::PutOff(std::span<const CrashLocation> crashes) {
  for (const CrashLocation& crash : crashes)
    if (put_off_.size() < kPutOffMax)
      put_off_.push_back(crash);
    else
      days_.insert(crash.day);
}

std::optional<StoreUse> ClerkIndex::Use() {
  if (!index_ || damaged_) return std::nullopt;
  auto use = index_->Use();
  if (!use && !work_) TryLater(use.error());
  return use ? std::optional(*use) : std::nullopt;
}

std::optional<KeptCrashes> ClerkIndex::Kept() {
  // While it is made anew, a day at a time, nothing waits for all days at once.
  if (!index_ || damaged_ || !has_days_ || !days_.empty()) return std::nullopt;
  auto kept = index_->Kept(store_);
  if (!kept && !work_) TryLater(kept.error());
  return kept ? std::optional(std::move(*kept)) : std::nullopt;
}

void ClerkIndex::Distrust() {
  damaged_ = index_.has_value();
  if (!work_) Work();
}

std::vector<CrashLocation> ClerkIndex::Unnumbered() {
  if (!index_ || damaged_) return {};
  return index_->Unnumbered().value_or(std::vector<CrashLocation>());
}

void ClerkIndex::Work() {
  work_ = EventSource();
  if (const auto done = WorkOnce(); !done) return TryLater(done.error());
  if (has_work()) return WorkAfter(std::chrono::milliseconds(0));
  if (std::exchange(failing_, false)) Log(Severity::kNotice, "the index is up to date again");
  pause_ = kPause;
}

/// One step, of which nothing that was done is lost if it fails.
Result<void> ClerkIndex::WorkOnce() {
  if (!index_) index_ = OBIT_TRY(Index::Open(store_, kPatience));
  if (damaged_) {
    OBIT_TRY(index_->Recreate(store_));
    damaged_ = false;
    put_off_.clear();
    has_days_ = false;
  }
  if (!has_days_) {
    if (OBIT_TRY(index_->IsEmpty())) OBIT_TRY(AddAllDays());
    has_days_ = true;
    return {};
  }
  if (!put_off_.empty()) return AddSome();
  if (!days_.empty()) return RefreshNewest();
  return {};
}

Result<void> ClerkIndex::AddAllDays() {
  const auto days = OBIT_TRY(store_.Days());
  days_.insert(days.begin(), days.end());
  return {};
}

Result<void> ClerkIndex::AddSome() {
  const auto end = put_off_.begin() + static_cast<std::ptrdiff_t>(std::min(put_off_.size(), kAtOnce));
  const std::vector<CrashLocation> some(put_off_.begin(), end);
  if (auto added = index_->Add(store_, some); !added) {
    bool put_off = false;  // the crash that failed: the next step adds the others
    for (const std::string& day : DaysOf(some))
      if (PutOffIfUnreadable(day)) {
        std::erase_if(put_off_, [&](const CrashLocation& crash) { return crash.day == day; });
        put_off = true;
      }
    return put_off ? Result<void>() : added;
  }
  put_off_.erase(put_off_.begin(), end);
  return {};
}

Result<void> ClerkIndex::RefreshNewest() {
  const std::string newest = *std::prev(days_.end());
  if (auto refreshed = index_->Refresh(store_, newest); !refreshed) {
    if (!PutOffIfUnreadable(newest)) return refreshed;
  } else if (unreadable_.erase(newest) > 0) {
    Log(Severity::kNotice, "the crashes of {} can be read again", newest);
    if (unreadable_.empty()) days_pause_ = kPause;
  }
  days_.erase(newest);
  return {};
}

/// After a step that failed: false if it is not this day that is to blame.
bool ClerkIndex::PutOffIfUnreadable(const std::string& day) {
  const auto listed = store_.CrashesOf(day);
  if (listed || IsShortage(listed.error())) return false;
  if (unreadable_.insert(day).second)
    Log(Severity::kWarning, "lists may lack crashes until they can be read: {}", listed.error().what);
  later_.insert(day);
  if (days_work_) return true;
  if (auto later = loop_.After(days_pause_, [this] { TryDays(); })) days_work_ = std::move(*later);
  days_pause_ = std::min(days_pause_ * 2, kPauseMax);
  return true;
}

void ClerkIndex::TryDays() {
  days_work_ = EventSource();
  days_.merge(later_);
  later_.clear();
  if (!work_) Work();
}

void ClerkIndex::TryLater(const Error& why) {
  if (!std::exchange(failing_, true))
    Log(Severity::kWarning, "the index will be brought up to date later, lists are slower until then: {}",
        why.what);
  damaged_ = damaged_ || (why.code == EBADMSG && index_);
  if (why.code != EBUSY && !damaged_) index_.reset();
  WorkAfter(pause_);
  pause_ = std::min(pause_ * 2, kPauseMax);
}

void ClerkIndex::WorkAfter(std::chrono::milliseconds pause) {
  if (auto later = loop_.After(pause, [this] { Work(); })) work_ = std::move(*later);
}

}  // namespace obit
