#pragma once

// For tests: what storms of crashes are made of.

#include <array>
#include <cstdint>

#include <poll.h>

#include "server/fake_inspector.h"
#include "server/test_witness.h"

namespace obit::testing {

/// How a crash goes on, and its process.
enum class Way : std::uint8_t {
  kDumps,
  kDumpsMuch,
  kSendsWithoutAWord,  // "@"
  kPipes,
  kHangsUpEarly,  // within its request
  kHangsUp,       // within its core
  kStalls,        // there too
  kIsSilent,
  kIsNoKernel,  // sends garbage
  kRefuses,     // what the server answers
  kLingers,     // after its release, and does nothing
  kWorks,       // the same, and does something
};
/// What inspectors never come back from.
enum class Trap : std::uint8_t { kNone, kSite, kSafeFacts, kFacts };

/// One crash of a storm.
struct Plan {
  Way way = Way::kDumps;
  Trap trap = Trap::kNone;
  uid_t user = 0;
  std::uint32_t site = 0;
  std::uint64_t core_limit = UINT64_MAX;
  std::uint32_t bytes = 0;  // of a request, or of memory
};

struct StormShared {
  Testimony testimony;
  std::array<Plan, 8192> plans{};  // by the crashing process
  [[nodiscard]] Plan& PlanOf(pid_t pid) { return plans[static_cast<std::size_t>(pid) % plans.size()]; }
};

/// Finds what the plan of a crash says.
class StormInspector final : public FakeInspector {
 public:
  explicit StormInspector(StormShared& shared) : shared_(shared) { has_memory = false; }
  Result<Activity> ActivityOf(const Subject& subject) override {
    return Activity{.cpu_ticks = 12, .runs = PlanOf(subject).way == Way::kWorks, .comm = "worker"};
  }
  Result<ProcessFacts> SafeFacts(const Subject& subject) override {
    if (PlanOf(subject).trap == Trap::kSafeFacts) Hang();
    Follow(PlanOf(subject));
    return FakeInspector::SafeFacts(subject);
  }
  Result<ProcessFacts> RiskyFacts(const Subject& subject, ProcessFacts safe) override {
    if (PlanOf(subject).trap == Trap::kFacts) Hang();
    return FakeInspector::RiskyFacts(subject, std::move(safe));
  }
  Result<CrashPlace> PlaceOf(const PidfdInfo& known) override {
    const Plan& plan = shared_.PlanOf(known.pid);
    if (plan.trap == Trap::kSite) Hang();
    Follow(plan);
    auto place = FakeInspector::PlaceOf(known);
    if (place) {
      place->pc.offset = plan.site;
      place->glance = GlanceAt(known);
    }
    return place;
  }
  std::optional<CrashGlance> GlanceAt(const PidfdInfo& known) override {
    const Plan& plan = shared_.PlanOf(known.pid);
    CrashGlance seen = glance;
    seen.uid = plan.user;
    seen.offset = plan.site;
    return seen;
  }

 private:
  [[nodiscard]] const Plan& PlanOf(const Subject& subject) const { return shared_.PlanOf(subject.info.pid); }
  void Follow(const Plan& plan) {
    facts.uid = plan.user;
    facts.core_limit = plan.core_limit;
  }
  [[noreturn]] static void Hang() {
    for (;;) ::poll(nullptr, 0, -1);
  }

  StormShared& shared_;
};

}  // namespace obit::testing
