#include "server/metrics.h"

#include <regex>
#include <set>
#include <sstream>

#include "base/test_support.h"

namespace obit {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(Metrics, CountCrashesByWhatBecameOfThem) {
  Metrics metrics;
  CrashRecord record;
  record.capture.transport = "socket";
  record.capture.outcome = CrashOutcome::kFull;
  record.capture.method = CaptureMethod::kDirect;
  record.capture.core_bytes = 1000;
  record.capture.stored_bytes = 10;
  record.capture.held_seconds = 0.25;
  metrics.CountCrash(record);
  metrics.CountCrash(record);
  record.capture.outcome = CrashOutcome::kEvent;
  metrics.CountCrash(record);
  metrics.CountReport({.failure = "it died"});
  metrics.refused = 7;
  metrics.repeated = 31;
  const std::string text = metrics.Render();
  for (const char* line :
       {"\nobit_crashes_total 3\n", "\nobit_crash_outcomes_total{outcome=\"full\"} 2\n",
        "\nobit_crash_outcomes_total{outcome=\"event\"} 1\n", "\nobit_core_bytes_total 3000\n",
        "\nobit_held_seconds_sum 0.750000\n", "\nobit_held_seconds_count 3\n",
        "\nobit_crashes_repeated_total 31\n", "\nobit_refused_peers_total 7\n",
        "\nobit_analyses_failed_total 1\n", "\nobit_queue_length 0\n"})
    EXPECT_THAT(text, HasSubstr(line));
}

TEST(Metrics, SayWhetherThePatternLeadsHereOnceThatIsKnown) {
  Metrics metrics;
  EXPECT_THAT(metrics.Render(), Not(HasSubstr("core_pattern")));
  metrics.pattern_ours = true;
  EXPECT_THAT(metrics.Render(), HasSubstr("\nobit_core_pattern_ours 1\n"));
  metrics.pattern_ours = false;
  EXPECT_THAT(metrics.Render(), HasSubstr("\nobit_core_pattern_ours 0\n"));
}

TEST(Metrics, AreInTheFormatOfPrometheus) {
  Metrics metrics;
  metrics.pattern_ours = false;
  metrics.CountCrash({});
  std::istringstream text(metrics.Render());
  const std::regex sample(R"(([a-z_]+)(\{[a-z]+="[a-z-]*"\})? [0-9.]+)");
  const std::regex comment(R"(# (HELP|TYPE) ([a-z_]+) .+)");
  std::set<std::string> explained;
  std::smatch match;
  for (std::string line; std::getline(text, line);) {
    if (std::regex_match(line, match, comment)) {
      explained.insert(match[2]);
      continue;
    }
    ASSERT_TRUE(std::regex_match(line, match, sample)) << line;
    const std::string family = std::regex_replace(match[1].str(), std::regex("_(sum|count)$"), "");
    EXPECT_TRUE(explained.contains(family)) << line;
  }
}

}  // namespace
}  // namespace obit
