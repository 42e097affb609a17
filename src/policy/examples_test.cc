// The configurations of docs/examples say what they promise.

#include <csignal>
#include <fstream>
#include <map>
#include <sstream>

#include "base/test_support.h"
#include "policy/decide.h"
#include "policy/rules.h"

namespace obit {
namespace {

using testing::Succeeds;

constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;

class ExamplesTest : public ::testing::Test {
 protected:
  /// With the users of the example, whom this host may not have.
  void Read(const std::string& name, const std::map<std::string, uid_t>& users = {}) {
    std::ifstream file(std::string(OBIT_SOURCE_DIR) + "/docs/examples/" + name);
    std::ostringstream text;
    text << file.rdbuf();
    ASSERT_NE(text.str(), "");
    auto config = ParseConfig(text.str(), name);
    ASSERT_THAT(config, Succeeds());
    config_ = std::move(*config);
    for (Rule& rule : config_.rules)
      for (Rule::User& user : rule.users) user.uid = users.at(user.name);
  }
  static RuleFacts Facts(std::string_view cgroup, std::string exe = "/usr/bin/app", uid_t uid = 0,
                         std::uint64_t resident = kGiB / 8) {
    RuleFacts facts{.exe = exe,
                    .name = exe.substr(exe.rfind('/') + 1, 15),
                    .uid = uid,
                    .signal = SIGSEGV,
                    .resident = resident,
                    .root_only = false};
    facts.SetCgroup(cgroup);
    return facts;
  }
  /// The title of the rule that wins.
  std::string WinnerOf(const RuleFacts& facts) const {
    const auto winner = FirstMatch(config_.rules, facts);
    return winner ? config_.rules[*winner].title : "";
  }
  /// What it comes to.
  Config ConfigOf(const RuleFacts& facts) const {
    const auto winner = FirstMatch(config_.rules, facts);
    return winner ? Under(config_.rules[*winner], config_) : config_;
  }
  CrashHandling HandlingOf(const RuleFacts& facts) const {
    const auto winner = FirstMatch(config_.rules, facts);
    return winner ? HandlingBy(config_.rules[*winner]) : CrashHandling();
  }

  Config config_;
};

TEST_F(ExamplesTest, ADatabaseHost) {
  Read("database-host.toml", {{"postgres", 26}, {"mysql", 27}});
  // As Debian and Red Hat start it.
  for (const char* cgroup : {"/system.slice/system-postgresql.slice/postgresql@15-main.service",
                             "/system.slice/postgresql.service", "/system.slice/mariadb.service"}) {
    const RuleFacts facts = Facts(cgroup, "/usr/lib/postgresql/15/bin/postgres", 26, 64 * kGiB);
    EXPECT_EQ(WinnerOf(facts), "databases") << cgroup;
    EXPECT_EQ(ConfigOf(facts).detail, Detail::kMinimal);
    EXPECT_EQ(HandlingOf(facts).retention, RetentionClass::kKeep);
    EXPECT_EQ(HandlingOf(facts).environment, EnvironmentKept::kNone);
  }
  const std::string session = "/user.slice/user-26.slice/session-4.scope";
  EXPECT_EQ(WinnerOf(Facts(session, "/usr/pgsql-16/bin/postgres", 26)), "databases started by hand");
  EXPECT_EQ(WinnerOf(Facts(session, "/usr/pgsql-16/bin/postgres", 1000)), "") << "anybody can start one";
  EXPECT_EQ(WinnerOf(Facts("/user.slice/user-1000.slice/user@1000.service/app.slice/postgresql.service",
                           "/home/ann/postgres", 1000)),
            "")
      << "a user's own unit is not that of the system";
  EXPECT_EQ(WinnerOf(Facts("/system.slice/backup.service", "/usr/bin/backup", 0, 5 * kGiB)),
            "beside the databases");
}

TEST_F(ExamplesTest, ACiMachine) {
  Read("ci-machine.toml", {{"ci", 990}});
  const std::string runner = "/system.slice/actions.runner.service";
  const RuleFacts test = Facts(runner, "/home/ci/work/build/tests/store_test", 990);
  EXPECT_EQ(WinnerOf(test), "tests");
  EXPECT_EQ(HandlingOf(test).retention, RetentionClass::kShort);
  CrashRecord wants_none;
  wants_none.process.core_limit = 0;
  EXPECT_EQ(Decide(wants_none, ConfigOf(test)).detail, Detail::kFull);
  EXPECT_EQ(ConfigOf(test).loop_cores, 20u);
  EXPECT_EQ(ConfigOf(Facts(runner, "/home/ci/build/arena-death-test", 990)).detail, Detail::kReject);
  EXPECT_EQ(WinnerOf(Facts("/system.slice/ssh.service", "/usr/sbin/sshd")), "");
}

TEST_F(ExamplesTest, AKubernetesNode) {
  Read("kubernetes-node.toml");
  // As the kubelet makes them with systemd's driver, and with the one for cgroupfs (Kubernetes 1.30).
  const std::string pod = "pod6f8d3c0e_5b1a_4c8e_9d2f_0a1b2c3d4e5f";
  const std::string id(64, 'a');
  const std::string burstable = fmt::format(
      "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-{}.slice/cri-containerd-{}.scope", pod,
      id);
  const std::string best_effort = fmt::format(
      "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-{}.slice/crio-{}.scope", pod, id);
  const std::string guaranteed =
      fmt::format("/kubepods.slice/kubepods-{}.slice/cri-containerd-{}.scope", pod, id);
  const std::string by_cgroupfs =
      fmt::format("/kubepods/burstable/pod6f8d3c0e-5b1a-4c8e-9d2f-0a1b2c3d4e5f/{}", id);
  const std::string below = burstable + "/system.slice/kubelet.service";  // systemd in a container
  for (const std::string& cgroup : {burstable, guaranteed, by_cgroupfs, below}) {
    EXPECT_EQ(WinnerOf(Facts(cgroup)), "pods") << cgroup;
    EXPECT_EQ(HandlingOf(Facts(cgroup)).environment, EnvironmentKept::kNone);
    EXPECT_EQ(ConfigOf(Facts(cgroup)).detail, Detail::kFull);
    EXPECT_EQ(ConfigOf(Facts(cgroup, "/app", 0, 3 * kGiB)).detail, Detail::kMinimal) << cgroup;
  }
  EXPECT_EQ(WinnerOf(Facts(best_effort)), "best effort");
  EXPECT_EQ(ConfigOf(Facts(best_effort)).detail, Detail::kEvent);
  EXPECT_EQ(WinnerOf(Facts("/system.slice/kubelet.service")), "node");
  EXPECT_EQ(WinnerOf(Facts("/system.slice/cron.service")), "");
  EXPECT_EQ(config_.unit_crashes, 200u);
  EXPECT_EQ(config_.unit_bytes, kGiB);
}

}  // namespace
}  // namespace obit
