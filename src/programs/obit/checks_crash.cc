#include <algorithm>
#include <csignal>
#include <set>

#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "capture/stored_head.h"
#include "checks.h"
#include "host_namespace.h"
#include "kernel/core_pattern.h"
#include "kernel/pidfd.h"
#include "pattern_owner.h"
#include "render/units.h"
#include "store/core_reader.h"
#include "store/store.h"

namespace obit {
namespace {

constexpr std::int64_t kPatience = 10'000'000'000;  // ns, from the crash to its record

/// A child that dies of SIGSEGV at once.
pid_t StartVictim() {
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  const rlimit unlimited{RLIM_INFINITY, RLIM_INFINITY};
  if (::setrlimit(RLIMIT_CORE, &unlimited) < 0) {  // the hard limit is lower: as much as it allows
    rlimit own{};
    ::getrlimit(RLIMIT_CORE, &own);
    own.rlim_cur = own.rlim_max;
    ::setrlimit(RLIMIT_CORE, &own);
  }
  ::signal(SIGSEGV, SIG_DFL);
  ::raise(SIGSEGV);
  ::_exit(0);
}

/// Waits until the child can be reaped: then obitd has released it. False: it still hangs when `deadline`
/// passes.
Result<bool> Await(pid_t pid, std::int64_t deadline) {
  const Fd pidfd = OBIT_TRY(OpenPidfd(pid));
  pollfd ended{pidfd.get(), POLLIN, 0};
  const auto left = std::max<std::int64_t>(deadline - MonotonicNow(), 0);
  if (::poll(&ended, 1, static_cast<int>(left / 1'000'000)) < 0) return Fail(errno, "wait for the crash");
  return ended.revents != 0;
}

/// Crashes of the last two days: the clock may pass midnight in between.
Result<std::set<CrashLocation>> Recent(const Store& store) {
  std::set<CrashLocation> recent;
  const std::int64_t now = RealtimeNow();
  for (const std::int64_t moment : {now - 86'400'000'000'000, now})
    for (CrashLocation& crash : OBIT_TRY(store.CrashesOf(FormatDay(moment)))) recent.insert(std::move(crash));
  return recent;
}

/// The pid that this process knows means another process elsewhere.
bool IsOf(pid_t pid, const CrashRecord::Process& process) {
  if (process.pid_namespace.empty() || !process.own_pid) return process.pid == pid;
  return process.own_pid == pid && process.pid_namespace == OwnNamespace("pid");
}

/// Looks for the record of `pid` among those that came since `known`, until `deadline`. ENODATA: none came.
Result<std::pair<CrashLocation, CrashRecord>> FindRecord(const Store& store, std::set<CrashLocation> known,
                                                         pid_t pid, std::int64_t deadline) {
  constexpr useconds_t kBetweenLooks = 10'000;  // us; only for as long as obitd takes to commit
  for (;;) {
    for (const CrashLocation& crash : OBIT_TRY(Recent(store))) {
      if (!known.insert(crash).second) continue;
      auto record = store.Load(crash);
      if (record && IsOf(pid, record->process)) return std::pair(crash, std::move(*record));
    }
    if (MonotonicNow() >= deadline)
      return Refuse(ENODATA,
                    "no record came within 10 s: is {} the store of the running obitd? (After twenty such "
                    "crashes in ten minutes it only counts them.)",
                    store.path());
    ::usleep(kBetweenLooks);
  }
}

/// Whether a core can be read from its beginning to the end of its notes.
Result<void> CheckCore(const Store& store, const CrashLocation& crash) {
  CoreReader reader = OBIT_TRY(CoreReader::Open(OBIT_TRY(store.OpenFile(crash, kCoreFile))));
  const CoreHead head = OBIT_TRY(ReadStoredHead(reader));
  if (!head.invalid().empty()) return Refuse(EBADMSG, "the stored core is broken: {}", head.invalid());
  if (!head.complete()) return Refuse(EBADMSG, "the stored core ends within its head");
  if (reader.size() < head.core_bytes().value_or(0))
    return Refuse(EBADMSG, "the stored core has {} of {} bytes", reader.size(), *head.core_bytes());
  return {};
}

Result<std::string> Try(const Store& store) {
  const auto known = OBIT_TRY(Recent(store));
  const std::int64_t begun = MonotonicNow();
  const pid_t pid = StartVictim();
  if (pid < 0) return Fail(errno, "start a process");
  const auto ended = Await(pid, begun + kPatience);
  if (!ended || !*ended) ::kill(pid, SIGKILL);  // ends a dump as well
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!ended) return std::unexpected(ended.error());
  if (!*ended) return Refuse(ETIMEDOUT, "the process hung for 10 s: obitd does not answer");
  if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSEGV)
    return Refuse(EPROTO, "the process did not die of SIGSEGV");

  const auto [crash, record] = OBIT_TRY(FindRecord(store, known, pid, begun + kPatience));
  const double seconds = static_cast<double>(MonotonicNow() - begun) / 1e9;
  const auto core = record.files.core.empty() ? Result<void>() : CheckCore(store, crash);
  OBIT_TRY(store.Remove(crash));
  OBIT_TRY(core);
  const CrashRecord::Capture& capture = record.capture;
  if (capture.outcome != CrashOutcome::kFull)
    return Refuse(EPROTO, "{}, not a full core{}", NameOf(capture.outcome),
                  capture.reason.empty() ? "" : ": " + capture.reason);
  return fmt::format("recorded in {}: full, {} in {}, its head reads", FormatDuration(seconds),
                     FormatBytes(capture.core_bytes), FormatBytes(capture.stored_bytes));
}

}  // namespace

Finding CheckCrash(const std::string& store_path) {
  constexpr const char* kWhat = "test crash";
  using enum Finding::Verdict;
  const bool root = ::geteuid() == 0;
  bool hidden = false;  // what only root can see keeps it from being made, or seen
  const auto tried = [&]() -> Result<std::string> {
    const std::string pattern = OBIT_TRY(ReadCorePattern());
    const auto saved = LoadSavedPattern();
    if (!IsObits(pattern, saved ? *saved : std::nullopt)) {
      hidden = !root && !saved && EndpointOf(pattern);
      return Refuse(EBUSY, "not made: core_pattern does not lead to obit");
    }
    return Try(OBIT_TRY(Store::Open(store_path)));
  }();
  if (tried) return MakeFinding(kWhat, *tried, kOk, "");
  if (!root && (hidden || tried.error().code == ENODATA))
    return MakeFinding(kWhat, "", kUnknown,
                       hidden ? "only root can tell" : tried.error().what + " (only root can tell)");
  return MakeFailure(kWhat, "", tried.error());
}

}  // namespace obit
