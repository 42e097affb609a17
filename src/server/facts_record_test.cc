#include "server/facts_record.h"

#include <gmock/gmock.h>

#include "crash/record_json.h"
#include "kernel/core_pattern.h"

namespace obit {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

ProcessFacts Facts() {
  return {.pid = 40,
          .comm = "imgproxy",
          .exe = "/usr/bin/imgproxy",
          .cmdline = {"imgproxy", "--all"},
          .uid = 1000,
          .core_limit = 4096,
          .signal = 11,
          .crashing = ProcessFacts::Thread{.tid = 41, .comm = "worker", .sp = 0x7000, .pc = 0x1136}};
}

RecordHead Head() {
  RecordHead head{.number = 7,
                  .time = 1'790'000'000'000'000'000,
                  .held = 1'500'000'000,
                  .transport = static_cast<std::uint32_t>(Transport::kSocketRequest),
                  .detail = static_cast<std::uint32_t>(Detail::kMinimal),
                  .outcome = static_cast<std::uint32_t>(CrashOutcome::kEvent),
                  .pid = 50,
                  .tid = 51,
                  .privileged = 0};
  SetText(head.id, "0123456789abcdef");
  return head;
}

TEST(SetText, CutsAndFillsUp) {
  char text[4] = {'x', 'x', 'x', 'x'};
  SetText(text, "ab");
  EXPECT_EQ(TextIn(text), "ab");
  EXPECT_EQ(text[3], '\0');
  SetText(text, "abcdef");
  EXPECT_EQ(TextIn(text), "abcd");
  SetText(text, "");
  EXPECT_EQ(TextIn(text), "");
}

TEST(MakeRecord, SaysWhatWasShort) {
  RecordHead head = Head();
  EXPECT_EQ(MakeRecord(head, {}).capture.lowered_reason, "");
  head.lowered = static_cast<std::uint8_t>(Shortage::kDisk);
  head.lowered_has = 300 << 20;
  head.lowered_needs = 500 << 20;
  EXPECT_EQ(MakeRecord(head, {}).capture.lowered, Shortage::kDisk);
  EXPECT_EQ(MakeRecord(head, {}).capture.lowered_reason,
            "the disk has room for 300 MiB of cores, and this one may take 500 MiB");
  head.lowered = 200;
  EXPECT_EQ(MakeRecord(head, {}).capture.lowered, Shortage::kNone);
}

TEST(MakeRecord, TakesWhatTheProcessWasFromTheFacts) {
  const CrashRecord record = MakeRecord(Head(), FactsText(Facts(), false));
  EXPECT_EQ(record.process.comm, "imgproxy");
  EXPECT_EQ(record.process.exe, "/usr/bin/imgproxy");
  EXPECT_THAT(record.process.cmdline, ElementsAre("imgproxy", "--all"));
  EXPECT_EQ(record.process.uid, 1000u);
  EXPECT_EQ(record.process.core_limit, 4096u);
  EXPECT_EQ(record.process.privileged, false);
  EXPECT_EQ(record.thread.tid, 41);
  EXPECT_EQ(record.thread.pc, 0x1136u);
  EXPECT_EQ(record.signal.number, 11);
  EXPECT_EQ(record.signal.code, std::nullopt);
}

TEST(MakeRecord, TakesTheRestFromTheManager) {
  CrashRecord others;
  others.id = "ffffffffffffffff";
  others.number = 99;
  others.host.name = "elsewhere";
  others.process.pid = 99;
  others.process.privileged = false;
  others.capture = {.transport = "file", .detail = Detail::kFull, .outcome = CrashOutcome::kFull};
  others.capture.core_bytes = 99;
  others.files.core = "core.zst";
  const CrashRecord record = MakeRecord(Head(), RecordToJson(others));
  EXPECT_EQ(record.id, "0123456789abcdef");
  EXPECT_EQ(record.number, 7u);
  EXPECT_EQ(record.time, 1'790'000'000'000'000'000);
  EXPECT_EQ(record.host.name, "");
  EXPECT_EQ(record.process.pid, 50);
  EXPECT_EQ(record.thread.tid, 51);
  EXPECT_EQ(record.capture.transport, "socket-request");
  EXPECT_EQ(record.capture.detail, Detail::kMinimal);
  EXPECT_EQ(record.capture.outcome, CrashOutcome::kEvent);
  EXPECT_EQ(record.capture.held_seconds, 1.5);
  EXPECT_EQ(record.capture.core_bytes, 0u);
  EXPECT_EQ(record.files.core, "");
}

TEST(MakeRecord, BelievesTheManagerOfUserSignalAndLimit) {
  RecordHead head = Head();
  head.uid = 21;
  head.has_uid = 1;
  head.signal = 6;
  head.code = -6;
  head.has_code = 1;
  head.core_limit = 0;
  head.has_core_limit = 1;
  const CrashRecord record = MakeRecord(head, FactsText(Facts(), false));
  EXPECT_EQ(record.process.uid, 21u);
  EXPECT_EQ(record.signal.number, 6);
  EXPECT_EQ(record.signal.code, -6);
  EXPECT_EQ(record.process.core_limit, 0u);
}

TEST(MakeRecord, IsPrivilegedIfEitherSaysSo) {
  EXPECT_EQ(MakeRecord(Head(), FactsText(Facts(), true)).process.privileged, true);
  RecordHead head = Head();
  head.privileged = 1;
  EXPECT_EQ(MakeRecord(head, FactsText(Facts(), false)).process.privileged, true);
  CrashRecord silent;
  silent.id = "ffffffffffffffff";
  EXPECT_EQ(MakeRecord(Head(), RecordToJson(silent)).process.privileged, true);
}

TEST(MakeRecord, TakesNothingOfBrokenFacts) {
  const std::string whole = FactsText(Facts(), false);
  for (const std::string& facts : {std::string(), whole.substr(0, whole.size() / 2), std::string("{}")}) {
    const CrashRecord record = MakeRecord(Head(), facts);
    EXPECT_EQ(record.id, "0123456789abcdef");
    EXPECT_EQ(record.process.pid, 50);
    EXPECT_EQ(record.process.comm, "");
    EXPECT_EQ(record.process.uid, std::nullopt);
    EXPECT_EQ(record.process.privileged, true) << "nothing tells whose it was";
    EXPECT_TRUE(RecordFromJson(RecordToJson(record)));
  }
}

TEST(MakeRecord, KeepsToNamesThatThereAre) {
  RecordHead head = Head();
  head.transport = head.detail = head.outcome = 77;
  head.held = -1;
  const auto record = RecordFromJson(RecordToJson(MakeRecord(head, "")));
  ASSERT_TRUE(record) << record.error().what;
  EXPECT_EQ(record->capture.held_seconds, 0);
}

/// Facts whose command line is `arguments`, told and read again.
CrashRecord::Process Told(ProcessFacts facts) {
  const std::string text = FactsText(facts, false);
  EXPECT_LE(text.size(), kFactsMax);
  const CrashRecord record = MakeRecord(Head(), text);
  EXPECT_EQ(record.process.comm, "imgproxy") << "the text was no record";
  return record.process;
}

TEST(FactsText, CutsACommandLineThatDoesNotFit) {
  ProcessFacts facts = Facts();
  facts.cmdline = {"imgproxy", std::string(kCmdlineMax - 10, '\xff')};  // five bytes each, escaped
  const auto long_argument = Told(facts);
  EXPECT_TRUE(long_argument.cmdline_truncated);
  ASSERT_EQ(long_argument.cmdline.size(), 2u);
  EXPECT_TRUE(facts.cmdline[1].starts_with(long_argument.cmdline[1]));
  EXPECT_GT(long_argument.cmdline[1].size(), kFactsMax / 6) << "as much as fits";
  facts.cmdline.assign(kCmdlineMax, "");
  const auto many = Told(facts);
  EXPECT_TRUE(many.cmdline_truncated);
  EXPECT_GT(many.cmdline.size(), 5000u);
  facts.cmdline.assign(100, std::string(300, 'x'));
  const auto fits = Told(facts);
  EXPECT_FALSE(fits.cmdline_truncated);
  EXPECT_EQ(fits.cmdline, facts.cmdline);
}

TEST(FactsText, LeavesOutPathsThatDoNotFit) {
  ProcessFacts facts = Facts();
  const std::string path = "/" + std::string(4094, '\x01');  // six bytes each, escaped
  facts.cwd = facts.root = path;
  facts.cgroup = std::string(64 * 1024, '\xff');
  const auto told = Told(facts);
  EXPECT_THAT(told.too_long, UnorderedElementsAre("root", "cwd", "cgroup"));
  EXPECT_EQ(told.cgroup, "");
  EXPECT_EQ(told.exe, "/usr/bin/imgproxy");
  EXPECT_THAT(told.cmdline, ElementsAre("imgproxy", "--all"));
  facts.cgroup = "/";
  EXPECT_THAT(Told(facts).too_long, IsEmpty());
}

TEST(ThisHost, IsKnown) {
  const CrashRecord::Host host = ThisHost();
  EXPECT_FALSE(host.name.empty());
  EXPECT_FALSE(host.kernel.empty());
  EXPECT_EQ(host.boot_id.size(), 36u);
}

TEST(MakeRecord, HasTheRuleThatWonAndWhatItSays) {
  RecordHead head = Head();
  EXPECT_EQ(MakeRecord(head, {}).capture.handling, CrashHandling());
  EXPECT_EQ(MakeRecord(head, {}).capture.rule, "");
  EXPECT_EQ(MakeRecord(head, {}).capture.root_only, false);
  for (const CrashHandling& handling :
       {CrashHandling{
            .environment = EnvironmentKept::kNone, .analyze = false, .retention = RetentionClass::kKeep},
        CrashHandling{.environment = EnvironmentKept::kAll, .analyze = true, .hooks = false},
        CrashHandling{.hooks = true, .retention = RetentionClass::kShort}}) {
    SetHandling(handling, head);
    EXPECT_EQ(MakeRecord(head, {}).capture.handling, handling);
  }
  SetText(head.rule, "databases");
  head.root_only = 1;
  EXPECT_EQ(MakeRecord(head, {}).capture.rule, "databases");
  EXPECT_EQ(MakeRecord(head, {}).capture.root_only, true);
  head.environment = head.analyze = head.hooks = head.retention = 9;
  EXPECT_EQ(MakeRecord(head, {}).capture.handling, CrashHandling()) << "the ledger may be anybody's work";
}

}  // namespace
}  // namespace obit
