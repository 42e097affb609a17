#include "policy/crash_loop.h"

#include <algorithm>
#include <utility>

namespace obit {
namespace {

std::int64_t Nanoseconds(std::chrono::seconds seconds) { return std::chrono::nanoseconds(seconds).count(); }

}  // namespace

void CrashLoops::BeginPeriod(Site& site, std::int64_t now, const Config& config) {
  const std::int64_t interval = Nanoseconds(config.loop_interval);
  site.looping = site.looping && now < site.last_counted + interval;
  site.kept = 0;
  site.until = now + (site.looping ? interval : Nanoseconds(config.loop_window));
  // What a loop starts anew each hour is no storm.
  if (!site.looping) site.storm_until = now + Nanoseconds(config.loop_storm);
}

/// Sites come from outside: without a bound their number would be a way to fill the memory of the server.
void CrashLoops::MakeRoom(std::int64_t now) {
  if (sites_.size() < kSitesMax) return;
  if (std::erase_if(sites_, [now](const auto& site) { return site.second.until <= now; }) > 0) return;
  sites_.erase(std::ranges::min_element(sites_, {}, [](const auto& site) { return site.second.until; }));
}

CrashLoops::Verdict CrashLoops::Judge(const Crash& crash, const Config& config) {
  if (config.loop_crashes == 0) return Verdict::kKeep;
  auto found = sites_.find(crash.site);
  if (found == sites_.end()) {
    MakeRoom(crash.now);
    found = sites_.emplace(crash.site, Site{}).first;
  }
  Site& site = found->second;
  if (crash.now >= site.until) BeginPeriod(site, crash.now, config);

  const bool of_storm = crash.started <= site.storm_until;
  if (of_storm || site.kept < (site.looping ? 1 : config.loop_crashes)) {
    ++site.kept;
    site.count = {.kept_time = crash.time, .repeats = {.id = crash.id}};
    return Verdict::kKeep;
  }
  const bool begins = !std::exchange(site.looping, true);
  if (begins) site.until = crash.now + Nanoseconds(config.loop_interval);
  site.last_counted = crash.now;
  Repeats& repeats = site.count.repeats;
  if (++repeats.crashes == 1) repeats.first = crash.time;
  repeats.last = crash.time;
  changed_[repeats.id] = site.count;
  return begins ? Verdict::kLoopBegins : Verdict::kCount;
}

void CrashLoops::Forget(std::string_view id) {
  std::erase_if(sites_, [id](const auto& site) { return site.second.count.repeats.id == id; });
}

std::vector<CrashLoops::Count> CrashLoops::TakeChanged() {
  std::vector<Count> changed;
  for (auto& [id, count] : std::exchange(changed_, {})) changed.push_back(std::move(count));
  return changed;
}

}  // namespace obit
