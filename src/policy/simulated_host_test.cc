// A year of a host on which few programs crash often and many seldom, through crash loops, budgets and
// retention. OBIT_CRASHES says how many crashes it has; docs/benchmarks.md has the figures of a million.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <iostream>
#include <map>
#include <queue>
#include <random>
#include <set>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "policy/budgets.h"
#include "policy/crash_sites.h"
#include "policy/retention.h"

namespace obit {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000, kDay = 86'400 * kSecond;
constexpr std::int64_t kBegin = 20'000 * kDay;  // since 1970
constexpr std::uint64_t kMiB = std::uint64_t{1} << 20, kGiB = kMiB << 10, kTiB = kGiB << 10;

/// Places where programs crash. The r-th is begun about 1/r as often as the first one (Zipf), and once begun
/// may go on as a crash loop.
struct Place {
  CrashSite site;
  std::uint64_t group = 0, core_bytes = 0;
};
std::vector<Place> MakePlaces(std::size_t count, std::mt19937_64& random) {
  std::uniform_real_distribution<double> exponent(0, 1);
  std::vector<Place> places(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t program = random() % (count / 4 + 1) + 1, user = random() % 40;
    places[i].site = {.uid = static_cast<uid_t>(user),
                      .service = user < 20 ? fmt::format("service{}", program % 60) : "",
                      .service_of_system = user < 20,
                      .signal = 11,
                      .program = {.inode = program},
                      .module_inode = program,
                      .offset = i,
                      .comm = fmt::format("program{}", program)};
    places[i].group = i + 1;
    places[i].core_bytes =
        static_cast<std::uint64_t>(64.0 * 1024 * std::pow(4096, exponent(random)));  // to 256 MiB
  }
  return places;
}

/// One place that goes on crashing.
struct Incident {
  std::int64_t next = 0, gap = 0;  // ns
  std::size_t place = 0;
  std::uint64_t left = 0;
  auto operator<=>(const Incident&) const = default;
};

class Host {
 public:
  Host(std::uint64_t crashes, std::uint64_t seed)
      : random_(seed), all_(crashes), places_(MakePlaces(2000, random_)) {
    double sum = 0;
    for (std::size_t rank = 1; rank <= places_.size(); ++rank)
      weights_.push_back(sum += 1.0 / static_cast<double>(rank));
  }

  void Run() {
    const std::int64_t between = 365 * kDay / static_cast<std::int64_t>(all_ / kMeanCrashes + 1);
    std::int64_t begins = 0, looks = kDay;
    std::priority_queue<Incident, std::vector<Incident>, std::greater<>> incidents;
    while (crashes_ < all_) {
      if (incidents.empty() || begins <= incidents.top().next) {
        incidents.push(Begin(begins));
        begins += static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(2 * between));
        continue;
      }
      Incident incident = incidents.top();
      incidents.pop();
      for (; looks <= incident.next; looks += kDay) Retain(looks);
      Crash(places_[incident.place], incident.next);
      incident.next += incident.gap;
      if (--incident.left > 0) incidents.push(incident);
    }
    TakeRepeats();
    Retain(looks);
  }

  // Figures.
  std::uint64_t crashes_ = 0, cores_ = 0, events_ = 0, repeats_ = 0, over_budget_ = 0;
  std::uint64_t cores_removed_ = 0, crashes_removed_ = 0, bytes_ = 0, most_bytes_ = 0;
  std::uint64_t seen_once_without_core_ =
      0;  // the first crash of its place, though its user and unit had room
  std::map<std::string, std::uint64_t> counts_;  // by the crash that they come after
  std::vector<KeptCrash> kept_;

  [[nodiscard]] std::uint64_t groups_seen() const { return seen_.size(); }
  [[nodiscard]] std::uint64_t groups_with_core() const {
    std::set<std::uint64_t> groups;
    for (const KeptCrash& crash : kept_)
      if (crash.core_bytes > 0) groups.insert(crash.group);
    return groups.size();
  }
  [[nodiscard]] const RetentionLimits& limits() const { return limits_; }

 private:
  static constexpr std::uint64_t kMeanCrashes = 10;  // of an incident, about

  /// Half of them crash once; one in N crashes N times, up to 20,000.
  Incident Begin(std::int64_t now) {
    const double at = std::uniform_real_distribution<double>(0, weights_.back())(random_);
    const auto place = static_cast<std::size_t>(std::ranges::lower_bound(weights_, at) - weights_.begin());
    const double share = std::uniform_real_distribution<double>(1.0 / 20'000, 1)(random_);
    return {.next = now,
            .gap = static_cast<std::int64_t>(random_() % (2 * static_cast<std::uint64_t>(kSecond))) +
                   kSecond / 1000,
            .place = place,
            .left = static_cast<std::uint64_t>(1 / share)};
  }

  void Crash(const Place& place, std::int64_t now) {
    const std::string id = fmt::format("{:016x}", ++crashes_);
    Budgets::Whose whose = budgets_.AccountsOf({.share = place.site.uid,
                                                .known = true,
                                                .unit = place.site.service,
                                                .unit_of_system = place.site.service_of_system});
    const auto room = budgets_.RoomFor(whose, now, config_);
    if (room == Budgets::Room::kCount) {
      ++over_budget_;
      return;
    }
    const auto judgement = sites_.Judge({.id = id,
                                         .time = kBegin + now,
                                         .site = place.site,
                                         .now = now,
                                         .resident = 4 * place.core_bytes,
                                         .share = place.site.uid,
                                         .may_have_core = room == Budgets::Room::kCore},
                                        config_);
    const bool has_core = judgement.verdict == CrashSites::Verdict::kCore;
    if (!has_core && judgement.verdict != CrashSites::Verdict::kEvent) {
      ++repeats_;
      return;
    }
    if (seen_.insert(place.group).second && !has_core && room == Budgets::Room::kCore)
      ++seen_once_without_core_;
    ++(has_core ? cores_ : events_);
    budgets_.Take(whose, has_core ? place.core_bytes : 0);
    sites_.Ended(judgement.ticket, has_core ? place.core_bytes : 0);
    budgets_.Ended(whose, has_core ? place.core_bytes : 0, has_core ? place.core_bytes : 0);
    kept_.push_back({.id = crashes_,
                     .number = crashes_,
                     .time = kBegin + now,
                     .group = place.group,
                     .user = place.site.uid + std::uint64_t{1},
                     .unit = std::hash<std::string>()(place.site.service),
                     .core_bytes = has_core ? place.core_bytes : 0,
                     .record_bytes = 16 * 1024,
                     .analysed = has_core});
    bytes_ += kept_.back().core_bytes + kept_.back().record_bytes;
    came_ += kept_.back().core_bytes + kept_.back().record_bytes;
    if (came_ > limits_.total_bytes / 10) Retain(now);
    most_bytes_ = std::max(most_bytes_, bytes_);
    if (crashes_ % 1000 == 0) TakeRepeats();
  }

  void TakeRepeats() {
    for (const RepeatsOfKept& count : sites_.TakeRepeats()) counts_[count.repeats.id] = count.repeats.crashes;
  }

  void Retain(std::int64_t now) {
    came_ = 0;
    limits_.disk_free = kDisk - std::min(bytes_, kDisk);
    for (const RetentionStep& step : PlanRetention(kept_, limits_, kBegin + now).steps) {
      KeptCrash& crash = kept_[step.crash];
      bytes_ -= step.frees;
      if (crash.core_bytes > 0) ++cores_removed_;
      crash.core_bytes = 0;
      if (step.whole) crash.record_bytes = 0, ++crashes_removed_;
    }
    std::erase_if(kept_, [](const KeptCrash& crash) { return crash.record_bytes == 0; });
  }

  std::uint64_t came_ = 0;  // since the last look, bytes
  static constexpr std::uint64_t kDisk = kTiB / 2;

  std::mt19937_64 random_;
  std::uint64_t all_;
  Config config_;
  std::vector<Place> places_;
  std::vector<double> weights_;  // sums
  CrashSites sites_{{1, 2}};
  Budgets budgets_{{3, 4}};
  RetentionLimits limits_ = LimitsOf(config_, kDisk, kDisk);
  std::set<std::uint64_t> seen_;
};

TEST(SimulatedHost, LosesNoCountAndStaysWithinItsLimits) {
  const char* wanted = std::getenv("OBIT_CRASHES");  // NOLINT(concurrency-mt-unsafe): there is one thread
  const std::uint64_t crashes = wanted != nullptr ? std::strtoull(wanted, nullptr, 10) : 50'000;
  const auto begin = std::chrono::steady_clock::now();
  Host host(crashes, 1);
  host.Run();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;

  EXPECT_EQ(host.cores_ + host.events_ + host.repeats_ + host.over_budget_, crashes);
  std::uint64_t counted = 0;
  for (const auto& [id, count] : host.counts_) counted += count;
  EXPECT_EQ(counted, host.repeats_) << "a count was lost, or is there twice";
  EXPECT_EQ(host.seen_once_without_core_, 0u);
  std::uint64_t bytes = 0;
  for (const KeptCrash& crash : host.kept_) bytes += crash.core_bytes + crash.record_bytes;
  EXPECT_EQ(bytes, host.bytes_);
  EXPECT_LE(host.most_bytes_, host.limits().total_bytes / 10 * 12) << "more than came since the look before";
  EXPECT_LE(bytes, host.limits().total_bytes);
  EXPECT_EQ(host.kept_.size() + host.crashes_removed_, host.cores_ + host.events_);

  std::cout << fmt::format(
      "{} crashes in {:.1f} s: {} with a core, {} without, {} counted after others, {} over a budget\n"
      "removed: {} cores, {} records; in the store: {} crashes, {:.1f} GiB (at most {:.1f} of {:.1f});\n"
      "places that crashed: {}, that still have a core: {}\n",
      crashes, took.count(), host.cores_, host.events_, host.repeats_, host.over_budget_, host.cores_removed_,
      host.crashes_removed_, host.kept_.size(), static_cast<double>(bytes) / kGiB,
      static_cast<double>(host.most_bytes_) / kGiB, static_cast<double>(host.limits().total_bytes) / kGiB,
      host.groups_seen(), host.groups_with_core());
}

}  // namespace
}  // namespace obit
