#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <sys/types.h>

#include "base/fd.h"
#include "base/result.h"

namespace obit {

/// /proc/PID/stat of a process or thread (proc_pid_stat(5)); fields that obit has no use for are left out.
struct ProcessStat {
  pid_t id = 0;  ///< pid or tid, in the reader's namespace
  std::string comm;
  char state = 0;  ///< 'R': it runs, or waits for a processor
  pid_t parent = 0;
  std::uint64_t flags = 0;        ///< PF_* of include/linux/sched.h
  std::uint64_t cpu_ticks = 0;    ///< utime and stime, in units of sysconf(_SC_CLK_TCK)
  std::uint64_t start_ticks = 0;  ///< since boot, in the same
  std::uint64_t resident = 0;     ///< pages of its memory that are there
  /// Where the code of the program lies: its first address, and the one behind its last (start_code, end_code
  /// of load_elf_binary()); 1 and 1 for who may not know.
  std::uint64_t code_begin = 0, code_end = 0;
  std::uint64_t sp = 0;  ///< non-zero only while the task dumps or is parked by a dump (kstkesp)
  std::uint64_t pc = 0;  ///< (kstkeip)
  int exit_code = 0;     ///< wait status; in a dumping process the fatal signal (measured on 6.18)
  /// 0: none. A dumping group has its exit code set before any server is asked.
  [[nodiscard]] int fatal_signal() const { return exit_code & 0x7f; }

  static constexpr std::uint64_t kDumpCore = 0x200;  ///< PF_DUMPCORE: the thread that crashed
  [[nodiscard]] bool dumps_core() const { return (flags & kDumpCore) != 0; }
  static constexpr std::uint64_t kSignaled = 0x400;  ///< PF_SIGNALED: a signal has killed the thread
  /// It does nothing more of its own: it dumps core, or exits, or has.
  [[nodiscard]] bool dies() const { return (flags & (kDumpCore | kSignaled)) != 0; }
};
/// Decodes one stat line. `comm` may hold anything, also ") " and newlines. EBADMSG: not such a line.
[[nodiscard]] Result<ProcessStat> ParseProcessStat(std::string_view line);
/// Reads and decodes `name`, a stat file below `dir`. EBADMSG also if it is longer than such a file is.
[[nodiscard]] Result<ProcessStat> ReadProcessStat(const Fd& dir, const std::string& name);

/// ProcessStat::start_ticks as ns of CLOCK_BOOTTIME.
[[nodiscard]] std::int64_t SinceBoot(std::uint64_t start_ticks);

}  // namespace obit
