#include "store/access.h"

#include <memory>

#include <sys/acl.h>
#include <sys/stat.h>

#include "base/io.h"

namespace obit {
namespace {

using Acl = std::unique_ptr<void, int (*)(void*)>;

/// rwx bits as acl(5) has them.
constexpr unsigned kRead = ACL_READ, kWrite = ACL_WRITE, kExecute = ACL_EXECUTE;

int AddEntry(Acl& acl, acl_tag_t tag, unsigned rights, std::optional<uid_t> user = std::nullopt) {
  acl_entry_t entry{};
  acl_permset_t permissions{};
  auto* raw = static_cast<acl_t>(acl.release());  // it may move
  int failed = ::acl_create_entry(&raw, &entry);
  acl.reset(raw);
  if (failed == 0) failed = ::acl_set_tag_type(entry, tag);
  if (failed == 0 && user) failed = ::acl_set_qualifier(entry, &*user);
  if (failed == 0) failed = ::acl_get_permset(entry, &permissions);
  if (failed == 0) failed = ::acl_clear_perms(permissions);
  for (const unsigned right : {kRead, kWrite, kExecute})
    if (failed == 0 && (rights & right) != 0) failed = ::acl_add_perm(permissions, right);
  return failed;
}

/// The rights of the store's user, of the crash's owner, and of the store's group.
Result<bool> Share(const Fd& file, mode_t mode, unsigned own, unsigned owners, unsigned groups,
                   std::optional<uid_t> owner) {
  if (::fchmod(file.get(), mode) < 0) return Fail(errno, "set the rights of a crash");
  if (!owner) return true;
  Acl acl(::acl_init(5), ::acl_free);
  if (!acl) return Fail(errno, "make an ACL");
  int failed = AddEntry(acl, ACL_USER_OBJ, own);
  if (failed == 0) failed = AddEntry(acl, ACL_USER, owners, owner);
  if (failed == 0) failed = AddEntry(acl, ACL_GROUP_OBJ, groups);
  if (failed == 0) failed = AddEntry(acl, ACL_MASK, owners | groups);
  if (failed == 0) failed = AddEntry(acl, ACL_OTHER, 0);
  if (failed == 0) failed = ::acl_set_fd(file.get(), static_cast<acl_t>(acl.get()));
  if (failed == 0) return true;
  if (errno == EOPNOTSUPP || errno == ENOSYS) return false;
  return Fail(errno, "give a crash to its owner");
}

}  // namespace

std::optional<uid_t> OwnerOf(const CrashRecord& record) {
  const CrashRecord::Process& process = record.process;
  if (process.privileged.value_or(true)) return std::nullopt;
  return process.uid;
}

Result<bool> ShareFile(const Fd& file, std::optional<uid_t> owner) {
  return Share(file, 0640, kRead | kWrite, kRead, kRead, owner);
}

Result<bool> ShareCrash(const Fd& dir, const CrashRecord& record) {
  const auto owner = OwnerOf(record);
  bool shared = true;
  for (const std::string& name : OBIT_TRY(ListDirectory(dir))) {
    const Fd file = OBIT_TRY(OpenAt(dir, name, O_RDONLY | O_NONBLOCK));
    shared = OBIT_TRY(ShareFile(file, owner)) && shared;
  }
  constexpr unsigned kAll = kRead | kWrite | kExecute;
  return OBIT_TRY(Share(dir, 0750, kAll, kAll, kRead | kExecute, owner)) && shared;
}

Result<Fd> OpenGenuine(const Fd& dir, const std::string& name) {
  // O_NONBLOCK: a FIFO in the place of a regular file must not hang the reader.
  Fd file = OBIT_TRY(OpenAt(dir, name, O_RDONLY | O_NONBLOCK | O_NOCTTY));
  struct stat folder{}, status{};
  if (::fstat(dir.get(), &folder) < 0 || ::fstat(file.get(), &status) < 0)
    return Fail(errno, "stat {}", name);
  if (!S_ISREG(status.st_mode) || status.st_uid != folder.st_uid)
    return Refuse(EPERM, "{} was not written by obit: somebody has replaced it", name);
  return file;
}

}  // namespace obit
