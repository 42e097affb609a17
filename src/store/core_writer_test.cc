#include "store/core_writer.h"

#include <atomic>
#include <cstring>
#include <future>
#include <thread>

#include "store/core_reader.h"
#include "store/test_cores.h"

namespace obit {
namespace {

using testing::Bytes;
using testing::Content;
using testing::FailsWith;
using testing::FileSizeLimit;
using testing::MemoryFile;
using testing::Noise;
using testing::StoredFile;
using testing::Succeeds;
using testing::TemporaryFolder;
using testing::Unpacked;
using testing::UnpackedByZstd;
using testing::operator+;

/// The lengths of the holes that the reader tells, those that follow each other as one.
std::vector<std::uint64_t> Holes(const Fd& file) {
  auto reader = CoreReader::Open(Fd(::dup(file.get())));
  EXPECT_THAT(reader, Succeeds());
  std::vector<std::uint64_t> holes;
  bool in_hole = false;
  const auto walked = reader->Walk([&](const CoreReader::Piece& piece) -> Result<void> {
    if (piece.hole() && in_hole)
      holes.back() += piece.length;
    else if (piece.hole())
      holes.push_back(piece.length);
    in_hole = piece.hole();
    return {};
  });
  EXPECT_THAT(walked, Succeeds());
  return holes;
}

TEST(CoreWriter, AnEmptyCoreIsAFileWithAnEmptyTable) {
  const Fd file = StoredFile({});
  EXPECT_TRUE(Unpacked(file).empty());
  EXPECT_TRUE(UnpackedByZstd(file).empty());
}

TEST(CoreWriter, RestsInTheMiddleOfACore) {
  const Bytes plain = Noise(4 * kFrameBytes + 77, 3);
  const Fd file = MemoryFile();
  CoreWriter writer(file, {.threads = 2});
  std::size_t done = 0;
  for (const std::size_t bytes : {std::size_t{0}, std::size_t{100}, 3 * kFrameBytes, kFrameBytes - 23}) {
    ASSERT_THAT(writer.Append(std::span(plain).subspan(done, bytes)), Succeeds());
    done += bytes;
    writer.Rest();
    EXPECT_GE(Content(file).size(), done) << "noise does not get shorter";
  }
  ASSERT_THAT(writer.Skip(kFrameBytes), Succeeds());
  writer.Rest();
  ASSERT_THAT(writer.Defer(100,
                           [&](std::span<std::byte> room) -> Result<void> {
                             std::ranges::copy(std::span(plain).first(100), room.begin());
                             return {};
                           }),
              Succeeds());
  ASSERT_THAT(writer.Finish(), Succeeds());
  EXPECT_EQ(Unpacked(file), Bytes(plain.begin(), plain.begin() + static_cast<long>(done)) +
                                Bytes(kFrameBytes) + Bytes(plain.begin(), plain.begin() + 100));
}

class CoreWriterWith : public ::testing::TestWithParam<std::uint64_t> {};
INSTANTIATE_TEST_SUITE_P(, CoreWriterWith,
                         ::testing::Values(0, 1, 4096, kFrameBytes - 1, kFrameBytes, kFrameBytes + 1,
                                           3 * kFrameBytes + 5));

TEST_P(CoreWriterWith, BytesOfThisLengthComesBackByteForByte) {
  const Bytes plain = Noise(GetParam(), 1);
  const Fd file = StoredFile(plain);
  EXPECT_EQ(Unpacked(file), plain);
  EXPECT_EQ(UnpackedByZstd(file), plain);
}

TEST_P(CoreWriterWith, AHoleOfThisLengthBetweenBytesComesBackAsOne) {
  const Bytes before = Noise(5000, 1), after = Noise(kFrameBytes + 77, 2);
  const Fd file = MemoryFile();
  CoreWriter writer(file, {});
  ASSERT_THAT(writer.Append(before), Succeeds());
  ASSERT_THAT(writer.Skip(GetParam()), Succeeds());
  ASSERT_THAT(writer.Append(after), Succeeds());
  const auto stored = writer.Finish();
  ASSERT_THAT(stored, Succeeds());
  const Bytes plain = before + Bytes(GetParam()) + after;
  EXPECT_EQ(stored->plain, plain.size());
  EXPECT_EQ(stored->stored, Content(file).size());
  EXPECT_EQ(Unpacked(file), plain);
  EXPECT_EQ(UnpackedByZstd(file), plain);
  EXPECT_EQ(Holes(file),
            GetParam() == 0 ? std::vector<std::uint64_t>{} : std::vector<std::uint64_t>{GetParam()});
}

TEST_P(CoreWriterWith, AHoleOfThisLengthAtEitherEndIsKept) {
  const Bytes inside = Noise(100, 3);
  const Fd file = MemoryFile();
  CoreWriter writer(file, {});
  ASSERT_THAT(writer.Skip(GetParam()), Succeeds());
  ASSERT_THAT(writer.Append(inside), Succeeds());
  ASSERT_THAT(writer.Skip(GetParam()), Succeeds());
  ASSERT_THAT(writer.Finish(), Succeeds());
  EXPECT_EQ(Unpacked(file), Bytes(GetParam()) + inside + Bytes(GetParam()));
}

TEST(CoreWriter, ALongHoleCostsAlmostNothing) {
  const std::uint64_t hole = 5 * kHoleFrameBytes + 12345;
  const Fd file = MemoryFile();
  CoreWriter writer(file, {});
  ASSERT_THAT(writer.Append(Noise(10, 1)), Succeeds());
  ASSERT_THAT(writer.Skip(hole), Succeeds());
  ASSERT_THAT(writer.Append(Noise(10, 2)), Succeeds());
  const auto stored = writer.Finish();
  ASSERT_THAT(stored, Succeeds());
  EXPECT_EQ(stored->plain, hole + 20);
  EXPECT_LT(stored->stored, 200'000u);
  EXPECT_EQ(Holes(file), std::vector<std::uint64_t>{hole});
}

TEST(CoreWriter, WholeChunksOfZerosBecomeAHole) {
  const Bytes data = Noise(kFrameBytes, 1);
  const Fd file = StoredFile(data + Bytes(3 * kFrameBytes) + data);
  EXPECT_EQ(Holes(file), std::vector<std::uint64_t>{3 * kFrameBytes});
}

TEST(CoreWriter, AChunkWithOneByteThatIsNotZeroIsKept) {
  for (const std::size_t at : {std::size_t{0}, std::size_t{1}, kFrameBytes / 2, kFrameBytes - 1}) {
    Bytes plain(kFrameBytes);
    plain[at] = std::byte{1};
    const Fd file = StoredFile(plain);
    EXPECT_EQ(Unpacked(file), plain) << at;
    EXPECT_TRUE(Holes(file).empty()) << at;
  }
}

TEST(CoreWriter, MixedContentComesBackByteForByte) {
  std::mt19937_64 random(42);
  for (int round = 0; round < 10; ++round) {
    const Fd file = MemoryFile();
    CoreWriter writer(file, {.threads = 1 + static_cast<unsigned>(round) % 4});
    Bytes plain;
    for (int step = 0; step < 30; ++step) {
      const std::size_t n = random() % (random() % 4 == 0 ? 3 * kFrameBytes : 6000);
      const auto kind = random() % 3;
      const Bytes next = kind == 0 ? Noise(n, random()) : Bytes(n, kind == 1 ? std::byte{0} : std::byte{7});
      plain = std::move(plain) + next;
      if (kind == 1 && random() % 2 == 0)
        ASSERT_THAT(writer.Skip(n), Succeeds());
      else
        ASSERT_THAT(writer.Append(next), Succeeds());
    }
    const auto stored = writer.Finish();
    ASSERT_THAT(stored, Succeeds());
    EXPECT_EQ(stored->plain, plain.size());
    ASSERT_EQ(Unpacked(file), plain) << "round " << round;
    ASSERT_EQ(UnpackedByZstd(file), plain) << "round " << round;
  }
}

TEST(CoreWriter, ManyThreadsKeepTheOrder) {
  Bytes plain;
  for (std::uint64_t i = 0; i < 100; ++i) {
    // Chunks that take long and chunks that take no time to compress, in turns.
    Bytes chunk = i % 2 == 0 ? Noise(kFrameBytes, i) : Bytes(kFrameBytes, std::byte{1});
    std::memcpy(chunk.data(), &i, sizeof i);
    plain = std::move(plain) + chunk;
  }
  EXPECT_EQ(Unpacked(StoredFile(plain, 8)), plain);
}

TEST(CoreWriter, TheCallerMayFillTheBufferInPieces) {
  const Bytes plain = Noise(kFrameBytes + 1000, 1);
  const Fd file = MemoryFile();
  CoreWriter writer(file, {});
  for (std::size_t at = 0; at < plain.size();) {
    const auto room = writer.Buffer();
    ASSERT_FALSE(room.empty());
    const std::size_t n = std::min({room.size(), plain.size() - at, std::size_t{777}});
    std::memcpy(room.data(), plain.data() + at, n);
    ASSERT_THAT(writer.Advance(n), Succeeds());
    at += n;
  }
  ASSERT_THAT(writer.Finish(), Succeeds());
  EXPECT_EQ(Unpacked(file), plain);
}

TEST(CoreWriter, AFullDiskLeavesTheBeginningOfTheCore) {
  const TemporaryFolder folder;
  const auto file = OpenAt(folder.fd(), "core.zst", O_RDWR | O_CREAT, 0600);
  ASSERT_THAT(file, Succeeds());
  const Bytes plain = Noise(20 * kFrameBytes, 1);
  constexpr std::size_t kLimit = 2'000'000;
  const FileSizeLimit limit(kLimit);
  CoreWriter writer(*file, {});
  EXPECT_THAT(writer.Append(plain), FailsWith(EFBIG));
  EXPECT_TRUE(writer.failure());
  const auto stored = writer.Finish();
  ASSERT_THAT(stored, Succeeds());
  EXPECT_GT(stored->plain, kLimit / 2);
  EXPECT_LE(stored->stored, kLimit - 128 * 1024) << "there is no room for the record";
  EXPECT_EQ(Content(*file).size(), stored->stored);
  EXPECT_EQ(Unpacked(*file),
            Bytes(plain.begin(), plain.begin() + static_cast<std::ptrdiff_t>(stored->plain)));
}

TEST(CoreWriter, ADiskThatIsFullFromTheBeginningLeavesNothing) {
  const TemporaryFolder folder;
  const auto file = OpenAt(folder.fd(), "core.zst", O_RDWR | O_CREAT, 0600);
  ASSERT_THAT(file, Succeeds());
  const FileSizeLimit limit(0);
  CoreWriter writer(*file, {});
  for (int i = 0; i < 100; ++i) (void)writer.Append(Noise(kFrameBytes, 1));  // goes on without blocking
  const auto finished = writer.Finish();
  ASSERT_THAT(finished, Succeeds());
  EXPECT_EQ(finished->plain, 0u);
  EXPECT_FALSE(finished->has_table);
  EXPECT_EQ(writer.failure()->code, EFBIG);
}

TEST(CoreWriter, ALongHoleOnAFullDiskKeepsItsWholeFrames) {
  const TemporaryFolder folder;
  const auto file = OpenAt(folder.fd(), "core.zst", O_RDWR | O_CREAT, 0600);
  ASSERT_THAT(file, Succeeds());
  const FileSizeLimit limit(1'000'000);
  CoreWriter writer(*file, {});
  ASSERT_THAT(writer.Skip(200ULL << 30), Succeeds());
  const auto stored = writer.Finish();
  ASSERT_THAT(stored, Succeeds());
  EXPECT_TRUE(writer.failure());
  EXPECT_GT(stored->plain, 10 * kHoleFrameBytes);
  EXPECT_EQ(stored->plain % kHoleFrameBytes, 0u);
  EXPECT_EQ(Holes(*file), std::vector<std::uint64_t>{stored->plain});
}

/// What a fetch is to give, at its place in the core.
CoreWriter::Fetch Gives(const Bytes& core, std::size_t at) {
  return [&core, at](std::span<std::byte> room) -> Result<void> {
    std::ranges::copy(std::span(core).subspan(at, room.size()), room.begin());
    return {};
  };
}

TEST(CoreWriter, FetchesOnItsThreadsAndKeepsTheOrder) {
  const Bytes core = Noise(40 * kFrameBytes + 5, 21);
  const Fd file = MemoryFile();
  CoreWriter writer(file, {.threads = 3});
  ASSERT_THAT(writer.Append(std::span(core).first(100)), Succeeds());
  for (std::size_t at = 100; at < core.size();) {
    const std::size_t n = std::min(kFrameBytes, core.size() - at);
    ASSERT_THAT(writer.Defer(n, Gives(core, at)), Succeeds());
    at += n;
  }
  ASSERT_THAT(writer.WaitFetched(), Succeeds());
  ASSERT_THAT(writer.Finish(), Succeeds());
  EXPECT_TRUE(Unpacked(file) == core);
}

TEST(CoreWriter, TheCallerHelpsInsteadOfWaiting) {
  const Bytes core = Noise(64 * kFrameBytes, 27);
  const Fd file = MemoryFile();
  CoreWriter writer(file, {.threads = 2});
  const StayOnProcessor here;
  writer.KeepOff(here.processor().value_or(BusyProcessor{}));
  const auto caller = std::this_thread::get_id();
  std::promise<void> helped;
  std::atomic<int> by_caller = 0, by_thread = 0;
  for (std::size_t at = 0; at < core.size(); at += kFrameBytes) {
    const auto fetch = [&, at](std::span<std::byte> room) -> Result<void> {
      if (std::this_thread::get_id() == caller) {
        if (by_caller++ == 0) helped.set_value();
      } else if (by_thread++ == 0) {
        helped.get_future().wait();  // the only thread does nothing else until then
        cpu_set_t set;
        if (here.processor() && ::sched_getaffinity(0, sizeof set, &set) == 0) {
          EXPECT_FALSE(CPU_ISSET(here.processor()->number, &set)) << "it keeps off";
        }
      }
      return Gives(core, at)(room);
    };
    ASSERT_THAT(writer.Defer(kFrameBytes, fetch), Succeeds());
  }
  ASSERT_THAT(writer.Finish(), Succeeds());
  EXPECT_GT(by_caller, 0);
  EXPECT_GT(by_thread, 0);
  EXPECT_TRUE(Unpacked(file) == core);
}

TEST(CoreWriter, MakesOneHoleOfZerosThatWereFetched) {
  const Fd file = MemoryFile();
  CoreWriter writer(file, {.threads = 1});
  Bytes core = Noise(kFrameBytes, 22);
  for (int i = 0; i < 8; ++i) ASSERT_THAT(writer.Defer(kFrameBytes, Gives(core, 0)), Succeeds());
  const auto nothing = [](std::span<std::byte> room) -> Result<void> {
    std::ranges::fill(room, std::byte{0});
    return {};
  };
  for (int i = 0; i < 8; ++i) ASSERT_THAT(writer.Defer(kFrameBytes, nothing), Succeeds());
  ASSERT_THAT(writer.Append(core), Succeeds());
  ASSERT_THAT(writer.Finish(), Succeeds());
  EXPECT_EQ(Holes(file), std::vector<std::uint64_t>{8 * kFrameBytes})
      << "zeros that were fetched are one hole";
}

TEST(CoreWriter, GoesOnFromWhereAFetchFailed) {
  const Bytes core = Noise(20 * kFrameBytes, 23);
  const Fd file = MemoryFile();
  CoreWriter writer(file, {.threads = 2});
  const std::size_t bad = 7 * kFrameBytes;
  Result<void> state;
  for (std::size_t at = 0; at < core.size() && state; at += kFrameBytes) {
    const auto fails = [](std::span<std::byte>) -> Result<void> { return Refuse(EIO, "no such page"); };
    state = writer.Defer(kFrameBytes, at == bad ? CoreWriter::Fetch(fails) : Gives(core, at));
  }
  EXPECT_THAT(writer.WaitFetched(), FailsWith(EIO));
  EXPECT_THAT(writer.Skip(kFrameBytes), Succeeds());  // is dropped as well
  ASSERT_EQ(writer.ResumeAfterFetch(), bad);
  EXPECT_THAT(writer.WaitFetched(), Succeeds());
  ASSERT_THAT(writer.Append(std::span(core).subspan(bad)), Succeeds());
  ASSERT_THAT(writer.Finish(), Succeeds());
  EXPECT_TRUE(Unpacked(file) == core);
}

TEST(CoreWriter, ResumesBehindTheHoleBeforeAFailedFetch) {
  const Bytes core = Noise(kFrameBytes, 24);
  const Fd file = MemoryFile();
  CoreWriter writer(file, {.threads = 2});
  ASSERT_THAT(writer.Append(core), Succeeds());
  ASSERT_THAT(writer.Skip(1 << 20), Succeeds());
  const auto fails = [](std::span<std::byte>) -> Result<void> { return Refuse(EIO, "no such page"); };
  ASSERT_THAT(writer.Defer(4096, fails), Succeeds());
  EXPECT_EQ(writer.ResumeAfterFetch(), kFrameBytes + (1 << 20));
  const auto finished = writer.Finish();
  ASSERT_THAT(finished, Succeeds());
  EXPECT_EQ(finished->plain, kFrameBytes + (1 << 20));
}

TEST(CoreWriter, ResumesBehindAllThatCameIfNoFetchFailed) {
  const Bytes core = Noise(1000, 26);
  const Fd file = MemoryFile();
  CoreWriter writer(file, {.threads = 2});
  ASSERT_THAT(writer.Append(core), Succeeds());
  EXPECT_EQ(writer.ResumeAfterFetch(), 1000u);
  ASSERT_THAT(writer.Append(Bytes(500)), Succeeds());
  ASSERT_THAT(writer.Skip(4096), Succeeds());
  EXPECT_EQ(writer.ResumeAfterFetch(), 5596u);
  ASSERT_THAT(writer.Append(core), Succeeds());
  ASSERT_THAT(writer.Finish(), Succeeds());
  EXPECT_TRUE(Unpacked(file) == core + Bytes(4596) + core);
}

TEST(CoreWriter, FetchesAllThatThereIsRoomForBeforeItCompresses) {
  const Bytes core = Noise(CoreWriter::kFetchedFirst - kFrameBytes, 28);
  const Fd file = MemoryFile();
  std::atomic<std::uint64_t> written = 0;
  CoreWriter writer(file, {.threads = 2, .written = &written});
  writer.FetchFirst();
  ASSERT_THAT(writer.Append(std::span(core).first(2 * kFrameBytes)), Succeeds());
  for (std::size_t at = 2 * kFrameBytes; at < core.size(); at += kFrameBytes)
    ASSERT_THAT(writer.Defer(kFrameBytes, Gives(core, at)), Succeeds());
  ASSERT_THAT(writer.WaitFetched(), Succeeds());
  EXPECT_EQ(written, 0U);
  ASSERT_THAT(writer.Finish(), Succeeds());
  EXPECT_TRUE(Unpacked(file) == core);
}

TEST(CoreWriter, CompressesOnceItIsTold) {
  const Bytes core = Noise(4 * kFrameBytes, 31);
  const Fd file = MemoryFile();
  std::atomic<std::uint64_t> written = 0;
  CoreWriter writer(file, {.threads = 2, .written = &written});
  writer.FetchFirst();
  for (std::size_t at = 0; at < core.size(); at += kFrameBytes)
    ASSERT_THAT(writer.Defer(kFrameBytes, Gives(core, at)), Succeeds());
  ASSERT_THAT(writer.WaitFetched(), Succeeds());
  writer.CompressFetched();
  while (written < core.size()) std::this_thread::yield();  // noise does not shrink
  ASSERT_THAT(writer.Finish(), Succeeds());
  EXPECT_TRUE(Unpacked(file) == core);
}

TEST(CoreWriter, MakesRoomForMoreThanItFetchesFirst) {
  const Bytes core = Noise(2 * CoreWriter::kFetchedFirst + 77, 29);
  for (const unsigned threads : {1U, 4U}) {
    const Fd file = MemoryFile();
    CoreWriter writer(file, {.threads = threads});
    writer.FetchFirst();
    for (std::size_t at = 0; at < core.size(); at += kFrameBytes)
      ASSERT_THAT(writer.Defer(std::min(kFrameBytes, core.size() - at), Gives(core, at)), Succeeds());
    ASSERT_THAT(writer.WaitFetched(), Succeeds());
    ASSERT_THAT(writer.Append(std::span(core).first(1000)), Succeeds());
    writer.Rest();
    ASSERT_THAT(writer.Finish(), Succeeds());
    EXPECT_TRUE(Unpacked(file) == core + Bytes(core.begin(), core.begin() + 1000));
  }
}

/// With one thread, which waits for the caller; or he waits for it.
TEST(CoreWriter, TheCallerFetchesInsteadOfWaiting) {
  const Bytes core = Noise(2 * kFrameBytes, 30);
  const Fd file = MemoryFile();
  CoreWriter writer(file, {.threads = 1});
  writer.FetchFirst();
  std::promise<void> second;
  const auto waits = [&](std::span<std::byte> room) -> Result<void> {
    EXPECT_EQ(second.get_future().wait_for(std::chrono::seconds(20)), std::future_status::ready);
    return Gives(core, 0)(room);
  };
  const auto ends_it = [&](std::span<std::byte> room) -> Result<void> {
    second.set_value();
    return Gives(core, kFrameBytes)(room);
  };
  ASSERT_THAT(writer.Defer(kFrameBytes, waits), Succeeds());
  ASSERT_THAT(writer.Defer(kFrameBytes, ends_it), Succeeds());
  ASSERT_THAT(writer.WaitFetched(), Succeeds());
  ASSERT_THAT(writer.Finish(), Succeeds());
  EXPECT_TRUE(Unpacked(file) == core);
}

TEST(CoreWriter, GoesOnFromWhereAFirstFetchFailed) {
  const Bytes core = Noise(20 * kFrameBytes, 31);
  const Fd file = MemoryFile();
  CoreWriter writer(file, {.threads = 2});
  writer.FetchFirst();
  const std::size_t bad = 7 * kFrameBytes;
  Result<void> state;
  for (std::size_t at = 0; at < core.size() && state; at += kFrameBytes) {
    const auto fails = [](std::span<std::byte>) -> Result<void> { return Refuse(EIO, "no such page"); };
    state = writer.Defer(kFrameBytes, at == bad ? CoreWriter::Fetch(fails) : Gives(core, at));
  }
  EXPECT_THAT(writer.WaitFetched(), FailsWith(EIO));
  ASSERT_EQ(writer.ResumeAfterFetch(), bad);
  ASSERT_THAT(writer.Append(std::span(core).subspan(bad)), Succeeds());
  ASSERT_THAT(writer.Finish(), Succeeds());
  EXPECT_TRUE(Unpacked(file) == core);
}

TEST(CoreWriter, FinishingAfterAFailedFetchKeepsWhatIsBeforeIt) {
  const Bytes core = Noise(kFrameBytes, 25);
  const Fd file = MemoryFile();
  CoreWriter writer(file, {.threads = 2});
  ASSERT_THAT(writer.Append(core), Succeeds());
  const auto fails = [](std::span<std::byte>) -> Result<void> {
    return Refuse(ESRCH, "the process is gone");
  };
  ASSERT_THAT(writer.Defer(4096, fails), Succeeds());
  EXPECT_THAT(writer.WaitFetched(), FailsWith(ESRCH));
  EXPECT_THAT(writer.Skip(4096), Succeeds());
  const auto finished = writer.Finish();
  ASSERT_THAT(finished, Succeeds());
  EXPECT_EQ(finished->plain, kFrameBytes);
  EXPECT_TRUE(Unpacked(file) == core);
}

}  // namespace
}  // namespace obit
