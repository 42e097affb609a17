#include "store/unpack.h"

#include <thread>

#include "base/test_support.h"
#include "store/core_writer.h"

namespace obit {
namespace {

using testing::Succeeds;

constexpr std::size_t kPage = 4096;

/// A core with data, pages of zeros inside of data, a hole, and an odd end.
std::string SampleCore() {
  std::string core(3 * kFrameBytes + 100, '\0');
  for (std::size_t i = 0; i < kPage; ++i) core[i] = static_cast<char>(i % 251 + 1);
  core[3 * kPage + 5] = 'x';
  core.back() = 'e';
  return core;
}

class UnpackCore : public ::testing::Test {
 protected:
  void SetUp() override {
    const Fd file(::open((folder_ / "core.zst").c_str(), O_RDWR | O_CREAT, 0600));
    CoreWriter writer(file, {});
    ASSERT_THAT(writer.Append(testing::BytesOf(core_)), Succeeds());
    ASSERT_THAT(writer.Finish(), Succeeds());
  }
  Result<void> Unpack(const Fd& out) {
    CoreReader reader = OBIT_TRY(CoreReader::Open(OBIT_TRY(Open(folder_ / "core.zst", O_RDONLY))));
    return obit::UnpackCore(reader, out, [&](std::uint64_t done) { progress_ = done; });
  }
  [[nodiscard]] std::string Content() const { return ReadFile(folder_ / "out", 8 << 20)->text; }
  [[nodiscard]] Fd Out(int flags) const {
    return Fd(::open((folder_ / "out").c_str(), O_RDWR | O_CREAT | flags, 0600));
  }

  testing::TemporaryFolder folder_;
  const std::string core_ = SampleCore();
  std::uint64_t progress_ = 0;
};

TEST_F(UnpackCore, IntoAFileKeepsHolesAndPagesOfZerosAsHoles) {
  const Fd out = Out(O_TRUNC);
  ASSERT_THAT(Unpack(out), Succeeds());
  EXPECT_EQ(Content(), core_);
  EXPECT_EQ(progress_, core_.size());
  struct stat status{};
  ::fstat(out.get(), &status);
  EXPECT_LE(status.st_blocks * 512, 3 * static_cast<long>(kPage));  // first page, page 3, last page
}

TEST_F(UnpackCore, LeavesThePositionBehindTheCore) {
  const Fd out = Out(O_TRUNC);
  ASSERT_THAT(WriteAll(out, "before"), Succeeds());
  ASSERT_THAT(Unpack(out), Succeeds());
  ASSERT_THAT(WriteAll(out, "after"), Succeeds());
  EXPECT_EQ(Content(), "before" + core_ + "after");
}

TEST_F(UnpackCore, WritesZerosOverWhatIsThere) {
  const Fd out = Out(O_TRUNC);
  ASSERT_THAT(WriteAll(out, std::string(core_.size(), 'o')), Succeeds());
  ::lseek(out.get(), 0, SEEK_SET);
  ASSERT_THAT(Unpack(out), Succeeds());
  EXPECT_EQ(Content(), core_);
}

TEST_F(UnpackCore, AppendsWhereTheFileIsOpenForThat) {
  ASSERT_THAT(WriteAll(Out(O_TRUNC), "before"), Succeeds());
  const Fd out = Out(O_APPEND);
  ASSERT_THAT(Unpack(out), Succeeds());
  EXPECT_EQ(Content(), "before" + core_);
}

TEST_F(UnpackCore, IntoAPipeWritesEveryByte) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const Fd reader(ends[0]);
  Fd writer(ends[1]);
  std::string got(core_.size() + 1, '\0');
  std::size_t size = 0;
  std::thread reading([&] { size = *ReadFull(reader, std::as_writable_bytes(std::span(got))); });
  const auto unpacked = Unpack(writer);
  writer.Reset();
  reading.join();
  EXPECT_THAT(unpacked, Succeeds());
  got.resize(size);
  EXPECT_EQ(got, core_);
}

TEST_F(UnpackCore, WaitsForAReaderOfAPipeThatDoesNotBlock) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
  const Fd reader(ends[0]);
  Fd writer(ends[1]);
  ASSERT_EQ(::fcntl(reader.get(), F_SETFL, 0), 0);
  std::string got(core_.size() + 1, '\0');
  std::size_t size = 0;
  std::thread reading([&] { size = *ReadFull(reader, std::as_writable_bytes(std::span(got))); });
  const auto unpacked = Unpack(writer);
  writer.Reset();
  reading.join();
  EXPECT_THAT(unpacked, Succeeds());
  got.resize(size);
  EXPECT_EQ(got, core_);
}

TEST_F(UnpackCore, TellsBeforeItWritesThatNoFileMayBeSoLong) {
  {
    const Fd file(::open((folder_ / "core.zst").c_str(), O_RDWR | O_TRUNC));
    CoreWriter writer(file, {});
    ASSERT_THAT(writer.Append(testing::BytesOf(core_)), Succeeds());
    ASSERT_THAT(writer.Skip(INT64_MAX - core_.size()),
                Succeeds());  // no file system has such files, and 1 byte more
    ASSERT_THAT(writer.Finish(), Succeeds());
  }
  const Fd out = Out(O_TRUNC);
  ASSERT_THAT(WriteAll(out, "before"), Succeeds());
  EXPECT_THAT(Unpack(out), testing::FailsWith(EFBIG));
  EXPECT_EQ(Content(), "before");
  EXPECT_EQ(progress_, 0u);
}

TEST_F(UnpackCore, TellsOfAFullDisk) {
  const Fd full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  EXPECT_THAT(Unpack(full), testing::FailsWith(ENOSPC));
}

}  // namespace
}  // namespace obit
