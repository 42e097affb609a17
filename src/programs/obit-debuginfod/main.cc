// obit-debuginfod URLS CACHE BUILD-ID...: fetches debug information from debuginfod servers into a cache.
// Started by obitd and by obit analyze (server/debug_fetcher.h), if that is configured: it is the one program
// of obit that uses the network, and it reads nothing of what it fetches but section names. Exit codes: 0
// something was fetched, 1 nothing was, 2 wrong usage.

#include <csignal>
#include <cstdlib>
#include <set>
#include <span>
#include <string>

#include <elfutils/debuginfod.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/fd.h"
#include "base/io.h"
#include "base/log.h"
#include "elf/section.h"

namespace obit {
namespace {

enum class ExitCode : int { kFetched = 0, kNothing = 1, kUsage = 2 };

/// Bytes of one file: debug information of a browser has a few GiB.
constexpr rlim_t kFileMax = rlim_t{8} << 30;

bool IsBuildId(std::string_view text) {
  return text.size() >= 8 && text.size() <= 128 &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

/// The file of a build-id, which is then in the cache too.
Fd Fetch(debuginfod_client* client, const std::string& id) {
  const int fd =
      ::debuginfod_find_debuginfo(client, reinterpret_cast<const unsigned char*>(id.c_str()), 0, nullptr);
  if (fd < 0) Log(Severity::kInfo, "{}: {}", id, std::generic_category().message(-fd));
  return Fd(fd);
}

ExitCode Run(std::span<char*> arguments) {
  if (arguments.size() < 4) return ExitCode::kUsage;
  ::setenv("DEBUGINFOD_URLS", arguments[1], 1);
  ::setenv("DEBUGINFOD_CACHE_PATH", arguments[2], 1);
  if (const auto made = MakeDirectories(arguments[2], 0755); !made) {
    Log(Severity::kError, "{}", made.error().what);
    return ExitCode::kNothing;
  }
  debuginfod_client* client = ::debuginfod_begin();
  if (client == nullptr) return ExitCode::kNothing;
  ExitCode code = ExitCode::kNothing;
  std::set<std::string> alternates;  // what several files share (dwz)
  for (const char* id : arguments.subspan(3)) {
    if (!IsBuildId(id)) return ExitCode::kUsage;
    const Fd file = Fetch(client, id);
    if (!file) continue;
    code = ExitCode::kFetched;
    if (const auto sections = ReadDebugSections(file); sections && IsBuildId(sections->alternate_build_id))
      alternates.insert(sections->alternate_build_id);
  }
  for (const std::string& id : alternates) (void)Fetch(client, id);
  ::debuginfod_end(client);
  return code;
}

}  // namespace
}  // namespace obit

int main(int argc, char** argv) {
  obit::SetLogName("obit-debuginfod");
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  ::prctl(PR_SET_DUMPABLE, 0);  // its crash must not connect to obitd
  const rlimit limit{obit::kFileMax, obit::kFileMax};
  ::setrlimit(RLIMIT_FSIZE, &limit);
  return static_cast<int>(obit::Run(std::span(argv, static_cast<std::size_t>(argc))));
}
