#include "server/journal.h"

#include <sys/socket.h>
#include <sys/un.h>

#include "base/io.h"
#include "base/test_support.h"
#include "base/unix_socket.h"

namespace obit {
namespace {

using testing::FailsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::Succeeds;
using testing::TemporaryFolder;

CrashRecord Record() {
  CrashRecord record;
  record.id = "3f9c2a71b04d6e58";
  record.time = 1'795'442'531'000'000'000;
  record.process.pid = 4711;
  record.process.uid = 1000;
  record.process.comm = "img\nproxy";
  record.process.exe = "/usr/bin/imgproxy";
  record.process.cmdline = {"imgproxy", "--token=geheim"};
  record.process.cwd = "/home/ann";
  record.process.cgroup = "/system.slice/imgproxy.service";
  record.process.privileged = false;
  record.signal.number = 11;
  record.capture.outcome = CrashOutcome::kFull;
  record.capture.core_bytes = 1000;
  record.files.core = "core.zst";
  return record;
}

TEST(JournalEntry, IsInTheNativeFormat) {
  JournalEntry entry;
  entry.Add("ONE", "a=b");
  entry.Add("EMPTY", "");
  entry.Add("TWO", "x\nFORGED=1");
  EXPECT_EQ(entry.text(), std::string("ONE=a=b\nTWO\n\x0a\0\0\0\0\0\0\0x\nFORGED=1\n", 31));
  JournalEntry bounded;
  bounded.Add("LONG", std::string(1 << 20, 'x'));
  EXPECT_EQ(bounded.text().size(), 5 + JournalEntry::kValueMax + 1);
}

TEST(EntryOfCrash, HasTheFieldsThatLogToolsKnow) {
  const std::string text = EntryOfCrash(Record(), "/store/ID").text();
  for (const char* field :
       {"MESSAGE_ID=fc2e22bc6ee647b6b90729ab34a250b1\n", "PRIORITY=2\n", "COREDUMP_PID=4711\n",
        "COREDUMP_UID=1000\n", "COREDUMP_SIGNAL=11\n", "COREDUMP_SIGNAL_NAME=SIGSEGV\n",
        "COREDUMP_EXE=/usr/bin/imgproxy\n", "COREDUMP_UNIT=imgproxy.service\n",
        "COREDUMP_CMDLINE=imgproxy --token=geheim\n", "COREDUMP_TIMESTAMP=1795442531000000\n",
        "COREDUMP_FILENAME=/store/ID/core.zst\n", "OBIT_ID=3f9c2a71b04d6e58\n", "OBIT_OUTCOME=full\n"})
    EXPECT_THAT(text, HasSubstr(field));
}

TEST(EntryOfCrash, OfAPrivilegedProcessTellsNoArguments) {
  CrashRecord record = Record();
  for (const auto privileged : {std::optional(true), std::optional<bool>()}) {
    record.process.privileged = privileged;
    const std::string text = EntryOfCrash(record, "/store/ID").text();
    EXPECT_THAT(text, Not(HasSubstr("geheim")));
    EXPECT_THAT(text, Not(HasSubstr("/home/ann")));
    EXPECT_THAT(text, HasSubstr("COREDUMP_PID=4711\n"));
  }
}

TEST(EntryOfReport, HasTheStack) {
  Report report;
  report.id = "3f9c2a71b04d6e58";
  report.cause.old_sentence = "null pointer read";
  report.stacks.resize(1);
  report.stacks[0].frames.push_back({.function = "Cache::find", .file = "cache.cc", .line = 112});
  report.stacks[0].frames.push_back({.module = 0, .module_offset = 0x123});
  report.modules.push_back({.path = "/lib/libc.so.6"});
  const std::string text = EntryOfReport(report, "/store/ID").text();
  EXPECT_THAT(text, HasSubstr("Crash 3f9c2a71b04d6e58: null pointer read\n#0  Cache::find at cache.cc:112\n"
                              "#1  (no name) in /lib/libc.so.6 +0x123\n"));
  EXPECT_THAT(text, HasSubstr("OBIT_CAUSE=null pointer read\n"));
}

class SendToJournalTest : public ::testing::Test {
 protected:
  Fd Bind() {
    Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un address{.sun_family = AF_UNIX};
    path_.copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    return socket;
  }
  TemporaryFolder folder_;
  std::string path_ = folder_ / "socket";
};

TEST_F(SendToJournalTest, SendsOneDatagram) {
  const Fd journal = Bind();
  const JournalEntry entry = EntryOfCrash(Record(), "/store/ID");
  ASSERT_THAT(SendToJournal(entry, path_), Succeeds());
  std::string got(1 << 16, '\0');
  got.resize(static_cast<std::size_t>(::recv(journal.get(), got.data(), got.size(), 0)));
  EXPECT_EQ(got, entry.text());
}

TEST_F(SendToJournalTest, NeverWaits) {
  const JournalEntry entry = EntryOfCrash(Record(), "/store/ID");
  EXPECT_THAT(SendToJournal(entry, path_), FailsWith(ENOENT));
  const Fd journal = Bind();
  Result<void> sent;
  for (int i = 0; i < 10'000 && sent; ++i) sent = SendToJournal(entry, path_);
  EXPECT_THAT(sent, FailsWith(EAGAIN)) << "it does not read";
}

}  // namespace
}  // namespace obit
