#include <climits>
#include <cstdlib>

#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "common.h"
#include "new_file.h"
#include "stored_file.h"
#include "verbs.h"

namespace obit {
namespace {

/// Writes to what is there already and is no regular file: a pipe, a device.
Result<void> DumpInto(const Fd& out, const ChosenCrash& crash) {
  return UnpackStoredFile(crash.store, crash.location, kCoreFile, out);
}

Result<void> DumpToPath(std::string path, const ChosenCrash& crash) {
  struct stat there{};
  if (::stat(path.c_str(), &there) == 0) {
    if (!S_ISREG(there.st_mode)) return DumpInto(OBIT_TRY(Open(path, O_WRONLY)), crash);
    char target[PATH_MAX];  // what a symlink leads to is replaced, not the symlink
    if (::realpath(path.c_str(), target) != nullptr) path = target;
  }
  NewFile file = OBIT_TRY(NewFile::Create(path));
  OBIT_TRY_IN(DumpInto(file.fd(), crash), "write {}", path);
  return file.Commit();
}

}  // namespace

ExitCode Dump(const std::string& store_path, const DumpOptions& options) {
  if (options.output.empty() && ::isatty(STDOUT_FILENO) == 1) {
    Log(Severity::kError, "a core is no text for a terminal: use -o FILE, or a pipe");
    return ExitCode::kUsage;
  }
  const auto crash = ChooseCrash(store_path, options.selector, "dumping", "dump");
  if (!crash) return crash.error();
  if (const auto core = CheckHasCore(*crash); !core) return Failed(core.error());
  if (!options.output.empty()) {
    const auto dumped = DumpToPath(options.output, *crash);
    return dumped ? ExitCode::kDone : Failed(dumped.error());
  }
  const Fd out(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0));  // shares its position with what stdout was
  if (!out) return Failed(Fail(errno, "write to standard output").error());
  const auto dumped = DumpInto(out, *crash);
  return dumped ? ExitCode::kDone : Failed(dumped.error());
}

}  // namespace obit
