#include "process/helper.h"

#include <climits>
#include <cstdlib>

#include <fcntl.h>
#include <unistd.h>

#include "base/io.h"

namespace obit {

Result<std::string> FindHelper(const std::string& name) {
  const Fd self = OBIT_TRY(Open("/proc/self", O_RDONLY | O_DIRECTORY));
  const std::string exe = OBIT_TRY(ReadLinkAt(self, "exe"));
  const std::string folder = exe.substr(0, exe.rfind('/'));
  for (const char* place : {"/", "/../libexec/obit/", "/../lib/obit/"}) {
    char resolved[PATH_MAX];
    if (::realpath((folder + place + name).c_str(), resolved) != nullptr && ::access(resolved, X_OK) == 0)
      return resolved;
  }
  return Refuse(ENOENT, "{} is neither beside {} nor in ../libexec/obit or ../lib/obit", name, exe);
}

}  // namespace obit
