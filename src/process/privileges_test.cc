#include "process/privileges.h"

#include <csignal>
#include <functional>

#include <sys/prctl.h>
#include <unistd.h>

#include "base/io.h"
#include "base/test_support.h"

namespace obit {
namespace {

using testing::Child;
using testing::TemporaryFolder;

constexpr User kUser{61001, 61002};

/// True if `holds` does in a child that has dropped its privileges.
bool InChild(const std::optional<User>& user, const std::function<bool()>& holds) {
  Child child(::fork());
  if (child.pid() == 0) ::_exit(DropPrivileges(user) && holds() ? 0 : 1);
  return child.Wait() == 0;
}

/// The value of a line of /proc/self/status.
std::string Status(const std::string& name) {
  const std::string text = "\n" + ReadFile("/proc/self/status", 1 << 16)->text;
  const auto at = text.find("\n" + name + ":\t") + name.size() + 3;
  return text.substr(at, text.find('\n', at) - at);
}

class DropPrivilegesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  }
};

TEST_F(DropPrivilegesTest, LeavesTheUserAndFewCapabilities) {
  EXPECT_TRUE(InChild(kUser, [] {
    return Status("Uid") == "61001\t61001\t61001\t61001" && Status("Gid") == "61002\t61002\t61002\t61002" &&
           Status("Groups") == " " && EffectiveCapabilities().value_or(0) == ServerCapabilities() &&
           Status("CapBnd") == "0000000000000000" && Status("CapInh") == "0000000000000000" &&
           Status("CapAmb") == "0000000000000000" && Status("NoNewPrivs") == "1";
  }));
}

TEST_F(DropPrivilegesTest, CannotBeTakenBack) {
  EXPECT_TRUE(InChild(kUser, [] { return ::setuid(0) < 0 && ::seteuid(0) < 0 && ::setgid(0) < 0; }));
  // A user id of root is worth nothing without what root may do.
  EXPECT_TRUE(InChild(std::nullopt, [] {
    return ::getuid() == 0 && EffectiveCapabilities().value_or(0) == ServerCapabilities() &&
           ::sethostname("x", 1) < 0;
  }));
}

TEST_F(DropPrivilegesTest, IsNotDumpableAndDiesWithItsParentAsBefore) {
  Child child(::fork());
  if (child.pid() == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    int death_signal = 0;
    const bool held = DropPrivileges(kUser) && ::prctl(PR_GET_DUMPABLE) == 0 &&
                      ::prctl(PR_GET_PDEATHSIG, &death_signal) == 0 && death_signal == SIGKILL;
    ::_exit(held ? 0 : 1);
  }
  EXPECT_EQ(child.Wait(), 0);
}

TEST_F(DropPrivilegesTest, WhatRemainsIsToReadFilesOfOthers) {
  TemporaryFolder folder;
  ASSERT_TRUE(WriteFileAtomically(folder.fd(), "secret", "x", 0600));
  const std::string secret = folder / "secret";
  EXPECT_TRUE(InChild(kUser, [&] {
    return ReadFile(secret, 10).has_value() && ::open(secret.c_str(), O_WRONLY) < 0 && errno == EACCES;
  }));
}

TEST(ServerCapabilities, AreThoseThatTheUnitGives) {
  const std::string unit =
      "\n" + ReadFile(OBIT_SOURCE_DIR "/packaging/systemd/obitd.service.in", 1 << 16)->text;
  for (const char* key : {"\nAmbientCapabilities=", "\nCapabilityBoundingSet="})
    EXPECT_THAT(unit, ::testing::HasSubstr(key + NamesOf(ServerCapabilities()) + "\n"));
}

TEST(MissingRights, NamesEachThatIsMissingAndWhatComesOfIt) {
  EXPECT_EQ(MissingRights(ServerCapabilities()), "");
  EXPECT_EQ(NamesOf(0), "");
  const Capabilities all = ServerCapabilities();
  for (int capability = 0; capability < 64; ++capability) {
    if ((all & CapabilityBit(capability)) == 0) continue;
    const std::string name = NamesOf(CapabilityBit(capability));
    EXPECT_THAT(name, ::testing::StartsWith("CAP_"));
    EXPECT_THAT(MissingRights(all & ~CapabilityBit(capability)),
                ::testing::StartsWith("without " + name + ": "));
  }
  const std::string none = MissingRights(0);
  EXPECT_EQ(none.find("by stream"), none.rfind("by stream")) << none;
}

TEST(FindUser, KnowsTheUserDatabase) {
  const auto root = FindUser("root");
  ASSERT_TRUE(root && *root);
  EXPECT_EQ((*root)->uid, 0U);
  EXPECT_EQ(FindUser("no such user at all").value_or(User{}), std::nullopt);
}

}  // namespace
}  // namespace obit
