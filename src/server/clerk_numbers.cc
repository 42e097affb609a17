#include "server/clerk_numbers.h"

#include <algorithm>
#include <array>
#include <utility>

#include <sys/inotify.h>

#include "base/inside.h"
#include "base/log.h"
#include "catalog/numbers.h"

namespace obit {
namespace {

/// Tries to take a range while another process takes one, which needs some milliseconds.
constexpr unsigned kBusyMax = 20;
/// Crashes that are numbered between two looks at what else is to be done.
constexpr std::size_t kTriedAtOnce = 64;

}  // namespace

ClerkNumbers::ClerkNumbers(EventLoop& loop, const Store& store, ClerkIndex& index,
                           std::function<void(const Sequence::Range&)> give)
    : loop_(loop),
      store_(store),
      index_(index),
      give_(std::move(give)),
      numbers_(OpenNumbers(store, kAtOnce, false)) {
  for (CrashLocation& crash : index.Unnumbered()) unnumbered_.push_back(std::move(crash));
  for (const std::string& problem : numbers_.problems) Log(Severity::kWarning, "{}", problem);
}

void ClerkNumbers::Start() {
  started_ = true;
  Give();
  Watch();
  ScheduleTheRest();
}

void ClerkNumbers::Give() {
  again_ = EventSource();
  auto range = numbers_.accepted.TakeRange();
  if (!range && range.error().code == EBUSY && ++busy_ <= kBusyMax) {
    if (auto again = loop_.After(kSoon, [this] { Give(); })) {
      again_ = std::move(*again);
      return;
    }
  }
  busy_ = 0;
  if (!range) {
    Log(Severity::kWarning, "{}", range.error().what);
    range = numbers_.accepted.TakeRangeUnwritten();
  }
  given_ = *range;
  give_(given_);
}

void ClerkNumbers::Note(std::uint64_t number) {
  if (!started_ || again_ || number < given_.first + given_.count / 2 || !WasGiven(number)) return;
  Give();
}

/// A crash that comes after an import has the higher number: who takes numbers writes their file anew.
void ClerkNumbers::Watch() {
  const auto watch = [this]() -> Result<void> {
    changes_ = Fd(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    const Fd folder = OBIT_TRY(OpenInside(store_.root(), "numbers", O_RDONLY | O_DIRECTORY));
    const std::string path = fmt::format("/proc/self/fd/{}", folder.get());
    if (!changes_ || ::inotify_add_watch(changes_.get(), path.c_str(), IN_MOVED_TO | IN_ONLYDIR) < 0)
      return Fail(errno, "watch the folder of numbers");
    changed_ = OBIT_TRY(loop_.OnReadable(changes_, [this] { OnFolderChanged(); }));
    return {};
  };
  if (const auto watched = watch(); !watched)
    Log(Severity::kWarning, "crashes may have lower numbers than imports before them: {}",
        watched.error().what);
}

void ClerkNumbers::OnFolderChanged() {
  alignas(inotify_event) std::array<char, 4096> events;
  const auto got = ::read(changes_.get(), events.data(), events.size());
  if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) changed_ = EventSource();
  if (!again_ && numbers_.accepted.IsOvertaken()) Give();
}

void ClerkNumbers::NumberLater(const CrashLocation& crash, const Error& why) {
  if (why.code != EBUSY) Log(Severity::kWarning, "crash {}: {}", crash.id, why.what);
  unnumbered_.push_back(crash);
  ScheduleTheRest();
}

/// Those whose commit numbers could not be had when they were committed, by this clerk or the one before.
void ClerkNumbers::NumberTheRest() {
  rest_ = EventSource();
  bool failed = false, any = false;
  std::vector<CrashLocation> numbered;
  for (std::size_t left = std::min(unnumbered_.size(), kTriedAtOnce); left > 0; --left) {
    CrashLocation crash = std::move(unnumbered_.front());
    unnumbered_.pop_front();
    const auto done = NumberCommitted(store_, numbers_.committed, crash);
    const int code = done ? 0 : done.error().code;
    const bool in_the_way = !done && IsInTheWay(done.error());
    if (in_the_way) Log(Severity::kWarning, "{}: it gets none", done.error().what);
    // It may have had one that the index does not know: a clerk was killed before it could tell.
    if (done || code == EEXIST) numbered.push_back(crash);
    if (done || in_the_way || code == EEXIST || code == ENOENT || code == EPERM) {
      any = true;
      continue;
    }
    if (!std::exchange(failed, true) && code != EBUSY && pause_ == kSoon)
      Log(Severity::kWarning, "crash {}: {}", crash.id, done.error().what);
    unnumbered_.push_back(std::move(crash));
  }
  pause_ = any ? kSoon : std::min(pause_ * 2, kMuchLater);
  index_.Add(numbered);
  ScheduleTheRest();
}

/// Soon, and then seldom: another process may hold the numbers for long, and an idle clerk sleeps.
void ClerkNumbers::ScheduleTheRest() {
  if (unnumbered_.empty() || rest_ || !started_) return;
  if (auto later = loop_.After(pause_, [this] { NumberTheRest(); })) rest_ = std::move(*later);
}

}  // namespace obit
