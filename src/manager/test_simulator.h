#pragma once

// For tests. Included by them only.

#include <array>
#include <cstdint>
#include <cstdlib>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <string>
#include <vector>

#include "base/text.h"
#include "manager/test_referee.h"

namespace obit::testing {

/// A number by which a run is repeated, or made longer.
inline std::optional<std::uint64_t> FromEnvironment(const char* name) {
  const char* text = std::getenv(name);
  return text == nullptr ? std::nullopt : ParseUnsigned(text);
}

/// splitmix64: small, fast, and the same everywhere.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t Next() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  /// 0 to `end` - 1.
  std::int64_t Below(std::int64_t end) {
    return static_cast<std::int64_t>(Next() % static_cast<std::uint64_t>(end));
  }
  bool Chance(int percent) { return Below(100) < percent; }
  template <class T>
  T Of(std::initializer_list<T> values) {
    return values.begin()[Below(static_cast<std::int64_t>(values.size()))];
  }

 private:
  std::uint64_t state_;
};

/// A world around a manager: a kernel, users and their processes, inspectors, workers and a clerk, each of
/// which may be slow, wrong, dead, or hang where nothing kills it. Everything follows from the seed.
class Simulation {
 public:
  explicit Simulation(std::uint64_t seed, bool tells = false);
  /// Until everything is over. What was wrong; empty: nothing.
  [[nodiscard]] std::string Run();
  /// All that happened, if it is to be told.
  [[nodiscard]] const std::string& story() const { return story_; }

 private:
  enum class What : std::uint8_t {
    kArrives,
    kRequest,
    kMark,
    kConnectionLost,
    kExits,
    kSite,
    kFirstFacts,
    kFacts,
    kActivity,
    kAtDoor,
    kDoorSeen,
    kDoorLeft,
    kReady,
    kDies,
    kHandoverFails,
    kWorks,
    kReleases,
    kCopies,
    kStores,
    kFails,
    kOrderDone,
    kAbandoned,
    kKeptIsGone,
    kTracesWanted,
    kRoomTold,
    kConfigured,
    kStops,
    kPumpDies,
    kPumpReady,
    kSomebodyDies,
    kLies,
  };
  struct Happening {
    std::int64_t at = 0;
    std::uint64_t order = 0;  // of those at one time
    What what = What::kArrives;
    CrashKey crash = 0;
    Seat seat;
    std::uint64_t job = 0;  // of the seat; else it is not about that any more
    bool operator>(const Happening& other) const {
      return at != other.at ? at > other.at : order > other.order;
    }
  };
  /// How a process leaves, once it may.
  enum class Leaving : std::uint8_t { kGoes, kWorks, kWaitsForSigkill, kNever };
  struct Mood {
    bool bad = false;  // something is wrong with this crash
    Leaving leaving = Leaving::kGoes;
    std::uint64_t ticks = 0;
    int steps = 0;  // left to its worker
  };

  void Prepare();
  void Happen(const Happening& happening);
  bool StillTrue(const Happening& happening);
  [[nodiscard]] std::optional<Event> EventOf(const Happening& happening);
  [[nodiscard]] Event ALie();
  [[nodiscard]] std::vector<Rule> SomeRules();
  [[nodiscard]] std::optional<MemoryLoad> SomeMemory();
  [[nodiscard]] DiskRoom SomeRoom();
  [[nodiscard]] event::DoorSeen DoorSeen() const;
  void StandAtDoor(const Seat& keeper);
  void Tell(const Event& event);
  void Follow(const Happening& happening);

  void React(const command::AskSite& ask);
  void React(const command::AskFacts& ask);
  void React(const command::AskActivity& ask);
  void React(const command::KeepDoor& keep);
  void React(const command::TurnAway& turn);
  void React(const command::LookAtDoor& look);
  void React(const command::LeaveDoor& leave);
  void React(const command::Answer& answer);
  void React(const command::Release& release);
  void React(const command::KillProcess& kill);
  void React(const command::StartCapture& start);
  void React(const command::StartRecovery& start);
  void React(const command::Record& record) { Order(record.crash); }
  void React(const command::Commit& commit) { Order(commit.crash); }
  void React(const command::KeepWithoutCore& keep) { Order(keep.crash); }
  void React(const command::Kill& kill);
  void React(const command::LeaveBehind& leave);
  template <class Other>
  void React(const Other&) {}

  void Order(CrashKey crash);
  void LetGo(CrashKey crash);
  [[nodiscard]] bool HandoverFails(const Seat& seat, CrashKey crash);
  void WorkOn(const Seat& seat, CrashKey crash);
  void Replace(const Seat& seat);
  void CalmDown();
  void Probe();

  static constexpr std::int64_t kAtOnce = 0;  ///< a time before all that happens by itself
  void At(std::int64_t delay, What what, CrashKey crash = 0, const Seat& seat = {});
  [[nodiscard]] bool Bad(CrashKey crash, int percent);
  [[nodiscard]] std::int64_t Soon() { return random_.Below(3'000'000); }
  /// INT64_MAX: never.
  [[nodiscard]] std::int64_t Whenever();
  [[nodiscard]] std::int64_t Delay(bool bad) { return bad ? Whenever() : Soon(); }

  Random random_;
  bool crowded_ = false;  // by one user's crashes
  bool loops_ = false;    // all crashes are of one program
  bool short_ = false;    // of room on the disk, or of memory, again and again
  bool tells_ = false, fair_ = false, stops_ = false, manager_stopping_ = false, calm_ = false;
  int trouble_ = 0, inspector_trouble_ = 0, worker_trouble_ = 0, clerk_trouble_ = 0, jumps_ = 0;
  Manager::Setup setup_;
  std::unique_ptr<Referee> referee_;
  std::unique_ptr<Manager> manager_;
  std::priority_queue<Happening, std::vector<Happening>, std::greater<>> happenings_;
  std::map<CrashKey, Mood> moods_;
  struct DoorPlace {
    std::int64_t until = 0;
    std::uint64_t crashes = 0;
  };
  std::array<DoorPlace, kDoorPlaces> door_;
  std::optional<Seat> keeper_;
  bool keeper_moves_ = true, keeper_stays_ = false;
  std::int64_t now_ = 1'000'000'000;
  CrashKey last_crash_ = 0;
  std::uint64_t told_ = 0;
  std::string story_;
};

}  // namespace obit::testing
