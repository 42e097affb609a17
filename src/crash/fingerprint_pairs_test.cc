// The pairs of fingerprint_pairs.json: stacks that must agree, and stacks that must differ. They are in the
// form of a report; how a frame was found is left out there.

#include <fstream>
#include <iterator>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/test_support.h"
#include "crash/fingerprint.h"
#include "crash/report_json.h"

namespace obit {
namespace {

using Json = nlohmann::ordered_json;

class FingerprintPairs : public ::testing::Test {
 protected:
  Report::Fingerprint Of(const Json& crash) const {
    Json stacks = crash.at("stacks");
    for (Json& frame : stacks.at(0).at("frames")) frame["found"] = "cfi";
    const Json whole{{"schema", 2},
                     {"id", "0123456789abcdef"},
                     {"time", "2026-01-01T00:00:00.000000000Z"},
                     {"seconds", 0},
                     {"cause", crash.at("cause")},
                     {"fingerprint", Json::object()},
                     {"crashed", Json::object()},
                     {"stacks", std::move(stacks)},
                     {"modules", pairs_.at("modules")}};
    const auto report = ReportFromJson(whole.dump());
    EXPECT_THAT(report, testing::Succeeds());
    if (!report) return {};
    CrashRecord record;
    record.process.pid = 4711;
    record.signal.number = crash.at("signal");
    if (crash.contains("sent_by_itself")) record.signal.sender_pid = 4711;
    return FindFingerprint(*report, record);
  }

  const Json pairs_ = Json::parse(std::ifstream(OBIT_FINGERPRINT_PAIRS));
};

TEST_F(FingerprintPairs, ThatMustAgree) {
  ASSERT_GE(pairs_.at("agree").size(), 60u);
  for (const Json& pair : pairs_.at("agree")) {
    const auto one = Of(pair.at("one")), other = Of(pair.at("other"));
    EXPECT_THAT(one.frames, ::testing::ElementsAreArray(other.frames)) << pair.at("why");
    EXPECT_EQ(one.value, other.value) << pair.at("why");
  }
}

TEST_F(FingerprintPairs, ThatMustDiffer) {
  ASSERT_GE(pairs_.at("differ").size(), 60u);
  for (const Json& pair : pairs_.at("differ")) {
    const auto one = Of(pair.at("one")), other = Of(pair.at("other"));
    EXPECT_NE(one.value, other.value) << pair.at("why") << " " << ::testing::PrintToString(one.frames);
  }
}

}  // namespace
}  // namespace obit
