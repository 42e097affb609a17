#include <climits>
#include <cstdlib>

#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "capture/minimal_copy.h"
#include "common.h"
#include "new_file.h"
#include "store/recover.h"
#include "stored_file.h"
#include "verbs.h"

namespace obit {
namespace {

/// As UnpackStoredFile.
Result<std::optional<Error>> WriteCore(const ChosenCrash& crash, bool minimal, const Fd& out) {
  if (!minimal) return UnpackStoredFile(crash.store, crash.location, kCoreFile, out);
  const std::string which = "crash " + crash.location.id;
  Fd packed = OBIT_TRY_IN(crash.store.OpenFile(crash.location, kCoreFile), "{}", which);
  OpenedCore core = OBIT_TRY_IN(OpenStoredCore(std::move(packed)), "{}", which);
  MinimalCopy copy = OBIT_TRY_IN(WriteMinimalCore(core.reader, out), "{}", which);
  if (copy.ends_early)
    Log(Severity::kWarning, "the core of {} ends early: what it lacks is left out of the minimal one, too",
        which);
  if (copy.damaged && !core.unreadable) core.unreadable = std::move(copy.damaged);
  return std::move(core.unreadable);
}

/// Writes to what is there already and is no regular file: a pipe, a device.
Result<void> DumpInto(const Fd& out, const ChosenCrash& crash, bool minimal) {
  if (auto missing = OBIT_TRY(WriteCore(crash, minimal, out))) return std::unexpected(std::move(*missing));
  return {};
}

Result<void> DumpToPath(std::string path, const ChosenCrash& crash, bool minimal) {
  struct stat there{};
  if (::stat(path.c_str(), &there) == 0) {
    if (!S_ISREG(there.st_mode)) return DumpInto(OBIT_TRY(Open(path, O_WRONLY)), crash, minimal);
    char target[PATH_MAX];  // what a symlink leads to is replaced, not the symlink
    if (::realpath(path.c_str(), target) != nullptr) path = target;
  }
  NewFile file = OBIT_TRY(NewFile::Create(path));
  auto missing = OBIT_TRY_IN(WriteCore(crash, minimal, file.fd()), "write {}", path);
  OBIT_TRY(file.Commit());
  if (missing)
    return std::unexpected(std::move(*missing).In("write " + path));  // what could be read is there
  return {};
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
    const auto dumped = DumpToPath(options.output, *crash, options.minimal);
    return dumped ? ExitCode::kDone : Failed(dumped.error());
  }
  const Fd out(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0));  // shares its position with what stdout was
  if (!out) return Failed(Fail(errno, "write to standard output").error());
  const auto dumped = DumpInto(out, *crash, options.minimal);
  return dumped ? ExitCode::kDone : Failed(dumped.error());
}

}  // namespace obit
