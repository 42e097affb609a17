#include "analyze/core_image.h"

#include <elf.h>
#include <sys/resource.h>

#include "analyze/test_support.h"

namespace obit {
namespace {

using testing::Bytes;
using testing::DeadProcess;
using testing::StoredFile;
using testing::Succeeds;

/// Bytes, the most that this process had in memory.
std::int64_t PeakBytes() {
  rusage usage{};
  EXPECT_EQ(::getrusage(RUSAGE_SELF, &usage), 0);
  return std::int64_t{usage.ru_maxrss} * 1024;
}

/// An ELF header and `count` program headers, each of notes that the file has not.
Bytes CoreOfNotes(std::uint16_t count, std::uint64_t bytes) {
  Bytes core = DeadProcess().Core();
  core.resize(sizeof(Elf64_Ehdr));
  auto& header = reinterpret_cast<Elf64_Ehdr&>(core.front());
  header.e_phnum = count;
  Elf64_Phdr notes{};
  notes.p_type = PT_NOTE;
  notes.p_filesz = bytes;
  const auto one = std::as_bytes(std::span(&notes, 1));
  for (int i = 0; i < count; ++i) core.insert(core.end(), one.begin(), one.end());
  return core;
}

TEST(CoreImage, NotesThatAreNotThereTakeNoMemory) {
  const std::int64_t before = PeakBytes();
  const auto image = CoreImage::Open(StoredFile(CoreOfNotes(50, std::uint64_t{1} << 40)));
  ASSERT_THAT(image, Succeeds());
  EXPECT_TRUE(image->notes().threads.empty());
  EXPECT_LT(PeakBytes() - before, 64 << 20);
}

TEST(CoreImage, TellsLeftOutMemoryFromUnmapped) {
  DeadProcess dead;
  dead.LeaveOut(0x12345000, 2 * testing::kPageBytes, PF_R | PF_W);
  auto image = CoreImage::Open(StoredFile(dead.Core()));
  ASSERT_THAT(image, Succeeds());
  EXPECT_TRUE(image->is_minimal());
  ASSERT_NE(image->Find(0x12346000), nullptr);
  EXPECT_EQ(image->Find(0x12346000)->begin, 0x12345000U);
  EXPECT_FALSE(image->Promises(0x12346000));
  EXPECT_EQ(image->ReadWord(0x12346000), std::nullopt);
  EXPECT_EQ(image->Find(0x12347000), nullptr);
  // What has a segment without content never held anything.
  EXPECT_EQ(image->ReadWord(testing::kNoAccess + 8), 0U);

  auto full = CoreImage::Open(StoredFile(DeadProcess().Core()));
  ASSERT_THAT(full, Succeeds());
  EXPECT_FALSE(full->is_minimal());
  EXPECT_EQ(full->ReadWord(testing::kNoAccess + 8), std::nullopt);
}

}  // namespace
}  // namespace obit
