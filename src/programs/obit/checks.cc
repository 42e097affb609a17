#include "checks.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include <sys/resource.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "config/config_files.h"
#include "jobs/hooks.h"
#include "kernel/version.h"
#include "policy/decide.h"
#include "render/units.h"

namespace obit {

using enum Finding::Verdict;

Finding MakeFinding(std::string what, const std::string& found, Finding::Verdict verdict,
                    const std::string& remark) {
  return {std::move(what), EscapeForTerminal(found), verdict, EscapeForTerminal(remark)};
}

Finding MakeFailure(std::string what, const std::string& found, const Error& error) {
  const bool denied = (error.code == EACCES || error.code == EPERM) && ::geteuid() != 0;
  if (denied) return MakeFinding(std::move(what), found, kUnknown, "only root can tell");
  return MakeFinding(std::move(what), found, kFailure, error.what);
}

Finding CheckKernel() {
  const std::string release = KernelRelease();
  const auto version = ParseKernelVersion(release);
  const auto modes = ReadFile("/proc/sys/kernel/core_modes", 256);
  const bool sockets = modes && modes->text.find("socket") != std::string::npos;
  const std::string name = "kernel " + release;
  if (!version) return MakeFinding(name, "", kWarning, "its version is not readable");
  // core_modes does not tell whether "@@" exists.
  if (sockets && *version >= kFirstWithSocketRequest)
    return MakeFinding(name, "request socket (@@), socket (@), pipe, file", kOk, "");
  if (sockets)
    return MakeFinding(name, "socket (@), pipe, file", kOk, "from 6.17 on obit can decide before a dump");
  // %F, the pidfd of the pipe, came with the sockets; stable kernels have it as well, and do not tell.
  return MakeFinding(name, "pipe, file", kOk, "no sockets before 6.16: obit uses the pipe");
}

std::vector<Finding> CheckConfiguration() {
  const auto loaded = LoadConfig(SystemConfig());
  if (!loaded) return {MakeFailure("configuration", "", loaded.error())};
  const auto changed = std::ranges::count_if(
      loaded->settings, [](const SettingInForce& setting) { return !setting.from.empty(); });
  const std::string found =
      changed == 0 ? "as it comes" : FormatCount(static_cast<std::uint64_t>(changed), "key") + " set";
  std::vector<Finding> findings{MakeFinding("configuration", found, kOk, "obit config")};
  for (const std::string& closed : loaded->closed)
    findings.push_back(MakeFinding("configuration", closed, kUnknown, "only root can tell"));
  const std::string& folder = loaded->config.hooks;
  const auto hooks = folder.empty() ? Hooks{} : FindHooks(folder);
  if (!hooks && hooks.error().code == EACCES)
    findings.push_back(MakeFailure("hooks", folder, hooks.error()));
  else if (!hooks)
    findings.push_back(MakeFinding("hooks", folder, kWarning, "none is run: " + hooks.error().what));
  else if (!hooks->refused.empty())
    findings.push_back(MakeFinding("hooks", folder, kWarning, "not run: " + hooks->refused.front()));
  else if (!hooks->programs.empty())
    findings.push_back(MakeFinding(
        "hooks", fmt::format("{}: {}", folder, FormatCount(hooks->programs.size(), "program")), kOk, ""));
  return findings;
}

Finding CheckDumpMode() {
  constexpr const char* kFile = "/proc/sys/fs/suid_dumpable";
  const auto file = ReadFile(kFile, 16);
  if (!file) return MakeFinding("fs.suid_dumpable", "", kWarning, file.error().what);
  const std::string value(Trim(file->text));
  if (value == "2") return MakeFinding("fs.suid_dumpable", value, kOk, "privileged cores for root only");
  if (value == "1")
    return MakeFinding("fs.suid_dumpable", value, kWarning,
                       "cores of setuid programs go to their user: set it to 2");
  return MakeFinding("fs.suid_dumpable", value, kWarning,
                     "setuid programs leave no core: sysctl fs.suid_dumpable=2");
}

Finding CheckCoreLimit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_CORE, &limit) < 0)
    return MakeFinding("core limit here", "", kWarning, "it cannot be read");
  if (limit.rlim_cur == RLIM_INFINITY) return MakeFinding("core limit here", "unlimited", kOk, "");
  const std::string found = FormatBytes(limit.rlim_cur);
  const auto loaded = LoadConfig(SystemConfig());
  CrashRecord record;
  record.process.core_limit = limit.rlim_cur;
  const Decision decision = Decide(record, loaded ? loaded->config : Config());
  if (decision.detail != Detail::kFull)
    return MakeFinding(
        "core limit here", found, kWarning,
        fmt::format("{} of what this shell starts: ulimit -c unlimited",
                    decision.detail == Detail::kReject ? "nothing is kept" : "only the event is kept"));
  if (decision.core_max != UINT64_MAX)
    return MakeFinding("core limit here", found, kWarning,
                       "cores of what this shell starts end there: ulimit -c unlimited");
  return MakeFinding("core limit here", found, kOk, "obit keeps whole cores all the same");
}

}  // namespace obit
