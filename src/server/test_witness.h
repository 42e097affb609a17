#pragma once

// For tests: who sits in the manager's process and holds its core against the rules, and against itself.

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "manager/patient_clock.h"
#include "manager/test_referee.h"
#include "manager/test_support.h"
#include "server/manager_witness.h"

namespace obit::testing {

/// What witnesses tell the test, in memory that all share: the manager may open and write no file.
struct Testimony {
  std::atomic<unsigned> managers{0};  // that have, or had, a witness
  std::atomic<unsigned> stopped{0};   // of them, those that stopped in order, and were right to the end
  std::atomic<std::uint64_t> events{0};
  std::atomic<std::int64_t> late{0};  // ns, all together
  std::array<std::atomic<std::uint64_t>, std::variant_size_v<Command>> commands{};
  std::atomic<bool> complains{false}, wrong{false};
  std::array<char, 1 << 16> story{};  // once `wrong`: the first complaint, and how it came to that

  [[nodiscard]] std::uint64_t CountOf(const Command& kind) const { return commands.at(kind.index()); }
};

/// Lets the referee of the simulation judge a manager of a real server. When no crash is open any more, all
/// that this manager's core was told is told to another one, which has to say the same.
///
/// The simulated world knows when a worker makes progress, this one when the manager looks: the referee is
/// then as patient as the manager. And here managers are called later than they asked for: so much too late,
/// all together, everything may be.
class RefereeWitness final : public ManagerWitness {
 public:
  RefereeWitness(Manager::Setup setup, Testimony& testimony)
      : setup_(std::move(setup)), referee_(setup_), testimony_(testimony) {
    ++testimony_.managers;
  }

  void Hear(const Event& event, std::int64_t now) override {
    if (const std::int64_t late = now - due_; now > due_) {
      referee_.Late(late > PatientClock::kLate ? late + PatientClock::kLate : late);
      testimony_.late += late;
    }
    ++testimony_.events;
    heard_.push_back({.event = event, .now = now});
    referee_.See(event, now);
  }

  void HearProgress(const Seat& seat, std::uint64_t progress) override {
    heard_.back().progress.emplace_back(seat, progress);
    const auto [known, first] = progress_.emplace(seat, progress);
    const bool moved = std::exchange(known->second, progress) != progress;
    SimulatedSitter* sitter = referee_.Find(seat);
    if (!first && moved && sitter != nullptr) referee_.Progress(*sitter, heard_.back().now);
  }

  void Hear(const std::vector<Command>& commands, const Manager& manager) override {
    Said& said = heard_.back().said;
    said = SaidBy(commands, manager);
    bool stopped = false;
    for (const Command& command : commands) {
      ++testimony_.commands.at(command.index());
      stopped = stopped || std::holds_alternative<command::Stopped>(command);
      referee_.Judge(command);
    }
    referee_.JudgeState(manager);
    due_ = manager.NextDeadline();
    if (stopped || other_ != nullptr) Replay();
    if (stopped) {
      referee_.JudgeCrashes(*other_);  // nobody has taken its counts
      testimony_.stopped += referee_.wrong().empty() ? 1 : 0;
    }
    if (!referee_.wrong().empty()) Complain();
  }

 private:
  /// What is to be seen of a core after an event.
  struct Said {
    std::vector<std::string> commands;
    std::string state;
    bool operator==(const Said&) const = default;
  };
  struct Heard {
    Event event;
    std::int64_t now = 0;
    std::vector<std::pair<Seat, std::uint64_t>> progress;
    Said said;
  };

  /// All of them, where TextOfCommand leaves out what tests of the core need not read.
  static Said SaidBy(const std::vector<Command>& commands, const Manager& manager) {
    Said said;
    for (const Command& command : commands) {
      std::string text = std::visit(TextOfCommand{}, command);
      if (const auto* record = std::get_if<command::Record>(&command))
        text += fmt::format(" ({})", NameOf(record->detail));
      if (const auto* line = std::get_if<command::Say>(&command))
        text += fmt::format(" ({})", line->severity);
      said.commands.push_back(std::move(text));
    }
    const Manager::Load load = manager.load();
    said.state = fmt::format("open {} queued {} captures {} left {} until {}", load.open, load.queued,
                             load.captures, load.left_behind, manager.NextDeadline());
    return said;
  }

  /// From where it ended the last time.
  void Replay() {
    if (other_ == nullptr)
      other_ = std::make_unique<Manager>(setup_, [this](const Seat& seat) {
        const auto& progress = heard_[replayed_].progress;
        if (asked_ < progress.size() && progress[asked_].first == seat) return progress[asked_++].second;
        referee_.Wrong(fmt::format("told the same again, it asks about {}", TextOf(seat)));
        return std::uint64_t{0};
      });
    for (; replayed_ < heard_.size() && referee_.wrong().empty(); ++replayed_) {
      const Heard& heard = heard_[replayed_];
      asked_ = 0;
      const Said said = SaidBy(other_->On(heard.event, heard.now), *other_);
      if (said != heard.said || asked_ != heard.progress.size())
        referee_.Wrong(fmt::format("told the same again, it says\n{}", Lines(said)));
    }
  }

  static std::string Lines(const Said& said) {
    std::string lines;
    for (const std::string& command : said.commands) lines += fmt::format("            -> {}\n", command);
    return lines + fmt::format("            {}\n", said.state);
  }

  /// With all that concerns its crash, and the last of the others.
  void Complain() {
    if (testimony_.complains.exchange(true)) return;
    constexpr std::size_t kLast = 30;
    const std::string& wrong = referee_.wrong();
    const std::string crash = wrong.starts_with("crash ") ? wrong.substr(5, wrong.find(':') - 5) : "";
    const auto concerns = [&](std::string_view text) {
      return crash.size() > 1 && std::ranges::any_of(std::string_view(" \n:"), [&](char end) {
               return text.find(crash + end) != std::string_view::npos;
             });
    };
    std::string story = fmt::format("{}, with {} ms too late\n", wrong, testimony_.late / 1'000'000);
    const std::size_t end = other_ != nullptr ? replayed_ : heard_.size();
    for (std::size_t i = 0; i < end; ++i) {
      const Heard& heard = heard_[i];
      const std::string text = fmt::format("{:.6f} {}\n{}", static_cast<double>(heard.now) / 1e9,
                                           TextOf(heard.event), Lines(heard.said));
      if (i + kLast >= end || concerns(text)) story += text;
    }
    story.copy(testimony_.story.data(), testimony_.story.size() - 1);
    testimony_.wrong = true;
  }

  const Manager::Setup setup_;
  Referee referee_;
  Testimony& testimony_;
  std::vector<Heard> heard_;
  std::map<Seat, std::uint64_t> progress_;
  std::int64_t due_ = INT64_MAX;
  std::unique_ptr<Manager> other_;
  std::size_t replayed_ = 0, asked_ = 0;
};

}  // namespace obit::testing
