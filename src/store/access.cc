#include "store/access.h"

#include <memory>

#include <sys/acl.h>
#include <sys/stat.h>

#include "base/inside.h"
#include "base/io.h"
#include "store/store.h"

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
                   CrashOwner owner) {
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

bool IsOfObit(const struct stat& folder, const struct stat& file) {
  return S_ISREG(file.st_mode) && file.st_uid == folder.st_uid;
}
std::unexpected<Error> NotOfObit(const std::string& name) {
  return Refuse(EPERM, "{} was not written by obit: somebody has replaced it", name);
}

}  // namespace

CrashOwner OwnerOf(const CrashRecord& record) {
  const CrashRecord::Process& process = record.process;
  if (process.privileged.value_or(true)) return std::nullopt;
  return process.uid;
}

Result<bool> ShareFile(const Fd& file, CrashOwner owner) {
  return Share(file, kCrashFile, kRead | kWrite, kRead, kRead, owner);
}

Result<bool> ShareCrash(const Fd& dir, const CrashRecord& record) {
  const auto owner = OwnerOf(record);
  bool shared = true;
  // No others: what else lies there is not of obit.
  for (const char* name : {kRecordFile, kCoreFile, kExeFile}) {
    const auto file = OpenGenuine(dir, name);
    struct stat status{};
    // Somebody else's, or somebody else's too: it gets no rights from here.
    if (!file && (file.error().code == ENOENT || file.error().code == EPERM || file.error().code == ELOOP ||
                  file.error().code == EXDEV || file.error().code == ENXIO))
      continue;
    if (!file) return std::unexpected(file.error());
    if (::fstat(file->get(), &status) < 0) return Fail(errno, "stat {}", name);
    if (status.st_nlink > 1) continue;
    shared = OBIT_TRY(ShareFile(*file, owner)) && shared;
  }
  constexpr unsigned kAll = kRead | kWrite | kExecute;
  return OBIT_TRY(Share(dir, kCrashFolder, kAll, kAll, kRead | kExecute, owner)) && shared;
}

CrashOwner OwnerByRights(const Fd& dir) {
  const Acl acl(::acl_get_fd(dir.get()), ::acl_free);
  acl_entry_t entry{};
  acl_tag_t tag{};
  for (int which = ACL_FIRST_ENTRY; acl; which = ACL_NEXT_ENTRY) {
    if (::acl_get_entry(static_cast<acl_t>(acl.get()), which, &entry) != 1) break;
    if (::acl_get_tag_type(entry, &tag) < 0 || tag != ACL_USER) continue;
    const std::unique_ptr<void, int (*)(void*)> user(::acl_get_qualifier(entry), ::acl_free);
    if (user) return *static_cast<const uid_t*>(user.get());
  }
  return std::nullopt;
}

void KeepForRoot(const Fd& dir) { (void)::fchmod(dir.get(), kPrivateFolder); }

Result<Fd> OpenGenuine(const Fd& dir, const std::string& name) {
  // O_NONBLOCK: a FIFO in the place of a regular file must not hang the reader.
  auto file = OpenInside(dir, name, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  struct stat folder{}, status{};
  if (!file) {
    // Who replaces it by a socket, or by a file that is closed to the reader or leased (F_SETLEASE of
    // fcntl(2)), hides nothing by that.
    const int error = file.error().code;
    if ((error == EACCES || error == ENXIO || error == ENODEV || error == EAGAIN) &&
        ::fstat(dir.get(), &folder) == 0) {
      const auto there = LookInside(dir, name);
      if (there && !IsOfObit(folder, *there)) return NotOfObit(name);
    }
    return file;
  }
  if (::fstat(dir.get(), &folder) < 0 || ::fstat(file->get(), &status) < 0)
    return Fail(errno, "stat {}", name);
  if (!IsOfObit(folder, status)) return NotOfObit(name);
  return file;
}

bool SaysThereIsNone(const Error& error) {
  switch (error.code) {
    case ENOENT:
    case EBADMSG:
    case EPROTONOSUPPORT:
    case EPERM:
    case ELOOP:
    case EXDEV:
      return true;
    default:
      return false;
  }
}

}  // namespace obit
