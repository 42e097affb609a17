#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "kernel/mapped_files.h"
#include "kernel/memory_outlook.h"
#include "kernel/process_memory.h"
#include "kernel/thread_names.h"

namespace obit {

// What goes through a bag, a SOCK_SEQPACKET pair of which one end is handed on unopened while things are put
// into the other: closing a file may wait for its file system, so who must not wait never has one. A bag that
// is closed unread closes what is in it, which may wait too: who must not wait hands it on (Order::kDiscard).

struct BagItem {
  enum class Kind : std::uint32_t {
    kMemory,   ///< four descriptors: ProcessMemory
    kProgram,  ///< one: the program, for reading; `reachable`. None: text: why it is not there
    kMapped,   ///< MappedFiles; `begin` of the first one, text: of each other one, 8 bytes
    kTrace,    ///< one: a core in memory, for the trace alone
    kThreads,  ///< none; text: of each thread its id, 4 bytes, and 16 with its name, filled up with NULs
    kOutlook,  ///< /proc/meminfo, and /proc/pressure/memory if there is one; text: EncodeMemoryOutlook
    kNote,     ///< none; text: why there is no memory (CaptureJob::stream_reason)
    kEnd,      ///< none: that was all. A bag whose sender died ends without it
  };
  Kind kind = Kind::kEnd;
  std::uint32_t reachable = 0;
  std::uint64_t begin = 0;
};
static_assert(sizeof(BagItem) == 16 && std::has_unique_object_representations_v<BagItem>);
inline constexpr std::size_t kBagNoteMax = 512;  ///< bytes of a text for people

/// The program of a process.
struct Executable {
  Fd file;                 ///< open for reading; empty if its file system might not answer
  bool reachable = false;  ///< its path leads there on this host
  std::string missing;     ///< why `file` is empty, if it is wanted
};

/// Puts things into a bag. Never waits, for nobody may ever empty it: once something does not fit, that was
/// all, and the bag ends without its end mark.
class BagSender {
 public:
  /// `bag` may be empty: then nothing fits.
  explicit BagSender(Fd bag) : bag_(std::move(bag)) {}

  /// The caller keeps its descriptors. `text` has at most kBagNoteMax bytes.
  void Put(const BagItem& item, std::span<const int> fds = {}, std::string_view text = {});
  void PutMemory(const ProcessMemory& memory);
  void PutProgram(const Executable& program);
  void PutMapped(std::span<const MappedFile> files);
  void PutTrace(const Fd& core);
  void PutThreads(const ThreadNames& names);
  void PutOutlook(const MemoryOutlook& outlook);
  /// Why there is no memory.
  void PutNote(std::string_view note);
  /// The end mark; nothing can follow.
  void End();

 private:
  Fd bag_;
};

struct BagContents {
  std::optional<ProcessMemory> memory;
  Executable program;  ///< `file` is empty if there is none, and `missing` if nothing was said of it
  std::vector<MappedFile> mapped;
  Fd trace;
  ThreadNames threads;
  std::optional<MemoryOutlook> outlook;
  std::string note;
  bool whole = false;  ///< the end mark was there
};

/// Takes out what is in the bag. Waits for the end mark as long as somebody has the sending end, at most
/// until `deadline` (CLOCK_MONOTONIC, ns): then, and when the sender is gone, what was there is all. What no
/// sender puts in is left out. Fails only for what is no bag.
[[nodiscard]] Result<BagContents> EmptyBag(Fd bag, std::int64_t deadline);

}  // namespace obit
