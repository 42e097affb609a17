#pragma once

// For tests: a server that takes crashes while one of its system calls fails, and what may come of that.

#include <filesystem>
#include <functional>
#include <iostream>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "manager/test_simulator.h"
#include "server/test_fault.h"
#include "server/test_server.h"
#include "store/recover.h"

namespace obit::testing {

class ServerFaultTest : public ServerTest {
 protected:
  using MakeCrash = std::function<void()>;
  using Judge = std::function<bool(const Fault&)>;
  static bool Never(const Fault&) { return false; }
  static bool Always(const Fault&) { return true; }

  ServerFaultTest() {
    constexpr uid_t kUser = 1000;  // crashes are for their user, too: that takes an ACL
    user_of_ = [](pid_t) { return kUser; };
    inspector_.facts.uid = kUser;
    inspectors_ = 2;
    change_ = [this](Supervisor::Setup& setup) {
      setup.times.seats.first_pause = setup.times.seats.longest_pause = 1ms;
      faults_.WatchThisProcess();
    };
  }
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root, to read and write in the place of others";
  }

  /// Tries faults of a role, each while the server takes `crash`. `wanted`: which of those that there can be.
  /// Only those that `may_cost` may leave less of the crash than its whole core.
  void TryAll(FaultRole role, const Judge& wanted, const MakeCrash& crash, const Judge& may_cost);
  void TryAll(FaultRole role, const MakeCrash& crash, const Judge& may_cost = Never) {
    TryAll(role, Always, crash, may_cost);
  }

  std::vector<std::byte> core_ = NoiseCore(300'000);
  /// So much of the core of the last crash was stored, bytes: a record has it, whatever failed.
  std::size_t stored_ = 0;
  /// Faults of a test that does not try all.
  std::size_t sampled_ = 16;
  /// What comes of a crash without a fault.
  CrashOutcome full_ = CrashOutcome::kFull;
  MakeCrash plain_ = [this] { Crash(Dumping(core_)); };

 private:
  static constexpr std::size_t kOfAServer = 25;  // faults, before it is stopped

  void Try(const Fault& fault, const MakeCrash& crash, bool may_cost);
  std::optional<CrashRecord> Await(std::size_t log, bool& lost);
  void Settle();
  void StopAndLook();
  [[nodiscard]] std::vector<Fault> Sampled(std::vector<Fault> faults) const;
  [[nodiscard]] std::set<std::string> Committed() const;
  [[nodiscard]] std::optional<CrashRecord> RecordOf(pid_t pid);
  void JudgeCore(const CrashRecord& record) const;
  [[nodiscard]] std::string LogSince(std::size_t begin) const;
  [[nodiscard]] bool AreAllThere() const;
  [[nodiscard]] bool IsIncomingPrepared(bool exactly = false) const;

  FaultInjector faults_;
  std::set<std::string> known_;  // crashes that were looked at
  std::size_t met_ = 0, less_ = 0, lost_ = 0;
};

inline std::set<std::string> ServerFaultTest::Committed() const {
  std::set<std::string> ids;
  std::error_code ignored;
  for (const auto& day : std::filesystem::directory_iterator(path_ + "/store/crashes", ignored))
    for (const auto& crash : std::filesystem::directory_iterator(day.path(), ignored))
      ids.insert(day.path().filename() / crash.path().filename());
  return ids;
}

inline std::string ServerFaultTest::LogSince(std::size_t begin) const {
  const auto log = ReadFile(path_ + "/log", 1 << 24);
  return log && log->text.size() > begin ? log->text.substr(begin) : std::string();
}

inline bool ServerFaultTest::AreAllThere() const {
  return Processes("obitd-manager").size() == 1 && Processes("obitd-clerk").size() == 1 &&
         Processes("obitd-inspect").size() == inspectors_ &&
         Processes("obitd-capture").size() == config_.slots &&
         Processes("obitd-pump").size() == config_.slots;
}

/// It has what workers have prepared, and nothing else. A worker that was killed leaves such a folder, too,
/// or the half of one.
inline bool ServerFaultTest::IsIncomingPrepared(bool exactly) const {
  std::error_code ignored;
  std::size_t prepared = 0;
  for (const auto& folder : std::filesystem::directory_iterator(path_ + "/store/incoming", ignored)) {
    for (const char* name : {kBegunFile, kCoreFile, kRecordFile})
      if (std::filesystem::file_size(folder.path() / name, ignored) > 0 && !ignored) return false;
    ++prepared;
  }
  return exactly ? prepared == config_.slots : prepared >= config_.slots;
}

/// All are there, and have nothing to do.
inline void ServerFaultTest::Settle() {
  std::uint64_t seen = 0;
  bool settled = false;  // once is enough
  ASSERT_TRUE(Until([&] {
    if (settled) return true;
    if (!AreAllThere() || !IsIncomingPrepared() || !ReadFile(path_ + "/store/metrics.prom", 1 << 16))
      return false;
    settled = faults_.seen() == seen;
    seen = faults_.seen();
    if (!settled) ::poll(nullptr, 0, 10);
    return settled;
  })) << "not all processes are there, or incoming/ has more than prepared folders";
}

inline std::optional<CrashRecord> ServerFaultTest::RecordOf(pid_t pid) {
  for (const std::string& id : Committed()) {
    if (known_.contains(id)) continue;
    const auto slash = id.find('/');
    const auto record = Store::Open(path_ + "/store")->Load({id.substr(0, slash), id.substr(slash + 1)});
    if (!record) continue;
    known_.insert(id);
    if (record->process.pid == pid) return *record;
  }
  return std::nullopt;
}

/// What is stored is what was dumped, as far as it goes.
inline void ServerFaultTest::JudgeCore(const CrashRecord& record) const {
  const Store store = *Store::Open(path_ + "/store");
  auto file = store.OpenFile({FormatDay(record.time), record.id}, kCoreFile);
  ASSERT_THAT(file, Succeeds());
  auto opened = OpenStoredCore(std::move(*file));
  ASSERT_THAT(opened, Succeeds());
  std::vector<std::byte> stored(opened->reader.size());
  ASSERT_THAT(opened->reader.ReadAt(0, stored), Succeeds());
  ASSERT_LE(stored.size(), core_.size());
  EXPECT_TRUE(record.capture.outcome != CrashOutcome::kFull || stored.size() == core_.size());
  EXPECT_TRUE(std::ranges::equal(stored, std::span(core_).first(stored.size())));
}

/// The crash that was made last goes free, and has a record, or is `lost`.
inline std::optional<CrashRecord> ServerFaultTest::Await(std::size_t log, bool& lost) {
  const pid_t pid = crashed_.back().pid();
  const Fd process = *OpenPidfd(pid);
  EXPECT_TRUE(Until([&] { return HasExited(process); })) << "it is still held";
  crashed_.clear();
  std::optional<CrashRecord> record;
  EXPECT_TRUE(Until([&] {
    if (!record) record = RecordOf(pid);
    lost = !record && LogSince(log).find("not recorded") != std::string::npos;
    return record || lost;
  })) << "it has no record, and nobody says so";
  if (record && !record->files.core.empty()) JudgeCore(*record);
  EXPECT_GE(record ? record->capture.core_bytes : 0, std::exchange(stored_, 0))
      << "what was stored is gone: " << (record ? record->capture.reason : "no record");
  return record;
}

inline void ServerFaultTest::Try(const Fault& fault, const MakeCrash& crash, bool may_cost) {
  SCOPED_TRACE(Describe(fault));
  const std::size_t log = LogSince(0).size();
  bool lost = false;
  faults_.Arm(fault);
  crash();
  auto record = Await(log, lost);
  Settle();
  faults_.Disarm();
  met_ += faults_.hit() ? 1 : 0;
  lost_ += lost ? 1 : 0;
  EXPECT_TRUE(!lost || may_cost) << "it is lost";
  if (record && record->capture.outcome != full_) {
    ++less_;
    EXPECT_FALSE(record->capture.reason.empty()) << record->id;
    EXPECT_TRUE(may_cost) << record->capture.reason;
  }
  // The next one has nothing to suffer from.
  plain_();
  record = Await(LogSince(0).size(), lost);
  EXPECT_TRUE(record && record->capture.outcome == full_) << (record ? record->capture.reason : "no record");
  if (HasFailure()) std::cerr << Describe(fault) << ":\n" << LogSince(log);
}

/// The next start leaves nothing behind, and nothing is missing.
inline void ServerFaultTest::StopAndLook() {
  Stop();
  Start();
  Settle();
  EXPECT_TRUE(Until([&] { return IsIncomingPrepared(/*exactly=*/true); })) << "something is left over";
  Stop();
  EXPECT_EQ(Committed(), known_);
  EXPECT_EQ(RecordsThere(), known_.size()) << "in the index";
}

inline std::vector<Fault> ServerFaultTest::Sampled(std::vector<Fault> faults) const {
  const char* how_many = std::getenv("OBIT_FAULTS");
  if (how_many != nullptr && std::string_view(how_many) == "all") return faults;
  Random random(FromEnvironment("OBIT_SEED").value_or(1));
  const std::size_t all = faults.size(), sampled = std::min(sampled_, all);
  for (std::size_t i = 0; i < sampled; ++i)
    std::swap(faults[i],
              faults[i + static_cast<std::size_t>(random.Below(static_cast<std::int64_t>(all - i)))]);
  faults.resize(sampled);
  return faults;
}

inline void ServerFaultTest::TryAll(FaultRole role, const Judge& wanted, const MakeCrash& crash,
                                    const Judge& may_cost) {
  const std::int64_t begin = MonotonicNow();
  bool lost = false;
  Start();
  Settle();
  faults_.Count();
  crash();
  (void)Await(0, lost);
  Settle();
  std::vector<Fault> faults = faults_.FaultsOf(role);
  std::erase_if(faults, [&](const Fault& fault) { return !wanted(fault); });
  const std::size_t all = faults.size();
  ASSERT_GT(all, 0U);
  faults = Sampled(std::move(faults));
  for (std::size_t i = 0; i < faults.size() && !HasFailure(); ++i) {
    if (i % kOfAServer == kOfAServer - 1) {
      StopAndLook();
      Start();
    }
    Settle();
    Try(faults[i], crash, may_cost(faults[i]));
  }
  StopAndLook();
  std::cout << fmt::format(
      "{} of {} faults of {}, {} of them met; {} crashes with less than their core, {} lost; {:.1f} s\n",
      faults.size(), all, NameOf(role), met_, less_, lost_,
      static_cast<double>(MonotonicNow() - begin) / 1e9);
}

}  // namespace obit::testing
