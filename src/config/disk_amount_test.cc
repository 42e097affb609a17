#include "config/disk_amount.h"

#include "base/test_support.h"

namespace obit {
namespace {

using ::obit::testing::FailsWith;
using ::obit::testing::Succeeds;

constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;

TEST(DiskAmount, IsAPartOrANumberOfBytes) {
  EXPECT_EQ(ParseDiskAmount("10%"), (DiskAmount{.percent = 10}));
  EXPECT_EQ(ParseDiskAmount("20 GiB"), (DiskAmount{.bytes = 20 * kGiB}));
  EXPECT_EQ(ParseDiskAmount("15%,10g"), (DiskAmount{15, 10 * kGiB}));
  EXPECT_EQ(ParseDiskAmount("1.5G, 15 %"), (DiskAmount{15, kGiB + kGiB / 2}));
  EXPECT_EQ(ParseDiskAmount("off"), DiskAmount());
  for (const char* wrong : {"", "%", "0%", "101%", "10%, 20%", "5, 6", "G", "1.5", "1.2345G", "-1", "1 X",
                            "1 GB2", "20 GiBi", ".5G", "16777216 TiB", "16 EiB", "15.999999999E", "10% 5G"})
    EXPECT_THAT(ParseDiskAmount(wrong), FailsWith(EINVAL)) << wrong;
}

TEST(DiskAmount, IsTheSmallerOfBoth) {
  EXPECT_EQ((DiskAmount{15, 10 * kGiB}).Of(20 * kGiB), 3 * kGiB);
  EXPECT_EQ((DiskAmount{15, 10 * kGiB}).Of(200 * kGiB), 10 * kGiB);
  EXPECT_EQ((DiskAmount{.percent = 100}).Of(UINT64_MAX), UINT64_MAX);
  EXPECT_EQ(DiskAmount().Of(kGiB), std::nullopt);
}

TEST(DiskAmount, ThereAndBack) {
  for (const DiskAmount& amount :
       {DiskAmount(), DiskAmount{.percent = 100}, DiskAmount{.bytes = 0}, DiskAmount{.bytes = 1025},
        DiskAmount{.bytes = 20 * kGiB}, DiskAmount{15, 10 * kGiB}, DiskAmount{.bytes = UINT64_MAX}})
    EXPECT_EQ(ParseDiskAmount(ToText(amount)), amount) << ToText(amount);
  EXPECT_EQ(ToText({15, 10 * kGiB}), "15%, 10 GiB");
}

}  // namespace
}  // namespace obit
