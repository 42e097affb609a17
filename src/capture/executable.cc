#include "capture/executable.h"

#include <cerrno>

#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/inside.h"
#include "base/io.h"
#include "base/limits.h"
#include "base/try_twice.h"
#include "crash/exe_file.h"
#include "elf/build_id.h"
#include "store/recover.h"
#include "store/store.h"

namespace obit {
namespace {

/// A larger program is not copied, bytes: the copy serves the debugger and must not fill the store.
constexpr std::uint64_t kExecutableMax = 512ULL << 20;

Result<void> Copy(const Fd& from, const Fd& dir, const CoreWriter::Options& options,
                  std::chrono::seconds patience) {
  const std::int64_t end = MonotonicNow() + std::chrono::nanoseconds(patience).count();
  const Fd file = OBIT_TRY(OpenInside(dir, kExeFile, O_RDWR | O_CREAT | O_EXCL, kPrivateFile));
  CoreWriter writer(file, options);
  for (std::uint64_t done = 0; done < kExecutableMax;) {
    if (MonotonicNow() >= end) return Refuse(ETIMEDOUT, "it took longer than {} s", patience.count());
    const auto room = writer.Buffer();
    const ssize_t got =
        ::read(from.get(), room.data(), room.size());  // not until it is full: that has no end
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Fail(errno, "read the program");
    if (got == 0) break;
    OBIT_TRY(writer.Advance(static_cast<std::size_t>(got)));
    done += static_cast<std::uint64_t>(got);
  }
  (void)OBIT_TRY(writer.Finish());
  if (const auto failure = writer.failure()) return std::unexpected(*failure);
  return Sync(file);
}

}  // namespace

void KeepExecutable(const Fd& exe, bool reachable, const Fd& dir, const CoreWriter::Options& options,
                    CrashRecord& record, std::chrono::seconds patience) {
  struct stat running{};
  if (::fstat(exe.get(), &running) < 0 || !S_ISREG(running.st_mode)) return;
  if (const auto id = ReadBuildId(exe)) record.process.exe_build_id = *id;
  record.process.exe_file = ExeFileOf(running);
  if (running.st_nlink == 0) record.process.exe_deleted = true;  // perhaps since it was looked at
  if (reachable && running.st_nlink > 0) return;
  if (record.files.core.empty()) return;  // nothing to read with it
  if (static_cast<std::uint64_t>(running.st_size) > kExecutableMax) {
    record.capture.exe_reason = fmt::format("it is larger than {} MiB", kExecutableMax >> 20);
    return;
  }
  if (const auto copied = Copy(exe, dir, options, patience); !copied) {
    ::unlinkat(dir.get(), kExeFile, 0);
    record.capture.exe_reason = copied.error().what;
    return;
  }
  record.files.exe = kExeFile;
}

Result<void> TakeStoredExecutable(const Fd& dir, CrashRecord& record) {
  record.files.exe.clear();
  if (!record.files.core.empty()) {
    const auto whole = TryTwice([&]() -> Result<bool> {
      return IsWholeCore(OBIT_TRY(OpenAt(dir, kExeFile, O_RDONLY | O_NONBLOCK)));
    });
    if (!whole && IsShortage(whole.error())) return std::unexpected(whole.error());
    if (whole && *whole) {
      record.files.exe = kExeFile;
      return {};
    }
    // It only serves the debugger: no core waits for a disk that does not give it.
    if (!whole && !IsAbsence(whole.error())) record.capture.exe_reason = whole.error().what;
  }
  ::unlinkat(dir.get(), kExeFile, 0);
  return {};
}

}  // namespace obit
