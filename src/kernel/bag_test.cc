#include "kernel/bag.h"

#include <thread>

#include <sys/resource.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/test_support.h"
#include "base/unix_socket.h"

namespace obit {
namespace {

using testing::FailsWith;
using testing::Succeeds;

Fd File(const char* path = "/dev/null") { return *Open(path, O_RDONLY); }

bool IsFile(const Fd& fd, const char* path) {
  struct stat opened{}, named{};
  return ::fstat(fd.get(), &opened) == 0 && ::stat(path, &named) == 0 && opened.st_ino == named.st_ino &&
         opened.st_dev == named.st_dev;
}

ProcessMemory Memory() {
  return {File("/proc/self/mem"), File("/proc/self/pagemap"), File("/proc/self/maps"),
          File("/proc/self/smaps")};
}

class BagTest : public ::testing::Test {
 protected:
  BagTest() {
    auto pair = MakeSocketPair(SOCK_SEQPACKET);
    EXPECT_THAT(pair, Succeeds());
    sender_.emplace(std::move(pair->first));
    bag_ = std::move(pair->second);
  }
  /// What is there now.
  BagContents Empty() {
    auto contents = EmptyBag(std::move(bag_), 0);
    EXPECT_THAT(contents, Succeeds());
    return contents ? std::move(*contents) : BagContents();
  }

  std::optional<BagSender> sender_;
  Fd bag_;
};

TEST_F(BagTest, GivesBackWhatWasPutIn) {
  sender_->PutMemory(Memory());
  sender_->PutProgram({File("/bin/sh"), true, {}});
  sender_->PutNote("no right to its memory");
  std::vector<MappedFile> files;
  for (const std::uint64_t begin : {0x1000, 0x2000, 0x3000})
    files.push_back({begin, File(begin == 0x2000 ? "/bin/sh" : "/dev/null")});
  sender_->PutMapped(files);
  ThreadNames threads;
  for (pid_t tid = 1; tid <= 500; ++tid) threads[tid] = fmt::format("worker-{}", tid);
  threads[501] = "fifteen letters";
  sender_->PutThreads(threads);
  MemoryOutlook outlook{.host = {.total = 9, .available = 8}, .meminfo = File("/proc/meminfo")};
  outlook.ties.robust_lists = {0x1000};
  sender_->PutOutlook(outlook);
  sender_->End();
  const BagContents contents = Empty();
  ASSERT_TRUE(contents.outlook);
  EXPECT_TRUE(IsFile(contents.outlook->meminfo, "/proc/meminfo"));
  EXPECT_FALSE(contents.outlook->pressure) << "there was none";
  EXPECT_EQ(contents.outlook->ties.robust_lists, outlook.ties.robust_lists);
  EXPECT_TRUE(contents.whole);
  ASSERT_TRUE(contents.memory);
  EXPECT_TRUE(IsFile(contents.memory->mem, "/proc/self/mem"));
  EXPECT_TRUE(IsFile(contents.memory->pagemap, "/proc/self/pagemap"));
  EXPECT_TRUE(IsFile(contents.memory->maps, "/proc/self/maps"));
  EXPECT_TRUE(IsFile(contents.memory->smaps, "/proc/self/smaps"));
  EXPECT_TRUE(IsFile(contents.program.file, "/bin/sh"));
  EXPECT_TRUE(contents.program.reachable);
  EXPECT_EQ(contents.note, "no right to its memory");
  EXPECT_EQ(contents.threads, threads);
  ASSERT_EQ(contents.mapped.size(), 3u);
  EXPECT_EQ(contents.mapped[0].begin, 0x1000u);
  EXPECT_EQ(contents.mapped[2].begin, 0x3000u);
  EXPECT_TRUE(IsFile(contents.mapped[1].file, "/bin/sh"));
  EXPECT_TRUE(::fcntl(contents.mapped[1].file.get(), F_GETFD) & FD_CLOEXEC);
}

TEST_F(BagTest, HoldsOneTrace) {
  sender_->PutTrace(File("/bin/sh"));
  sender_->PutTrace(File("/bin/true"));  // the first one counts
  sender_->End();
  const BagContents contents = Empty();
  EXPECT_TRUE(contents.whole);
  EXPECT_TRUE(IsFile(contents.trace, "/bin/sh"));
}

TEST_F(BagTest, SaysWhyThereIsNoProgram) {
  sender_->PutProgram({});  // not wanted
  sender_->PutProgram({.missing = std::string(1000, 'x')});
  sender_->PutProgram({File("/bin/sh"), true, {}});  // the first word counts
  sender_->End();
  const BagContents contents = Empty();
  EXPECT_FALSE(contents.program.file);
  EXPECT_EQ(contents.program.missing, std::string(kBagNoteMax, 'x'));
}

TEST_F(BagTest, HoldsAsManyMappedFilesAsThereMayBe) {
  rlimit files{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &files), 0);
  if (files.rlim_cur < 1024) GTEST_SKIP() << "needs 1024 descriptors";
  std::vector<MappedFile> mapped;
  for (std::size_t i = 0; i <= kMappedFilesMax; ++i) mapped.push_back({i, File()});
  sender_->PutMapped(mapped);
  sender_->End();
  const BagContents contents = Empty();
  EXPECT_TRUE(contents.whole);
  ASSERT_EQ(contents.mapped.size(), kMappedFilesMax);
  for (std::size_t i = 0; i < kMappedFilesMax; ++i) EXPECT_EQ(contents.mapped[i].begin, i);
}

TEST_F(BagTest, IsNotWaitedForByWhoPutsIn) {
  std::size_t count = 0;
  for (; count < 100'000; ++count) sender_->PutNote("note");
  sender_->PutProgram({File(), true});
  sender_->End();
  const BagContents contents = Empty();
  EXPECT_EQ(contents.note, "note");
  EXPECT_FALSE(contents.program.file) << "it came when the bag was full";
  EXPECT_FALSE(contents.whole);
}

TEST_F(BagTest, OfASenderThatDiedHoldsWhatItPutIn) {
  sender_->PutMemory(Memory());
  sender_.reset();
  auto contents = EmptyBag(std::move(bag_), INT64_MAX);
  ASSERT_THAT(contents, Succeeds());
  EXPECT_TRUE(contents->memory);
  EXPECT_FALSE(contents->whole);
}

TEST_F(BagTest, IsNotWaitedForAfterTheDeadline) {
  sender_->PutNote("note");
  const std::int64_t deadline = MonotonicNow() + 10'000'000;
  const auto contents = EmptyBag(std::move(bag_), deadline);
  ASSERT_THAT(contents, Succeeds());
  EXPECT_GE(MonotonicNow(), deadline);
  EXPECT_EQ(contents->note, "note");
  EXPECT_FALSE(contents->whole);
}

TEST_F(BagTest, IsWaitedForUntilItsEnd) {
  std::jthread other([this] {
    sender_->PutNote("note");
    sender_->PutProgram({File("/bin/sh"), false});
    sender_->End();
  });
  const auto contents = EmptyBag(std::move(bag_), INT64_MAX);
  ASSERT_THAT(contents, Succeeds());
  EXPECT_TRUE(contents->whole);
  EXPECT_TRUE(IsFile(contents->program.file, "/bin/sh"));
  EXPECT_FALSE(contents->program.reachable);
}

TEST_F(BagTest, LeavesOutWhatNoSenderPutsIn) {
  const Fd null = File();
  const std::vector<int> two(2, null.get()), five(5, null.get());
  sender_->Put({.kind = BagItem::Kind::kMemory}, two);
  sender_->Put({.kind = BagItem::Kind::kMemory}, five);
  sender_->Put({.kind = BagItem::Kind::kProgram}, two);
  sender_->Put({.kind = BagItem::Kind::kProgram});
  sender_->Put({.kind = BagItem::Kind::kMapped});
  sender_->Put({.kind = BagItem::Kind::kMapped}, two, "not 8 bytes");
  sender_->Put({.kind = static_cast<BagItem::Kind>(77)}, two, "what?");
  sender_->PutMemory(Memory());
  sender_->PutMemory(ProcessMemory{File(), File(), File(), File()});
  sender_->End();
  const BagContents contents = Empty();
  EXPECT_TRUE(contents.whole);
  ASSERT_TRUE(contents.memory);
  EXPECT_TRUE(IsFile(contents.memory->mem, "/proc/self/mem")) << "the first one";
  EXPECT_FALSE(contents.program.file);
  EXPECT_TRUE(contents.mapped.empty());
}

TEST(Bag, IsLeftBehindByOddMessages) {
  auto pair = *MakeSocketPair(SOCK_SEQPACKET);
  const std::vector<std::byte> large(64 * 1024);
  ASSERT_THAT(SendMessage(pair.first, std::span(large).first(3), {}), Succeeds());
  ASSERT_THAT(SendMessage(pair.first, large, {}), Succeeds());
  BagSender sender(std::move(pair.first));
  sender.End();
  const auto contents = EmptyBag(std::move(pair.second), INT64_MAX);
  ASSERT_THAT(contents, Succeeds());
  EXPECT_TRUE(contents->whole);
}

TEST(Bag, MayBeNone) {
  BagSender sender{Fd()};
  sender.PutNote("note");
  sender.End();
  EXPECT_THAT(EmptyBag(Fd(), 0), FailsWith(EBADF));
  EXPECT_THAT(EmptyBag(File(), 0), FailsWith(ENOTSOCK));
}

TEST_F(BagTest, ThatNobodyWantsIsNoMatter) {
  bag_.Reset();
  sender_->PutNote("note");
  sender_->PutMemory(Memory());
  sender_->End();
}

}  // namespace
}  // namespace obit
