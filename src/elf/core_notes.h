#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <sys/types.h>

#include "arch/architecture.h"
#include "elf/core_head.h"

namespace obit {

/// What the notes of a core say (include/uapi/linux/elf.h, elfcore.h; fs/binfmt_elf.c). Everything is
/// optional: the notes may be cut, of an architecture whose registers obit does not know, or made by another
/// program.
struct CoreNotes {
  const Architecture* arch = nullptr;  ///< null: obit does not know it

  /// A thread, from its NT_PRSTATUS. The first one crashed.
  struct Thread {
    pid_t tid = 0;  ///< in the process' own pid namespace
    int signal = 0;
    std::optional<std::uint64_t> pc, sp;
    /// All that NT_PRSTATUS has (Architecture); empty if obit does not know the processor.
    std::vector<std::uint64_t> registers;
  };
  std::vector<Thread> threads;

  /// NT_PRPSINFO.
  struct Process {
    pid_t pid = 0, parent = 0;
    std::optional<uid_t> uid;
    std::optional<gid_t> gid;
    std::string comm;       ///< at most 15 bytes
    std::string arguments;  ///< at most 79 bytes, joined by spaces
  };
  std::optional<Process> process;

  /// NT_SIGINFO.
  struct Signal {
    int number = 0, code = 0;
    std::optional<std::uint64_t>
        address;  ///< of the fault: SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP from the kernel
    std::optional<pid_t> sender_pid;  ///< of kill(2) and its kin
    std::optional<uid_t> sender_uid;
    std::optional<int> system_call;  ///< its number: SIGSYS
  };
  std::optional<Signal> signal;

  std::map<std::uint64_t, std::uint64_t> auxv;  ///< AT_* to value

  /// NT_FILE: a mapped file.
  struct File {
    std::uint64_t begin = 0, end = 0, offset = 0;  ///< addresses; offset in the file, bytes
    std::string path;
  };
  std::vector<File> files;

  /// A mapping of the process, whether the core has any of it or not.
  struct Mapping {
    std::uint64_t begin = 0, end = 0;
    std::uint32_t flags = 0;  ///< PF_R, PF_W, PF_X
    bool operator==(const Mapping&) const = default;
  };
  /// Every mapping, by address: the note of a minimal core, of which memory may be left out that the process
  /// had. Nothing: the core's segments are the mappings.
  std::optional<std::vector<Mapping>> mappings;

  /// The program: the mapped file that holds its program headers (AT_PHDR). Empty if the notes do not tell.
  [[nodiscard]] std::string ExecutablePath() const;
};

/// Appends the note of obit that has `mappings`.
[[nodiscard]] std::size_t MappingsNoteBytes(std::size_t mappings);  ///< by which they grow
void AppendMappingsNote(std::vector<std::byte>& notes, std::span<const CoreNotes::Mapping> mappings);

/// Reads the notes in `bytes`, the beginning of a PT_NOTE segment. Stops without complaint where they are cut
/// or odd.
[[nodiscard]] CoreNotes ParseCoreNotes(std::span<const std::byte> bytes, ElfClass elf_class,
                                       std::uint16_t machine);

}  // namespace obit
