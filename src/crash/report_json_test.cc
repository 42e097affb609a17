#include "crash/report_json.h"

#include <functional>

#include <nlohmann/json.hpp>

#include "base/test_support.h"
#include "base/text.h"
#include "crash/test_support.h"

namespace obit {
namespace {

using testing::FailsWith;
using testing::Succeeds;
using Json = nlohmann::ordered_json;

/// Fills reports with anything that a field can hold, the same for each seed.
class Generator : testing::RandomValues {
 public:
  using RandomValues::RandomValues;

  Report Make() {
    Report report;
    report.id = fmt::format("{:016x}", random_());
    report.time = Time();
    report.seconds = static_cast<double>(random_() % 1'000'000'007) / 1e6;
    report.failure = Text();
    report.cause = MakeCause();
    report.fingerprint.version = Number<int>();
    if (Coin()) report.fingerprint.value = fmt::format("{:016x}", random_());
    report.fingerprint.frames.resize(random_() % 3);
    for (std::string& frame : report.fingerprint.frames) frame = Text();
    report.modules.resize(random_() % 3);
    for (Module& module : report.modules)
      module = {Text(), Text(), Address(), Address(), Text(), Text(), Coin(), Text()};
    report.stacks.resize(random_() % 3);
    for (Stack& stack : report.stacks) stack = MakeStack(report.modules.size());
    report.threads = Number<std::uint64_t>();
    report.registers.resize(random_() % 3);
    for (auto& reg : report.registers) reg = {Text(), Address(), Text()};
    if (Coin()) report.instruction = {Address(), Text(), Text()};
    report.memory.resize(random_() % 3);
    for (auto& memory : report.memory) memory = {Text(), Address(), Text()};
    if (!report.stacks.empty() && !report.stacks.front().frames.empty())
      report.own_frame = static_cast<std::uint32_t>(random_() % report.stacks.front().frames.size());
    report.environment.resize(random_() % 3);
    for (std::string& variable : report.environment) variable = Text();
    report.mappings.resize(random_() % 3);
    for (auto& mapping : report.mappings) mapping = {Address(), Address(), Text(), Text()};
    report.mappings_total = Number<std::uint64_t>();
    return report;
  }

 private:
  Cause MakeCause() {
    Cause cause{.kind = static_cast<CauseKind>(random_() % 44),
                .guess = Coin(),
                .access = static_cast<MemoryAccess>(random_() % 4),
                .transfer = static_cast<Transfer>(random_() % 3)};
    if (Coin()) cause.address = Address();
    for (std::string* text :
         {&cause.place, &cause.reg, &cause.instruction, &cause.function, &cause.expression, &cause.type,
          &cause.message, &cause.runtime, &cause.what, &cause.system_call, &cause.old_sentence})
      *text = Text();
    cause.alignment = Number<std::uint32_t>();
    if (Coin()) cause.recursion = {{Text(), Text()}, Address(), Coin(), Coin()};
    if (Coin()) {
      cause.sender = {.kind = static_cast<SenderKind>(random_() % 8), .in_handler = Coin()};
      if (Coin()) cause.sender->pid = Number<pid_t>();
      if (Coin()) cause.sender->uid = Number<uid_t>();
    }
    if (Coin()) {
      cause.first_fault = {.signal = Number<int>(), .code = Number<int>()};
      if (Coin()) cause.first_fault->address = Address();
    }
    return cause;
  }
  Stack MakeStack(std::size_t modules) {
    Stack stack;
    stack.tids.resize(random_() % 3);
    for (pid_t& tid : stack.tids) tid = Number<pid_t>();
    stack.frames.resize(random_() % 4);
    for (Frame& frame : stack.frames) {
      frame.pc = Address();
      frame.function = Text();
      frame.symbol = Text();
      frame.linked_as = Text();
      if (Coin()) frame.offset = Address();
      frame.file = Text();
      frame.line = Number<std::uint32_t>();
      frame.inlined = Coin();
      frame.interrupted = Coin();
      frame.origin = static_cast<FrameOrigin>(random_() % 5);
      if (modules == 0 || Coin()) continue;
      frame.module = static_cast<std::uint32_t>(random_() % modules);
      frame.module_offset = Address();
    }
    if (stack.frames.size() > 1) stack.folds = {{0, 1, Address()}, {1, 1, 2}};
    stack.end = Text();
    return stack;
  }
  std::uint64_t Address() { return Number<std::uint64_t>(); }
};

/// A report with every field set.
Report Whole() {
  Report report;
  report.id = "3f9c2a71b04d6e58";
  report.seconds = 0.25;
  report.failure = "x";
  report.cause = {.kind = CauseKind::kStackOverflow,
                  .guess = true,
                  .access = MemoryAccess::kRead,
                  .transfer = Transfer::kCall,
                  .address = 24,
                  .place = "x",
                  .reg = "rdi",
                  .instruction = "nop",
                  .alignment = 16,
                  .recursion = Cause::Recursion{{"x"}, 3, true, true},
                  .function = "x",
                  .expression = "x",
                  .type = "x",
                  .message = "y",
                  .message_guess = true,
                  .runtime = "x",
                  .what = "x",
                  .system_call = "x",
                  .sender = Cause::Sender{SenderKind::kTimer, 1, 2, true},
                  .first_fault = Cause::FirstFault{11, 1, 5},
                  .old_sentence = "x"};
  report.fingerprint = {1, "a71c0900b04d6e58", {"x", "y"}};
  report.modules = {{"x", "ab", 1, 2, "x", "module", true, "x"}};
  Frame frame{.pc = 1, .function = "x", .symbol = "x", .linked_as = "x", .offset = 2, .file = "x", .line = 3};
  frame.inlined = frame.interrupted = true;
  frame.module = 0;
  frame.module_offset = 4;
  report.stacks = {{{1, 2}, {frame, frame}, {{0, 1, 5}}, "x"}};
  report.threads = 6;
  report.registers = {{"rdi", 7, "x"}};
  report.instruction = {8, "90", "nop"};
  report.memory = {{"pc", 9, "\xff\x01"}};
  report.own_frame = 1;
  report.environment = {"LANG=C"};
  report.mappings = {{1, 2, "r-x", "x"}};
  report.mappings_total = 1;
  return report;
}
Json WholeJson() { return Json::parse(ReportToJson(Whole())); }

Result<Report> Read(const Json& json) { return ReportFromJson(json.dump()); }

Result<Report> ReadWith(const char* at, const Json& value) {
  Json json = WholeJson();
  json[Json::json_pointer(at)] = value;
  return Read(json);
}

/// Calls `test` with a pointer to each value inside of `json`.
void ForEachValue(const Json& json, const Json::json_pointer& at,
                  const std::function<void(const Json::json_pointer&)>& test) {
  for (const auto& [key, value] : json.items()) {
    const Json::json_pointer here = json.is_array() ? at / std::stoul(key) : at / key;
    test(here);
    if (value.is_structured()) ForEachValue(value, here, test);
  }
}

TEST(ReportJson, EveryFieldWithAnyBytesComesBack) {
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    const Report report = Generator(seed).Make();
    const auto read = ReportFromJson(ReportToJson(report));
    ASSERT_THAT(read, Succeeds()) << "seed " << seed;
    ASSERT_EQ(ReportToJson(*read), ReportToJson(report)) << "seed " << seed;
    ASSERT_TRUE(*read == report) << "seed " << seed;
  }
}

TEST(ReportJson, AnEmptyReportComesBack) {
  Report report;
  report.id = "0000000000000000";
  EXPECT_EQ(ReportFromJson(ReportToJson(report)), report);
}

TEST(ReportJson, IsUtf8TextThatEndsWithANewline) {
  const std::string text = ReportToJson(Generator(1).Make());
  EXPECT_EQ(text.back(), '\n');
  for (std::string_view rest = text; !rest.empty();) {
    const std::size_t length = Utf8Length(rest);
    ASSERT_NE(length, 0u);
    rest.remove_prefix(length);
  }
}

TEST(ReportJson, EveryValueOfAWrongTypeIsRefused) {
  const Json whole = WholeJson();
  ASSERT_THAT(Read(whole), Succeeds());
  int tested = 0;
  ForEachValue(whole, Json::json_pointer(), [&](const Json::json_pointer& at) {
    for (const Json& wrong :
         {Json("\x01 no such word"), Json(1.5), Json(true), Json::array({1.5}), Json::object()}) {
      if (wrong.type() == whole[at].type()) continue;
      Json spoiled = whole;
      spoiled[at] = wrong;
      EXPECT_FALSE(Read(spoiled)) << at << " " << wrong;
      ++tested;
    }
  });
  EXPECT_GT(tested, 250);
}

TEST(ReportJson, NumbersOutOfRangeAreRefused) {
  for (const char* at : {"/stacks/0/tids/0", "/fingerprint/version"}) {
    EXPECT_THAT(ReadWith(at, 2147483648LL), FailsWith(EBADMSG)) << at;
    EXPECT_THAT(ReadWith(at, -2147483649LL), FailsWith(EBADMSG)) << at;
    EXPECT_THAT(ReadWith(at, UINT64_MAX), FailsWith(EBADMSG)) << at;
  }
  for (const char* at : {"/threads", "/mappings_total", "/stacks/0/folds/0/times", "/stacks/0/frames/0/line",
                         "/stacks/0/frames/0/offset", "/stacks/0/frames/0/module", "/seconds"})
    EXPECT_THAT(ReadWith(at, -1), FailsWith(EBADMSG)) << at;
  EXPECT_THAT(ReadWith("/stacks/0/frames/0/line", 4294967296LL), FailsWith(EBADMSG));
}

TEST(ReportJson, WordsThatNobodyKnowsAreRefused) {
  for (const char* word : {"", "Cfi", "cfi "})
    EXPECT_THAT(ReadWith("/stacks/0/frames/0/found", word), FailsWith(EBADMSG));
}

TEST(ReportJson, AKindOfCauseOfALaterVersionIsNotKnown) {
  const auto report = ReadWith("/cause/kind", "bit-flip");
  ASSERT_THAT(report, Succeeds());
  EXPECT_EQ(report->cause.kind, CauseKind::kUnknown);
}

TEST(ReportJson, AnIndexThatLeadsNowhereIsRefused) {
  EXPECT_THAT(ReadWith("/stacks/0/frames/0/module", 1), FailsWith(EBADMSG));
  EXPECT_THAT(ReadWith("/modules", Json::array()), FailsWith(EBADMSG));
  EXPECT_THAT(ReadWith("/stacks/0/folds/0/first", 2), FailsWith(EBADMSG));
  EXPECT_THAT(ReadWith("/stacks/0/folds/0/count", 3), FailsWith(EBADMSG));
  EXPECT_THAT(ReadWith("/stacks/0/folds/0/count", 0), FailsWith(EBADMSG));
  EXPECT_THAT(ReadWith("/stacks/0/folds/0", {{"first", UINT32_MAX}, {"count", UINT32_MAX}, {"times", 1}}),
              FailsWith(EBADMSG));
}

TEST(ReportJson, FoldsComeInOrderAndApart) {
  const auto read = [](std::uint32_t first) {
    return ReadWith("/stacks/0/folds", {{{"first", 0}, {"count", 1}, {"times", 2}},
                                        {{"first", first}, {"count", 1}, {"times", 2}}});
  };
  EXPECT_THAT(read(1), Succeeds());
  EXPECT_THAT(read(0), FailsWith(EBADMSG));
}

TEST(ReportJson, BytesArePairsOfHexDigits) {
  const auto read = ReadWith("/crashed/memory/0/bytes", "00ff10");
  ASSERT_THAT(read, Succeeds());
  EXPECT_EQ(read->memory.at(0).bytes, std::string("\0\xff\x10", 3));
  for (const char* wrong : {"0", "0g", "+1", "00 1", "0x10"})
    EXPECT_THAT(ReadWith("/crashed/memory/0/bytes", wrong), FailsWith(EBADMSG)) << wrong;
}

TEST(ReportJson, AFingerprintIsSixteenHexDigits) {
  for (const char* wrong : {"a71c09", "A71C0900B04D6E58", "../../../../etc/x"})
    EXPECT_THAT(ReadWith("/fingerprint/value", wrong), FailsWith(EBADMSG)) << wrong;
}

TEST(ReportJson, TheIdMustBeOne) {
  for (const char* wrong : {"", "3F9C2A71B04D6E58", "../../../../etc/x", "3f9c"})
    EXPECT_THAT(ReadWith("/id", wrong), FailsWith(EBADMSG)) << wrong;
}

TEST(ReportJson, AnotherSchemaIsTold) {
  for (const int schema : {-1, 0, 3, 1000})
    EXPECT_THAT(ReadWith("/schema", schema), FailsWith(EPROTONOSUPPORT)) << schema;
}

TEST(ReportJson, AReportOfSchemaOneHasItsSentence) {
  Json old = WholeJson();
  old["schema"] = 1;
  old["cause"] = {
      {"kind", "null-read"}, {"sentence", "null pointer read"}, {"guess", true}, {"message", "m"}};
  const auto read = Read(old);
  ASSERT_THAT(read, Succeeds());
  EXPECT_EQ(read->schema, 1);
  EXPECT_EQ(
      read->cause,
      (Cause{
          .kind = CauseKind::kNullRead, .guess = true, .message = "m", .old_sentence = "null pointer read"}));
  EXPECT_EQ(ReportFromJson(ReportToJson(*read)), *read);
}

TEST(ReportJson, FieldsOfNewerVersionsAreIgnored) {
  for (const char* at :
       {"/later", "/cause/later", "/crashed/later", "/stacks/0/later", "/stacks/0/frames/1/later"})
    EXPECT_THAT(ReadWith(at, {{"x", 1}}), Succeeds()) << at;
}

TEST(ReportJson, TheMessageNamesTheField) {
  const auto read = ReadWith("/stacks/0/frames/1/file", 1);
  ASSERT_THAT(read, FailsWith(EBADMSG));
  EXPECT_EQ(read.error().what, "report: stacks.frames.file is not a string");
}

TEST(ReportJson, EveryTruncationIsRefused) {
  const std::string text = ReportToJson(Whole());
  for (std::size_t n = 0; n + 1 < text.size(); ++n)
    EXPECT_THAT(ReportFromJson(std::string_view(text).substr(0, n)), FailsWith(EBADMSG)) << n;
}

TEST(ReportJson, HugeAndDeepTextIsRefused) {
  EXPECT_THAT(ReportFromJson(std::string(kReportJsonMax + 1, ' ')), FailsWith(EBADMSG));
  constexpr std::size_t kDepth = 1 << 19;
  EXPECT_THAT(ReportFromJson(std::string(kDepth, '[') + std::string(kDepth, ']')), FailsWith(EBADMSG));
}

TEST(ReportJson, TheHeadHasCauseAndFingerprint) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    const Report report = Generator(seed).Make();
    const auto head = ReportHeadFromJson(ReportToJson(report));
    ASSERT_THAT(head, Succeeds()) << "seed " << seed;
    EXPECT_EQ(head->id, report.id);
    EXPECT_EQ(head->time, report.time);
    EXPECT_EQ(head->failure, report.failure);
    EXPECT_EQ(head->cause, report.cause);
    EXPECT_EQ(head->fingerprint, report.fingerprint);
    EXPECT_TRUE(head->stacks.empty());
  }
}

TEST(ReportJson, AHeadThatIsCutIsRefused) {
  const std::string text = ReportToJson(Whole());
  const std::size_t end = text.find("\n \"crashed\":") + std::string_view("\n \"crashed\":").size();
  for (std::size_t n = 0; n < end; ++n)
    EXPECT_THAT(ReportHeadFromJson(std::string_view(text).substr(0, n)), FailsWith(EBADMSG)) << n;
  EXPECT_THAT(ReportHeadFromJson(std::string_view(text).substr(0, end)), Succeeds());
}

}  // namespace
}  // namespace obit
