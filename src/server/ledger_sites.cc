// What is known of crash sites, and what was only counted there.

#include <algorithm>

#include "base/log.h"
#include "server/ledger_page.h"

namespace obit {
namespace {

bool IsSound(const SiteState& site) {
  return site.key != 0 && (!site.has_kept() || IsCrashId({site.kept_id, sizeof site.kept_id}));
}

}  // namespace

void Ledger::SaveSite(std::uint32_t index, const SiteState& site) {
  SiteSlot& slot = page_->sites.at(index);
  const auto before = slot.ReadUnless(kLedgerFree);
  if (!before || before->kept() != site.kept()) {
    if (before && before->repeats > slot.stored.load(std::memory_order_relaxed)) KeepRepeats(*before);
    slot.stored.store(0, std::memory_order_relaxed);
  }
  slot.Write(kLedgerUsed, site);
}

/// The clerk has not stored them yet, or has not said so.
void Ledger::KeepRepeats(const SiteState& site) {
  const auto is_free = [](const RepeatsSlot& slot) {
    const auto entry = slot.Repeats();
    return !entry || entry->crashes <= slot.stored.load(std::memory_order_relaxed);
  };
  auto slot = std::ranges::find_if(page_->repeats, is_free);
  if (slot == page_->repeats.end())
    slot = page_->repeats.begin() + static_cast<std::ptrdiff_t>(page_->next_repeats++ % kRepeats);
  slot->stored.store(0, std::memory_order_relaxed);
  slot->Write(kLedgerUsed, RepeatsIn(site));
}

std::vector<SiteState> Ledger::sites() const {
  std::vector<SiteState> sites;
  std::size_t torn = 0;
  for (std::size_t i = 0; i < page_->sites.size(); ++i) {
    const SiteSlot& slot = page_->sites[i];
    if (slot.sequence.load(std::memory_order_relaxed) % 2 != 0) ++torn;
    const auto state = slot.ReadUnless(kLedgerFree);
    if (!state || !IsSound(*state)) continue;
    sites.resize(i);  // those between are none
    sites.push_back(*state);
  }
  if (torn > 0)
    Log(Severity::kWarning, "what is known of {} crash site{} is lost: a manager died when it wrote that",
        torn, torn == 1 ? "" : "s");
  return sites;
}

HashKey Ledger::site_key() const { return page_->site_key; }

std::vector<RepeatsOfKept> Ledger::UnstoredRepeats() const {
  std::vector<RepeatsOfKept> unstored;
  page_->ForEachRepeats([&](const auto& slot, const LedgerRepeats& entry) {
    if (entry.crashes <= slot.stored.load(std::memory_order_relaxed)) return;
    unstored.push_back({.kept_time = entry.kept_time,
                        .repeats = {.id = std::string(entry.id, sizeof entry.id),
                                    .crashes = entry.crashes,
                                    .first = entry.first,
                                    .last = entry.last}});
  });
  return unstored;
}

void Ledger::RepeatsStored(const Repeats& repeats) {
  page_->ForEachRepeats([&](auto& slot, const LedgerRepeats& entry) {
    if (std::string_view(entry.id, sizeof entry.id) == repeats.id)
      slot.stored.store(repeats.crashes, std::memory_order_relaxed);
  });
}

}  // namespace obit
