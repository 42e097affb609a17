#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/result.h"

namespace obit {

/// Opens `path`, relative to the working directory, always O_CLOEXEC. Follows symlinks. Fails with open(2)'s
/// errno.
[[nodiscard]] Result<Fd> Open(const std::string& path, int flags, mode_t mode = 0);

/// Opens `name` below `dir`, always O_CLOEXEC | O_NOFOLLOW; ELOOP means the last component is a symlink.
[[nodiscard]] Result<Fd> OpenAt(const Fd& dir, const std::string& name, int flags, mode_t mode = 0);

/// True if the error says that nothing is there under that name. Any other leaves it open: who would delete
/// or replace what is not there has to try again.
[[nodiscard]] bool IsAbsence(const Error& error);

/// A second descriptor of the same open file, O_CLOEXEC.
[[nodiscard]] Result<Fd> Duplicate(const Fd& fd);

/// Reads until `out` is full or the file ends; returns the bytes read. Retries EINTR.
[[nodiscard]] Result<std::size_t> ReadFull(const Fd& fd, std::span<std::byte> out);

/// The same at `offset` of a seekable file, without moving its position.
[[nodiscard]] Result<std::size_t> ReadFullAt(const Fd& fd, std::span<std::byte> out, std::uint64_t offset);

/// Writes all of `data`, however many calls it takes. Retries EINTR.
[[nodiscard]] Result<void> WriteAll(const Fd& fd, std::span<const std::byte> data);
[[nodiscard]] Result<void> WriteAll(const Fd& fd, std::string_view text);
[[nodiscard]] Result<void> WriteAllAt(const Fd& fd, std::span<const std::byte> data, std::uint64_t offset);

/// What a bounded read of a whole file gave.
struct FileText {
  std::string text;
  bool truncated = false;  ///< the file has more than was asked for
};

/// Reads up to `max` bytes of the file `name` below `dir`, from its start. Works on /proc files (whose size
/// is 0).
[[nodiscard]] Result<FileText> ReadFileAt(const Fd& dir, const std::string& name, std::size_t max);
[[nodiscard]] Result<FileText> ReadFile(const std::string& path, std::size_t max);
/// The same of an open file, from its position on. `name` is for messages.
[[nodiscard]] Result<FileText> ReadText(const Fd& fd, const std::string& name, std::size_t max);

/// Writes `name` below `dir` whole: a temporary name, fsync, rename. A reader sees the old or the new, never
/// half. `prepare`, if given, is called with the file before it gets its name.
[[nodiscard]] Result<void> WriteFileAtomically(const Fd& dir, const std::string& name, std::string_view text,
                                               mode_t mode,
                                               const std::function<Result<void>(const Fd&)>& prepare = {});

/// The target of the symlink `name` below `dir`. ENAMETOOLONG: it has PATH_MAX bytes or more; never a part of
/// it.
[[nodiscard]] Result<std::string> ReadLinkAt(const Fd& dir, const std::string& name);

[[nodiscard]] Result<void> Sync(const Fd& fd);

/// Makes `path` and its missing parents, mode 0755 for those, `mode` for the last one. An existing folder is
/// fine.
[[nodiscard]] Result<void> MakeDirectories(const std::string& path, mode_t mode);

/// Names in the folder `dir`, without "." and "..", unsorted.
[[nodiscard]] Result<std::vector<std::string>> ListDirectory(const Fd& dir);

}  // namespace obit
