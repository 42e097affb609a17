#include "checks.h"

#include <algorithm>
#include <array>
#include <utility>

#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "common.h"
#include "kernel/core_pattern.h"
#include "kernel/version.h"
#include "listener.h"
#include "pattern_owner.h"
#include "policy/config_files.h"
#include "render/units.h"
#include "server/hooks.h"

namespace obit {
namespace {

using enum Finding::Verdict;

// include/uapi/linux/capability.h
constexpr unsigned kDacReadSearch = 2, kSysPtrace = 19;

Finding Make(std::string what, const std::string& found, Finding::Verdict verdict,
             const std::string& remark) {
  return {std::move(what), EscapeForTerminal(found), verdict, EscapeForTerminal(remark)};
}

std::optional<SavedPattern> Saved() {
  auto saved = LoadSavedPattern();
  return saved ? std::move(*saved) : std::nullopt;
}

Finding CheckListener(const Endpoint& endpoint, const Result<Listener>& listener) {
  if (listener) {
    const std::string who =
        listener->pid == 0 ? "somebody" : fmt::format("{} {}", listener->comm, listener->pid);
    return Make("server", who + " listening", kOk, "");
  }
  if (listener.error().code == EACCES)
    return Make("server", endpoint.path, kWarning, "only root can see who listens");
  return Make("server", endpoint.path, kFailure, "nobody listens: start obitd, or obit disable");
}

/// obitd reads the facts of other users' processes only with these.
Finding CheckRights(const Listener& listener) {
  if (listener.pid == 0) return Make("rights of obitd", "", kWarning, "not visible from this pid namespace");
  std::string found, missing;
  for (const auto& [bit, name] :
       {std::pair{kSysPtrace, "CAP_SYS_PTRACE"}, {kDacReadSearch, "CAP_DAC_READ_SEARCH"}}) {
    std::string& list = (listener.capabilities >> bit & 1) != 0 ? found : missing;
    list += (list.empty() ? "" : " ") + std::string(name);
  }
  if (missing.empty()) return Make("rights of obitd", found, kOk, "");
  return Make("rights of obitd", found.empty() ? "none" : found, kWarning,
              fmt::format("some facts of other users' processes stay unknown without {}", missing));
}

Finding CheckHelper(const std::string& helper) {
  const bool runs = ::access(helper.c_str(), X_OK) == 0;
  return Make("helper", helper, runs ? kOk : kFailure, runs ? "" : "it is not there: obit enable again");
}

Finding CheckSocket(const std::string& pattern, const std::string& path) {
  auto rules = CheckSocketPath(path);
  if (const auto text = SocketCorePattern(TransportOf(pattern), path); !text)
    rules = std::unexpected(text.error());
  return rules ? Make("socket", path, kOk, "") : Make("socket", path, kFailure, rules.error().what);
}

}  // namespace

Finding CheckKernel() {
  const std::string release = KernelRelease();
  const auto version = ParseKernelVersion(release);
  const auto modes = ReadFile("/proc/sys/kernel/core_modes", 256);
  const bool sockets = modes && modes->text.find("socket") != std::string::npos;
  const std::string name = "kernel " + release;
  if (!version) return Make(name, "", kWarning, "its version is not readable");
  // core_modes does not tell whether "@@" exists.
  if (sockets && *version >= kFirstWithSocketRequest)
    return Make(name, "request socket (@@), socket (@), pipe, file", kOk, "");
  if (sockets) return Make(name, "socket (@), pipe, file", kOk, "from 6.17 on obit can decide before a dump");
  // %F, the pidfd of the pipe, came with the sockets; stable kernels have it as well, and do not tell.
  return Make(name, "pipe, file", kOk, "no sockets before 6.16: obit uses the pipe");
}

Finding CheckPattern() {
  const auto pattern = ReadCorePattern();
  if (!pattern) return Make("core_pattern", "", kFailure, pattern.error().what);
  const auto saved = Saved();
  if (IsObits(*pattern, saved)) return Make("core_pattern", *pattern, kOk, "ours");
  return Make("core_pattern", *pattern, kFailure,
              fmt::format("cores go to {}: obit enable changes that", OwnerOf(*pattern, saved)));
}

std::vector<Finding> CheckServer() {
  const auto pattern = ReadCorePattern();
  if (!pattern || !IsObits(*pattern, Saved())) return {};
  const auto endpoint = EndpointOf(*pattern);
  if (!endpoint) return {Make("server", "", kFailure, "core_pattern names no socket: obit enable again")};

  std::vector<Finding> findings;
  const bool pipe = TransportOf(*pattern) == Transport::kPipe;
  findings.push_back(pipe ? CheckHelper(TargetOf(*pattern).value_or(""))
                          : CheckSocket(*pattern, endpoint->path));
  const auto listener = FindListener(*endpoint);
  findings.push_back(CheckListener(*endpoint, listener));
  if (listener) findings.push_back(CheckRights(*listener));
  if (const auto limit = ReadCorePipeLimit(); pipe && limit && *limit != 0)
    findings.push_back(Make("core_pipe_limit", std::to_string(*limit), kWarning,
                            "the kernel drops crashes beyond it: obit enable sets it to 0"));
  return findings;
}

std::vector<Finding> CheckConfiguration() {
  const auto loaded = LoadConfig(SystemConfig());
  if (!loaded) return {Make("configuration", "", kFailure, loaded.error().what)};
  const auto changed = std::ranges::count_if(
      loaded->settings, [](const SettingInForce& setting) { return !setting.from.empty(); });
  const std::string found =
      changed == 0 ? "as it comes" : FormatCount(static_cast<std::uint64_t>(changed), "key") + " set";
  std::vector<Finding> findings{Make("configuration", found, kOk, "obit config")};
  const std::string& folder = loaded->config.hooks;
  const auto hooks = folder.empty() ? Hooks{} : FindHooks(folder);
  if (!hooks)
    findings.push_back(Make("hooks", folder, kWarning, "none is run: " + hooks.error().what));
  else if (!hooks->refused.empty())
    findings.push_back(Make("hooks", folder, kWarning, "not run: " + hooks->refused.front()));
  else if (!hooks->programs.empty())
    findings.push_back(Make(
        "hooks", fmt::format("{}: {}", folder, FormatCount(hooks->programs.size(), "program")), kOk, ""));
  return findings;
}

Finding CheckStore(const std::string& path) {
  const auto store = Store::Open(path);
  if (!store) {
    const bool missing = store.error().code == ENOENT;
    return Make("store", path, kFailure,
                missing ? "there is none: obitd makes it when it starts" : store.error().what);
  }
  const auto list = ListCrashes(*store);
  if (!list) return Make("store", path, kFailure, list.error().what);
  std::uint64_t stored = 0;
  for (const CrashSummary& crash : list->crashes) stored += crash.stored_bytes;
  struct statvfs disk{};
  const std::uint64_t free = ::fstatvfs(store->root().get(), &disk) == 0 ? disk.f_bavail * disk.f_frsize : 0;
  const std::string found =
      fmt::format("{}: {}, {} stored, {} free", path, FormatCount(list->crashes.size(), "crash"),
                  FormatBytes(stored), FormatBytes(free));
  constexpr std::uint64_t kLittle = 1ULL << 30;
  if (!list->broken.empty())
    return Make("store", found, kWarning,
                fmt::format("{} records cannot be read: obit list", list->broken.size()));
  if (free < kLittle) return Make("store", found, kWarning, "little room: cores will be cut (obit rm)");
  if (::faccessat(store->root().get(), ".", W_OK, AT_EACCESS) < 0)
    return Make("store", found, kOk, "for reading; rm needs other rights");
  return Make("store", found, kOk, "");
}

Finding CheckDumpMode() {
  constexpr const char* kFile = "/proc/sys/fs/suid_dumpable";
  const auto file = ReadFile(kFile, 16);
  if (!file) return Make("fs.suid_dumpable", "", kWarning, file.error().what);
  const std::string value(Trim(file->text));
  if (value == "2") return Make("fs.suid_dumpable", value, kOk, "privileged cores for root only");
  if (value == "1")
    return Make("fs.suid_dumpable", value, kWarning,
                "cores of setuid programs go to their user: set it to 2");
  return Make("fs.suid_dumpable", value, kWarning,
              "setuid programs leave no core: sysctl fs.suid_dumpable=2");
}

Finding CheckCoreLimit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_CORE, &limit) < 0) return Make("core limit here", "", kWarning, "it cannot be read");
  if (limit.rlim_cur == RLIM_INFINITY) return Make("core limit here", "unlimited", kOk, "");
  const std::string found = FormatBytes(limit.rlim_cur);
  if (limit.rlim_cur == 0)
    return Make("core limit here", found, kWarning,
                "only the event is kept of what this shell starts: ulimit -c unlimited");
  return Make("core limit here", found, kOk, "obit keeps whole cores all the same");
}

}  // namespace obit
