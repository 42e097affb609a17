#pragma once

// For tests: a worker in a process of its own, and its manager.

#include <algorithm>
#include <atomic>
#include <csignal>
#include <optional>

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/unix_socket.h"
#include "kernel/core_pattern.h"
#include "process/descriptors.h"
#include "server/facts_record.h"
#include "server/messages.h"
#include "server/role.h"
#include "server/role_process.h"
#include "server/test_crashes.h"
#include "store/core_reader.h"
#include "store/test_support.h"

namespace obit::testing {

inline constexpr const char* kCaptured = "0123456789abcdef";

/// Memory that a worker shares with the test.
inline std::atomic<std::uint64_t>& SharedCounter() {
  static auto* const counter =
      new (::mmap(nullptr, sizeof(std::atomic<std::uint64_t>), PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0)) std::atomic<std::uint64_t>(0);
  return *counter;
}

struct Told {
  JobReport::Kind kind{};
  std::string text;
};

class WorkerTest : public ::testing::Test {
 protected:
  WorkerTest() { Start(); }

  void Start() {
    ::signal(SIGPIPE, SIG_IGN);
    SocketPair pair = *MakeSocketPair(SOCK_SEQPACKET);
    manager_ = std::move(pair.first);
    const timeval bound{kBound / 1'000'000'000, 0};
    ::setsockopt(manager_.get(), SOL_SOCKET, SO_RCVTIMEO, &bound, sizeof bound);
    WorkerSetup setup{.manager = std::move(pair.second),
                      .incoming = *Open(folder_ / "store/incoming", O_RDONLY | O_DIRECTORY),
                      .userfaults = Fd(),
                      .progress = &SharedCounter()};
    SharedCounter() = 0;
    const pid_t parent = ::getpid();
    worker_.emplace(::fork());
    if (worker_->pid() != 0) return;
    BecomeChild("obitd-capture", parent);
    KeepOnly({{&setup.manager, &setup.incoming}});
    RunWorker(std::move(setup));
  }

  void Give(const Job& job, std::string_view text, std::initializer_list<const Fd*> fds) const {
    std::vector<std::byte> bytes(sizeof job + text.size());
    std::memcpy(bytes.data(), &job, sizeof job);
    std::ranges::copy(std::as_bytes(std::span(text)), bytes.data() + sizeof job);
    std::vector<int> numbers;
    for (const Fd* fd : fds) numbers.push_back(fd->get());
    ASSERT_THAT(SendMessage(manager_, bytes, numbers), Succeeds());
  }
  [[nodiscard]] static Job CaptureOf(const char* id = kCaptured) {
    Job job{.kind = Job::Kind::kCapture, .crash = 7, .accepted = MonotonicNow()};
    SetText(job.head.id, id);
    job.head.time = RealtimeNow();
    job.head.number = 5;
    job.head.transport = static_cast<std::uint32_t>(Transport::kSocket);
    job.head.signal = 6;
    job.progress_ns = job.capture_ns = kBound;
    return job;
  }
  void GiveRecovery(std::string_view reason) const {
    Job job{.kind = Job::Kind::kRecover, .crash = 7};
    SetText(job.head.id, kCaptured);
    Give(job, reason, {});
  }
  [[nodiscard]] Told Next() const {
    const auto message = ReceiveMessage(manager_, kMessageMax, 0);
    if (!message || message->bytes.size() < sizeof(JobReport)) {
      ADD_FAILURE() << "the worker says nothing";
      return {};
    }
    JobReport report;
    std::memcpy(&report, message->bytes.data(), sizeof report);
    EXPECT_EQ(report.crash, report.kind == JobReport::Kind::kReady ? 0U : 7U);
    return {report.kind, std::string(TextOf(std::span(message->bytes).subspan(sizeof report)))};
  }
  [[nodiscard]] std::vector<std::string> Incoming() const {
    return *ListDirectory(*Open(folder_ / "store/incoming", O_RDONLY | O_DIRECTORY));
  }
  [[nodiscard]] Fd Folder() const {
    return *Open(folder_ / (std::string("store/incoming/") + kCaptured), O_RDONLY | O_DIRECTORY);
  }
  [[nodiscard]] Bytes StoredCore() const {
    CoreReader reader = *CoreReader::Open(*OpenAt(Folder(), kCoreFile, O_RDONLY));
    Bytes core(reader.size());
    EXPECT_THAT(reader.ReadAt(0, core), Succeeds());
    return core;
  }
  /// How many the worker has.
  [[nodiscard]] std::size_t Descriptors() const {
    std::size_t used = 0;
    const auto names = ListDirectory(*Open(fmt::format("/proc/{}/fd", worker_->pid()), O_RDONLY));
    for (const std::string& name : *names) used = std::max<std::size_t>(used, std::stoul(name) + 1);
    return used;
  }
  void AllowDescriptors(std::size_t count) const {
    const rlimit limit{count, count};
    ASSERT_EQ(::prlimit(worker_->pid(), RLIMIT_NOFILE, &limit, nullptr), 0);
  }
  /// The manager's end closed: the worker goes by itself.
  void End() {
    manager_.Reset();
    EXPECT_EQ(worker_->Wait(), 0);
  }

  TemporaryFolder folder_;
  Store store_ = *Store::Create(folder_ / "store");
  Fd manager_;
  std::optional<Child> worker_;
};

/// A kernel that sends all but the last MiB of a core, says so by `sent`, and goes on when it is told to.
struct HalfKernel {
  Bytes core = NoiseCore(4 << 20);
  std::size_t first = core.size() - (1 << 20);
  SocketPair go_on = *MakeSocketPair(SOCK_STREAM);
  FakeKernel kernel{[this](Fd& server) {
    (void)WriteAll(server, std::span(core).first(first));
    std::array<std::byte, 1> any{};
    (void)ReadFull(go_on.second, any);
    (void)SendCore(server, std::span(core).subspan(first));
  }};
  ~HalfKernel() { go_on.first.Reset(); }
};

}  // namespace obit::testing
