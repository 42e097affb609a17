// Each system call from the connection of a crash to its record, failed once. A run without faults counts the
// calls of each process; then each of them fails with each error that it can have, once, while a server takes
// a crash. Some of these faults are tried, by a seed (OBIT_SEED); with OBIT_FAULTS=all, all of them.

#include <csignal>

#include "server/test_fault_server.h"

// A sanitizer makes system calls of its own, and bears no failure.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

namespace obit {
namespace {

using namespace std::chrono_literals;
using testing::Dumping;
using testing::DumpNothing;
using testing::Fault;
using testing::FaultRole;
using testing::kShortCount;
using testing::NoiseCore;
using testing::Until;

/// After these nothing is missing that cannot be had again.
bool IsInterruption(const Fault& fault) { return fault.error == EINTR || fault.error == kShortCount; }

class ServerFaultTest : public testing::ServerFaultTest {
 protected:
  /// Two frames, of which one is stored when all workers are killed.
  void CrashWhoseWorkerDies() {
    shared_->go_on = false;
    const int sent = shared_->sent_part;
    Crash(Dumping(core_, {}, shared_));
    const Fd process = *OpenPidfd(crashed_.back().pid());
    EXPECT_TRUE(Until([&] { return shared_->sent_part > sent || HasExited(process); }));
    for (int i = 0; i < 100 && !HasFrame(); ++i) ::poll(nullptr, 0, 1);
    stored_ = HasFrame() ? kFrameBytes : 0;
    for (const pid_t worker : Processes("obitd-capture")) ::kill(worker, SIGKILL);
    shared_->go_on = true;
  }
  /// A frame of the crash that is there is stored: noise, which does not get shorter, behind a page of
  /// headers.
  [[nodiscard]] bool HasFrame() const {
    constexpr std::size_t kHeaders = 2 * 4096;
    std::error_code ignored;
    for (const auto& folder : std::filesystem::directory_iterator(path_ + "/store/incoming", ignored)) {
      const auto stored = std::filesystem::file_size(folder.path() / kCoreFile, ignored);
      if (!ignored && stored > kFrameBytes - kHeaders) return true;
    }
    return false;
  }
  void CrashOfAPipe() {
    CrashByPipe([this](Fd& pipe) { return WriteAll(pipe, core_) ? 0 : testing::kNoAnswer; });
  }
  void CrashWhoseClerkDies() {
    for (const pid_t clerk : Processes("obitd-clerk")) ::kill(clerk, SIGKILL);
    plain_();
  }
};

TEST_F(ServerFaultTest, AWorker) {
  const auto has_the_core_only_once = [](const Fault& fault) {
    return fault.call == SYS_read || fault.call == SYS_recvmsg;
  };
  TryAll(
      FaultRole::kWorker, [](const Fault& fault) { return !IsInterruption(fault); }, plain_,
      has_the_core_only_once);
}

TEST_F(ServerFaultTest, AWorkerThatIsInterrupted) {
  TryAll(FaultRole::kWorker, IsInterruption, plain_, Never);
}

TEST_F(ServerFaultTest, AWorkerThatRecovers) {
  core_ = NoiseCore(700'000);
  TryAll(FaultRole::kWorker, [this] { CrashWhoseWorkerDies(); }, Always);
}

TEST_F(ServerFaultTest, TheClerk) { TryAll(FaultRole::kClerk, plain_); }

TEST_F(ServerFaultTest, TheNextClerk) {
  sampled_ = 5;  // it may take seconds until it looks for what the one before had
  TryAll(FaultRole::kClerk, [this] { CrashWhoseClerkDies(); });
}

TEST_F(ServerFaultTest, TheClerkWithoutACore) {
  inspector_.facts.core_limit = 0;
  full_ = CrashOutcome::kEvent;
  plain_ = [this] { Crash(DumpNothing); };
  TryAll(FaultRole::kClerk, plain_);
}

TEST_F(ServerFaultTest, TheManager) { TryAll(FaultRole::kManager, plain_, Always); }

TEST_F(ServerFaultTest, TheManagerThatLosesAWorker) {
  core_ = NoiseCore(700'000);
  TryAll(FaultRole::kManager, [this] { CrashWhoseWorkerDies(); }, Always);
}

TEST_F(ServerFaultTest, TheManagerOfAPipe) {
  const auto is_no_word_to_another = [](const Fault& fault) { return fault.call != SYS_sendmsg; };
  TryAll(
      FaultRole::kManager, [](const Fault&) { return true; }, [this] { CrashOfAPipe(); },
      is_no_word_to_another);
}

TEST_F(ServerFaultTest, AnInspector) { TryAll(FaultRole::kInspector, plain_); }

TEST_F(ServerFaultTest, APump) {
  TryAll(FaultRole::kPump, [this] { CrashOfAPipe(); }, Always);
}

TEST_F(ServerFaultTest, TheSupervisor) {
  core_ = NoiseCore(700'000);
  TryAll(FaultRole::kSupervisor, [this] { CrashWhoseWorkerDies(); }, Always);
}

}  // namespace
}  // namespace obit

#endif
