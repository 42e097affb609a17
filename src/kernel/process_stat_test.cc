#include "kernel/process_stat.h"

#include "base/test_support.h"

namespace obit {
namespace {

using testing::FailsWith;
using testing::Succeeds;

/// A stat line whose field n holds 100 + n, but for the first two.
std::string StatLine(std::string_view comm) {
  std::string line = "4242 (" + std::string(comm) + ") R";
  for (int field = 4; field <= 52; ++field) line += " " + std::to_string(100 + field);
  return line + "\n";
}

TEST(ParseProcessStat, FindsEachFieldAtItsPlace) {
  const auto stat = ParseProcessStat(StatLine("sleep"));
  ASSERT_THAT(stat, Succeeds());
  EXPECT_EQ(stat->id, 4242);
  EXPECT_EQ(stat->comm, "sleep");
  EXPECT_EQ(stat->state, 'R');
  EXPECT_EQ(stat->parent, 104);
  EXPECT_EQ(stat->flags, 109u);
  EXPECT_EQ(stat->cpu_ticks, 114u + 115u);
  EXPECT_EQ(stat->start_ticks, 122u);
  EXPECT_EQ(stat->code_begin, 126u);
  EXPECT_EQ(stat->code_end, 127u);
  EXPECT_EQ(stat->sp, 129u);
  EXPECT_EQ(stat->pc, 130u);
  EXPECT_EQ(stat->exit_code, 152);
}

TEST(ParseProcessStat, TakesACommThatLooksLikeTheRest) {
  for (const char* comm : {"", ") ) x(", ") R 1 2 3", "a\nb", "((", "))", "1 (x) R 1", "\xff\x1b[2J"}) {
    const auto stat = ParseProcessStat(StatLine(comm));
    ASSERT_THAT(stat, Succeeds()) << comm;
    EXPECT_EQ(stat->comm, comm);
    EXPECT_EQ(stat->pc, 130u);
  }
}

TEST(ParseProcessStat, TakesMoreFieldsOfANewerKernel) {
  std::string line = StatLine("x");
  line.insert(line.size() - 1, " 153 154");
  EXPECT_THAT(ParseProcessStat(line), Succeeds());
}

TEST(ParseProcessStat, RefusesEveryTruncation) {
  const std::string whole = StatLine("a ) b");
  const std::size_t last_field = whole.rfind(' ');
  for (std::size_t n = 0; n <= last_field; ++n)
    EXPECT_THAT(ParseProcessStat(whole.substr(0, n)), FailsWith(EBADMSG)) << n;
}

TEST(ParseProcessStat, RefusesFieldsThatAreNoNumbers) {
  for (const char* field :
       {" 104 ", " 109 ", " 114 ", " 115 ", " 122 ", " 126 ", " 127 ", " 129 ", " 130 ", " 152\n"}) {
    std::string line = StatLine("x");
    line.replace(line.find(field), std::string_view(field).size(), " -1x ");
    EXPECT_THAT(ParseProcessStat(line), FailsWith(EBADMSG)) << field;
  }
}

TEST(ParseProcessStat, RefusesParenthesesTheWrongWayRound) {
  EXPECT_THAT(ParseProcessStat("1 )x( R 1 2 3"), FailsWith(EBADMSG));
  EXPECT_THAT(ParseProcessStat("(x) R 1 2 3"), FailsWith(EBADMSG));
}

}  // namespace
}  // namespace obit
