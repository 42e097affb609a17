#include "jobs/hooks.h"

#include <algorithm>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"

namespace obit {
namespace {

bool IsNameOfHook(std::string_view name) {
  if (name.starts_with('.') || name.ends_with('~')) return false;
  for (const std::string_view aside : {".dpkg-", ".ucf-", ".rpm"})
    if (name.rfind(aside) != std::string_view::npos) return false;
  return true;
}

bool OthersMayWrite(const struct stat& status) {
  const bool own = status.st_uid == 0 || status.st_uid == ::geteuid();
  return !own || (status.st_mode & (S_IWGRP | S_IWOTH)) != 0;
}

}  // namespace

Result<Hooks> FindHooks(const std::string& folder) {
  Hooks hooks;
  const auto dir = Open(folder, O_RDONLY | O_DIRECTORY);
  if (!dir && dir.error().code == ENOENT) return hooks;
  if (!dir) return std::unexpected(dir.error());
  struct stat status{};
  if (::fstat(dir->get(), &status) < 0) return Fail(errno, "stat {}", folder);
  if (OthersMayWrite(status)) return Refuse(EPERM, "{}: others than root may write there", folder);
  auto names = OBIT_TRY(ListDirectory(*dir));
  std::ranges::sort(names);
  for (const std::string& name : names) {
    if (!IsNameOfHook(name) || ::fstatat(dir->get(), name.c_str(), &status, 0) < 0) continue;
    if (!S_ISREG(status.st_mode) || (status.st_mode & 0111) == 0) continue;
    std::string path = folder + "/" + name;
    if (OthersMayWrite(status))
      hooks.refused.push_back(path + ": others than root may write it");
    else
      hooks.programs.push_back(std::move(path));
  }
  return hooks;
}

}  // namespace obit
