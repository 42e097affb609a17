#pragma once

// For tests: calls in the place of the C library's, for a disk that fails. To be included by one file of a
// test program.

#include <cerrno>
#include <cstdarg>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include <dlfcn.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <zstd.h>

#include "store/test_disk.h"

extern "C" int ftruncate(int fd, off_t length) noexcept {
  if (obit::testing::disk.failing_cuts > 0) {
    --obit::testing::disk.failing_cuts;
    errno = EIO;
    return -1;
  }
  const auto done = static_cast<int>(::syscall(SYS_ftruncate, fd, length));
  if (done != 0 || obit::testing::disk.thieves <= 0) return done;
  --obit::testing::disk.thieves;
  rlimit limit{};
  ::getrlimit(RLIMIT_FSIZE, &limit);
  limit.rlim_cur = static_cast<rlim_t>(length);
  return ::setrlimit(RLIMIT_FSIZE, &limit);
}

extern "C" ssize_t pwrite(int fd, const void* bytes, size_t count, off_t offset) {
  constexpr std::uint32_t kSkippable = 0x184D2A5E;  // the magic number of seek tables
  if (obit::testing::disk.refuses_tables && count >= sizeof kSkippable &&
      std::memcmp(bytes, &kSkippable, sizeof kSkippable) == 0) {
    errno = obit::testing::disk.table_error;
    return -1;
  }
  if (obit::testing::disk.before_write) {
    if (const int error = obit::testing::disk.before_write(); error != 0) {
      errno = error;
      return -1;
    }
  }
  return ::syscall(SYS_pwrite64, fd, bytes, count, offset);
}

extern "C" ssize_t pread(int fd, void* bytes, size_t count, off_t offset) {
  auto& disk = obit::testing::disk;
  const auto begin = static_cast<std::uint64_t>(offset);
  if (begin < disk.bad_end && begin + count > disk.bad_begin && disk.bad_reads != 0) {
    if (disk.bad_reads > 0) --disk.bad_reads;
    errno = EIO;
    return -1;
  }
  return ::syscall(SYS_pread64, fd, bytes, count, offset);
}

extern "C" ssize_t read(int fd, void* bytes, size_t count) {
  if (!obit::testing::disk.unread.empty()) {
    const std::string link = "/proc/self/fd/" + std::to_string(fd);
    char path[4096];
    const ssize_t length = ::readlink(link.c_str(), path, sizeof path);
    if (length > 0 &&
        std::string_view(path, static_cast<std::size_t>(length)).ends_with(obit::testing::disk.unread)) {
      errno = EIO;
      return -1;
    }
  }
  return ::syscall(SYS_read, fd, bytes, count);
}

extern "C" int fstatat(int dir, const char* name, struct stat* status, int flags) noexcept {
  if (!obit::testing::disk.unseen.empty() && obit::testing::disk.unseen == name) {
    errno = EIO;
    return -1;
  }
  return static_cast<int>(::syscall(SYS_newfstatat, dir, name, status, flags));
}

extern "C" int renameat(int from, const char* old_name, int to, const char* new_name) noexcept {
  if (!obit::testing::disk.unmoved.empty() && obit::testing::disk.unmoved == old_name) {
    errno = EIO;
    return -1;
  }
  return static_cast<int>(::syscall(SYS_renameat, from, old_name, to, new_name));
}

extern "C" ZSTD_DCtx* ZSTD_createDCtx() {
  if (obit::testing::disk.lacks_memory) return nullptr;
  static const auto create = reinterpret_cast<ZSTD_DCtx* (*)()>(::dlsym(RTLD_NEXT, "ZSTD_createDCtx"));
  return create();
}

/// The C library has no openat2().
extern "C" long syscall(long number, ...) noexcept {
  va_list given;
  va_start(given, number);
  long arguments[6];
  for (long& argument : arguments) argument = va_arg(given, long);
  va_end(given);
  const auto& disk = obit::testing::disk;
  if (number == SYS_openat2 && !disk.unopened.empty() &&
      disk.unopened == reinterpret_cast<const char*>(arguments[1])) {
    errno = disk.open_error;
    return -1;
  }
  static const auto call = reinterpret_cast<long (*)(long, ...)>(::dlsym(RTLD_NEXT, "syscall"));
  return call(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
}
