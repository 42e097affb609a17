#pragma once

// For tests. Included by them only.

#include <csignal>

#include <sys/resource.h>

#include "store/core_reader.h"
#include "store/test_support.h"

namespace obit::testing {

/// All that CoreReader gives, with holes as zeros.
inline Bytes Unpacked(const Fd& file) {
  auto reader = CoreReader::Open(Fd(::dup(file.get())));
  EXPECT_THAT(reader, Succeeds());
  if (!reader) return {};
  Bytes plain(reader->size());
  EXPECT_THAT(reader->ReadAt(0, plain), Succeeds());
  return plain;
}

/// No file of this process grows past `bytes` while it lives: writes fail with EFBIG, as with ENOSPC on a
/// full disk.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(::signal(SIGXFSZ, SIG_IGN)) {
    EXPECT_EQ(::getrlimit(RLIMIT_FSIZE, &old_), 0);
    const rlimit limit{bytes, old_.rlim_max};
    EXPECT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  }
  FileSizeLimit(FileSizeLimit&&) = delete;
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &old_);
    ::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit old_{};
  sighandler_t handler_;
};

}  // namespace obit::testing
