#include "base/io.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <memory>

#include <dirent.h>
#include <poll.h>
#include <unistd.h>

namespace obit {
namespace {

/// Repeats a system call that a signal interrupted.
template <class Call>
auto RetryInterrupted(Call call) {
  decltype(call()) result;
  do result = call();
  while (result < 0 && errno == EINTR);
  return result;
}

}  // namespace

Result<Fd> Open(const std::string& path, int flags, mode_t mode) {
  const int fd = RetryInterrupted([&] { return ::open(path.c_str(), flags | O_CLOEXEC, mode); });
  if (fd < 0) return Fail(errno, "open {}", path);
  return Fd(fd);
}

Result<Fd> OpenAt(const Fd& dir, const std::string& name, int flags, mode_t mode) {
  const int fd = RetryInterrupted(
      [&] { return ::openat(dir.get(), name.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, mode); });
  if (fd < 0) return Fail(errno, "open {}", name);
  return Fd(fd);
}

Result<Fd> Duplicate(const Fd& fd) {
  const int copy = ::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0);
  if (copy < 0) return Fail(errno, "duplicate a descriptor");
  return Fd(copy);
}

Result<std::size_t> ReadFull(const Fd& fd, std::span<std::byte> out) {
  std::size_t done = 0;
  while (done < out.size()) {
    const ssize_t n =
        RetryInterrupted([&] { return ::read(fd.get(), out.data() + done, out.size() - done); });
    if (n < 0) return Fail(errno, "read");
    if (n == 0) break;
    done += static_cast<std::size_t>(n);
  }
  return done;
}

Result<std::size_t> ReadFullAt(const Fd& fd, std::span<std::byte> out, std::uint64_t offset) {
  if (offset > INT64_MAX - out.size()) return Fail(EOVERFLOW, "read at {}", offset);
  std::size_t done = 0;
  while (done < out.size()) {
    const ssize_t n = RetryInterrupted([&] {
      return ::pread(fd.get(), out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
    });
    if (n < 0) return Fail(errno, "read at {}", offset + done);
    if (n == 0) break;
    done += static_cast<std::size_t>(n);
  }
  return done;
}

Result<void> WriteAll(const Fd& fd, std::span<const std::byte> data) {
  while (!data.empty()) {
    const ssize_t n = RetryInterrupted([&] { return ::write(fd.get(), data.data(), data.size()); });
    if (n < 0 && errno == EAGAIN) {
      // The other end of a terminal or a socket pair shares this flag, and whoever made the descriptor sets
      // it.
      pollfd watched{fd.get(), POLLOUT, 0};
      if (::poll(&watched, 1, -1) < 0 && errno != EINTR) return Fail(errno, "wait to write");
      continue;  // also when the reader is gone: write(2) tells
    }
    if (n < 0) return Fail(errno, "write");
    data = data.subspan(static_cast<std::size_t>(n));
  }
  return {};
}

Result<void> WriteAll(const Fd& fd, std::string_view text) {
  return WriteAll(fd, std::as_bytes(std::span(text)));
}

Result<void> WriteAllAt(const Fd& fd, std::span<const std::byte> data, std::uint64_t offset) {
  if (offset > INT64_MAX - data.size()) return Fail(EOVERFLOW, "write at {}", offset);
  while (!data.empty()) {
    const ssize_t n = RetryInterrupted(
        [&] { return ::pwrite(fd.get(), data.data(), data.size(), static_cast<off_t>(offset)); });
    if (n < 0) return Fail(errno, "write at {}", offset);
    data = data.subspan(static_cast<std::size_t>(n));
    offset += static_cast<std::uint64_t>(n);
  }
  return {};
}

bool IsAbsence(const Error& error) {
  return error.code == ENOENT || error.code == ENOTDIR || error.code == ELOOP;
}

Result<FileText> ReadText(const Fd& fd, const std::string& name, std::size_t max) {
  FileText file;
  // /proc files have no size to go by. Steps grow, since each byte of a step is written twice.
  constexpr std::size_t kFirstStep = 4096;
  while (file.text.size() <= max) {
    const std::size_t had = file.text.size();
    // One byte more than wanted tells "truncated".
    const std::size_t ask = std::min(std::max(kFirstStep, had), max + 1 - had);
    file.text.resize(had + ask);
    const auto n =
        OBIT_TRY_IN(ReadFull(fd, std::as_writable_bytes(std::span(file.text)).subspan(had)), "{}", name);
    file.text.resize(had + n);
    if (n < ask) break;
  }
  if (file.text.size() > max) {
    file.text.resize(max);
    file.truncated = true;
  }
  return file;
}

Result<FileText> ReadFileAt(const Fd& dir, const std::string& name, std::size_t max) {
  // O_NONBLOCK: a FIFO in the place of a regular file must not hang the reader.
  const Fd fd = OBIT_TRY(OpenAt(dir, name, O_RDONLY | O_NONBLOCK));
  return ReadText(fd, name, max);
}

Result<FileText> ReadFile(const std::string& path, std::size_t max) {
  const Fd fd = OBIT_TRY(Open(path, O_RDONLY | O_NONBLOCK));
  return ReadText(fd, path, max);
}

Result<void> WriteFileAtomically(const Fd& dir, const std::string& name, std::string_view text, mode_t mode,
                                 const std::function<Result<void>(const Fd&)>& prepare) {
  const std::string temporary = name + ".new";
  const Result<void> written = [&]() -> Result<void> {
    // Never a file that is there: somebody else may have made it, a link to whatever.
    auto made = OpenAt(dir, temporary, O_WRONLY | O_CREAT | O_EXCL, mode);
    if (!made && made.error().code == EEXIST) {
      if (::unlinkat(dir.get(), temporary.c_str(), 0) < 0 && errno != ENOENT)
        return Fail(errno, "remove {}", temporary);
      made = OpenAt(dir, temporary, O_WRONLY | O_CREAT | O_EXCL, mode);
    }
    const Fd fd = OBIT_TRY(std::move(made));
    OBIT_TRY(WriteAll(fd, text));
    if (prepare) OBIT_TRY(prepare(fd));
    OBIT_TRY(Sync(fd));
    if (::renameat(dir.get(), temporary.c_str(), dir.get(), name.c_str()) < 0) return Fail(errno, "rename");
    return {};
  }();
  if (written) return {};
  ::unlinkat(dir.get(), temporary.c_str(), 0);
  return std::unexpected(Error(written.error()).In("write " + name));
}

Result<std::string> ReadLinkAt(const Fd& dir, const std::string& name) {
  std::string target(PATH_MAX, '\0');
  const ssize_t n = ::readlinkat(dir.get(), name.c_str(), target.data(), target.size());
  if (n < 0) return Fail(errno, "readlink {}", name);
  if (static_cast<std::size_t>(n) == target.size())
    return Refuse(ENAMETOOLONG, "the target of {} is too long", name);
  target.resize(static_cast<std::size_t>(n));
  return target;
}

Result<void> Sync(const Fd& fd) {
  if (RetryInterrupted([&] { return ::fsync(fd.get()); }) < 0) return Fail(errno, "fsync");
  return {};
}

Result<void> MakeDirectories(const std::string& path, mode_t mode) {
  for (std::size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    const std::string parent = path.substr(0, slash);
    if (::mkdir(parent.c_str(), 0755) < 0 && errno != EEXIST) return Fail(errno, "make folder {}", parent);
  }
  if (::mkdir(path.c_str(), mode) == 0) return {};
  if (errno != EEXIST) return Fail(errno, "make folder {}", path);
  struct stat found{};
  if (::stat(path.c_str(), &found) < 0) return Fail(errno, "look at {}", path);
  if (!S_ISDIR(found.st_mode)) return Fail(ENOTDIR, "make folder {}", path);
  return {};
}

Result<std::vector<std::string>> ListDirectory(const Fd& dir) {
  Fd own = OBIT_TRY(OpenAt(dir, ".", O_RDONLY | O_DIRECTORY));  // an own position to read from
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(own.get()), ::closedir);
  if (!stream) return Fail(errno, "list a folder");
  (void)own.Release();  // closedir() closes it
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(stream.get());
    if (entry == nullptr) {
      if (errno != 0) return Fail(errno, "list a folder");
      return names;
    }
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
}

}  // namespace obit
