#include "kernel/crash_glance.h"

#include <csignal>

#include <unistd.h>

#include "base/io.h"
#include "base/test_support.h"

namespace obit {
namespace {

/// This process, as if it had crashed in its own code.
class CrashGlanceTest : public ::testing::Test {
 protected:
  [[nodiscard]] std::optional<CrashGlance> Glance() const { return GlanceAt(proc_, known_, stat_); }

  Fd proc_ = *Open("/proc", O_RDONLY | O_DIRECTORY);
  PidfdInfo known_{.pid = ::getpid(),
                   .coredump_known = true,
                   .coredumped = true,
                   .dump_mode = DumpMode::kUser,
                   .uid = 0,
                   .one_identity = true,
                   .cgroup = 7};
  ProcessStat stat_{.id = ::getpid(),
                    .comm = "glance",
                    .flags = ProcessStat::kDumpCore,
                    .code_begin = 0x1000,
                    .code_end = 0x3000,
                    .pc = 0x1234,
                    .exit_code = SIGSEGV};
};

TEST_F(CrashGlanceTest, SaysWhereInWhichProgramOfWhom) {
  const auto glance = Glance();
  ASSERT_TRUE(glance);
  EXPECT_EQ(glance->uid, 0U);
  EXPECT_EQ(glance->signal, SIGSEGV);
  EXPECT_EQ(glance->cgroup, 7U);
  EXPECT_EQ(glance->code_bytes, 0x2000U);
  EXPECT_EQ(glance->offset, 0x234U);
  EXPECT_FALSE(glance->root_only);
  EXPECT_EQ(glance->comm, "glance");
  EXPECT_EQ(glance->program, std::filesystem::read_symlink("/proc/self/exe"));
}

TEST_F(CrashGlanceTest, OneThatIsForRootAloneIsAnother) {
  known_.dump_mode = DumpMode::kRoot;
  EXPECT_TRUE(Glance()->root_only);
}

TEST_F(CrashGlanceTest, NoneWhereOneAddressDoesNotTell) {
  const auto none_if = [&](const char* what, auto change) {
    const ProcessStat stat = stat_;
    const PidfdInfo known = known_;
    change();
    EXPECT_FALSE(Glance()) << what;
    stat_ = stat;
    known_ = known;
    EXPECT_TRUE(Glance());
  };
  none_if("a library", [&] { stat_.pc = 0x3000; });
  none_if("below the program", [&] { stat_.pc = 0xfff; });
  none_if("abort", [&] { stat_.exit_code = SIGABRT; });
  none_if("trap", [&] { stat_.exit_code = SIGTRAP; });
  none_if("no signal", [&] { stat_.exit_code = 0; });
  none_if("it dumps nothing", [&] { stat_.flags = 0; });
  none_if("another process", [&] { stat_.id = 1; });
  none_if("many identities", [&] { known_.one_identity = false; });
  none_if("whose is not known", [&] { known_.uid.reset(); });
  none_if("no cgroup", [&] { known_.cgroup = 0; });
  if (::geteuid() == 0) none_if("it may be capable", [&] { known_.uid = 1000; });  // as this process is
  none_if("it is gone", [&] { stat_.id = known_.pid = 1 << 30; });
}

TEST_F(CrashGlanceTest, NoneOfWhoLives) { EXPECT_FALSE(GlanceAt(proc_, known_)); }

}  // namespace
}  // namespace obit
