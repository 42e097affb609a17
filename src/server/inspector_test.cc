#include "server/inspector.h"

#include "base/clock.h"
#include "base/test_support.h"
#include "kernel/bag.h"
#include "server/facts_record.h"
#include "server/fake_inspector.h"
#include "server/messages.h"

namespace obit {
namespace {

using testing::Child;
using testing::ExecuteStopped;
using testing::Succeeds;

class InspectorTest : public ::testing::Test {
 protected:
  InspectorTest() {
    auto pair = MakeSocketPair(SOCK_SEQPACKET);
    manager_ = std::move(pair->first);
    end_ = std::move(pair->second);
  }

  /// Asks about this process, with a bag for each `bags`, and has it answered.
  void Ask(Question question, int bags = 0) { Ask(question, bags, fake_); }
  void Ask(Question question, int bags, ProcessInspector& inspector) {
    question.crash = 77;
    if (question.pid == 0) question.pid = ::getpid();
    Message message;
    const auto bytes = std::as_bytes(std::span(&question, 1));
    message.bytes.assign(bytes.begin(), bytes.end());
    message.fds.push_back(*OpenPidfd(question.pid));
    for (bags_.clear(); bags > 0; --bags) {
      auto pair = MakeSocketPair(SOCK_SEQPACKET);
      message.fds.push_back(std::move(pair->first));
      bags_.push_back(std::move(pair->second));
    }
    EXPECT_THAT(AnswerQuestion(end_, std::move(message), {.inspector = inspector, .rules = &rules_}),
                Succeeds());
  }
  void TellRules(const std::string& text, std::uint32_t number) {
    const Question question{.kind = Question::Kind::kRules, .rules = number};
    const auto bytes = std::as_bytes(std::span(&question, 1)), behind = std::as_bytes(std::span(text));
    Message message;
    message.bytes.assign(bytes.begin(), bytes.end());
    message.bytes.insert(message.bytes.end(), behind.begin(), behind.end());
    EXPECT_THAT(AnswerQuestion(end_, std::move(message), {.inspector = fake_, .rules = &rules_}), Succeeds());
    EXPECT_FALSE(Next()) << "it has no answer";
  }
  std::pair<unsigned, unsigned> RuleOfSite() {
    Ask({.kind = kSite});
    const Findings site = Next(Findings::Kind::kSite).findings;
    return {site.rule, site.rules};
  }

  struct Told {
    Findings findings;
    std::string text;
  };
  /// What is told and not read yet; nothing: nothing is.
  std::optional<Told> Next() {
    auto message = ReceiveMessage(manager_, kMessageMax, MSG_DONTWAIT);
    if (!message || message->bytes.size() < sizeof(Findings)) return std::nullopt;
    Told told;
    std::memcpy(&told.findings, message->bytes.data(), sizeof told.findings);
    told.text = testing::TextOf(std::span(message->bytes).subspan(sizeof told.findings));
    EXPECT_EQ(told.findings.crash, 77u);
    return told;
  }
  Told Next(Findings::Kind kind) {
    auto told = Next();
    EXPECT_TRUE(told && told->findings.kind == kind);
    return told.value_or(Told());
  }
  BagContents Bag(std::size_t index) { return *EmptyBag(std::move(bags_[index]), 0); }

  static constexpr auto kSite = Question::Kind::kSite;
  FakeInspector fake_;
  RulesTold rules_;
  Fd manager_, end_;
  std::vector<Fd> bags_;
};

constexpr auto kFacts = Question::Kind::kFacts;
constexpr auto kActivity = Question::Kind::kActivity;

TEST_F(InspectorTest, TellsHowShortMemoryIs) {
  Ask({.kind = kSite});
  const Findings unknown = Next(Findings::Kind::kSite).findings;
  EXPECT_TRUE(unknown.has_memory);
  EXPECT_FALSE(unknown.has_pressure);
  fake_.memory = {.pressure = 1234, .total = 9, .available = 5};
  Ask({.kind = kSite});
  const Findings site = Next(Findings::Kind::kSite).findings;
  EXPECT_TRUE(site.has_pressure);
  EXPECT_EQ(site.memory_pressure, 1234u);
  EXPECT_EQ(site.memory_total, 9u);
  EXPECT_EQ(site.memory_available, 5u);
}

TEST_F(InspectorTest, TellsASite) {
  Ask({.kind = kSite});
  const Findings site = Next(Findings::Kind::kSite).findings;
  EXPECT_TRUE(site.known);
  EXPECT_FALSE(site.privileged);
  EXPECT_EQ(site.uid, 1000u);
  EXPECT_EQ(site.signal, 11);
  EXPECT_FALSE(site.wants_core);
  EXPECT_EQ(site.program, (FileStamp{.inode = 5, .made = 1, .written = 2}));
  EXPECT_EQ(site.module_inode, 9u);
  EXPECT_EQ(site.offset, 0x1136u);
  EXPECT_EQ(site.resident, 7u);
  EXPECT_EQ(site.callers, 8u);
  EXPECT_EQ(TextIn(site.comm), "imgproxy");
  EXPECT_EQ(TextIn(site.service), "imgproxy.service");
  EXPECT_FALSE(Next());
}

TEST_F(InspectorTest, SaysThatASiteCannotBeTold) {
  fake_.facts.uid.reset();
  Ask({.kind = kSite});
  EXPECT_FALSE(Next(Findings::Kind::kSite).findings.known);
  fake_.gone = true;
  Ask({.kind = kSite});
  const Findings site = Next(Findings::Kind::kSite).findings;
  EXPECT_FALSE(site.known);
  EXPECT_TRUE(site.privileged);
}

TEST_F(InspectorTest, BelievesTheManagerThatItIsForRootOnly) {
  for (const auto kind : {kSite, kFacts}) {
    Ask({.kind = kind, .root_only = 1, .only_safe = 1});
    const auto told = Next();
    ASSERT_TRUE(told);
    EXPECT_TRUE(told->findings.known);
    EXPECT_TRUE(told->findings.privileged);
  }
}

TEST_F(InspectorTest, TellsWhatItDoes) {
  Ask({.kind = kActivity});
  Findings activity = Next(Findings::Kind::kActivity).findings;
  EXPECT_TRUE(activity.known);
  EXPECT_EQ(activity.cpu_ticks, 12u);
  EXPECT_TRUE(activity.runs);
  fake_.gone = true;
  Ask({.kind = kActivity});
  EXPECT_FALSE(Next(Findings::Kind::kActivity).findings.known);
}

TEST_F(InspectorTest, TellsSafeFactsBeforeItAsksForOthers) {
  bool told_before = false;
  fake_.before_risky = [&] {
    const auto safe = Next(Findings::Kind::kSafe);
    told_before = true;
    EXPECT_TRUE(safe.findings.known);
    EXPECT_FALSE(safe.findings.privileged);
    EXPECT_TRUE(safe.findings.has_core_limit);
    EXPECT_EQ(TextIn(safe.findings.comm), "imgproxy");
    const CrashRecord record = MakeRecord({.privileged = 0}, safe.text);
    EXPECT_EQ(record.process.comm, "imgproxy");
    EXPECT_EQ(record.process.privileged, false);
    EXPECT_TRUE(record.process.cmdline.empty());
  };
  Ask({.kind = kFacts}, 1);
  EXPECT_TRUE(told_before);
  const auto all = Next(Findings::Kind::kAll);
  EXPECT_TRUE(all.findings.known);
  EXPECT_EQ(MakeRecord({}, all.text).process.cmdline.size(), 2u);
  EXPECT_FALSE(Next());
}

TEST_F(InspectorTest, StopsAtSafeFactsIfItIsTold) {
  fake_.before_risky = [] { ADD_FAILURE() << "asked for more"; };
  Ask({.kind = kFacts, .only_safe = 1});
  Next(Findings::Kind::kSafe);
  EXPECT_FALSE(Next());
}

TEST_F(InspectorTest, FillsBags) {
  Ask({.kind = kFacts, .wants_memory = 1, .wants_mapped = 1, .has_bag = 1}, 2);
  const BagContents first = Bag(0), second = Bag(1);
  EXPECT_TRUE(first.whole && second.whole);
  EXPECT_TRUE(first.memory);
  EXPECT_TRUE(first.program.file);
  EXPECT_TRUE(first.program.reachable);
  EXPECT_EQ(first.note, "");
  EXPECT_EQ(first.threads, (ThreadNames{{3, "worker-3"}})) << "the others are called as their process";
  ASSERT_EQ(second.mapped.size(), 1u);
  EXPECT_EQ(second.mapped[0].begin, 0x400000u);
}

TEST_F(InspectorTest, PutsInWhyThereIsNoMemory) {
  fake_.has_memory = false;
  Ask({.kind = kFacts, .wants_memory = 1, .has_bag = 1}, 1);
  const BagContents bag = Bag(0);
  EXPECT_FALSE(bag.memory);
  EXPECT_EQ(bag.note, "no right to its memory");
  Ask({.kind = kFacts}, 1);
  EXPECT_EQ(Bag(0).note, "") << "nobody wants it";
}

TEST_F(InspectorTest, GoesOnWithoutBags) {
  Ask({.kind = kFacts, .wants_memory = 1, .wants_mapped = 1, .has_bag = 1});
  Next(Findings::Kind::kSafe);
  EXPECT_TRUE(Next(Findings::Kind::kAll).findings.known);
}

TEST_F(InspectorTest, TellsNoFactsOfAProcessThatIsGone) {
  fake_.gone = true;
  Ask({.kind = kFacts}, 1);
  for (const auto kind : {Findings::Kind::kSafe, Findings::Kind::kAll}) {
    const auto told = Next(kind);
    EXPECT_FALSE(told.findings.known);
    EXPECT_TRUE(told.findings.privileged);
    EXPECT_EQ(told.text, "");
  }
}

TEST_F(InspectorTest, RepeatsSafeFactsIfTheProcessGoesBeforeTheOthers) {
  fake_.before_risky = [this] { fake_.gone = true; };
  Ask({.kind = kFacts}, 1);
  const auto safe = Next(Findings::Kind::kSafe), all = Next(Findings::Kind::kAll);
  EXPECT_TRUE(all.findings.known);
  EXPECT_EQ(all.text, safe.text);
}

TEST_F(InspectorTest, DoesNotAnswerWhatIsNoQuestion) {
  Question question{.crash = 77, .kind = kSite, .pid = ::getpid()};
  const auto bytes = std::as_bytes(std::span(&question, 1));
  const auto answer = [&](std::size_t size, bool with_pidfd) {
    Message message;
    message.bytes.assign(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
    if (with_pidfd) message.fds.push_back(*OpenPidfd(::getpid()));
    EXPECT_THAT(AnswerQuestion(end_, std::move(message), {fake_}), Succeeds());
    return Next().has_value();
  };
  EXPECT_TRUE(answer(bytes.size(), true));
  for (std::size_t size = 0; size < bytes.size(); ++size) EXPECT_FALSE(answer(size, true));
  EXPECT_TRUE(answer(bytes.size(), false)) << "a site is asked for by its pid";
  question.kind = kActivity;
  EXPECT_FALSE(answer(bytes.size(), false));
  question.kind = static_cast<Question::Kind>(77);
  EXPECT_FALSE(answer(bytes.size(), true));
  question.kind = kSite;
  question.pid = 0;
  EXPECT_FALSE(answer(bytes.size(), true));
}

TEST_F(InspectorTest, AnswersUntilItsManagerIsGone) {
  const Question question{.crash = 77, .kind = kActivity, .pid = ::getpid()};
  const int pidfd = OpenPidfd(::getpid())->Release();
  const std::vector<std::byte> longer(sizeof question + 1);
  ASSERT_THAT(SendMessage(manager_, longer, {}), Succeeds());
  for (int i = 0; i < 2; ++i)
    ASSERT_THAT(SendMessage(manager_, std::as_bytes(std::span(&question, 1)), std::span(&pidfd, 1)),
                Succeeds());
  ::close(pidfd);
  ASSERT_EQ(::shutdown(manager_.get(), SHUT_WR), 0);
  AnswerQuestions(end_, {fake_});
  Next(Findings::Kind::kActivity);
  Next(Findings::Kind::kActivity);
  EXPECT_FALSE(Next());
}

TEST_F(InspectorTest, LooksIntoARealProcess) {
  auto kernel = KernelInspector::Create();
  ASSERT_THAT(kernel, Succeeds());
  const Child child = ExecuteStopped("/bin/sleep", {"sleep", "600"});
  Ask({.kind = kFacts, .pid = child.pid(), .wants_memory = 1, .wants_mapped = 1, .has_bag = 1}, 2, *kernel);
  const auto safe = Next(Findings::Kind::kSafe), all = Next(Findings::Kind::kAll);
  EXPECT_EQ(TextIn(safe.findings.comm), "sleep");
  const CrashRecord record = MakeRecord({.pid = child.pid()}, all.text);
  EXPECT_EQ(record.process.parent, ::getpid());
  EXPECT_THAT(record.process.cmdline, ::testing::ElementsAre("sleep", "600"));
  const BagContents first = Bag(0), second = Bag(1);
  EXPECT_TRUE(first.whole && second.whole);
  EXPECT_TRUE(first.memory);
  EXPECT_TRUE(first.program.file);
  EXPECT_FALSE(second.mapped.empty());
  Ask({.kind = kSite, .pid = child.pid()}, 0, *kernel);
  EXPECT_FALSE(Next(Findings::Kind::kSite).findings.known) << "it dumps no core";
  Ask({.kind = kActivity, .pid = child.pid()}, 0, *kernel);
  EXPECT_FALSE(Next(Findings::Kind::kActivity).findings.known) << "it has not crashed";
}

using RuleAndNumber = std::pair<unsigned, unsigned>;

TEST_F(InspectorTest, SaysWhichRuleWins) {
  EXPECT_EQ(RuleOfSite(), RuleAndNumber(0, 0));
  TellRules("[[rule]]\nexe = \"/usr/sbin/*\"\n[[rule]]\nexe = \"/usr/bin/*\"\n[[rule]]\n", 7);
  EXPECT_EQ(RuleOfSite(), RuleAndNumber(2, 7));
  TellRules("[[rule]]\nunit = \"imgproxy.service\"\nuser = 1000\nsignal = 11\nname = \"imgproxy\"\n", 8);
  EXPECT_EQ(RuleOfSite(), RuleAndNumber(1, 8));
  TellRules("[[rule]]\nuser = 1001\n", 9);
  EXPECT_EQ(RuleOfSite(), RuleAndNumber(0, 9));
  TellRules("", 10);
  EXPECT_EQ(RuleOfSite(), RuleAndNumber(0, 10));
}

TEST_F(InspectorTest, ARuleWinsAlsoWhereTheSiteCannotBeTold) {
  fake_.facts.core_limit.reset();
  TellRules("[[rule]]\nexe = \"/usr/bin/imgproxy\"\n", 7);
  Ask({.kind = kSite});
  const Findings site = Next(Findings::Kind::kSite).findings;
  EXPECT_FALSE(site.known);
  EXPECT_EQ(site.rule, 1u);
}

TEST_F(InspectorTest, TheDumpModeIsTheKernels) {
  TellRules("[[rule]]\ndump_mode = \"root\"\n[[rule]]\ndump_mode = \"user\"\n", 7);
  EXPECT_EQ(RuleOfSite(), RuleAndNumber(2, 7));
  Ask({.kind = kSite, .root_only = 1});
  EXPECT_EQ(Next(Findings::Kind::kSite).findings.rule, 1u);
}

TEST_F(InspectorTest, RulesThatAreNoneWinNothingAndAreNotToldAgain) {
  TellRules("[[rule]]\n", 7);
  TellRules("[[rule", 8);
  EXPECT_EQ(RuleOfSite(), RuleAndNumber(0, 8));
}

}  // namespace
}  // namespace obit
