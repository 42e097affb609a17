#include "crash/environment.h"

#include <algorithm>
#include <iterator>

namespace obit {
namespace {

constexpr std::string_view kNames[] = {"none", "allow-list", "all"};

constexpr std::string_view kAllowed[] = {"PATH",
                                         "HOME",
                                         "USER",
                                         "LOGNAME",
                                         "SHELL",
                                         "LANG",
                                         "LANGUAGE",
                                         "TERM",
                                         "TZ",
                                         "PWD",
                                         "TMPDIR",
                                         "DISPLAY",
                                         "WAYLAND_DISPLAY",
                                         "HOSTNAME",
                                         "INVOCATION_ID",
                                         "XDG_SESSION_TYPE",
                                         "XDG_RUNTIME_DIR",
                                         "PYTHONPATH",
                                         "PYTHONHOME",
                                         "NODE_OPTIONS",
                                         "JAVA_HOME",
                                         "RUST_BACKTRACE",
                                         "GOMAXPROCS",
                                         "GOGC"};
constexpr std::string_view kAllowedPrefixes[] = {
    "LC_", "LD_", "MALLOC_", "GLIBC_TUNABLES", "ASAN_", "UBSAN_", "TSAN_", "LSAN_", "OMP_", "DEBUGINFOD_"};

}  // namespace

std::string_view NameOf(EnvironmentKept kept) { return kNames[static_cast<std::size_t>(kept)]; }

std::optional<EnvironmentKept> EnvironmentKeptNamed(std::string_view name) {
  const auto* found = std::ranges::find(kNames, name);
  if (found == std::end(kNames)) return std::nullopt;
  return static_cast<EnvironmentKept>(found - std::begin(kNames));
}

bool IsKept(std::string_view variable, EnvironmentKept kept) {
  if (kept != EnvironmentKept::kAllowList) return kept == EnvironmentKept::kAll;
  const std::string_view name = variable.substr(0, variable.find('='));
  return std::ranges::find(kAllowed, name) != std::end(kAllowed) ||
         std::ranges::any_of(kAllowedPrefixes,
                             [&](std::string_view prefix) { return name.starts_with(prefix); });
}

}  // namespace obit
