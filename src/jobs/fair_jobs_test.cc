#include "jobs/fair_jobs.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>

namespace obit {
namespace {

using ::testing::ElementsAre;
using ::testing::Optional;

class FairJobsTest : public ::testing::Test {
 protected:
  std::vector<std::string> TakeAll() {
    std::vector<std::string> taken;
    while (auto job = jobs_.Take()) taken.push_back(*job);
    return taken;
  }
  FairJobs<std::string> jobs_{4};
};

TEST_F(FairJobsTest, UsersTakeTurnsAndTheOldestOfEachComesFirst) {
  for (const char* job : {"a1", "a2", "a3"}) EXPECT_EQ(jobs_.Add(1, job), std::nullopt);
  EXPECT_EQ(jobs_.Add({}, "?"), std::nullopt);
  EXPECT_EQ(jobs_.size(), 4U);
  EXPECT_THAT(TakeAll(), ElementsAre("a1", "?", "a2", "a3"));
  EXPECT_TRUE(jobs_.empty());
}

TEST_F(FairJobsTest, WhoComesAgainAtOnceIsBehindWhoWaits) {
  (void)jobs_.Add(1, "a1");
  (void)jobs_.Add(2, "b1");
  (void)jobs_.Add(2, "b2");
  EXPECT_THAT(jobs_.Take(), Optional(std::string("a1")));
  (void)jobs_.Add(1, "a2");
  EXPECT_THAT(TakeAll(), ElementsAre("b1", "a2", "b2"));
}

TEST_F(FairJobsTest, WhoHasMostLosesTheNewest) {
  for (const char* job : {"a1", "a2", "a3"}) (void)jobs_.Add(1, job);
  (void)jobs_.Add(2, "b1");
  EXPECT_THAT(jobs_.Add(2, "b2"), Optional(std::string("a3")));
  EXPECT_THAT(jobs_.Add(2, "b3"), Optional(std::string("b3"))) << "of two who have as many, who wants more";
  EXPECT_THAT(jobs_.Add(1, "a4"), Optional(std::string("a4")));
  EXPECT_THAT(jobs_.Add(3, "c1"), Optional(::testing::AnyOf("a2", "b2")));
  EXPECT_EQ(jobs_.size(), 4U);
}

TEST_F(FairJobsTest, WhereAllHaveOneNobodyLosesIt) {
  for (const uid_t user : {1, 2, 3, 4}) (void)jobs_.Add(user, std::to_string(user));
  for (const JobUser user : {JobUser(), JobUser(9)})
    EXPECT_THAT(jobs_.Add(user, "one more"), Optional(std::string("one more")));
  EXPECT_THAT(TakeAll(), ElementsAre("1", "2", "3", "4"));
}

TEST_F(FairJobsTest, AreForgottenAtOnce) {
  (void)jobs_.Add(1, "a1");
  jobs_.clear();
  EXPECT_EQ(jobs_.Take(), std::nullopt);
  (void)jobs_.Add(1, "a2");
  EXPECT_THAT(TakeAll(), ElementsAre("a2"));
}

TEST_F(FairJobsTest, KeepsOnlyWhatIsWanted) {
  for (const char* job : {"a1", "x2"}) (void)jobs_.Add(1, job);
  (void)jobs_.Add(2, "x3");
  (void)jobs_.Add(3, "c1");
  EXPECT_THAT(jobs_.KeepOnly([](const std::string& job) { return job[0] != 'x'; }), ElementsAre("x2", "x3"));
  EXPECT_EQ(jobs_.size(), 2U);
  for (const char* job : {"c2", "c3"}) (void)jobs_.Add(3, job);
  EXPECT_THAT(jobs_.Add(1, "a4"), Optional(std::string("c3"))) << "3 has most";
  EXPECT_THAT(TakeAll(), ElementsAre("a1", "c1", "a4", "c2"));
}

}  // namespace
}  // namespace obit
