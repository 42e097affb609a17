#include "kernel/thread_names.h"

#include <memory>
#include <optional>
#include <string_view>

#include <dirent.h>
#include <fcntl.h>

#include "base/io.h"
#include "base/text.h"

namespace obit {
namespace {

/// Bytes of a status file that are read: the ids of a thread stand behind its groups, of which most have few.
constexpr std::size_t kStatusRead = 16 * 1024;

/// A thread's ids, the outermost namespace's first (proc_pid_status(5), NSpid).
std::vector<std::string_view> IdsIn(std::string_view status) {
  constexpr std::string_view kField = "\nNSpid:\t";
  const std::size_t at = status.find(kField);
  if (at == std::string_view::npos) return {};
  status.remove_prefix(at + kField.size());
  return Split(status.substr(0, status.find('\n')), '\t');
}

/// The id of a thread in its innermost namespace. `tasks` is the folder of the threads.
std::optional<pid_t> OwnId(const Fd& tasks, const std::string& tid) {
  const auto status = ReadFileAt(tasks, tid + "/status", kStatusRead);
  if (!status) return std::nullopt;
  const auto ids = IdsIn(status->text);
  const auto number = ids.empty() ? std::nullopt : ParseUnsigned(ids.back());
  return number ? std::optional(static_cast<pid_t>(*number)) : std::nullopt;
}

/// Their ids are the same in the reader's namespace.
bool HasOneNamespace(const Fd& tasks, const std::string& tid) {
  const auto status = ReadFileAt(tasks, tid + "/status", kStatusRead);
  return status && IdsIn(status->text).size() == 1;
}

}  // namespace

Result<ThreadNames> ReadThreadNames(const Fd& dir, std::string_view usual) {
  Fd tasks = OBIT_TRY(OpenAt(dir, "task", O_RDONLY | O_DIRECTORY));
  Fd listed = OBIT_TRY(OpenAt(tasks, ".", O_RDONLY | O_DIRECTORY));  // closedir() closes it
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(listed.get()), ::closedir);
  if (!stream) return Fail(errno, "list the threads");
  (void)listed.Release();
  ThreadNames names;
  std::optional<bool> one_namespace;  // all threads of a process have the same one
  for (std::size_t looked_at = 0; looked_at < kThreadsLookedAt && names.size() < kThreadNamesMax;) {
    const dirent* entry = ::readdir(stream.get());
    if (entry == nullptr) break;
    const std::string tid = entry->d_name;
    const auto number = ParseUnsigned(tid);
    if (!number) continue;  // "." and ".."
    ++looked_at;
    auto comm = ReadFileAt(tasks, tid + "/comm", 64);
    if (!comm || comm->text.empty()) continue;
    comm->text.pop_back();  // the newline
    if (comm->text.empty() || comm->text == usual) continue;
    if (!one_namespace) one_namespace = HasOneNamespace(tasks, tid);
    const auto own = *one_namespace ? std::optional(static_cast<pid_t>(*number)) : OwnId(tasks, tid);
    if (own) names.emplace(*own, std::move(comm->text));
  }
  return names;
}

}  // namespace obit
