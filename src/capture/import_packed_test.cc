#include <memory>
#include <random>
#include <thread>

#include <lzma.h>
#include <sys/stat.h>
#include <zstd.h>

#include "capture/test_import.h"

namespace obit {
namespace {

using testing::Compressed;
using testing::Core;
using testing::FailsWith;
using ::testing::HasSubstr;
using testing::kMemory;
using testing::Succeeds;

class ImportPackedCoreTest : public testing::ImportCoreTest {};

TEST_F(ImportPackedCoreTest, UnpacksByContentNotByName) {
  for (const char* filter : {"zstd", "lz4", "xz", "gzip"}) {
    const auto crash = Import(Write("core", Compressed(Core(), filter)));
    ASSERT_THAT(crash, Succeeds()) << filter;
    EXPECT_EQ(store_.Load(*crash)->capture.outcome, CrashOutcome::kFull) << filter;
    EXPECT_EQ(Stored(*crash), Core()) << filter;
    EXPECT_EQ(done_, total_) << filter;
  }
}

TEST_F(ImportPackedCoreTest, KeepsWhatUnpacksOfACutCompressedFile) {
  for (const char* filter : {"zstd", "xz", "gzip"}) {  // lz4 has blocks of 4 MiB: half of one is nothing
    const std::string whole = Compressed(Core(), filter);
    const auto crash = Import(Write("core", whole.substr(0, whole.size() / 2)));
    ASSERT_THAT(crash, Succeeds()) << filter;
    const auto record = store_.Load(*crash);
    EXPECT_EQ(record->capture.outcome, CrashOutcome::kTruncated) << filter;
    EXPECT_THAT(record->capture.reason, HasSubstr("the file ends after")) << filter;
  }
}

/// As zstd(1) does it, with a checksum, which libarchive leaves out.
std::string CompressedByZstd(const std::string& plain) {
  const std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> context(ZSTD_createCCtx(), &ZSTD_freeCCtx);
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_checksumFlag, 1);
  std::string packed(ZSTD_compressBound(plain.size()), '\0');
  packed.resize(ZSTD_compress2(context.get(), packed.data(), packed.size(), plain.data(), plain.size()));
  return packed;
}

/// All bytes come out of such a file before a checksum at its end says that they are not those of the core.
TEST_F(ImportPackedCoreTest, ADamagedCoreIsNotFullThoughAllBytesAreThere) {
  // Noise is stored as it is: a byte in the middle of it is a byte of the core. What is packed is what
  // differs.
  std::vector<std::byte> memory(kMemory);
  std::mt19937_64 random(1);
  for (std::byte& byte : memory) byte = static_cast<std::byte>(random() >> 56);
  for (const char* filter : {"zstd", "lz4", "xz", "gzip"}) {
    const std::string core = Core(memory);
    std::string packed =
        filter == std::string_view("zstd") ? CompressedByZstd(core) : Compressed(core, filter);
    packed.at(packed.size() - 2000) ^= 1;
    const auto crash = Import(Write("core", packed));
    ASSERT_THAT(crash, Succeeds()) << filter;
    const auto capture = store_.Load(*crash)->capture;
    EXPECT_EQ(capture.outcome, CrashOutcome::kTruncated) << filter;
    EXPECT_NE(capture.reason, "") << filter;
    if (capture.core_bytes == core.size()) {
      EXPECT_THAT(capture.reason, HasSubstr("not as they were packed")) << filter;
    }
    if (std::string_view(filter) == "gzip") {
      EXPECT_EQ(capture.core_bytes, core.size());
    }
  }
}

TEST_F(ImportPackedCoreTest, ALengthThatIsWrongIsDamageToo) {
  std::string packed = Compressed(Core(), "gzip");
  packed.back() ^= 1;  // ISIZE
  const auto crash = Import(Write("core", packed));
  ASSERT_THAT(crash, Succeeds());
  EXPECT_EQ(store_.Load(*crash)->capture.outcome, CrashOutcome::kTruncated);
  EXPECT_THAT(store_.Load(*crash)->capture.reason, HasSubstr("incorrect length check"));
}

TEST_F(ImportPackedCoreTest, GzipMayHaveSeveralMembersAndWhatFollows) {
  const std::string core = Core(), half = core.substr(0, core.size() / 2);
  const std::string packed = Compressed(half, "gzip") + Compressed(core.substr(half.size()), "gzip");
  for (const std::string_view end : {"", "\x1f\x8b\x08", "\x1fzzzzzzzzzzzzzzzzzzz", "rubbish"}) {
    const auto crash =
        Import(Write("core", packed + std::string(end.empty() ? 512 : 0, '\0') + std::string(end)));
    ASSERT_THAT(crash, Succeeds()) << end;
    const auto capture = store_.Load(*crash)->capture;
    const bool is_cut = end.size() == 3;  // the beginning of another member
    EXPECT_EQ(capture.outcome, is_cut ? CrashOutcome::kTruncated : CrashOutcome::kFull) << end;
    EXPECT_EQ(capture.reason.empty(), end.empty()) << end;
    EXPECT_EQ(Stored(*crash), core) << end;
  }
}

TEST_F(ImportPackedCoreTest, XzAndZstdMayHaveSeveralPartsAndWhatFollows) {
  const std::string core = Core(std::vector<std::byte>(1 << 16)), half = core.substr(0, core.size() / 2);
  for (const std::string filter : {"xz", "zstd"}) {
    const std::string packed =
        Compressed(half, filter.c_str()) + Compressed(core.substr(half.size()), filter.c_str());
    const std::string magic = packed.substr(0, filter == "xz" ? 6 : 4);
    for (const std::string& end :
         {std::string(), std::string("rubbish"), magic.substr(0, 1) + "zzzzzzzzzzzzzz", magic}) {
      const auto crash = Import(Write("core", packed + end));
      ASSERT_THAT(crash, Succeeds()) << filter << end;
      const auto capture = store_.Load(*crash)->capture;
      const bool is_cut = end == magic;  // the beginning of another part
      EXPECT_EQ(capture.outcome, is_cut ? CrashOutcome::kTruncated : CrashOutcome::kFull) << filter << end;
      EXPECT_EQ(capture.reason.empty(), end.empty()) << filter << end;
      EXPECT_EQ(Stored(*crash), core) << filter << end;
    }
  }
}

/// The same .xz with another size of its dictionary: that of xz(1) is 12 + 4 bytes from its beginning, in the
/// header of its block, of which the first byte says how long it is, and the last four are its checksum.
std::string WithDictionary(std::string xz, int size) {
  constexpr std::size_t kHeader = 12, kSize = 4;
  const std::size_t length = (static_cast<unsigned char>(xz.at(kHeader)) + 1U) * 4 - 4;
  xz.at(kHeader + kSize) = static_cast<char>(size);
  const std::uint32_t sum = lzma_crc32(reinterpret_cast<const std::uint8_t*>(&xz[kHeader]), length, 0);
  return xz.replace(kHeader + length, sizeof sum, reinterpret_cast<const char*>(&sum), sizeof sum);
}

TEST_F(ImportPackedCoreTest, AnXzFileDoesNotSayHowMuchMemoryIsTaken) {
  const std::string core = Core(std::vector<std::byte>(1 << 16)), xz = Compressed(core, "xz");
  for (const int size : {30, 22}) {  // 128 MiB, 8 MiB
    const auto crash = Import(Write("core", WithDictionary(xz, size)));
    ASSERT_THAT(crash, Succeeds());
    EXPECT_EQ(Stored(*crash), core);
    ASSERT_THAT(store_.Remove(*crash), Succeeds());
  }
  for (const int size : {31, 32, 36, 40}) {  // 192 MiB, 256 MiB, 1 GiB, 4 GiB
    const auto crash = Import(Write("core", WithDictionary(xz, size)));
    ASSERT_THAT(crash, FailsWith(EBADMSG));
    EXPECT_THAT(crash.error().what, HasSubstr("MiB of memory"));
  }
  ExpectNothingLeft();
}

TEST_F(ImportPackedCoreTest, APipeIsUnpackedToo) {
  const std::string core = Core(std::vector<std::byte>(1 << 20));
  for (const char* filter : {"zstd", "xz"}) {
    const std::string packed = Compressed(core, filter), path = folder_ / "pipe";
    ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
    std::jthread writer([&] {
      const auto pipe = Open(path, O_WRONLY);
      EXPECT_THAT(WriteAll(*pipe, packed), Succeeds());
    });
    const auto crash = Import(path);
    ASSERT_THAT(crash, Succeeds()) << filter;
    EXPECT_EQ(Stored(*crash), core) << filter;
    ASSERT_EQ(::unlink(path.c_str()), 0);
  }
}

}  // namespace
}  // namespace obit
