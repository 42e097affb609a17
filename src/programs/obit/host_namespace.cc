#include "host_namespace.h"

#include "base/io.h"
#include "base/text.h"

namespace obit {
namespace {

std::string NamespaceOf(const std::string& process, const std::string& kind) {
  const auto folder = Open(fmt::format("/proc/{}/ns", process), O_RDONLY | O_DIRECTORY);
  return folder ? ReadLinkAt(*folder, kind).value_or("") : "";
}

}  // namespace

std::string HostNamespace(const std::string& kind) {
  // Process 2 of a host is the parent of the kernel's threads, which never left. Process 1 may be hidden even
  // from root, and is all there is in a container.
  const auto comm = ReadFile("/proc/2/comm", 64);
  if (comm && Trim(comm->text) == "kthreadd") return NamespaceOf("2", kind);
  return NamespaceOf("1", kind);
}

std::string OwnNamespace(const std::string& kind) { return NamespaceOf("self", kind); }

}  // namespace obit
