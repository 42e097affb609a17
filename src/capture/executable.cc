#include "capture/executable.h"

#include <sys/stat.h>

#include "base/io.h"
#include "crash/exe_file.h"
#include "elf/build_id.h"
#include "store/store.h"

namespace obit {
namespace {

/// A larger program is not copied, bytes: the copy serves the debugger and must not fill the store.
constexpr std::uint64_t kExecutableMax = 512ULL << 20;

Result<void> Copy(const Fd& from, const Fd& dir, const CoreWriter::Options& options) {
  const Fd file = OBIT_TRY(OpenAt(dir, kExeFile, O_RDWR | O_CREAT | O_EXCL, 0600));
  CoreWriter writer(file, options);
  for (std::uint64_t done = 0; done < kExecutableMax;) {
    const auto got = OBIT_TRY(ReadFull(from, writer.Buffer()));
    if (got == 0) break;
    OBIT_TRY(writer.Advance(got));
    done += got;
  }
  (void)OBIT_TRY(writer.Finish());
  if (const auto failure = writer.failure()) return std::unexpected(*failure);
  return Sync(file);
}

}  // namespace

void KeepExecutable(const Fd& exe, bool reachable, const Fd& dir, const CoreWriter::Options& options,
                    CrashRecord& record) {
  struct stat running{};
  if (::fstat(exe.get(), &running) < 0 || !S_ISREG(running.st_mode)) return;
  if (const auto id = ReadBuildId(exe)) record.process.exe_build_id = *id;
  record.process.exe_file = ExeFileOf(running);
  if (running.st_nlink == 0) record.process.exe_deleted = true;  // perhaps since it was looked at
  if (reachable && running.st_nlink > 0) return;
  if (static_cast<std::uint64_t>(running.st_size) > kExecutableMax) return;
  if (record.files.core.empty()) return;  // nothing to read with it
  if (Copy(exe, dir, options))
    record.files.exe = kExeFile;
  else
    ::unlinkat(dir.get(), kExeFile, 0);
}

}  // namespace obit
