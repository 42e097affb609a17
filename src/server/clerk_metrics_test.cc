#include "server/clerk_metrics.h"

#include "base/log.h"
#include "server/test_clerk.h"

namespace obit {
namespace {

using ::testing::HasSubstr;

class ClerkMetricsTest : public testing::ClerkStoreTest {
 protected:
  ClerkMetricsTest() {
    GiveLogTo([this](Severity, std::string_view text) { said_.emplace_back(text); });
  }
  ~ClerkMetricsTest() override { GiveLogTo({}); }
  std::string Text() {
    const auto file = ReadFileAt(store_.root(), kMetricsFile, 1 << 20);
    return file ? file->text : "";
  }
  std::vector<std::string> said_;
};

TEST_F(ClerkMetricsTest, AreWrittenAfterAChange) {
  ClerkMetrics metrics(loop_, store_, nullptr, [](Metrics& counts) { counts.queued = 7; });
  ++metrics.counts().total.lost;
  metrics.Changed();
  RunThrough({{[this] { return !Text().empty(); }}});
  EXPECT_THAT(Text(), HasSubstr("\nobit_crashes_lost_total 1\n"));
  EXPECT_THAT(Text(), HasSubstr("\nobit_queue_length 7\n"));
}

TEST_F(ClerkMetricsTest, SayOnceThatTheyCannotBeWritten) {
  ClerkMetrics metrics(loop_, store_, nullptr, [](Metrics&) {});
  ASSERT_TRUE(std::filesystem::create_directory(folder_ / "store/metrics.prom"));
  for (int i = 0; i < 3; ++i) metrics.Write();
  EXPECT_EQ(said_.size(), 1u);
  std::filesystem::remove(folder_ / "store/metrics.prom");
  metrics.Write();
  EXPECT_NE(Text(), "");
}

TEST_F(ClerkMetricsTest, AreNotWrittenWhereTheyAreSwitchedOff) {
  ClerkMetrics metrics(loop_, store_, nullptr, [](Metrics&) {});
  metrics.Enable(false);
  metrics.Write();
  EXPECT_EQ(Text(), "");
}

}  // namespace
}  // namespace obit
