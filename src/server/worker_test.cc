#include "kernel/bag.h"
#include "kernel/process_memory.h"
#include "server/test_worker.h"

namespace obit {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::kCaptured;
using ::testing::SizeIs;
using testing::Succeeds;
using testing::Told;
using Kind = JobReport::Kind;
class WorkerTest : public testing::WorkerTest {};

TEST_F(WorkerTest, StoresACoreAndAsksForMore) {
  ASSERT_EQ(Next().kind, Kind::kReady);
  const auto core = SmallCore(300'000);
  for (const char* id : {kCaptured, "00000000000000ff"}) {
    FakeKernel kernel([&](Fd& server) { (void)SendCore(server, core); });
    const Fd connection = kernel.TakeServer();
    Give(CaptureOf(id), "", {&connection});
    EXPECT_EQ(Next().kind, Kind::kReleased);
    EXPECT_EQ(Next().kind, Kind::kStored);
    EXPECT_EQ(Next().kind, Kind::kReady);
  }
  EXPECT_TRUE(StoredCore() == core);
  const auto record = LoadRecord(Folder(), kRecordFile);
  ASSERT_THAT(record, Succeeds());
  EXPECT_EQ(record->id, kCaptured);
  EXPECT_EQ(record->number, 5U);
  EXPECT_EQ(record->capture.outcome, CrashOutcome::kFull) << record->capture.reason;
  EXPECT_EQ(record->signal.number, 6) << "as the manager says";
  EXPECT_EQ(record->thread.tid, 12345) << "as the core says";
  EXPECT_NE(record->host.kernel, "");
  EXPECT_THAT(*ListDirectory(Folder()), ::testing::UnorderedElementsAre(kRecordFile, kCoreFile));
  ASSERT_THAT(store_.Commit(kCaptured, record->time), Succeeds());
}

TEST_F(WorkerTest, AnswersTheOfferThatTheManagerRead) {
  ASSERT_EQ(Next().kind, Kind::kReady);
  const auto core = SmallCore(300'000);
  CoredumpAgreement agreed;
  {
    FakeKernel kernel([&](Fd& server) {
      agreed = *Negotiate(server, {});
      if (SendCore(server, core)) AwaitRelease(server);
    });
    const Fd connection = kernel.TakeServer();
    ::fcntl(connection.get(), F_SETFL, 0);
    std::array<std::byte, kCoredumpRequestMin> request{};
    ASSERT_EQ(*ReadFull(connection, request), request.size());
    Job job = CaptureOf();
    job.has_offer = 1;
    job.offer = *DecodeCoredumpRequest(request);
    Give(job, "", {&connection});  // this copy stays open: the process is let go all the same
    EXPECT_EQ(Next().kind, Kind::kReleased);
    EXPECT_EQ(Next().kind, Kind::kStored);
  }
  EXPECT_EQ(agreed.mask, kCoredumpKernel | kCoredumpWait);
  EXPECT_TRUE(StoredCore() == core);
}

/// One item of a bag, as an inspector puts it in.
void Put(const Fd& bag, BagItem::Kind kind, std::initializer_list<int> fds, std::string_view text = {}) {
  const BagItem item{.kind = kind};
  std::vector<std::byte> bytes(sizeof item + text.size());
  std::memcpy(bytes.data(), &item, sizeof item);
  std::ranges::copy(std::as_bytes(std::span(text)), bytes.data() + sizeof item);
  ASSERT_THAT(SendMessage(bag, bytes, std::span(fds.begin(), fds.size())), Succeeds());
}

TEST_F(WorkerTest, TakesProgramAndMemoryFromABag) {
  ASSERT_EQ(Next().kind, Kind::kReady);
  const auto core = SmallCore(4 << 20);
  FakeKernel kernel([&](Fd& server) { (void)SendCore(server, core); });
  const Fd connection = kernel.TakeServer();
  SocketPair bag = *MakeSocketPair(SOCK_SEQPACKET);
  const Fd program = *Open("/bin/true", O_RDONLY), self = *Open("/proc/self", O_RDONLY | O_DIRECTORY);
  const ProcessMemory memory = *OpenProcessMemory(self);
  Put(bag.second, BagItem::Kind::kProgram, {program.get()});
  Put(bag.second, BagItem::Kind::kMemory,
      {memory.mem.get(), memory.pagemap.get(), memory.maps.get(), memory.smaps.get()});
  constexpr std::string_view kThread("\x07\0\0\0worker-3\0\0\0\0\0\0\0\0", 20);
  Put(bag.second, BagItem::Kind::kThreads, {}, kThread);
  Put(bag.second, BagItem::Kind::kEnd, {});
  Job job = CaptureOf();
  job.has_bag = 1;
  Give(job, "", {&connection, &bag.first});
  EXPECT_EQ(Next().kind, Kind::kReleased);
  EXPECT_EQ(Next().kind, Kind::kStored);
  const auto record = LoadRecord(Folder(), kRecordFile);
  ASSERT_THAT(record, Succeeds());
  EXPECT_EQ(record->files.exe, kExeFile) << "it is not reachable";
  EXPECT_EQ(record->thread_names, (ThreadNames{{7, "worker-3"}}));
  EXPECT_EQ(record->capture.method, CaptureMethod::kDirect);
  EXPECT_THAT(record->capture.stream_reason, HasSubstr("it is no mapping")) << "of this process";
  EXPECT_TRUE(StoredCore() == core);
}

/// A job for a trace alone; its bag holds this process' memory.
struct TraceJobs {
  SocketPair bag = *MakeSocketPair(SOCK_SEQPACKET), trace = *MakeSocketPair(SOCK_SEQPACKET);

  explicit TraceJobs(bool has_memory = true) {
    const Fd self = *Open("/proc/self", O_RDONLY | O_DIRECTORY);
    BagSender sender(std::move(bag.second));
    if (has_memory) sender.PutMemory(*OpenProcessMemory(self));
    sender.End();
  }
  [[nodiscard]] static Job For(Job job) {
    job.kind = Job::Kind::kTrace;
    job.has_bag = 1;
    job.core_max = 4 << 20;
    return job;
  }
  /// What the worker put into it.
  Fd Taken() {
    trace.second.Reset();
    return std::move(EmptyBag(std::move(trace.first), MonotonicNow())->trace);
  }
};

TEST_F(WorkerTest, CapturesATraceAndStoresNothing) {
  ASSERT_EQ(Next().kind, Kind::kReady);
  const auto before = Incoming();
  const auto core = SmallCore(300'000);
  FakeKernel kernel([&](Fd& server) { (void)SendCore(server, core); });
  const Fd connection = kernel.TakeServer();
  TraceJobs jobs;
  Give(TraceJobs::For(CaptureOf()), "", {&connection, &jobs.bag.first, &jobs.trace.second});
  EXPECT_EQ(Next().kind, Kind::kReleased);
  EXPECT_EQ(Next().kind, Kind::kStored);
  EXPECT_EQ(Next().kind, Kind::kReady);
  CoreReader reader = *CoreReader::Open(jobs.Taken());
  testing::Bytes taken(reader.size());
  EXPECT_THAT(reader.ReadAt(0, taken), Succeeds());
  EXPECT_TRUE(taken == core) << "a small one is taken whole";
  EXPECT_EQ(Incoming(), before) << "the folder is still for the next core";
  for (const char* name : {kCoreFile, kBegunFile})
    EXPECT_EQ(std::filesystem::file_size(folder_ / ("store/incoming/" + before.at(0) + "/" + name)), 0U);
}

TEST_F(WorkerTest, WithoutMemoryThereIsNoTrace) {
  ASSERT_EQ(Next().kind, Kind::kReady);
  FakeKernel kernel([&](Fd& server) { AwaitRelease(server); });
  const Fd connection = kernel.TakeServer();
  TraceJobs jobs(/*has_memory=*/false);
  Give(TraceJobs::For(CaptureOf()), "", {&connection, &jobs.bag.first, &jobs.trace.second});
  EXPECT_EQ(Next().kind, Kind::kReleased);
  const Told told = Next();
  EXPECT_EQ(told.kind, Kind::kFailed);
  EXPECT_THAT(told.text, HasSubstr("its memory could not be had"));
  EXPECT_EQ(Next().kind, Kind::kReady);
  EXPECT_FALSE(jobs.Taken());
  Give(TraceJobs::For(CaptureOf()), "", {&connection});
  EXPECT_EQ(Next().kind, Kind::kReleased);
  EXPECT_EQ(Next().kind, Kind::kFailed) << "that is no job";
}

TEST_F(WorkerTest, ThatIsKilledOverATraceLeavesNothingOfIt) {
  ASSERT_EQ(Next().kind, Kind::kReady);
  FakeKernel kernel([&](Fd& server) { AwaitRelease(server); });
  Fd connection = kernel.TakeServer();
  TraceJobs jobs;
  Give(TraceJobs::For(CaptureOf()), "", {&connection, &jobs.bag.first, &jobs.trace.second});
  ::kill(worker_->pid(), SIGKILL);
  worker_->Wait();
  ::shutdown(connection.get(), SHUT_RDWR);
  EXPECT_FALSE(jobs.Taken());
  for (const std::string& name : Incoming())
    for (const char* file : {kCoreFile, kBegunFile})
      EXPECT_EQ(std::filesystem::file_size(folder_ / ("store/incoming/" + name + "/" + file)), 0U);
}

TEST_F(WorkerTest, GoesOnWithoutTheEndOfABag) {
  ASSERT_EQ(Next().kind, Kind::kReady);
  const auto core = SmallCore(300'000);
  FakeKernel kernel([&](Fd& server) { (void)SendCore(server, core); });
  const Fd connection = kernel.TakeServer();
  const SocketPair bag = *MakeSocketPair(SOCK_SEQPACKET);  // whose sender hangs
  Job job = CaptureOf();
  job.has_bag = 1;
  Give(job, "", {&connection, &bag.first});
  EXPECT_EQ(Next().kind, Kind::kReleased);
  EXPECT_EQ(Next().kind, Kind::kStored);
  EXPECT_THAT(LoadRecord(Folder(), kRecordFile)->capture.stream_reason, HasSubstr("in time"));
  EXPECT_TRUE(StoredCore() == core);
}

TEST_F(WorkerTest, OpensNothingBeforeTheRelease) {
  ASSERT_EQ(Next().kind, Kind::kReady);
  AllowDescriptors(Descriptors() + 1);  // the connection: while it is there, every open fails
  const auto core = SmallCore(300'000);
  FakeKernel kernel([&](Fd& server) { (void)SendCore(server, core); });
  const Fd connection = kernel.TakeServer();
  Give(CaptureOf(), "", {&connection});
  EXPECT_EQ(Next().kind, Kind::kReleased);
  EXPECT_EQ(Next().kind, Kind::kStored);
  EXPECT_TRUE(StoredCore() == core);
}

TEST_F(WorkerTest, ReplacesNoCrash) {
  ASSERT_EQ(Next().kind, Kind::kReady);
  ASSERT_EQ(::mkdirat(Open(folder_ / "store/incoming", O_RDONLY)->get(), kCaptured, 0700), 0);
  const auto core = SmallCore(300'000);
  FakeKernel kernel([&](Fd& server) { (void)SendCore(server, core); });
  const Fd connection = kernel.TakeServer();
  Give(CaptureOf(), "", {&connection});
  EXPECT_EQ(Next().kind, Kind::kReleased);
  const Told told = Next();
  EXPECT_EQ(told.kind, Kind::kFailed);
  EXPECT_THAT(told.text, HasSubstr(kCaptured));
  EXPECT_THAT(*ListDirectory(Folder()), IsEmpty());
}

TEST_F(WorkerTest, RefusesAJobThatIsNone) {
  ASSERT_EQ(Next().kind, Kind::kReady);
  FakeKernel kernel([&](Fd& server) { AwaitRelease(server); });
  const Fd connection = kernel.TakeServer();
  Give(CaptureOf("../0123456789abc"), "", {&connection});
  EXPECT_EQ(Next().kind, Kind::kReleased);
  EXPECT_EQ(Next().kind, Kind::kFailed);
  EXPECT_EQ(Next().kind, Kind::kReady);
  Job job = CaptureOf();
  job.kind = static_cast<Job::Kind>(9);
  Give(job, "", {});
  EXPECT_EQ(Next().kind, Kind::kFailed);
  EXPECT_EQ(Next().kind, Kind::kReady);
  EXPECT_THAT(Incoming(), SizeIs(1)) << "the folder is still for the next one";
}

}  // namespace
}  // namespace obit
