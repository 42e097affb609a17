#include "kernel/memory_ties.h"

#include <algorithm>
#include <cerrno>
#include <optional>

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/kcmp.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"

namespace obit {
namespace {

constexpr std::size_t kLocksMax = 1 << 20;  // bytes of /proc/locks that are read
constexpr std::size_t kChildrenMax = 64 * 1024;

/// Words that are set apart by one or more spaces.
std::vector<std::string_view> WordsOf(std::string_view line) {
  std::vector<std::string_view> words;
  for (const std::string_view word : Split(line, ' '))
    if (!word.empty()) words.push_back(word);
  return words;
}

/// "08:01:131": device numbers in hex, the inode in decimal.
std::optional<MemoryTies::LockedFile> FileOf(std::string_view word) {
  const auto parts = Split(word, ':');
  if (parts.size() != 3) return std::nullopt;
  const auto major = ParseUnsigned(parts[0], 16), minor = ParseUnsigned(parts[1], 16),
             inode = ParseUnsigned(parts[2]);
  if (!major || !minor || !inode) return std::nullopt;
  return MemoryTies::LockedFile{static_cast<std::uint32_t>(*major), static_cast<std::uint32_t>(*minor),
                                *inode};
}

enum class Shares { kNo, kYes, kUnknown };
Shares HaveOneMemory(pid_t one, pid_t other) {
  const long compared = ::syscall(SYS_kcmp, one, other, KCMP_VM, 0, 0);
  if (compared == 0) return Shares::kYes;
  // ESRCH: that one has ended, or has no memory any more.
  return compared > 0 || errno == ESRCH ? Shares::kNo : Shares::kUnknown;
}

class Reader {
 public:
  Reader(const Fd& proc, pid_t pid, pid_t parent) : proc_(proc), pid_(pid), parent_(parent) {}

  MemoryTies Read() {
    FindRobustLists();
    if (ties_.hold.empty()) FindSharers();
    if (!ties_.hold.empty()) return std::move(ties_);
    const auto locks = ReadFileAt(proc_, "locks", kLocksMax);
    if (locks) ties_.locked = ParseLocks(locks->text);
    if (!locks || locks->truncated || ties_.locked.size() > MemoryTies::kLockedMax)
      Hold("its locks cannot be told");
    return std::move(ties_);
  }

 private:
  void Hold(std::string why) {
    if (ties_.hold.empty()) ties_.hold = std::move(why);
  }

  std::vector<pid_t> Threads(pid_t pid) {
    std::vector<pid_t> tids;
    const auto tasks = OpenAt(proc_, fmt::format("{}/task", pid), O_RDONLY | O_DIRECTORY);
    const auto names =
        tasks ? ListDirectory(*tasks) : Result<std::vector<std::string>>(std::unexpected(tasks.error()));
    if (!names) return tids;
    for (const std::string& name : *names)
      if (const auto tid = ParseUnsigned(name)) tids.push_back(static_cast<pid_t>(*tid));
    return tids;
  }

  void FindRobustLists() {
    threads_ = Threads(pid_);
    if (threads_.size() > MemoryTies::kThreadsMax)
      return Hold(fmt::format("it has {} threads", threads_.size()));
    for (const pid_t tid : threads_) {
      std::uint64_t head = 0;
      std::size_t bytes = 0;
      if (::syscall(SYS_get_robust_list, tid, &head, &bytes) == 0) {
        if (head != 0) ties_.robust_lists.push_back(head);
      } else if (errno != ESRCH) {
        return Hold("its robust mutexes cannot be told");
      }
    }
  }

  /// vfork(2), or clone(2) with CLONE_VM and without CLONE_THREAD: the parent, a child, or a child of the
  /// parent.
  void FindSharers() {
    std::vector<pid_t> relatives;
    if (parent_ > 0) relatives.push_back(parent_);
    for (const pid_t tid : threads_) AddChildren(pid_, tid, relatives);
    const std::vector<pid_t> of_parent = parent_ > 1 ? Threads(parent_) : std::vector<pid_t>();
    if (of_parent.size() > MemoryTies::kThreadsMax)
      return Hold(fmt::format("its parent has {} threads", of_parent.size()));
    for (const pid_t tid : of_parent) AddChildren(parent_, tid, relatives);
    if (relatives.size() > MemoryTies::kRelativesMax)
      return Hold(fmt::format("it has {} relatives", relatives.size()));
    for (const pid_t other : relatives) {
      if (other == pid_) continue;
      const Shares shares = HaveOneMemory(pid_, other);
      if (shares == Shares::kYes) return Hold(fmt::format("process {} has the same memory", other));
      if (shares == Shares::kUnknown) return Hold("whether others have its memory cannot be told");
    }
  }

  void AddChildren(pid_t pid, pid_t tid, std::vector<pid_t>& relatives) {
    if (relatives.size() > MemoryTies::kRelativesMax) return;
    const auto children = ReadFileAt(proc_, fmt::format("{}/task/{}/children", pid, tid), kChildrenMax);
    // A thread may have ended; but a kernel without CONFIG_PROC_CHILDREN tells of none.
    if (!children || children->truncated) return Unlisted(pid, tid);
    for (const std::string_view word : WordsOf(children->text))
      if (const auto child = ParseUnsigned(word)) relatives.push_back(static_cast<pid_t>(*child));
  }

  void Unlisted(pid_t pid, pid_t tid) {
    struct stat status{};
    const std::string thread = fmt::format("{}/task/{}", pid, tid);
    if (::fstatat(proc_.get(), thread.c_str(), &status, 0) == 0)
      Hold("whether others have its memory cannot be told");
  }

  const Fd& proc_;
  const pid_t pid_, parent_;
  std::vector<pid_t> threads_;
  MemoryTies ties_;
};

}  // namespace

std::vector<MemoryTies::LockedFile> ParseLocks(std::string_view text) {
  std::vector<MemoryTies::LockedFile> files;
  for (const std::string_view line : Split(text, '\n')) {
    const auto words = WordsOf(line);
    const bool is_of_file = std::ranges::any_of(words, [](std::string_view word) {
      return word == "FLOCK" || word == "OFDLCK" || word == "LEASE" || word == "DELEG";
    });
    if (!is_of_file) continue;
    for (const std::string_view word : words)
      if (const auto file = FileOf(word); file && std::ranges::find(files, *file) == files.end())
        files.push_back(*file);
  }
  return files;
}

MemoryTies ReadMemoryTies(const Fd& proc, pid_t pid, pid_t parent) {
  return Reader(proc, pid, parent).Read();
}

}  // namespace obit
