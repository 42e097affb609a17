#include "capture/direct.h"

#include <cstring>
#include <optional>

#include <sys/mman.h>

#include "base/clock.h"
#include "base/io.h"
#include "capture/capture.h"
#include "capture/fake_kernel.h"
#include "capture/verify.h"
#include "store/core_reader.h"
#include "store/test_support.h"

namespace obit {
namespace {

using testing::Bytes;
using testing::FailsWith;
using testing::MemoryFile;
using testing::Noise;
using testing::Succeeds;

constexpr std::size_t kSize = 4 << 20;

/// A process that stands still with kSize bytes of noise, like one that dumps core.
class Parked {
 public:
  Parked() : content_(Noise(kSize, 31)) {
    void* memory = ::mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT_EQ(::madvise(memory, kSize, MADV_NOHUGEPAGE), 0);
    // Never touched: a quarter, and of the rest every fifth page, gaps within a frame.
    std::ranges::fill(std::span(content_).subspan(kSize / 4, kSize / 4), std::byte{0});
    for (std::size_t page = 0; page < kSize; page += 4096) {
      const auto content = std::span(content_).subspan(page, 4096);
      if (page / 4096 % 5 == 0) std::ranges::fill(content, std::byte{0});
      if (content[0] != std::byte{0} || content[1] != std::byte{0})
        std::memcpy(static_cast<char*>(memory) + page, content.data(), content.size());
    }
    address_ = reinterpret_cast<std::uintptr_t>(memory);
    process_.emplace(::fork());
    if (process_->pid() == 0)
      for (;;) ::pause();
    ::munmap(memory, kSize);
  }
  Parked(Parked&&) = delete;
  void End() {
    ::kill(process_->pid(), SIGKILL);
    process_->Wait();
  }
  [[nodiscard]] ProcessMemory Open() const {
    const Fd dir = *obit::Open(fmt::format("/proc/{}", process_->pid()), O_RDONLY | O_DIRECTORY);
    return *OpenProcessMemory(dir);
  }
  [[nodiscard]] std::uint64_t address() const { return address_; }
  [[nodiscard]] const Bytes& content() const { return content_; }

 private:
  Bytes content_;
  std::uint64_t address_ = 0;
  std::optional<testing::Child> process_;
};

/// The core that a kernel would send of it, its memory being `memory`.
Bytes CoreOf(const Parked& process, const Bytes& memory) {
  CoreBuilder builder(EM_X86_64);
  builder.AddNote("CORE", NT_PRSTATUS, Bytes(336));
  builder.AddSegment(process.address(), PF_R | PF_W, memory, kSize);
  return builder.Build();
}

/// A direct capture of `process`, while the kernel sends `sent`.
class Captured {
 public:
  Captured(const ProcessMemory& memory, const Bytes& sent, std::uint64_t max = UINT64_MAX)
      : kernel_([sent](Fd& server) {
          if (SendCore(server, sent)) AwaitRelease(server);
        }),
        connection_(kernel_.TakeServer()),
        stream_(connection_, {}, progress_),
        direct_(memory, head_, stream_, writer_, progress_, max) {
    EXPECT_THAT(stream_.ReadHead(head_, writer_, max), Succeeds());
    EXPECT_THAT(direct_.Plan(), Succeeds());
  }
  Captured(Captured&&) = delete;
  ~Captured() { connection_.Reset(); }

  Result<void> Run() { return direct_.Run(); }
  /// What is stored then.
  Bytes Finish() {
    EXPECT_THAT(writer_.Finish(), Succeeds());
    CoreReader reader = *CoreReader::Open(*Duplicate(file_));
    Bytes core(reader.size());
    EXPECT_THAT(reader.ReadAt(0, core), Succeeds());
    return core;
  }
  CrashRecord::Capture Described() {
    CrashRecord::Capture capture;
    direct_.Describe(capture);
    return capture;
  }
  Result<Verification> Compare() {
    CoreReader reader = *CoreReader::Open(*Duplicate(file_));
    return CompareWithStream(reader, stream_, *head_.core_bytes(), direct_.segments());
  }
  [[nodiscard]] std::uint64_t came_by_stream() const { return stream_.position(); }

 private:
  FakeKernel kernel_;
  Fd connection_;
  std::atomic<std::uint64_t> progress_{0};
  Fd file_ = MemoryFile();
  CoreHead head_;
  CoreWriter writer_{file_, {}};
  CoreStream stream_;
  DirectCapture direct_;
};

TEST(DirectCapture, ReadsTheProcessAndNotTheStream) {
  const Parked process;
  // What the kernel sends is different, to tell from where a byte came.
  const Bytes sent = CoreOf(process, Bytes(kSize, std::byte{'k'})),
              expected = CoreOf(process, process.content());
  const ProcessMemory memory = process.Open();
  Captured captured(memory, sent);
  ASSERT_THAT(captured.Run(), Succeeds());
  const std::size_t from = captured.came_by_stream();
  EXPECT_LT(from, 1u << 20);
  const Bytes core = captured.Finish();
  ASSERT_EQ(core.size(), expected.size());
  EXPECT_TRUE(std::equal(core.begin(), core.begin() + static_cast<long>(from), sent.begin()));
  EXPECT_TRUE(std::equal(core.begin() + static_cast<long>(from), core.end(),
                         expected.begin() + static_cast<long>(from)));
  EXPECT_EQ(captured.Described().stream_reason, "");
  EXPECT_EQ(captured.Described().unread_bytes, 0u);
}

TEST(DirectCapture, EndsWhereItIsToldTo) {
  const Parked process;
  const ProcessMemory memory = process.Open();
  const Bytes whole = CoreOf(process, process.content());
  // Within memory, within the quarter that was never touched, and before the last byte.
  for (const std::size_t max :
       {whole.size() - kSize + 500'001, whole.size() - kSize / 2 - 77, whole.size() - 1}) {
    Captured captured(memory, whole, max);
    ASSERT_THAT(captured.Run(), Succeeds());
    const Bytes core = captured.Finish();
    ASSERT_EQ(core.size(), max);
    EXPECT_TRUE(std::equal(core.begin(), core.end(), whole.begin()));
  }
}

TEST(DirectCapture, VerifiesAgainstTheStream) {
  const Parked process;
  const ProcessMemory memory = process.Open();
  const Bytes sent = CoreOf(process, process.content());
  {
    Captured same(memory, sent);
    ASSERT_THAT(same.Run(), Succeeds());
    (void)same.Finish();
    const auto verified = same.Compare();
    ASSERT_THAT(verified, Succeeds());
    EXPECT_EQ(verified->different_bytes, 0u);
    EXPECT_GT(verified->bytes, kSize / 2);
  }
  Bytes other = sent;
  other[other.size() - 10'000] ^= std::byte{1};
  Captured different(memory, other);
  ASSERT_THAT(different.Run(), Succeeds());
  (void)different.Finish();
  const auto verified = different.Compare();
  ASSERT_THAT(verified, Succeeds());
  EXPECT_EQ(verified->different_bytes, 4096u);
  ASSERT_EQ(verified->differences.size(), 1u);
  EXPECT_EQ(verified->differences[0].address, process.address() + kSize - 3 * 4096);
}

TEST(DirectCapture, TakesTheStreamWhereMemoryCannotBeRead) {
  const Parked process;
  ProcessMemory memory = process.Open();
  const auto [read_end, write_end] = *MakeSocketPair(SOCK_STREAM);
  memory.mem = *Duplicate(read_end);  // pread fails: ESPIPE
  const Bytes sent = CoreOf(process, process.content());
  Captured captured(memory, sent);
  ASSERT_THAT(captured.Run(), Succeeds());
  EXPECT_TRUE(captured.Finish() == sent);
  EXPECT_NE(captured.Described().stream_reason.find("read memory at"), std::string::npos);
}

TEST(DirectCapture, TakesTheStreamWherePagesCannotBeScanned) {
  const Parked process;
  ProcessMemory memory = process.Open();
  const auto [read_end, write_end] = *MakeSocketPair(SOCK_STREAM);
  memory.pagemap = *Duplicate(read_end);
  const Bytes sent = CoreOf(process, process.content());
  Captured captured(memory, sent);
  ASSERT_THAT(captured.Run(), Succeeds());
  EXPECT_TRUE(captured.Finish() == sent);
  EXPECT_NE(captured.Described().stream_reason, "");
}

TEST(DirectCapture, EndsWithTheProcess) {
  Parked process;
  const ProcessMemory memory = process.Open();
  const Bytes sent = CoreOf(process, process.content());
  Captured captured(memory, sent);
  process.End();
  EXPECT_THAT(captured.Run(), FailsWith(ESRCH));
  const std::size_t from = captured.came_by_stream();
  const Bytes core = captured.Finish();
  EXPECT_EQ(core.size(), from) << "memory that is gone is no hole";
}

TEST(DirectCapture, AComparisonThatFailsTakesNothingFromTheCore) {
  const Parked process;
  const Bytes sent = CoreOf(process, process.content());
  FakeKernel kernel([&](Fd& server) {
    (void)WriteAll(server, std::span(sent).first(kSize / 2));  // and no more
    AwaitRelease(server);
  });
  const testing::TemporaryFolder folder;
  CaptureJob job;
  job.record.id = NewCrashId();
  job.dir = *Duplicate(folder.fd());
  job.core = *OpenAt(job.dir, kCoreFile, O_RDWR | O_CREAT, 0600);
  job.begun = *OpenAt(job.dir, kBegunFile, O_WRONLY | O_CREAT, 0600);
  job.connection = kernel.TakeServer();
  job.memory = process.Open();
  job.verify = true;
  job.accepted = MonotonicNow();
  job.deadlines.progress = std::chrono::milliseconds(200);
  std::atomic<std::uint64_t> progress = 0;
  int released = 0;
  const auto record = Capture(std::move(job), progress, [&](CaptureStep) { ++released; });
  ASSERT_THAT(record, Succeeds());
  EXPECT_EQ(released, 1);
  EXPECT_EQ(record->capture.method, CaptureMethod::kDirect);
  EXPECT_EQ(record->capture.outcome, CrashOutcome::kFull) << record->capture.reason;
  EXPECT_EQ(record->capture.core_bytes, sent.size());
  EXPECT_FALSE(record->capture.verified);
  EXPECT_NE(record->capture.verify_reason.find("no byte came"), std::string::npos)
      << record->capture.verify_reason;
}

}  // namespace
}  // namespace obit
