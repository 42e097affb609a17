#include "policy/rules.h"

#include <csignal>

#include "base/test_support.h"
#include "policy/decide.h"

namespace obit {
namespace {

constexpr std::uint64_t kMiB = 1 << 20;

RuleFacts Postgres() {
  RuleFacts facts{.exe = "/usr/lib/postgresql/15/bin/postgres",
                  .name = "postgres",
                  .uid = 26,
                  .signal = SIGSEGV,
                  .resident = 300 * kMiB,
                  .root_only = false};
  facts.SetCgroup("/system.slice/system-postgresql.slice/postgresql@15-main.service");
  return facts;
}

RuleFacts InPod() {
  RuleFacts facts = Postgres();
  facts.SetCgroup(
      "/kubepods.slice/kubepods-burstable.slice/"
      "kubepods-burstable-pod6f8d3c0e_5b1a_4c8e_9d2f_0a1b2c3d4e5f.slice/"
      "cri-containerd-0123456789abcdef.scope");
  return facts;
}

TEST(KeyAgainst, OneThatSaysNothingMatchesAll) {
  EXPECT_EQ(KeyAgainst({}, Postgres()), "");
  EXPECT_EQ(KeyAgainst({}, {}), "");
}

TEST(KeyAgainst, EachKeyMatchesOrNot) {
  const struct {
    Rule matches, fails;
    std::string_view key;
  } cases[] = {
      {{.exe = {"/usr/lib/postgresql/*/bin/*"}}, {.exe = {"/usr/lib/postgresql"}}, "exe"},
      {{.name = {"mysqld", "postgres"}}, {.name = {"mysqld", "postgre"}}, "name"},
      {{.unit = {"postgresql@*.service"}}, {.unit = {"postgresql.service"}}, "unit"},
      {{.slice = {"system-postgresql.slice"}}, {.slice = {"user.slice"}}, "slice"},
      {{.slice = {"system.slice"}}, {.slice = {"*.service"}}, "slice"},
      {{.users = {{"ann", std::nullopt}, {"postgres", 26}}}, {.users = {{"ann", 27}}}, "user"},
      {{.signals = {SIGABRT, SIGSEGV}}, {.signals = {SIGABRT}}, "signal"},
      {{.larger_than = 300 * kMiB - 1}, {.larger_than = 300 * kMiB}, "larger_than"},
      {{.smaller_than = 300 * kMiB + 1}, {.smaller_than = 300 * kMiB}, "smaller_than"},
      {{.root_only = false}, {.root_only = true}, "dump_mode"},
  };
  for (const auto& one : cases) {
    EXPECT_EQ(KeyAgainst(one.matches, Postgres()), "") << one.key;
    EXPECT_EQ(KeyAgainst(one.fails, Postgres()), one.key);
    // What is not known is matched by nothing.
    EXPECT_EQ(KeyAgainst(one.matches, {}), one.key);
  }
  for (const auto& one :
       {Rule{.container = {"*"}}, Rule{.pod = {"6f8d3c0e-*"}}, Rule{.slice = {"kubepods*"}}})
    EXPECT_EQ(KeyAgainst(one, InPod()), "");
  EXPECT_EQ(KeyAgainst({.container = {"*"}}, Postgres()), "container");
  EXPECT_EQ(KeyAgainst({.pod = {"*"}}, Postgres()), "pod");
  EXPECT_EQ(KeyAgainst({.unit = {"*"}}, InPod()), "unit") << "a container's unit is whatever it says";
}

TEST(KeyAgainst, AllKeysMustMatchAndTheFirstThatDoesNotIsTold) {
  Rule rule{.exe = {"*postgres"}, .signals = {SIGABRT}, .larger_than = 400 * kMiB};
  rule.users = {{"", 26}};
  EXPECT_EQ(KeyAgainst(rule, Postgres()), "signal");
  rule.signals = {SIGSEGV};
  EXPECT_EQ(KeyAgainst(rule, Postgres()), "larger_than");
  rule.larger_than = 1;
  EXPECT_EQ(KeyAgainst(rule, Postgres()), "");
}

TEST(KeyAgainst, AUserWhomTheHostHasNotMatchesNobody) {
  EXPECT_EQ(KeyAgainst({.users = {{"ann", std::nullopt}}}, {}), "user");
}

TEST(FirstMatch, IsTheFirst) {
  const std::vector<Rule> rules{{.name = {"mysqld"}}, {.name = {"post*"}}, {}};
  EXPECT_EQ(FirstMatch(rules, Postgres()), 1u);
  EXPECT_EQ(FirstMatch(rules, {}), 2u);
  EXPECT_EQ(FirstMatch(std::span(rules).first(1), Postgres()), std::nullopt);
}

TEST(FactsOf, ARecordTellsTheSame) {
  CrashRecord record;
  EXPECT_EQ(KeyAgainst({.signals = {SIGSEGV}}, FactsOf(record)), "signal");
  record.process.exe = Postgres().exe;
  record.process.comm = "postgres";
  record.process.uid = 26;
  record.process.resident_bytes = 300 * kMiB;
  record.process.cgroup = "/system.slice/system-postgresql.slice/postgresql@15-main.service";
  record.signal.number = SIGSEGV;
  record.capture.root_only = false;
  Rule rule{.exe = {Postgres().exe},
            .name = {"postgres"},
            .unit = {"postgresql@15-main.service"},
            .slice = {"system.slice"},
            .users = {{"", 26}},
            .signals = {SIGSEGV},
            .larger_than = 1,
            .smaller_than = 400 * kMiB,
            .root_only = false};
  EXPECT_EQ(KeyAgainst(rule, FactsOf(record)), "");
}

CrashRecord WithLimit(std::uint64_t limit) {
  CrashRecord record;
  record.process.core_limit = limit;
  return record;
}

TEST(Under, WhatARuleDoesNotSayStays) {
  Config config{.detail = Detail::kMinimal, .no_core_limit = Detail::kReject, .loop_cores = 7};
  config.rules = {{}};
  const Config ruled = Under({.events = 3}, config);
  EXPECT_EQ(ruled.detail, Detail::kMinimal);
  EXPECT_EQ(ruled.no_core_limit, Detail::kReject);
  EXPECT_EQ(ruled.loop_cores, 7u);
  EXPECT_EQ(ruled.loop_events, 3u);
  EXPECT_THAT(ruled.rules, ::testing::IsEmpty());
  EXPECT_EQ(Under({.cores = 1}, config).loop_cores, 1u);
  EXPECT_EQ(Under({.bytes = kMiB}, config).loop_bytes, kMiB);
}

TEST(Under, ADetailHoldsForThoseTooThatWantNoCore) {
  for (const Detail detail : {Detail::kFull, Detail::kMinimal, Detail::kEvent, Detail::kReject}) {
    const Config ruled = Under({.detail = detail}, {.detail = Detail::kMinimal});
    for (const std::uint64_t limit : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{8192}, UINT64_MAX})
      EXPECT_EQ(Decide(WithLimit(limit), ruled).detail, detail) << limit;
    EXPECT_EQ(Decide(WithLimit(8192), ruled).core_max, 8192u) << "a limit is a limit";
    EXPECT_EQ(Decide(WithLimit(UINT64_MAX), ruled).reason.empty(), detail < Detail::kEvent);
  }
}

}  // namespace
}  // namespace obit
