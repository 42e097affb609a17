#pragma once

#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace obit {

/// A file without a name in the folder `path`, mode 0600, for reading and writing: gone when the last
/// descriptor is closed.
[[nodiscard]] Result<Fd> MakeUnnamedFile(const std::string& path);

/// A file that gets its name when it is complete: until then nothing stands under that name, or what stood
/// there before.
class NewFile {
 public:
  /// `path` names no file, or a regular one that will be replaced. Mode 0600.
  [[nodiscard]] static Result<NewFile> Create(const std::string& path);
  NewFile(NewFile&&) noexcept = default;
  NewFile& operator=(NewFile&&) = delete;
  ~NewFile();

  [[nodiscard]] const Fd& fd() const { return fd_; }
  /// Gives it its name.
  [[nodiscard]] Result<void> Commit();

 private:
  NewFile(std::string path, Fd fd, std::string temporary);
  std::string path_;
  Fd fd_;
  std::string temporary_;  // where it has a name that is not its last; else empty
};

}  // namespace obit
