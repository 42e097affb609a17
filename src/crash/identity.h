#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace obit {

/// What a process belonged to, as the path of its cgroup says. What is not known is empty. Names are of the
/// host, or of whoever may name a cgroup: any bytes.
struct Identity {
  std::string
      unit;  ///< of systemd: "imgproxy.service", "run-u12.scope"; inside of a container, the container's
  std::string user_unit;  ///< of the systemd of a user, below `unit` "user@1000.service"
  std::string slice;      ///< the innermost: "system.slice"
  std::string
      runtime;  ///< "docker", "podman", "containerd", "cri-o", "lxc", "systemd-nspawn"; empty if unclear
  std::string container;  ///< its id, or its name where the runtime goes by names
  std::string pod;        ///< uid of the Kubernetes pod
  std::string outermost;  ///< the first container or pod, if no service has it: nobody inside chose this name
  bool nested = false;    ///< a service, container or pod lies in another one, which can choose its name
};

/// Reads a path such as "/system.slice/imgproxy.service". Systemd's escapes are decoded: "\x2d" is "-".
[[nodiscard]] Identity IdentityOf(std::string_view cgroup);

/// Where the host's systemd has put a process: names that nobody below them chose. In a container, or below a
/// user's "user@1000.service", they end there.
struct HostPlace {
  std::string unit;                 ///< empty: it is in none, or in a container's
  std::vector<std::string> slices;  ///< the outermost first: "kubepods.slice"
};
[[nodiscard]] HostPlace HostPlaceOf(std::string_view cgroup);

}  // namespace obit
