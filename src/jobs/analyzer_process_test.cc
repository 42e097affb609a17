#include "jobs/analyzer_process.h"

#include <csignal>

#include "base/test_support.h"
#include "crash/report_json.h"
#include "jobs/fake_analyzer.h"

namespace obit {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using testing::FailsWith;
using ::testing::HasSubstr;
using testing::kWriteReport;
using testing::MakeFakeAnalyzer;
using ::testing::StartsWith;
using testing::Succeeds;
using testing::TemporaryFolder;

constexpr const char* kId = "3f9c2a71b04d6e58";

class AnalyzerProcessTest : public ::testing::Test {
 protected:
  /// Analyses a crash with a script in the place of obit-analyze.
  Report Analyze(const std::string& commands, std::chrono::seconds timeout = 60s) {
    options_.program = MakeFakeAnalyzer(folder_ / "analyzer", commands);
    options_.timeout = timeout;
    auto report = AnalyzeAndWait(options_, Files());
    EXPECT_THAT(report, Succeeds());
    if (!report) return {};
    EXPECT_EQ(report->id, kId);
    return std::move(*report);
  }
  AnalyzerFiles Files() {
    EXPECT_TRUE(
        WriteFileAtomically(folder_.fd(), "record", fmt::format("{{\n \"id\": \"{}\"\n}}\n", kId), 0600));
    EXPECT_TRUE(WriteFileAtomically(folder_.fd(), "core", "the core", 0600));
    AnalyzerFiles files{.id = kId};
    files.core = *Open(folder_ / "core", O_RDONLY);
    files.record = *Open(folder_ / "record", O_RDONLY);
    return files;
  }
  std::string TextOf(const std::string& name) { return ReadFile(folder_ / name, 1 << 20)->text; }

  TemporaryFolder folder_;
  AnalyzerOptions options_;
};

TEST_F(AnalyzerProcessTest, GivesTheReport) {
  Report made;
  made.id = kId;
  made.cause.old_sentence = "null pointer read at 0x18";
  ASSERT_TRUE(WriteFileAtomically(folder_.fd(), "made", ReportToJson(made), 0600));
  const Report report = Analyze("cat " + (folder_ / "made") + " > $report; cat $core > $0.core");
  EXPECT_EQ(report.cause.old_sentence, made.cause.old_sentence);
  EXPECT_EQ(report.failure, "");
  EXPECT_EQ(TextOf("analyzer.core"), "the core");
}

TEST_F(AnalyzerProcessTest, SaysHowItDied) {
  EXPECT_EQ(Analyze("kill -KILL $$").failure, "the analyzer was killed by SIGKILL");
  EXPECT_EQ(Analyze(std::string(kWriteReport) + "; kill -KILL $$").failure,
            "the analyzer was killed by SIGKILL")
      << "a report of a process that dies is not to be believed";
  EXPECT_EQ(Analyze("exit 3").failure, "the analyzer ended with status 3");
  EXPECT_GT(Analyze("exit 3").time, 0);
}

TEST_F(AnalyzerProcessTest, KeepsItsLastWords) {
  EXPECT_EQ(Analyze("echo first >&2; echo 'analyzer: no memory' >&2; exit 1").failure,
            "the analyzer ended with status 1: no memory");
  EXPECT_EQ(Analyze("yes | head -c 1000000 >&2; echo last >&2; exit 1").failure,
            "the analyzer ended with status 1: last");
  const std::string endless = Analyze("head -c 200000 /dev/zero | tr '\\0' x >&2; exit 1").failure;
  EXPECT_THAT(endless, StartsWith("the analyzer ended with status 1: xxx"));
  EXPECT_LT(endless.size(), 2000u);
}

TEST_F(AnalyzerProcessTest, KillsWhatHangs) {
  const Report report = Analyze("echo $$ > $0.pid; exec sleep 1000", 1s);
  EXPECT_EQ(report.failure, "the analyzer did not end within 1 s");
  const pid_t pid = std::stoi(TextOf("analyzer.pid"));
  EXPECT_EQ(::kill(pid, 0), -1);
  EXPECT_EQ(errno, ESRCH);
}

TEST_F(AnalyzerProcessTest, TakesNothingButAReport) {
  EXPECT_THAT(Analyze("exit 0").failure, StartsWith("the analyzer wrote no report: "));
  EXPECT_THAT(Analyze("echo garbage > $report").failure, StartsWith("the analyzer wrote no report: "));
  EXPECT_THAT(Analyze("echo '{\"schema\": 1}' > $report").failure, HasSubstr("id"));
  EXPECT_EQ(Analyze("id=00000000000000aa\n" + std::string(kWriteReport)).failure,
            "the analyzer wrote a report of another crash");
}

TEST_F(AnalyzerProcessTest, TakesNoReportWithoutEnd) {
  EXPECT_EQ(Analyze("head -c 100000000 /dev/zero > $report").failure,
            fmt::format("the analyzer wrote a report of more than {} bytes", kReportJsonMax));
}

TEST_F(AnalyzerProcessTest, DoesNotWaitForWhatItsChildrenHoldOpen) {
  EXPECT_EQ(Analyze("sleep 1000 & echo $! > $0.pid; " + std::string(kWriteReport)).failure, "");
  ::kill(std::stoi(TextOf("analyzer.pid")), SIGKILL);
}

TEST_F(AnalyzerProcessTest, PassesOnWhatItIsToldAndNothingElse) {
  ::setenv("SECRET", "x", 1);
  const Fd own = *Open(folder_ / "own", O_RDWR | O_CREAT, 0600);
  AnalyzerFiles files = Files();
  files.exe = *Open(folder_ / "core", O_RDONLY);
  files.mapped = *Open("/proc/self/exe", O_PATH);
  options_ = {.program = MakeFakeAnalyzer(
                  folder_ / "analyzer",
                  "tr '\\0' '\\n' < /proc/$$/environ > $0.environment\n"
                  // By the shell itself: while it starts a program it blocks signals.
                  "while read -r line; do echo \"$line\"; done < /proc/$$/status > $0.status\n"
                  "ls -l /proc/$$/fd > $0.descriptors\n" +
                      std::string(kWriteReport)),
              .niceness = 7,
              .debug_directories = {"/a", "/b c"}};
  sigset_t blocked, before;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGTERM);
  ::sigprocmask(SIG_BLOCK, &blocked, &before);
  ::signal(SIGPIPE, SIG_IGN);
  const auto report = AnalyzeAndWait(options_, files);
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  ASSERT_THAT(report, Succeeds());
  EXPECT_EQ(report->failure, "");

  const std::string arguments = TextOf("analyzer.arguments");
  EXPECT_THAT(arguments, HasSubstr("--core=3 --record=4 --exe=5 --report=6 --mapped=7 "
                                   "--debug-directory=/a --debug-directory=/b c"));
  EXPECT_THAT(TextOf("analyzer.environment"), ::testing::Not(HasSubstr("SECRET")));
  const std::string status = TextOf("analyzer.status");
  EXPECT_THAT(status, HasSubstr("SigBlk:\t0000000000000000\n"));
  EXPECT_THAT(status, ::testing::ContainsRegex("SigIgn:\t0000000[01][08]0000000\n"));
  const std::string descriptors = TextOf("analyzer.descriptors");
  EXPECT_THAT(descriptors, HasSubstr(" 3 -> " + folder_.path() + "/core"));
  EXPECT_THAT(descriptors, ::testing::Not(HasSubstr("/own")));
}

TEST_F(AnalyzerProcessTest, CannotStartWhatIsNotThere) {
  options_.program = folder_ / "nothing";
  EXPECT_THAT(AnalyzeAndWait(options_, Files()), FailsWith(ENOENT));
}

TEST_F(AnalyzerProcessTest, DiesWithItsObject) {
  options_.program =
      MakeFakeAnalyzer(folder_ / "analyzer", "echo $$ > $0.pid.new; mv $0.pid.new $0.pid; exec sleep 1000");
  EventLoop loop = *EventLoop::Create();
  auto process = AnalyzerProcess::Start(loop, options_, Files(), [](const Report&) { ADD_FAILURE(); });
  ASSERT_THAT(process, Succeeds());
  while (!ReadFile(folder_ / "analyzer.pid", 100)) ::usleep(1000);
  const pid_t pid = std::stoi(TextOf("analyzer.pid"));
  EXPECT_EQ(::kill(pid, 0), 0);
  process->reset();
  EXPECT_EQ(::kill(pid, 0), -1);
}

TEST_F(AnalyzerProcessTest, OpensTheFilesOfACrash) {
  const Store store = *Store::Create(folder_ / "store");
  const IncomingCrash incoming = *store.Begin(kId);
  const CrashLocation crash = *store.Commit(kId, 0);
  EXPECT_THAT(OpenForAnalysis(store, crash), FailsWith(ENOENT));
  ASSERT_TRUE(WriteFileAtomically(incoming.dir, kRecordFile, "record", 0600));
  EXPECT_THAT(OpenForAnalysis(store, crash), FailsWith(ENOENT)) << "it has no core";
  ASSERT_TRUE(WriteFileAtomically(incoming.dir, kCoreFile, "core", 0600));
  const auto files = OpenForAnalysis(store, crash);
  ASSERT_THAT(files, Succeeds());
  EXPECT_FALSE(files->exe);
  ASSERT_TRUE(WriteFileAtomically(incoming.dir, kExeFile, "exe", 0600));
  EXPECT_TRUE(OpenForAnalysis(store, crash)->exe);
}

}  // namespace
}  // namespace obit
