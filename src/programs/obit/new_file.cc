#include "new_file.h"

#include <cstdio>
#include <cstdlib>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"

namespace obit {
namespace {

std::string FolderOf(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash + 1);
}

/// Not every file system has O_TMPFILE; the kernel says so with EOPNOTSUPP, an old one with EISDIR.
bool LacksUnnamedFiles(const Error& error) { return error.code == EOPNOTSUPP || error.code == EISDIR; }

/// Makes a file under a name that does not exist yet, and puts that name into `name`.
Result<Fd> MakeTemporary(const std::string& prefix, std::string& name) {
  name = prefix + ".XXXXXX";
  const int fd = ::mkostemp(name.data(), O_CLOEXEC);
  if (fd < 0) return Fail(errno, "make a file beside {}", prefix);
  return Fd(fd);
}

}  // namespace

Result<Fd> MakeUnnamedFile(const std::string& path) {
  auto file = Open(path, O_TMPFILE | O_RDWR, 0600);
  if (file || !LacksUnnamedFiles(file.error())) return file;
  std::string name;
  Fd fd = OBIT_TRY(MakeTemporary(path + "/obit", name));
  ::unlink(name.c_str());
  return fd;
}

NewFile::NewFile(std::string path, Fd fd, std::string temporary)
    : path_(std::move(path)), fd_(std::move(fd)), temporary_(std::move(temporary)) {}

NewFile::~NewFile() {
  if (fd_ && !temporary_.empty()) ::unlink(temporary_.c_str());
}

Result<NewFile> NewFile::Create(const std::string& path) {
  auto unnamed = Open(FolderOf(path), O_TMPFILE | O_RDWR, 0600);
  if (unnamed) return NewFile(path, std::move(*unnamed), "");
  if (!LacksUnnamedFiles(unnamed.error())) return std::unexpected(std::move(unnamed).error());
  std::string name;
  Fd fd = OBIT_TRY(MakeTemporary(path, name));
  return NewFile(path, std::move(fd), std::move(name));
}

Result<void> NewFile::Commit() {
  if (temporary_.empty()) {
    const std::string self = fmt::format("/proc/self/fd/{}", fd_.get());
    if (::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, path_.c_str(), AT_SYMLINK_FOLLOW) == 0) return {};
    if (errno != EEXIST) return Fail(errno, "name {}", path_);
    // linkat(2) replaces nothing, so the file gets another name first.
    std::string name;
    (void)OBIT_TRY(MakeTemporary(path_, name));
    ::unlink(name.c_str());
    if (::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW) < 0)
      return Fail(errno, "name {}", name);
    temporary_ = name;
  }
  if (::rename(temporary_.c_str(), path_.c_str()) < 0) return Fail(errno, "name {}", path_);
  temporary_.clear();
  return {};
}

}  // namespace obit
