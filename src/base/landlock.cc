#include "base/landlock.h"

#include <cstdint>

#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"

namespace obit {
namespace {

// From include/uapi/linux/landlock.h of Linux 6.12; the headers of Debian 12 end before. A kernel takes a
// larger structure than its own if the rest is zero.
struct RulesetAttributes {
  std::uint64_t handled_access_fs, handled_access_net, scoped;
};
static_assert(sizeof(RulesetAttributes) == 24);
constexpr std::uint32_t kCreateRulesetVersion = 1 << 0;
struct __attribute__((packed)) PathBeneathAttributes {
  std::uint64_t allowed_access;
  std::int32_t parent_fd;
};
static_assert(sizeof(PathBeneathAttributes) == 12);
constexpr int kRulePathBeneath = 1;

constexpr std::uint64_t kWriteFile = 1 << 1, kReadFile = 1 << 2, kReadDirectory = 1 << 3,
                        kRemoveDirectory = 1 << 4, kRemoveFile = 1 << 5, kMakeDirectory = 1 << 7,
                        kMakeRegular = 1 << 8, kRefer = 1 << 13, kTruncate = 1 << 14;
constexpr std::uint64_t kReading = kReadFile | kReadDirectory;
constexpr std::uint64_t kWriting =
    kWriteFile | kRemoveDirectory | kRemoveFile | kMakeDirectory | kMakeRegular | kRefer | kTruncate;

constexpr std::uint64_t kSignals = 1 << 1;  // LANDLOCK_SCOPE_SIGNAL

std::uint64_t Rights(FileAccess access) {
  switch (access) {
    case FileAccess::kNothing:
      break;
    case FileAccess::kRead:
      return kReading;
    case FileAccess::kWrite:
      return kReading | kWriting;
  }
  return 0;
}

/// All bits below 1 << `count`.
constexpr std::uint64_t FirstBits(int count) { return (std::uint64_t{1} << count) - 1; }

/// Everything that the kernel can deny, by the version of its interface.
RulesetAttributes Everything(long version) {
  RulesetAttributes all{.handled_access_fs = FirstBits(13)};  // execute, write, read, make, remove
  if (version >= 2) all.handled_access_fs = FirstBits(14);    // rename or link into another folder
  if (version >= 3) all.handled_access_fs = FirstBits(15);    // truncate
  if (version >= 4) all.handled_access_net = FirstBits(2);    // bind and connect TCP
  if (version >= 5) all.handled_access_fs = FirstBits(16);    // ioctl of devices
  if (version >= 6) all.scoped = FirstBits(2);                // abstract sockets, signals
  return all;
}

}  // namespace

Result<bool> RestrictFiles(FileAccess everywhere, std::initializer_list<FolderAccess> beneath,
                           OutsideSignals signals) {
  const long version = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, kCreateRulesetVersion);
  if (version < 1 && (errno == ENOSYS || errno == EOPNOTSUPP)) return false;
  if (version < 1) return Fail(errno, "ask for the version of Landlock");
  RulesetAttributes denied = Everything(version);
  if (signals == OutsideSignals::kAllowed) denied.scoped &= ~kSignals;
  // What is not handled stays allowed. A rule could not say "anywhere": "/" is not the root of the files of
  // a container.
  denied.handled_access_fs &= ~Rights(everywhere);
  const Fd ruleset(static_cast<int>(::syscall(SYS_landlock_create_ruleset, &denied, sizeof denied, 0)));
  if (!ruleset) return Fail(errno, "make a Landlock ruleset");
  for (const FolderAccess& allowed : beneath) {
    PathBeneathAttributes rule{.allowed_access = Rights(allowed.access) & denied.handled_access_fs,
                               .parent_fd = allowed.folder.get()};
    if (rule.allowed_access == 0) continue;
    if (::syscall(SYS_landlock_add_rule, ruleset.get(), kRulePathBeneath, &rule, 0) < 0)
      return Fail(errno, "add a Landlock rule");
  }
  if (::syscall(SYS_landlock_restrict_self, ruleset.get(), 0) < 0) return Fail(errno, "restrict itself");
  return true;
}

}  // namespace obit
