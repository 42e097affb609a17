#pragma once

// For tests: a disk that fails. One file of the test program includes store/test_disk_calls.h.

#include <cerrno>
#include <cstdint>
#include <functional>
#include <string_view>

namespace obit::testing {

/// What is wrong with it; nothing by default.
struct Disk {
  int thieves = 0;              ///< so often what a file gives back goes to others (with FileSizeLimit)
  int failing_cuts = 0;         ///< so often a file is not shortened, EIO
  bool refuses_tables = false;  ///< `table_error` for whoever writes a seek table
  int table_error = EIO;
  std::uint64_t bad_begin = 0, bad_end = 0;  ///< of files: what overlaps this is not read, EIO
  int bad_reads = -1;                        ///< so often; -1: always
  bool lacks_memory = false;                 ///< to unpack anything (zstd)
  std::string_view unseen;                   ///< a name of which stat(2) says EIO
  std::string_view unmoved;                  ///< a name of which renameat(2) says EIO
  std::string_view unopened;                 ///< the path of openat2(2) that fails with `open_error`
  int open_error = EIO;
  std::function<int()> before_write;  ///< called by pwrite(2): the error that it has, 0: none
  std::string_view unread;            ///< the end of a path; read(2) of such files says EIO
};
inline Disk disk;

/// Whole again at the end of a test.
struct DiskFault {
  explicit DiskFault(const Disk& fault) { disk = fault; }
  DiskFault(DiskFault&&) = delete;
  ~DiskFault() { disk = {}; }
};

}  // namespace obit::testing
