#include "pattern_owner.h"

#include <array>
#include <string_view>
#include <utility>

#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "config/defaults.h"
#include "kernel/core_pattern.h"

namespace obit {
namespace {

constexpr const char* kFolder = "/run/obit";
constexpr const char* kName = "saved-core-pattern";
constexpr const char* kSysctlFolder = "/run/sysctl.d";
constexpr const char* kSysctlName = "zz-obit.conf";
constexpr std::string_view kPattern = "core_pattern=", kLimit = "core_pipe_limit=", kOurs = "set=";

}  // namespace

Result<std::optional<SavedPattern>> LoadSavedPattern() {
  const auto file = ReadFile(fmt::format("{}/{}", kFolder, kName), 4096);
  if (!file && file.error().code == ENOENT) return std::nullopt;
  if (!file) return std::unexpected(file.error());
  SavedPattern saved;
  for (const std::string_view line : Split(file->text, '\n')) {
    if (line.starts_with(kPattern)) saved.pattern = line.substr(kPattern.size());
    if (line.starts_with(kOurs)) saved.ours = line.substr(kOurs.size());
    if (line.starts_with(kLimit))
      saved.pipe_limit = static_cast<unsigned>(ParseUnsigned(line.substr(kLimit.size())).value_or(0));
  }
  return saved;
}

Result<void> StoreSavedPattern(const SavedPattern& saved) {
  OBIT_TRY(MakeDirectories(kFolder, 0700));
  const Fd folder = OBIT_TRY(Open(kFolder, O_RDONLY | O_DIRECTORY));
  return WriteFileAtomically(
      folder, kName,
      fmt::format("{}{}\n{}{}\n{}{}\n", kPattern, saved.pattern, kLimit, saved.pipe_limit, kOurs, saved.ours),
      0600);
}

Result<void> ForgetSavedPattern() {
  const std::string path = fmt::format("{}/{}", kFolder, kName);
  if (::unlink(path.c_str()) < 0 && errno != ENOENT) return Fail(errno, "remove {}", path);
  return {};
}

Result<void> KeepThroughSysctl(const std::string& ours) {
  OBIT_TRY(MakeDirectories(kSysctlFolder, 0755));
  const Fd folder = OBIT_TRY(Open(kSysctlFolder, O_RDONLY | O_DIRECTORY));
  // "-": a service that sets them all does not fail where the kernel takes no socket, as in a container.
  std::string text = fmt::format(
      "# Made by obit enable, and removed by obit disable: crashes stay with obit when sysctls are set "
      "anew.\n"
      "-kernel.core_pattern = {}\n",
      ours);
  if (TransportOf(ours) == Transport::kPipe) text += "-kernel.core_pipe_limit = 0\n";
  const auto publish = [](const Fd& file) -> Result<void> {
    if (::fchmod(file.get(), 0644) < 0) return Fail(errno, "let everybody read it");
    return {};
  };
  return WriteFileAtomically(folder, kSysctlName, text, 0644, publish);
}

Result<void> LeaveSysctl() {
  const std::string path = fmt::format("{}/{}", kSysctlFolder, kSysctlName);
  if (::unlink(path.c_str()) < 0 && errno != ENOENT) return Fail(errno, "remove {}", path);
  return {};
}

bool IsObits(const std::string& pattern, const std::optional<SavedPattern>& saved) {
  if (saved && saved->ours == pattern) return true;
  const auto target = TargetOf(pattern);
  if (!target) return false;
  return TransportOf(pattern) == Transport::kPipe ? FileNameOf(*target) == "obit-pipe"
                                                  : *target == kDefaultSocket;
}

std::string OwnerOf(const std::string& pattern, const std::optional<SavedPattern>& saved) {
  if (IsObits(pattern, saved)) return "obit";
  constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kKnown{
      {{"systemd", "systemd-coredump"}, {"apport", "apport"}, {"abrt", "abrt"}, {"kdump", "kdump"}}};
  const auto target = TargetOf(pattern);
  if (!target) return pattern.empty() ? "nobody: cores are dropped" : fmt::format("a file named {}", pattern);
  for (const auto& [part, owner] : kKnown)
    if (target->find(part) != std::string::npos) return std::string(owner);
  return fmt::format("{} {}", TransportOf(pattern) == Transport::kPipe ? "the program" : "whoever listens on",
                     *target);
}

}  // namespace obit
