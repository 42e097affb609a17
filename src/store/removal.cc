#include "store/removal.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/inside.h"
#include "base/io.h"
#include "crash/record.h"
#include "store/folder.h"
#include "store/prepared.h"
#include "store/store.h"

namespace obit {
namespace {

constexpr std::size_t kNamed = 3;       // leftovers that a message names
constexpr std::size_t kLookedAt = 500;  // entries, for one of obit's among them

/// What obit writes, the largest first.
constexpr std::array kOwn{kCoreFile,  kExeFile,     kMinimalFile, kRecordFile,  kReportFile,
                          kBegunFile, kRepeatsFile, kCommitFile,  kRemovedFile, kPinnedFile};

/// Calls `visit` for each name, of which there may be more than memory for them: it may take them away.
Result<void> ForEachName(const Fd& dir, const std::function<bool(const std::string&)>& visit) {
  Fd own = OBIT_TRY(OpenInside(dir, ".", O_RDONLY | O_DIRECTORY | O_NONBLOCK));
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(own.get()), ::closedir);
  if (!stream) return Fail(errno, "list a folder");
  (void)own.Release();  // closedir() closes it
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(stream.get());
    if (entry == nullptr) return errno == 0 ? Result<void>() : Fail(errno, "list a folder");
    const std::string name = entry->d_name;
    if (name != "." && name != ".." && !visit(name)) return {};
  }
}

/// True for the root of a mount, which is not entered where the kernel has no openat2(2), either.
bool IsMount(const Fd& dir) {
  struct statx status{};
  return ::statx(dir.get(), "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &status) < 0 ||
         (status.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

/// What lies in a crash folder and is not obit's. Folders that are not empty are not descended into: what is
/// in them is moved up, next to them, until none has another in it.
class Foreign {
 public:
  Foreign(const Fd& top, std::size_t most) : top_(top), most_(most) {}

  Result<void> Remove() {
    for (bool moved = true; moved && steps_ < most_;) {
      moved = false;
      left_.clear();
      left_count_ = 0;
      OBIT_TRY(ForEachName(top_, [&](const std::string& name) {
        ++steps_;
        if (const int error = RemoveEntry(name, moved); error != 0) Leave(name, error);
        return steps_ < most_;
      }));
    }
    if (left_count_ == 0 && steps_ < most_) return {};
    if (steps_ >= most_ && (removed_ > 0 || moved_ > 0))
      return Refuse(EAGAIN, "there is more in it than the {} files that were looked at", most_);
    std::string names;
    for (const std::string& name : left_) names += (names.empty() ? "" : ", ") + name;
    if (left_count_ > left_.size()) names += ", ...";
    return Refuse(ENOTEMPTY, "what is left is not obit's: {}", names);
  }

 private:
  /// 0, or why it is still there. `moved` gets true if it is to be looked at again.
  int RemoveEntry(const std::string& name, bool& moved) {
    if (Unlink(top_, name, 0)) return 0;
    if (errno != EISDIR) return errno;
    if (Unlink(top_, name, AT_REMOVEDIR)) return 0;
    if (errno != ENOTEMPTY && errno != EEXIST) return errno;
    const auto dir = OpenInside(top_, name, O_RDONLY | O_DIRECTORY | O_NONBLOCK);
    if (!dir) return dir.error().code;
    if (IsMount(*dir)) return EBUSY;
    int error = 0;
    const auto emptied = ForEachName(*dir, [&](const std::string& inner) {
      ++steps_;
      if (Unlink(*dir, inner, 0)) return steps_ < most_;
      if (errno != EISDIR)
        error = errno;
      else if (const int failed = MoveUp(*dir, inner); failed != 0)
        error = failed;
      else
        moved = true;
      return steps_ < most_;
    });
    if (!emptied) return emptied.error().code;
    if (Unlink(top_, name, AT_REMOVEDIR)) return 0;
    return error != 0 ? error : errno;
  }

  bool Unlink(const Fd& dir, const std::string& name, int flags) {
    if (::unlinkat(dir.get(), name.c_str(), flags) < 0 && errno != ENOENT) return false;
    ++removed_;
    return true;
  }

  /// To a name that its owner cannot know before.
  int MoveUp(const Fd& from, const std::string& name) {
    const auto done = MoveFolder(from, name, top_, ".removed-" + NewCrashId());
    if (done) ++moved_;
    return done ? 0 : done.error().code;
  }

  void Leave(const std::string& name, int error) {
    ++left_count_;
    if (left_.size() < kNamed)
      left_.push_back(fmt::format("{} ({})", name, std::generic_category().message(error)));
  }

  const Fd& top_;
  const std::size_t most_;
  std::size_t steps_ = 0, removed_ = 0, moved_ = 0, left_count_ = 0;
  std::vector<std::string> left_;
};

}  // namespace

Result<void> EmptyCrashFolder(const Fd& dir, std::size_t most) {
  std::optional<Error> failed;
  for (const char* name : kOwn)
    // A folder of that name is its owner's.
    if (::unlinkat(dir.get(), name, 0) < 0 && errno != ENOENT && errno != EISDIR && !failed)
      failed = Fail(errno, "remove {}", name).error();
  auto foreign = Foreign(dir, most).Remove();
  if (failed) return std::unexpected(std::move(*failed));
  return foreign;
}

Result<void> RemoveCrashFolder(const Fd& parent, const std::string& name, std::size_t most) {
  constexpr int kTries = 3;  // a report may come in meanwhile
  for (int tried = 0; tried < kTries; ++tried) {
    if (::unlinkat(parent.get(), name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) return {};
    const auto dir = OpenInside(parent, name, O_RDONLY | O_DIRECTORY);
    if (!dir && dir.error().code == ENOENT) return {};
    if (!dir) return std::unexpected(dir.error());
    // From here on its owner, who may have it open, puts nothing more into it: this takes what an ACL gives.
    (void)::fchmod(dir->get(), 0700);
    OBIT_TRY_IN(EmptyCrashFolder(*dir, most), "{}", name);
    if (::unlinkat(parent.get(), name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) return {};
    if (errno != ENOTEMPTY) break;
  }
  return Fail(errno, "remove {}", name);
}

bool HasNothingOfObit(const Fd& dir) {
  struct stat folder{};
  if (::fstat(dir.get(), &folder) < 0) return false;
  const auto is_own = [&](const std::string& name) {
    const auto status = LookInside(dir, name);
    if (status) return status->st_uid == folder.st_uid;
    const int error = status.error().code;  // of any other, it may be there, and be a core
    return error != ENOENT && error != ENOTDIR && error != ELOOP && error != EXDEV;
  };
  if (std::ranges::any_of(kOwn, is_own)) return false;
  std::size_t looked_at = 0;
  bool found = false;
  const auto listed = ForEachName(dir, [&](const std::string& name) {
    found = is_own(name) || ++looked_at >= kLookedAt;
    return !found;
  });
  return listed && !found;
}

Result<std::vector<std::string>> HalfRemoved(const Fd& root) {
  const Fd incoming = OBIT_TRY(OpenInside(root, "incoming", O_RDONLY | O_DIRECTORY));
  auto names = OBIT_TRY_IN(ListDirectory(incoming), "incoming crashes");
  std::erase_if(names, [](const std::string& name) { return !name.ends_with(kRemovedSuffix); });
  return names;
}

Result<void> GoOnRemoving(const Fd& root, const std::string& name) {
  if (!name.ends_with(kRemovedSuffix) || name.contains('/'))
    return Refuse(EINVAL, "\"{}\" is no removed crash", name);
  return RemoveCrashFolder(OBIT_TRY(OpenInside(root, "incoming", O_RDONLY | O_DIRECTORY)), name,
                           kRemovedInPassing);
}

}  // namespace obit
