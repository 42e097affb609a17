#include "store/sequence.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include <sys/file.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/inside.h"
#include "base/io.h"
#include "base/text.h"
#include "crash/record.h"
#include "store/access.h"
#include "store/folder.h"
#include "store/ownership.h"

namespace obit {
namespace {

constexpr const char* kNumbers = "numbers";  // the folder
constexpr std::size_t kFileMax = 32;         // bytes
/// For another process that takes numbers, ns: it needs some milliseconds.
constexpr std::int64_t kPatience = 10'000'000'000;

}  // namespace

Sequence::Sequence(const Store& store, Options options) : options_(std::move(options)) {
  auto read = [&]() -> Result<std::uint64_t> {
    root_ = OBIT_TRY(Duplicate(store.root()));
    return Read(OBIT_TRY(OpenFolder()));
  }();
  if (read)
    next_ = end_ = *read + 1;
  else
    lost_ = std::move(read).error();
}

/// Nobody but obit enters it: a lock in a folder that others can open would be theirs to hold.
Result<Fd> Sequence::OpenFolder() const {
  if (OBIT_TRY(MakeFolder(root_, kNumbers, kPrivateFolder))) OBIT_TRY(Sync(root_));
  return OpenInside(root_, kNumbers, O_RDONLY | O_DIRECTORY);
}

/// How far numbers are taken. EBADMSG: that does not stand there.
Result<std::uint64_t> Sequence::Read(const Fd& folder) const {
  const Fd opened = OBIT_TRY(OpenInside(folder, options_.name, O_RDONLY | O_NONBLOCK));
  const auto file = OBIT_TRY(ReadText(opened, options_.name, kFileMax));
  // The newline comes last: what ends without it is only a part.
  const auto number = file.text.ends_with('\n')
                          ? ParseUnsigned(std::string_view(file.text).substr(0, file.text.size() - 1))
                          : std::nullopt;
  if (!number || *number > kBelievedMax) return Refuse(EBADMSG, "{} holds no number", options_.name);
  return *number;
}

bool Sequence::NotBelow(std::uint64_t number) {
  if (number < next_) return true;
  if (number - last() > kLeapMax || number > kBelievedMax) return false;
  next_ = number + 1;
  end_ = std::max(end_, next_);
  return true;
}

bool Sequence::IsOvertaken() const {
  // By its name, not by the count of its names: somebody may have linked it elsewhere.
  struct stat written{};
  if (!file_ || ::fstat(file_.get(), &written) < 0) return true;
  const auto named = LookInside(root_, fmt::format("{}/{}", kNumbers, options_.name));
  return !named || written.st_ino != named->st_ino || written.st_dev != named->st_dev;
}

Result<std::uint64_t> Sequence::Take() {
  if (next_ < end_ && !IsOvertaken()) return next_++;
  const Fd lock = OBIT_TRY(Lock());
  return TakeLocked();
}

Result<std::uint64_t> Sequence::TakeLocked() {
  if (next_ >= end_ || IsOvertaken()) OBIT_TRY(NextRange(options_.survives_power_cut));
  return next_++;
}

Result<Sequence::Range> Sequence::TakeRange() {
  if (next_ >= end_ || IsOvertaken()) {
    const Fd lock = OBIT_TRY(Lock());
    OBIT_TRY(NextRange(true));
  }
  const std::uint64_t first = std::exchange(next_, end_);
  return Range{first, end_ - first};
}

Sequence::Range Sequence::TakeRangeUnwritten() {
  const std::uint64_t first = TakeUnwritten();
  next_ = first + options_.range;
  end_ = std::max(end_, next_);
  return {first, options_.range};
}

std::uint64_t Sequence::TakeUnwritten() {
  // What others have taken can be read without the lock.
  if (IsOvertaken())
    if (const auto folder = OpenFolder())
      if (const auto read = Read(*folder)) (void)NotBelow(*read);
  return next_++;
}

Result<void> Sequence::Refill() {
  if (next_ < end_ && end_ - next_ > options_.range / 2) return {};
  const Fd lock = OBIT_TRY(Lock());
  return NextRange(true);
}

Result<Fd> Sequence::Lock() const {
  const Fd folder = OBIT_TRY_IN(OpenFolder(), "numbers of crashes");
  const std::string name = options_.name + ".lock";
  Fd lock = OBIT_TRY_IN(MakePrivateFile(folder, name, O_RDWR), "numbers of crashes");
  const std::int64_t deadline = MonotonicNow() + (options_.waits ? kPatience : 0);
  while (::flock(lock.get(), LOCK_EX | LOCK_NB) < 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) return Fail(errno, "lock {}", name);
    if (MonotonicNow() >= deadline)
      return Refuse(EBUSY, "numbers of crashes: another process holds the lock of {}/{}{}", kNumbers, name,
                    LockHolder(lock));
    std::this_thread::sleep_for(std::chrono::milliseconds(5));  // flock(2) has no timed wait
  }
  return lock;
}

/// The next range, behind all that was taken. What is left of the old one is used first, unless it was
/// overtaken. The caller holds the lock.
Result<void> Sequence::NextRange(bool sync) {
  const Fd folder = OBIT_TRY_IN(OpenFolder(), "numbers of crashes");
  const bool has_left = next_ < end_ && !IsOvertaken();
  std::uint64_t taken = has_left ? end_ - 1 : last();
  // If it cannot be read, all that is known is what this process has found and given.
  if (const auto read = Read(folder)) taken = std::max(taken, *read);
  if (taken > kBelievedMax - options_.range) return Refuse(ERANGE, "numbers of crashes: there are no more");
  const std::uint64_t end = taken + options_.range;
  Fd file = OBIT_TRY_IN(Write(folder, end, sync), "numbers of crashes");
  if (!has_left) next_ = taken + 1;
  end_ = end + 1;
  file_ = std::move(file);
  return {};
}

/// Says that all numbers up to `end` are taken.
Result<Fd> Sequence::Write(const Fd& folder, std::uint64_t end, bool sync) const {
  const std::string temporary = options_.name + ".new";
  if (::unlinkat(folder.get(), temporary.c_str(), 0) < 0 && errno != ENOENT)
    return Fail(errno, "remove {}", temporary);
  Fd file = OBIT_TRY(MakePrivateFile(folder, temporary, O_WRONLY | O_EXCL));
  OBIT_TRY(WriteAll(file, fmt::format("{}\n", end)));
  if (sync) OBIT_TRY(Sync(file));
  if (::renameat(folder.get(), temporary.c_str(), folder.get(), options_.name.c_str()) < 0)
    return Fail(errno, "rename {}", temporary);
  if (sync) OBIT_TRY(Sync(folder));
  return file;
}

}  // namespace obit
