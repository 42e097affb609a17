#include "capture/plan.h"

#include <elf.h>

#include "base/test_support.h"
#include "elf/core_builder.h"
#include "store/seekable.h"

namespace obit {
namespace {

using testing::FailsWith;
using testing::Succeeds;

constexpr std::uint64_t kPage = 4096;

/// The head of a core with a segment of a page at each address.
CoreHead HeadOf(const std::vector<std::uint64_t>& addresses) {
  CoreBuilder builder(EM_X86_64);
  const std::vector<std::byte> page(kPage, std::byte{1});
  builder.AddNote("CORE", NT_PRSTATUS, page);
  for (const std::uint64_t address : addresses) builder.AddSegment(address, PF_R, page, kPage);
  CoreHead head;
  head.Feed(builder.Build());
  EXPECT_TRUE(head.complete());
  return head;
}

TEST(PlanSegments, TellsWhereEachGetsItsBytes) {
  const auto mappings = *ParseMappings(
      "1000-2000 rw-p 0 00:00 0\n"
      "2000-3000 rw-p 0 00:00 0 [heap]\n"
      "3000-4000 r--p 0 fe:00 12 /usr/bin/program\n"
      "4000-5000 rw-s 0 00:01 13 /dev/zero (deleted)\n"
      "VmFlags: rd wr sh um\n"
      "5000-6000 rw-s 0 00:01 14 /SYSV00000000 (deleted)\n"
      "6000-7000 r--p 0 00:00 0 [vvar]\n"
      "7000-8000 r-xp 0 00:00 0 [vdso]\n"
      "9000-9800 rw-p 0 00:00 0\n"
      "a000-b000 rw-p 0 00:00 0\n"
      "VmFlags: rd wr um\n");
  const auto plan = PlanSegments(
      HeadOf({0x1000, 0x2000, 0x3000, 0x4000, 0x5000, 0x6000, 0x7000, 0x8000, 0x9000, 0xa000}), mappings);
  ASSERT_THAT(plan, Succeeds());
  std::vector<SegmentSource> sources;
  for (const PlannedSegment& segment : *plan) sources.push_back(segment.source);
  using enum SegmentSource;
  EXPECT_EQ(sources, (std::vector{kPresentPages, kPresentPages,
                                  kAllPages,         // a file
                                  kStream,           // shared, and user space fills it
                                  kAllPages,         // shared
                                  kNone,             // the kernel's own
                                  kAllPages,         // the kernel's own, but readable
                                  kStream,           // no mapping
                                  kStream,           // a mapping that is too short
                                  kPresentPages}));  // user space fills it, but what is not there is not read
  EXPECT_EQ((*plan)[1].name, "[heap]");
  EXPECT_EQ((*plan)[1].offset, (*plan)[0].offset + kPage);
  EXPECT_TRUE(MayWaitForUserFaults(*plan, mappings));
}

TEST(PlanSegments, NeedsSmapsOnlyForMemoryWithAFile) {
  const auto mappings = *ParseMappings(
      "1000-2000 rw-p 0 00:00 0\n"
      "3000-4000 r--p 0 fe:00 12 /usr/bin/program\n"
      "5000-6000 rw-s 0 00:01 14 /memfd:x (deleted)\n");
  EXPECT_FALSE(MayWaitForUserFaults(*PlanSegments(HeadOf({0x1000, 0x3000}), mappings), mappings));
  EXPECT_TRUE(MayWaitForUserFaults(*PlanSegments(HeadOf({0x1000, 0x5000}), mappings), mappings));
}

TEST(PlanSegments, RefusesSegmentsThatOverlapInTheCore) {
  const std::vector<std::byte> page(kPage, std::byte{1});
  CoreBuilder builder(EM_X86_64);
  builder.AddNote("CORE", NT_PRSTATUS, page);
  builder.AddSegment(0x1000, PF_R, page, kPage);
  builder.AddSegment(0x2000, PF_R, page, kPage);
  auto core = builder.Build();
  auto* headers = reinterpret_cast<Elf64_Phdr*>(core.data() + sizeof(Elf64_Ehdr));
  headers[2].p_offset = headers[1].p_offset + 1;
  CoreHead head;
  head.Feed(core);
  EXPECT_THAT(PlanSegments(head, {}), FailsWith(EINVAL));
}

struct Extent {
  std::uint64_t begin, end;
};
struct Chunk {
  std::uint64_t begin, end;
  std::size_t runs;
  bool operator==(const Chunk&) const = default;
};
std::vector<PlannedChunk> Planned(const std::vector<Extent>& runs) {
  std::vector<PlannedChunk> chunks;
  ChunkPlanner planner([&](PlannedChunk chunk) -> Result<void> {
    chunks.push_back(std::move(chunk));
    return {};
  });
  for (const Extent& run : runs)
    EXPECT_THAT(
        planner.Add({.address = run.begin + 0x7000'0000, .offset = run.begin, .bytes = run.end - run.begin}),
        Succeeds());
  EXPECT_THAT(planner.Flush(), Succeeds());
  EXPECT_THAT(planner.Flush(), Succeeds());
  return chunks;
}
std::vector<Chunk> ChunksOf(const std::vector<Extent>& runs) {
  std::vector<Chunk> chunks;
  for (const PlannedChunk& chunk : Planned(runs))
    chunks.push_back({chunk.offset, chunk.offset + chunk.bytes, chunk.runs.size()});
  return chunks;
}

TEST(ChunkPlanner, MakesNothingOfNothing) { EXPECT_TRUE(ChunksOf({}).empty()); }

TEST(ChunkPlanner, SplitsALongRun) {
  EXPECT_EQ(ChunksOf({{kPage, kPage + 2 * kFrameBytes + 5}}),
            (std::vector<Chunk>{{kPage, kPage + kFrameBytes, 1},
                                {kPage + kFrameBytes, kPage + 2 * kFrameBytes, 1},
                                {kPage + 2 * kFrameBytes, kPage + 2 * kFrameBytes + 5, 1}}));
}

TEST(ChunkPlanner, JoinsRunsThatAreNear) {
  EXPECT_EQ(ChunksOf({{0, kPage}, {2 * kPage, 3 * kPage}, {3 * kPage + kHoleMin, 4 * kPage + kHoleMin}}),
            (std::vector<Chunk>{{0, 3 * kPage, 2}, {3 * kPage + kHoleMin, 4 * kPage + kHoleMin, 1}}));
}

TEST(ChunkPlanner, ForgetsWhatIsLeft) {
  ChunkPlanner planner([](PlannedChunk) -> Result<void> { return Refuse(EIO, "it should be forgotten"); });
  EXPECT_THAT(planner.Add({.offset = 0, .bytes = 1}), Succeeds());
  planner.Clear();
  EXPECT_THAT(planner.Flush(), Succeeds());
}

TEST(ChunkPlanner, EndsWithTheFirstFailure) {
  ChunkPlanner planner([](PlannedChunk) -> Result<void> { return Refuse(EIO, "full"); });
  EXPECT_THAT(planner.Add({.offset = 0, .bytes = 2 * kFrameBytes}), FailsWith(EIO));
}

TEST(ChunkPlanner, CoversEveryRunAndNeverMoreThanAFrame) {
  std::vector<Extent> runs;
  for (std::uint64_t at = 0; at < 4 * kFrameBytes; at += 3 * kPage) runs.push_back({at, at + 2 * kPage});
  std::uint64_t covered = 0, last_end = 0;
  for (const PlannedChunk& chunk : Planned(runs)) {
    EXPECT_LE(chunk.bytes, kFrameBytes);
    EXPECT_GE(chunk.offset, last_end);
    last_end = chunk.offset + chunk.bytes;
    for (const PlannedRun& run : chunk.runs) {
      EXPECT_GE(run.offset, chunk.offset);
      EXPECT_LE(run.offset + run.bytes, last_end);
      EXPECT_EQ(run.address, run.offset + 0x7000'0000);
      covered += run.bytes;
    }
  }
  EXPECT_EQ(covered, runs.size() * 2 * kPage);
}

}  // namespace
}  // namespace obit
