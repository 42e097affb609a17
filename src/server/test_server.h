#pragma once

// For tests: the whole server in processes of its own, and crashing processes with the kernel behind them.
// All of them are processes, as the server is forked from the test, which therefore has no thread.

#include <algorithm>
#include <csignal>
#include <deque>
#include <functional>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include <sys/prctl.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/text.h"
#include "base/unix_socket.h"
#include "catalog/list.h"
#include "kernel/pipe_handover.h"
#include "server/confine.h"
#include "server/fake_inspector.h"
#include "server/supervisor.h"
#include "server/test_crashes.h"

namespace obit::testing {

using namespace std::chrono_literals;

class ServerTest : public ::testing::Test {
 protected:
  ServerTest() {
    ::signal(SIGPIPE, SIG_IGN);
    path_ = "/dev/shm/obit-server-test.XXXXXX";
    EXPECT_NE(::mkdtemp(path_.data()), nullptr);
    inspector_.facts.core_limit = UINT64_MAX;
    inspector_.facts.uid = ::geteuid();
    inspector_.has_memory = false;
    config_.slots = 2;
    config_.loop_cores = 1'000'000;  // one program crashes again and again
    config_.loop_bytes = std::uint64_t{1} << 40;
    config_.user_crashes = config_.unit_crashes = 0;
    config_.retention = false;
    config_.journal = false;
    config_.hooks = "";
    config_.queue_timeout = 20s;  // the machine may be busy
    limits_ = [](ManagerLimits& limits) { limits.site = limits.safe = limits.risky = 10s; };
  }
  ~ServerTest() override {
    shared_->go_on = true;
    if (server_ && server_->pid() > 0) Kill();
    crashed_.clear();
    if (HasFailure())
      if (const auto log = ReadFile(path_ + "/log", 1 << 16)) std::cerr << log->text;
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  /// Forks the server. A test has no thread.
  void Start() {
    for (const char* name : {"/coredump.socket", "/pipe.socket"}) ::unlink((path_ + name).c_str());
    auto coredump = ListenUnix(path_ + "/coredump.socket", SOCK_STREAM, 64);
    auto pipe = ListenUnix(path_ + "/pipe.socket", SOCK_SEQPACKET, 64);
    ASSERT_TRUE(coredump && pipe);
    // Who is told to stop before its loop listens for that stops then.
    sigset_t words{};
    for (const int word : {SIGTERM, SIGHUP}) sigaddset(&words, word);
    ::sigprocmask(SIG_BLOCK, &words, nullptr);
    server_.emplace(::fork());
    if (server_->pid() != 0) return;
    const auto served = Serve({std::move(*coredump), std::move(*pipe)});
    if (!served) Log(Severity::kError, "{}", served.error().what);
    ::_exit(served ? 0 : 1);
  }

  /// A process that crashes: it connects as the kernel does for it, and exits when `dump` is over.
  void Crash(Dump dump) {
    Fork([this, dump = std::move(dump)] {
      auto connection = ConnectUnix(path_ + "/coredump.socket", SOCK_STREAM);
      if (!connection) return kNoAnswer;
      ::fcntl(connection->get(), F_SETFL, 0);
      ++shared_->connected;
      return dump(*connection);
    });
  }
  /// The same by obit-pipe: `dump` has the writing end of the pipe.
  void CrashByPipe(Dump dump, bool has_pidfd = true) {
    Fork([this, dump = std::move(dump), has_pidfd] {
      std::array<int, 2> ends{};
      if (::pipe2(ends.data(), O_CLOEXEC) < 0) return kNoAnswer;
      Fd write_end(ends[1]);
      {
        const Fd read_end(ends[0]);
        const auto pidfd = OpenPidfd(::getpid());
        const PipeMessage message{.pid = ::getpid(),
                                  .tid = ::getpid(),
                                  .signal = 6,
                                  .dump_mode = 1,
                                  .has_pidfd = has_pidfd ? 1U : 0U,
                                  .core_limit = UINT64_MAX};
        const std::array<int, 2> fds{read_end.get(), pidfd ? pidfd->get() : -1};
        const auto given = HandOver(path_ + "/pipe.socket", message, std::span(fds).first(has_pidfd ? 2 : 1),
                                    pipe_patience_);
        if (!pidfd || !given) return kNoAnswer;
        if (*given) ++shared_->answered;
      }
      ++shared_->connected;
      return dump(write_end);
    });
  }
  /// What the crash `index`, which was let go, was told.
  int AnswerTo(std::size_t index) {
    EXPECT_TRUE(Until([&] { return HasExited(*OpenPidfd(crashed_[index].pid())); })) << "it is still held";
    return WEXITSTATUS(crashed_[index].Wait());
  }

  [[nodiscard]] std::size_t RecordsThere() const {
    const auto store = Store::Open(path_ + "/store");
    const auto list = store ? ListCrashes(*store) : std::unexpected(store.error());
    return list ? list->crashes.size() : 0;
  }
  /// All, by number; once there are `count` of them.
  std::vector<CrashRecord> Records(std::size_t count) {
    EXPECT_TRUE(Until([&] { return RecordsThere() >= count; })) << RecordsThere() << " of " << count;
    std::vector<CrashRecord> records;
    const Store store = *Store::Open(path_ + "/store");
    const auto list = ListCrashes(store);
    for (const CrashSummary& crash : list->crashes) records.push_back(*store.Load(crash.location));
    std::ranges::sort(records, {}, &CrashRecord::number);
    return records;
  }
  /// The same, when the server has stopped since: none is to come.
  std::vector<CrashRecord> AllRecords(std::size_t count) {
    EXPECT_TRUE(Until([&] { return RecordsThere() >= count; })) << RecordsThere() << " of " << count;
    Stop();
    std::vector<CrashRecord> records = Records(count);
    EXPECT_EQ(records.size(), count);
    return records;
  }
  /// In its log.
  [[nodiscard]] bool HasSaid(std::string_view words) const {
    const auto log = ReadFile(path_ + "/log", 1 << 16);
    return log && log->text.find(words) != std::string::npos;
  }
  /// 0 before it was written.
  [[nodiscard]] double Metric(std::string_view name) const {
    const auto text = ReadFile(path_ + "/store/metrics.prom", 1 << 16);
    if (!text) return 0;
    for (const std::string_view line : Split(text->text, '\n'))
      if (line.starts_with(name) && line.substr(name.size()).starts_with(' '))
        return std::stod(std::string(line.substr(name.size())));
    return 0;
  }

  /// The server takes this configuration.
  void Configure(const Config& config) const {
    EXPECT_THAT(
        WriteFileAtomically(*Open(path_, O_RDONLY | O_DIRECTORY), kConfigFile, ConfigText(config), 0600),
        Succeeds());
    ASSERT_GT(server_->pid(), 0) << "it has stopped";  // else kill(2) takes that for everybody
    ::kill(server_->pid(), SIGHUP);
  }
  void BeginStop() const {
    ASSERT_GT(server_->pid(), 0) << "it has stopped";  // else kill(2) takes that for everybody
    ::kill(server_->pid(), SIGTERM);
  }
  void AwaitStop() {
    const Fd pidfd = *OpenPidfd(server_->pid());
    ASSERT_TRUE(Until([&] { return HasExited(pidfd); })) << "the server does not stop";
    EXPECT_EQ(server_->Wait(), 0);
  }
  void Stop() {
    BeginStop();
    AwaitStop();
  }
  /// SIGKILL for the supervisor: all others die with it.
  void Kill() {
    std::deque<Fd> others;
    for (const pid_t pid : Processes("obitd-"))
      if (auto pidfd = OpenPidfd(pid)) others.push_back(std::move(*pidfd));
    ::kill(server_->pid(), SIGKILL);
    server_->Wait();
    for (const Fd& other : others) EXPECT_TRUE(Until([&] { return HasExited(other); }));
  }
  /// Those of the server whose name begins so.
  [[nodiscard]] std::vector<pid_t> Processes(std::string_view name) const {
    std::vector<pid_t> found;
    const auto children = ReadFile(fmt::format("/proc/{0}/task/{0}/children", server_->pid()), 1 << 16);
    if (!children) return found;
    for (const std::string_view word : Split(Trim(children->text), ' ')) {
      const auto comm = ReadFile(fmt::format("/proc/{}/comm", word), 64);
      if (comm && comm->text.starts_with(name)) found.push_back(static_cast<pid_t>(*ParseUnsigned(word)));
    }
    return found;
  }
  void Signal(std::string_view name, int signal) const {
    const auto all = Processes(name);
    EXPECT_FALSE(all.empty()) << name;
    for (const pid_t pid : all) ::kill(pid, signal);
  }
  /// A worker has stored some of a core.
  [[nodiscard]] bool HasPartOfACore() const {
    std::error_code ignored;
    for (const auto& folder : std::filesystem::directory_iterator(path_ + "/store/incoming", ignored))
      if (std::filesystem::file_size(folder.path() / kCoreFile, ignored) > 0 && !ignored) return true;
    return false;
  }

  std::string path_;
  SharedMemory<Shared> memory_;
  Shared* const shared_ = memory_.get();
  // How the next server is.
  Config config_;
  std::function<void(ManagerLimits&)> limits_;
  FakeInspector inspector_;
  bool is_kernel_ = true;
  std::function<uid_t(pid_t)> user_of_ = [](pid_t) { return ::geteuid(); };  // whose a crash is
  std::uint32_t inspectors_ = 4;
  std::string analyzer_;
  std::function<void(Supervisor::Setup&)> change_ = [](Supervisor::Setup&) {};
  std::function<void()> before_crash_ = [] {};  // in the process that crashes
  std::chrono::milliseconds pipe_patience_ = kHandOverTime;

  std::optional<Child> server_;
  std::vector<Child> crashed_;

 private:
  static constexpr const char* kConfigFile = "obit.toml";

  void Fork(const std::function<int()>& life) {
    crashed_.emplace_back(::fork());
    if (crashed_.back().pid() != 0) return;
    before_crash_();
    ::_exit(life());
  }
  [[nodiscard]] PeerIdentifier Identifier() const;
  [[nodiscard]] Result<void> Serve(Listeners listeners);
  void Reload(Supervisor& supervisor) const;
};

/// Believes who connects that it is crashing.
inline PeerIdentifier ServerTest::Identifier() const {
  const auto identity = [this](Fd pidfd, pid_t pid, const Fd&) -> Result<PeerIdentity> {
    if (!is_kernel_) return Refuse(EPERM, "process {} is not dumping core", pid);
    PidfdInfo info{.pid = pid, .coredump_known = true, .coredumped = true, .dump_mode = DumpMode::kUser};
    if (pidfd) info.uid = user_of_(pid), info.signal = SIGSEGV;
    const bool named = static_cast<bool>(pidfd);
    return PeerIdentity{std::move(pidfd), info, named, info.uid};
  };
  return {.connected = [identity](const Fd& connection) -> Result<PeerIdentity> {
            const pid_t pid = OBIT_TRY(PeerCredentials(connection)).pid;
            return identity(OBIT_TRY(PeerPidfd(connection)), pid, Fd());
          },
          .piped = identity};
}

inline void ServerTest::Reload(Supervisor& supervisor) const {
  const auto text = ReadFile(path_ + "/" + kConfigFile, kConfigTextMax);
  const auto config = text ? ParseConfig(text->text, kConfigFile) : std::unexpected(text.error());
  if (config)
    supervisor.Configure(*config, text->text);
  else
    Log(Severity::kError, "{}", config.error().what);
}

/// As main.cc, without what a system needs.
inline Result<void> ServerTest::Serve(Listeners listeners) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::umask(077);
  const Fd log = OBIT_TRY(Open(path_ + "/log", O_WRONLY | O_CREAT | O_APPEND, 0600));
  ::dup2(log.get(), STDERR_FILENO);
  Supervisor::Setup setup{.listeners = std::move(listeners),
                          .identifier = Identifier(),
                          .config = config_,
                          .limits = LimitsOf(config_),
                          .inspectors = inspectors_,
                          .store = path_ + "/store",
                          .analyzer = analyzer_,
                          .ledger = OBIT_TRY(Ledger::Open(path_ + "/ledger"))};
  limits_(setup.limits);
  const Store store = OBIT_TRY(Store::Create(setup.store));
  setup.incoming = OBIT_TRY(OpenAt(store.root(), "incoming", O_RDONLY | O_DIRECTORY));
  if (!analyzer_.empty()) setup.programs.push_back(analyzer_);
  setup.lives = {.manager = RunManager,
                 .inspector =
                     [this](InspectorSetup inspector) {
                       inspector.inspector = &inspector_;
                       RunInspector(std::move(inspector));
                     },
                 .worker = RunWorker,
                 .pump = RunPump,
                 .clerk = RunClerk};
  change_(setup);
  EventLoop loop = OBIT_TRY(EventLoop::Create());
  OBIT_TRY(ConfineSupervisor());
  std::unique_ptr<Supervisor> supervisor;
  const EventSource term = OBIT_TRY(loop.OnSignal(SIGTERM, [&] { supervisor->Stop(); }));
  const EventSource hup = OBIT_TRY(loop.OnSignal(SIGHUP, [&] { Reload(*supervisor); }));
  supervisor = OBIT_TRY(Supervisor::Create(loop, std::move(setup),
                                           {.listening = [] {},
                                            .pattern = [](const std::string&) {},
                                            .stopped = [&](const Result<void>&) { loop.Stop(); }}));
  return loop.Run();
}

}  // namespace obit::testing
