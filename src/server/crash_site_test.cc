#include "server/crash_site.h"

#include <functional>

#include <gmock/gmock.h>

namespace obit {
namespace {

const PidfdInfo kOfUser{.pid = 1, .coredumped = true, .dump_mode = DumpMode::kUser};

CrashPlace Place() {
  CrashPlace place;
  place.facts = {.pid = 1,
                 .comm = "imgproxy",
                 .uid = 1000,
                 .one_identity = true,
                 .secure = false,
                 .capable = false,
                 .core_limit = UINT64_MAX,
                 .signal = 11};
  place.program = {.inode = 5, .made = 1, .written = 2};
  place.pc = {.inode = 7, .offset = 0x1136};
  place.callers = 9;
  return place;
}

std::string ServiceIn(const std::string& cgroup) {
  CrashPlace place = Place();
  place.facts.cgroup = cgroup;
  return SiteOf(kOfUser, place)->service;
}

TEST(CrashSite, IsAllThatTellsCrashesApart) {
  const auto site = SiteOf(kOfUser, Place());
  ASSERT_TRUE(site);
  EXPECT_EQ(*site, (CrashSite{.uid = 1000,
                              .signal = 11,
                              .program = {.inode = 5, .made = 1, .written = 2},
                              .module_inode = 7,
                              .offset = 0x1136,
                              .comm = "imgproxy",
                              .callers = 9}));
}

TEST(CrashSite, OfAProcessWithMoreRightsIsAnother) {
  EXPECT_TRUE(SiteOf({.dump_mode = DumpMode::kRoot}, Place())->privileged);
  EXPECT_TRUE(SiteOf({}, Place())->privileged) << "not known";
  const std::function<void(ProcessFacts&)> changes[] = {
      [](ProcessFacts& facts) { facts.capable = true; },
      [](ProcessFacts& facts) { facts.one_identity = false; }};
  for (const auto& change : changes) {
    CrashPlace place = Place();
    change(place.facts);
    EXPECT_TRUE(SiteOf(kOfUser, place)->privileged);
  }
}

TEST(CrashSite, OfAProcessThatWantsNoCoreIsAnother) {
  CrashPlace place = Place();
  place.facts.core_limit = 0;
  EXPECT_FALSE(SiteOf(kOfUser, place)->wants_core);
}

TEST(CrashSite, CannotBeToldFromLittle) {
  const std::function<void(ProcessFacts&)> changes[] = {
      [](ProcessFacts& facts) { facts.uid.reset(); }, [](ProcessFacts& facts) { facts.signal.reset(); },
      [](ProcessFacts& facts) { facts.core_limit.reset(); }};
  for (const auto& change : changes) {
    CrashPlace place = Place();
    change(place.facts);
    EXPECT_FALSE(SiteOf(kOfUser, place));
  }
}

TEST(CrashSite, HasTheSignalThatTheManagerKnowsWhereProcTellsNone) {
  CrashPlace place = Place();
  place.facts.signal.reset();
  EXPECT_EQ(SiteOf({.dump_mode = DumpMode::kUser, .signal = 6}, place)->signal, 6);
}

TEST(CrashSite, KnowsWhoseChoiceANameIs) {
  const auto site_in = [](const std::string& cgroup) {
    CrashPlace place = Place();
    place.facts.cgroup = cgroup;
    return *SiteOf(kOfUser, place);
  };
  const std::string docker = "/docker-" + std::string(64, 'a') + ".scope";
  EXPECT_TRUE(site_in("/system.slice/nginx.service").service_of_system);
  EXPECT_EQ(site_in("/system.slice/nginx.service").container, 0u);
  for (const char* users : {"/user.slice/user-1000.slice/user@1000.service", "/system.slice/own.service"}) {
    const CrashSite unit = site_in(std::string(users) + "/nginx.service");
    EXPECT_EQ(unit.service, "nginx.service");
    EXPECT_FALSE(unit.service_of_system) << users;
    const CrashSite container = site_in(users + docker);
    EXPECT_FALSE(container.service_of_system) << users;
    EXPECT_EQ(container.container, 0u) << users;
  }
  const CrashSite container = site_in("/system.slice" + docker);
  EXPECT_TRUE(container.service_of_system);
  EXPECT_NE(container.container, 0u);
  const CrashSite inside =
      site_in("/system.slice" + docker + "/system.slice/a.service/docker-" + std::string(64, 'b') + ".scope");
  EXPECT_EQ(inside.container, container.container);
  EXPECT_FALSE(inside.service_of_system);
  EXPECT_FALSE(site_in("/").service_of_system);
}

TEST(CrashSite, KnowsTheServiceThatIsStartedAnew) {
  EXPECT_EQ(ServiceIn("/system.slice/imgproxy.service"), "imgproxy.service");
  EXPECT_EQ(ServiceIn("/user.slice/user-1000.slice/user@1000.service/app.slice/editor.service"),
            "editor.service");
  EXPECT_EQ(ServiceIn("/user.slice/user-1000.slice/run-u12.scope"), "");
  const std::string id(64, 'a');
  EXPECT_EQ(ServiceIn("/system.slice/docker-" + id + ".scope"), id);
  EXPECT_EQ(ServiceIn("/kubepods.slice/kubepods-pod6f8d3c0e_5b1a_4c8e_9d2f_0a1b2c3d4e5f.slice/"
                      "cri-containerd-" +
                      id + ".scope"),
            "6f8d3c0e-5b1a-4c8e-9d2f-0a1b2c3d4e5f");
  EXPECT_EQ(ServiceIn("/"), "");
}

}  // namespace
}  // namespace obit
