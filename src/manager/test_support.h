#pragma once

// For tests. Included by them only.

#include <array>
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "manager/manager.h"

namespace obit::testing {

/// "worker 0", "worker 0.2" of the second generation.
inline std::string TextOf(const Seat& seat) {
  std::string text = fmt::format("{} {}", NameOf(seat.role), seat.index);
  if (seat.generation > 1) text += fmt::format(".{}", seat.generation);
  return text;
}

/// "SeatLost worker 0", "MarkRead 1".
inline std::string TextOf(const Event& event) {
  static constexpr std::array<const char*, std::variant_size_v<Event>> kNames{
      "Arrived",      "RequestRead",  "MarkRead",       "ConnectionLost",  "ProcessExited",
      "SiteFound",    "FactsFound",   "ActivityFound",  "DoorSeen",        "DoorLeft",
      "SeatReady",    "SeatLost",     "HandoverFailed", "CaptureReleased", "MemoryCopied",
      "LetGo",        "CaptureEnded", "OrderDone",      "Abandoned",       "KeptIsGone",
      "TracesWanted", "RoomTold",     "Configured",     "Stopping",        "Tick"};
  std::string text = kNames.at(event.index());
  std::visit(
      [&](const auto& kind) {
        if constexpr (requires { kind.crash; }) text += fmt::format(" {}", kind.crash);
        if constexpr (requires { kind.seat; }) text += " " + TextOf(kind.seat);
      },
      event);
  return text;
}

/// Commands as lines that tests compare: "StartCapture 1 worker 0".
struct TextOfCommand {
  std::string operator()(const command::AskSite& c) const { return About("AskSite", c.crash, c.seat); }
  std::string operator()(const command::AskFacts& c) const {
    return About(c.only_safe ? "AskSafeFacts" : "AskFacts", c.crash, c.seat) +
           (c.for_core ? "" : " of an event") + (c.if_unwanted < Detail::kEvent ? " even if unwanted" : "") +
           (c.for_trace ? " with a trace" : "");
  }
  std::string operator()(const command::AskActivity& c) const {
    return About("AskActivity", c.crash, c.seat);
  }
  std::string operator()(const command::Answer& c) const {
    return fmt::format("Answer {} {}", c.crash, NameOf(c.detail));
  }
  std::string operator()(const command::Release& c) const { return fmt::format("Release {}", c.crash); }
  std::string operator()(const command::KillProcess& c) const {
    return fmt::format("KillProcess {}", c.crash);
  }
  std::string operator()(const command::StartCapture& c) const {
    return About("StartCapture", c.crash, c.seat) + (c.detail == Detail::kMinimal ? " minimal" : "") +
           (c.detail == Detail::kEvent ? " for a trace" : "") +
           (c.core_max != UINT64_MAX ? fmt::format(" core_max {}", c.core_max) : "") +
           (c.direct ? "" : " by stream") + (c.verify ? " verify" : "") +
           (c.lowered ? fmt::format(" for {}", NameOf(c.lowered.what)) : "");
  }
  std::string operator()(const command::StartRecovery& c) const {
    return fmt::format("{} {}: {}", About("StartRecovery", c.crash, c.seat), c.id, c.reason);
  }
  std::string operator()(const command::Record& c) const {
    return fmt::format("Record {} {}: {}", c.crash, NameOf(c.outcome), c.reason);
  }
  std::string operator()(const command::Commit& c) const { return fmt::format("Commit {}", c.crash); }
  std::string operator()(const command::KeepWithoutCore& c) const {
    return fmt::format("KeepWithoutCore {}: {}", c.crash, c.reason);
  }
  std::string operator()(const command::Count& c) const {
    return fmt::format("Count {}{}", c.crash,
                       c.cause == CountCause::kLoop     ? " repeat"
                       : c.cause == CountCause::kBudget ? " over budget"
                       : c.cause == CountCause::kDisk   ? " without room"
                                                        : "");
  }
  std::string operator()(const command::NoteRepeats& c) const {
    return fmt::format("NoteRepeats {}", c.crash);
  }
  std::string operator()(const command::KeepDoor& c) const { return "KeepDoor " + TextOf(c.seat); }
  std::string operator()(const command::TurnAway& c) const {
    return fmt::format("TurnAway {} at {}", c.glance, c.place);
  }
  std::string operator()(const command::LookAtDoor&) const { return "LookAtDoor"; }
  std::string operator()(const command::LeaveDoor& c) const { return "LeaveDoor " + TextOf(c.seat); }
  std::string operator()(const command::Kill& c) const { return "Kill " + TextOf(c.seat); }
  std::string operator()(const command::LeaveBehind& c) const { return "LeaveBehind " + TextOf(c.seat); }
  std::string operator()(const command::Forget& c) const {
    return fmt::format("Forget {}{}", c.crash, c.left ? " left" : "");
  }
  std::string operator()(const command::HoldJobs& c) const { return c.held ? "HoldJobs" : "LetJobsGo"; }
  std::string operator()(const command::Say& c) const { return "Say " + c.text; }
  std::string operator()(const command::Stopped&) const { return "Stopped"; }

 private:
  static std::string About(const char* what, CrashKey crash, const Seat& seat) {
    return fmt::format("{} {} {}", what, crash, TextOf(seat));
  }
};

/// A manager, and the shortest ways to tell it what happens.
class ManagerTest : public ::testing::Test {
 protected:
  using Lines = std::vector<std::string>;

  /// Facts are asked for at once.
  ManagerTest() {
    setup_.config.loop_cores = 0;
    setup_.config.unit_crashes = 0;
    setup_.config.unit_bytes = 0;
  }

  /// With all seats ready.
  void Start() {
    MakeManager();
    for (std::uint32_t i = 0; i < setup_.inspectors; ++i) (void)On(event::SeatReady{Inspector(i)});
    for (std::uint32_t i = 0; i < setup_.workers; ++i) (void)On(event::SeatReady{Worker(i)});
  }
  void MakeManager() {
    manager_ = std::make_unique<Manager>(setup_, [this](const Seat& seat) { return progress_[seat]; });
  }

  static Seat Inspector(std::uint32_t index, std::uint32_t generation = 1) {
    return {Role::kInspector, index, generation};
  }
  static Seat Worker(std::uint32_t index, std::uint32_t generation = 1) {
    return {Role::kWorker, index, generation};
  }

  Lines On(const Event& event) {
    Lines lines;
    for (const Command& command : manager_->On(event, now_))
      lines.push_back(std::visit(TextOfCommand{}, command));
    return lines;
  }
  /// Lets time pass, with a Tick at each deadline.
  Lines After(std::chrono::nanoseconds time) {
    Lines lines;
    const std::int64_t end = now_ + time.count();
    for (bool more = true; more;) {
      more = manager_->NextDeadline() <= end;
      now_ = more ? manager_->NextDeadline() : end;
      for (std::string& line : On(event::Tick{})) lines.push_back(std::move(line));
    }
    return lines;
  }

  /// Time in which all workers get on by so many bytes a second.
  Lines Work(std::chrono::seconds time, std::uint64_t rate = std::uint64_t{1} << 30) {
    Lines lines;
    for (std::chrono::seconds passed{0}; passed < time; ++passed) {
      for (std::uint32_t i = 0; i < setup_.workers; ++i) progress_[Worker(i)] += rate;
      for (std::string& line : After(std::chrono::seconds(1))) lines.push_back(std::move(line));
    }
    return lines;
  }

  Lines Arrives(CrashKey crash, std::optional<uid_t> uid = 1000,
                Transport transport = Transport::kSocketRequest) {
    event::Arrived arrived{.crash = crash, .id = fmt::format("crash{}", crash), .transport = transport};
    arrived.peer.pid = 100;
    arrived.user = uid;
    return On(arrived);
  }
  Lines Requests(CrashKey crash) { return On(event::RequestRead{crash, CoredumpRequest{16, 16, 15}}); }
  Lines Facts(CrashKey crash, std::uint32_t inspector = 0, std::optional<std::uint64_t> core_limit = {}) {
    return On(event::FactsFound{crash, Inspector(inspector), true, core_limit});
  }
  /// A crash that waits for a worker, or has one; inspector 0 is free.
  Lines Comes(CrashKey crash, std::optional<uid_t> uid = 1000) {
    (void)Arrives(crash, uid);
    (void)Requests(crash);
    return Facts(crash);
  }
  Lines Ends(CrashKey crash, std::uint32_t worker = 0) {
    return On(event::CaptureEnded{crash, Worker(worker), true});
  }

  const ManagerLimits& limits() const { return setup_.limits; }

  Manager::Setup setup_;
  std::map<Seat, std::uint64_t> progress_;
  std::unique_ptr<Manager> manager_;
  std::int64_t now_ = 1'000'000'000;
};

}  // namespace obit::testing
