#include "crash/identity.h"

#include <gtest/gtest.h>

#include "base/test_support.h"

namespace obit {
namespace {

const std::string kId = "3f9c2a71b04d6e583f9c2a71b04d6e583f9c2a71b04d6e583f9c2a71b04d6e58";

void Expect(const std::string& cgroup, const Identity& expected) {
  const Identity identity = IdentityOf(cgroup);
  EXPECT_EQ(identity.unit, expected.unit) << cgroup;
  EXPECT_EQ(identity.user_unit, expected.user_unit) << cgroup;
  EXPECT_EQ(identity.slice, expected.slice) << cgroup;
  EXPECT_EQ(identity.runtime, expected.runtime) << cgroup;
  EXPECT_EQ(identity.container, expected.container) << cgroup;
  EXPECT_EQ(identity.pod, expected.pod) << cgroup;
}

TEST(IdentityOf, UnitsOfTheSystem) {
  Expect("/system.slice/imgproxy.service", {.unit = "imgproxy.service", .slice = "system.slice"});
  Expect("/init.scope", {.unit = "init.scope"});
  Expect("/system.slice/system-getty.slice/getty@tty1.service",
         {.unit = "getty@tty1.service", .slice = "system-getty.slice"});
  Expect("/system.slice/imgproxy.service/worker", {.unit = "imgproxy.service", .slice = "system.slice"});
  Expect("/system.slice/ssh.service (deleted)", {.unit = "ssh.service", .slice = "system.slice"});
}

TEST(IdentityOf, UnitsOfAUser) {
  Expect(
      "/user.slice/user-1000.slice/user@1000.service/app.slice/app-org.gnome.Terminal.slice/"
      "vte-spawn-1.scope",
      {.unit = "user@1000.service",
       .user_unit = "vte-spawn-1.scope",
       .slice = "app-org.gnome.Terminal.slice"});
  Expect("/user.slice/user-0.slice/user@0.service/init.scope",
         {.unit = "user@0.service", .user_unit = "init.scope", .slice = "user-0.slice"});
}

TEST(IdentityOf, EscapesAreDecoded) {
  Expect(R"(/system.slice/system-my\x2dtool.slice/my\x2dtool@a\x2fb.service)",
         {.unit = "my-tool@a/b.service", .slice = "system-my-tool.slice"});
  Expect("/system.slice/_cgroup.service", {.unit = "cgroup.service", .slice = "system.slice"});
  Expect(R"(/a\x2.service)", {.unit = R"(a\x2.service)"});
  Expect(R"(/a\xzz.service)", {.unit = R"(a\xzz.service)"});
}

TEST(IdentityOf, Docker) {
  Expect("/system.slice/docker-" + kId + ".scope",
         {.slice = "system.slice", .runtime = "docker", .container = kId});
  Expect("/docker/" + kId, {.runtime = "docker", .container = kId});
  Expect("/docker/" + kId + "/system.slice/nginx.service",
         {.unit = "nginx.service", .slice = "system.slice", .runtime = "docker", .container = kId});
  Expect("/system.slice/docker.service", {.unit = "docker.service", .slice = "system.slice"});
}

TEST(IdentityOf, Podman) {
  Expect("/machine.slice/libpod-" + kId + ".scope/container",
         {.slice = "machine.slice", .runtime = "podman", .container = kId});
  Expect("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" + kId + ".scope",
         {.slice = "user.slice", .runtime = "podman", .container = kId});
  // Conmon watches a container and is not in it.
  Expect("/machine.slice/libpod-conmon-" + kId + ".scope",
         {.unit = "libpod-conmon-" + kId + ".scope", .slice = "machine.slice"});
}

TEST(IdentityOf, Kubernetes) {
  const std::string pod = "6f8d3c0e-5b1a-4c8e-9d2f-0a1b2c3d4e5f",
                    escaped = "6f8d3c0e_5b1a_4c8e_9d2f_0a1b2c3d4e5f";
  Expect("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + escaped +
             ".slice/cri-containerd-" + kId + ".scope",
         {.slice = "kubepods-burstable.slice", .runtime = "containerd", .container = kId, .pod = pod});
  Expect("/kubepods.slice/kubepods-pod" + escaped + ".slice/crio-" + kId + ".scope/container",
         {.slice = "kubepods.slice", .runtime = "cri-o", .container = kId, .pod = pod});
  Expect("/kubepods/besteffort/pod" + pod + "/" + kId, {.container = kId, .pod = pod});
  Expect("/kubepods/pod0123456789abcdef0123456789abcdef/" + kId,
         {.container = kId, .pod = "0123456789abcdef0123456789abcdef"});
  Expect("/kubepods/podnothing", {});
}

TEST(IdentityOf, OtherContainers) {
  Expect("/lxc.payload.web1/system.slice/nginx.service",
         {.unit = "nginx.service", .slice = "system.slice", .runtime = "lxc", .container = "web1"});
  Expect("/lxc.payload/web1", {.runtime = "lxc", .container = "web1"});
  Expect("/lxc/web1/init.scope", {.unit = "init.scope", .runtime = "lxc", .container = "web1"});
  Expect(R"(/machine.slice/machine-web\x2d1.scope)", {.slice = "machine.slice", .container = "web-1"});
  Expect(R"(/machine.slice/systemd-nspawn@web\x2d1.service/payload)",
         {.slice = "machine.slice", .runtime = "systemd-nspawn", .container = "web-1"});
}

TEST(IdentityOf, AnythingElseIsNothing) {
  for (const char* cgroup :
       {"", "/", "//", "/../..", "/docker/short", "/docker-xyz.scope.d", ".service", "/.scope"})
    Expect(cgroup, {});
}

TEST(HostPlaceOf, EndsWhereOthersChooseNames) {
  struct {
    std::string_view cgroup, unit;
    std::vector<std::string> slices;
  } cases[] = {
      {"/system.slice/postgresql@15-main.service", "postgresql@15-main.service", {"system.slice"}},
      {"/system.slice/system-postgresql.slice/postgresql@15-main.service",
       "postgresql@15-main.service",
       {"system.slice", "system-postgresql.slice"}},
      {"/user.slice/user-1000.slice/user@1000.service/machine.slice/postgresql@15-main.service",
       "user@1000.service",
       {"user.slice", "user-1000.slice"}},
      {"/system.slice/docker-0123456789abcdef.scope/system.slice/postgresql.service", "", {"system.slice"}},
      {"/lxc.payload.web/system.slice/postgresql.service", "", {}},
      {"/foo/0123456789abcdef/system.slice/postgresql.service", "", {}},
      {"/default/web/system.slice/postgresql.service", "", {}},
      {"/kubepods.slice/kubepods-burstable.slice/"
       "kubepods-burstable-pod6f8d3c0e_5b1a_4c8e_9d2f_0a1b2c3d4e5f.slice/"
       "cri-containerd-0123456789abcdef.scope",
       "",
       {"kubepods.slice", "kubepods-burstable.slice",
        "kubepods-burstable-pod6f8d3c0e_5b1a_4c8e_9d2f_0a1b2c3d4e5f.slice"}},
      {"/system.slice/foo\\x2dbar.service (deleted)", "foo-bar.service", {"system.slice"}},
      {"/", "", {}},
      {"", "", {}},
  };
  for (const auto& one : cases) {
    const HostPlace place = HostPlaceOf(one.cgroup);
    EXPECT_EQ(place.unit, one.unit) << one.cgroup;
    EXPECT_EQ(place.slices, one.slices) << one.cgroup;
  }
}

}  // namespace
}  // namespace obit
