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
  metrics.total.refused.now = 7;
  metrics.total.Start({.repeated = 100});
  metrics.total.tallies.repeated = 131;
  metrics.total.replaced.now = 3;
  metrics.left_behind = 2;
  metrics.kept = 3;
  metrics.kept_bytes = 5000;
  metrics.total.log_dropped.now = 11;
  const std::string text = metrics.Render();
  for (const char* line :
       {"\nobit_crashes_total 3\n", "\nobit_crash_outcomes_total{outcome=\"full\"} 2\n",
        "\nobit_crash_outcomes_total{outcome=\"event\"} 1\n", "\nobit_core_bytes_total 3000\n",
        "\nobit_held_seconds_sum 0.750000\n", "\nobit_held_seconds_count 3\n",
        "\nobit_crashes_repeated_total 31\n", "\nobit_refused_peers_total 7\n",
        "\nobit_analyses_failed_total 1\n", "\nobit_queue_length 0\n", "\nobit_processes_replaced_total 3\n",
        "\nobit_processes_left_behind 2\n", "\nobit_kept_processes 3\n", "\nobit_kept_bytes 5000\n",
        "\nobit_log_lines_dropped_total 11\n"})
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

TEST(Metrics, SayWhatRetentionRemoved) {
  Metrics metrics;
  EXPECT_THAT(metrics.Render(), Not(HasSubstr("\nobit_store_limit_bytes ")));
  metrics.store_limit_bytes = 4096;
  ++metrics.total.removed_cores[static_cast<std::size_t>(RetentionReason::kTotal)];
  ++metrics.total.removed_crashes[static_cast<std::size_t>(RetentionReason::kAge)];
  metrics.total.removed_bytes = 12;
  for (const char* line :
       {"\nobit_store_limit_bytes 4096\n", "\nobit_retention_cores_total{why=\"size\"} 1\n",
        "\nobit_retention_crashes_total{why=\"age\"} 1\n", "\nobit_retention_bytes_total 12\n"})
    EXPECT_THAT(metrics.Render(), HasSubstr(line));
}

TEST(Metrics, GoOnWhereAClerkThatDiedHadCome) {
  const SharedCounts shared = *SharedCounts::Create();
  ASSERT_THAT(shared.LetChildrenHaveIt(true), testing::Succeeds());
  // A clerk; another one for the same manager; and one for the manager after the next.
  for (const std::uint32_t manager : {5U, 5U, 7U}) {
    testing::Child clerk(::fork());
    if (clerk.pid() == 0) {
      Metrics metrics(shared.get());
      metrics.total.Continue(manager);
      metrics.CountCrash({});
      ++metrics.total.lost;
      metrics.total.refused.now = 10;
      metrics.total.replaced.now = 2;
      metrics.total.hook_runs.now = 3;
      ::_exit(0);
    }
    EXPECT_EQ(clerk.Wait(), 0);
  }
  const std::string text = Metrics(shared.get()).Render();
  for (const char* line :
       {"\nobit_crashes_total 3\n", "\nobit_crashes_lost_total 3\n", "\nobit_refused_peers_total 20\n",
        "\nobit_processes_replaced_total 6\n", "\nobit_hook_runs_total 9\n"})
    EXPECT_THAT(text, HasSubstr(line));
}

TEST(Metrics, AreInTheFormatOfPrometheus) {
  Metrics metrics;
  metrics.pattern_ours = false;
  CrashRecord record;
  record.capture.transport = "socket\n# a worker's own words 1";
  metrics.CountCrash(record);
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
