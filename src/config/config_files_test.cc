#include "config/config_files.h"

#include <sys/stat.h>

#include "base/test_support.h"

namespace obit {
namespace {

using testing::FailsWith;
using testing::Succeeds;
using testing::TemporaryFolder;

class LoadConfigTest : public ::testing::Test {
 protected:
  void Write(const std::string& name, std::string_view text) {
    if (const auto slash = name.rfind('/'); slash != std::string::npos) {
      ASSERT_THAT(MakeDirectories(folder_ / name.substr(0, slash), 0700), Succeeds());
    }
    ASSERT_THAT(WriteFileAtomically(folder_.fd(), name, text, 0600), Succeeds());
  }
  [[nodiscard]] ConfigPlaces Places() const {
    return {folder_ / "obit.toml", false, {folder_ / "vendor", folder_ / "run", folder_ / "etc"}};
  }
  static std::string FromOf(const LoadedConfig& loaded, std::string_view key) {
    for (const SettingInForce& setting : loaded.settings)
      if (setting.section + "." + setting.key == key) return setting.from;
    return "no such key";
  }
  TemporaryFolder folder_;
};

TEST_F(LoadConfigTest, ReadsAFileAndNamesIt) {
  Write("good.toml", "capture.slots = 9\n");
  Write("bad.toml", "capture.slots = 0\n");
  const auto good = LoadConfig(ConfigOf(folder_ / "good.toml"));
  ASSERT_THAT(good, Succeeds());
  EXPECT_EQ(good->config.slots, 9u);
  EXPECT_EQ(FromOf(*good, "capture.slots"), folder_ / "good.toml:1");
  EXPECT_EQ(FromOf(*good, "capture.direct"), "");
  const auto bad = LoadConfig(ConfigOf(folder_ / "bad.toml"));
  ASSERT_THAT(bad, FailsWith(EINVAL));
  EXPECT_TRUE(bad.error().what.starts_with(folder_ / "bad.toml:1: ")) << bad.error().what;
}

TEST_F(LoadConfigTest, WhatWasNamedMustExist) {
  EXPECT_THAT(LoadConfig(ConfigOf(folder_ / "absent.toml")), FailsWith(ENOENT));
  EXPECT_THAT(LoadConfig(ConfigOf(folder_.path())), FailsWith(EISDIR));
  EXPECT_THAT(LoadConfig(Places()), Succeeds());
}

TEST_F(LoadConfigTest, RefusesAHugeFile) {
  Write("huge.toml", std::string((1 << 20) + 1, '\n'));
  EXPECT_THAT(LoadConfig(ConfigOf(folder_ / "huge.toml")), FailsWith(EINVAL));
}

TEST_F(LoadConfigTest, DropInsCountInTheOrderOfTheirNames) {
  Write("obit.toml", "[capture]\nslots = 1\ndirect = false\n");
  Write("etc/10-a.toml", "capture.slots = 2\n");
  Write("vendor/20-b.toml", "capture.slots = 3\n");
  Write("vendor/README", "nonsense = [");
  Write("vendor/.hidden.toml", "nonsense = [");
  const auto loaded = LoadConfig(Places());
  ASSERT_THAT(loaded, Succeeds());
  EXPECT_EQ(loaded->config.slots, 3u);
  EXPECT_EQ(FromOf(*loaded, "capture.slots"), folder_ / "vendor/20-b.toml:1");
  EXPECT_FALSE(loaded->config.direct);
}

TEST_F(LoadConfigTest, ADropInHidesThoseOfItsNameInEarlierFolders) {
  Write("vendor/a.toml", "capture.slots = 2\n");
  Write("run/a.toml", "capture.verify = true\n");
  auto loaded = LoadConfig(Places());
  ASSERT_THAT(loaded, Succeeds());
  EXPECT_EQ(loaded->config.slots, Config{}.slots);
  EXPECT_TRUE(loaded->config.verify);
  Write("etc/a.toml", "");
  loaded = LoadConfig(Places());
  ASSERT_THAT(loaded, Succeeds());
  EXPECT_FALSE(loaded->config.verify);
}

TEST_F(LoadConfigTest, AWrongDropInIsNamed) {
  Write("run/a.toml", "\ncapture.slot = 2\n");
  const auto loaded = LoadConfig(Places());
  ASSERT_THAT(loaded, FailsWith(EINVAL));
  EXPECT_TRUE(loaded.error().what.starts_with(folder_ / "run/a.toml:2: unknown key \"slot\""))
      << loaded.error().what;
}

}  // namespace
}  // namespace obit
