#include "jobs/hook_queue.h"

#include <array>

#include <sys/mman.h>
#include <sys/resource.h>

#include "base/io.h"
#include "base/log.h"
#include "jobs/hooks.h"
#include "jobs/niceness.h"
#include "present/crash_json.h"

namespace obit {
namespace {

/// A file in memory: a hook may read it when it likes, or not at all.
Result<Fd> FileOf(const std::string& text) {
  Fd file(::memfd_create("crash", MFD_CLOEXEC));
  if (!file) return Fail(errno, "make a file in memory");
  OBIT_TRY(WriteAll(file, text));
  if (::lseek(file.get(), 0, SEEK_SET) < 0) return Fail(errno, "rewind a file in memory");
  return file;
}

}  // namespace

const char* NameOf(HookEvent event) {
  switch (event) {
    case HookEvent::kCrash:
      return "crash";
    case HookEvent::kReport:
      return "report";
  }
  return "";
}

HookQueue::HookQueue(EventLoop& loop, const Store& store, UndeadChildren& undead, const Config& config,
                     std::function<void()> changed)
    : loop_(loop),
      store_(store),
      undead_(undead),
      folder_(config.hooks),
      timeout_(config.hook_timeout),
      changed_(std::move(changed)) {
  undead_.OnDeath([this] { StartWaiting(); });
}

void HookQueue::Reconfigure(const Config& config) {
  folder_ = config.hooks;
  timeout_ = config.hook_timeout;
  said_.clear();
}

void HookQueue::Warn(const std::string& text) {
  if (said_.size() < kWaitingMax && said_.insert(text).second) Log(Severity::kWarning, "{}", text);
}

void HookQueue::Add(HookEvent event, const CrashLocation& crash, JobUser user) {
  if (folder_.empty()) return;
  if (waiting_.Add(user, {event, crash})) {
    ++counters_.dropped;
    if (!std::exchange(full_, true))
      Log(Severity::kWarning, "hooks are slower than crashes: some are not told of");
  }
  StartWaiting();
}

void HookQueue::Hold(bool held) {
  held_ = held;
  StartWaiting();
}

void HookQueue::Stop() {
  counters_.dropped += waiting_.size() + (running_ || !programs_.empty() ? 1 : 0);
  if (counters_.dropped > 0)
    Log(Severity::kWarning, "{} crashes and reports of which not every hook was told", counters_.dropped);
  waiting_.clear();
  programs_.clear();
  running_.reset();
}

void HookQueue::StartWaiting() {
  while (!held_ && !running_ && undead_.count() < UndeadChildren::kMax) {
    if (programs_.empty()) {
      auto next = waiting_.Take();
      if (!next) return;
      full_ = false;
      if (!Take(std::move(*next))) continue;
    }
    const std::string program = programs_.front();
    if (const auto started = StartNext(); !started) {
      ++counters_.runs;
      OnEnd(program, {.failure = "did not begin: " + started.error().what, .last_line = ""});
    }
  }
}

namespace {

bool IsOfAHook(const CrashRecord& record) {
  // Anybody may set that limit, but for the user that hooks run as.
  return record.process.core_limit == kHookCoreLimit && record.process.uid == ::geteuid();
}

}  // namespace

/// Makes the event the current one. False: there is nobody to tell, or nothing any more.
bool HookQueue::Take(Event event) {
  const auto hooks = FindHooks(folder_);
  if (!hooks) {
    Warn(hooks.error().what);
    return false;
  }
  for (const std::string& refused : hooks->refused) Warn("not run: " + refused);
  if (hooks->programs.empty()) return false;
  const auto record = store_.Load(event.crash);
  if (!record || IsOfAHook(*record)) return false;  // or removed
  const auto report = event.event == HookEvent::kReport ? store_.LoadReport(event.crash)
                                                        : Result<Report>(Refuse(ENOENT, "there is none yet"));
  const auto repeats = store_.LoadRepeats(event.crash);
  input_ = CrashToJson(*record, report ? &*report : nullptr, repeats ? &*repeats : nullptr);
  programs_.assign(hooks->programs.begin(), hooks->programs.end());
  current_ = std::move(event);
  return true;
}

Result<void> HookQueue::StartNext() {
  const std::string program = std::move(programs_.front());
  programs_.pop_front();
  const Fd input = OBIT_TRY(FileOf(input_));
  Command command(program);
  for (const std::string& argument :
       {std::string(NameOf(current_.event)), current_.crash.id, store_.PathOf(current_.crash)})
    command.Add(argument);
  command.SetVariable("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
  command.SetInput(input);
  running_ = OBIT_TRY(ChildProcess::Start(
      loop_, std::move(command), timeout_,
      [this, program](const ChildProcess::End& end) {
        running_.reset();
        OnEnd(program, end);
        StartWaiting();
      },
      &undead_));
  ++counters_.runs;
  ::setpriority(PRIO_PROCESS, static_cast<id_t>(running_->pid()), kJobNiceness);
  return {};
}

void HookQueue::OnEnd(const std::string& program, const ChildProcess::End& end) {
  if (!end.failure.empty()) {
    ++counters_.failures;
    Log(Severity::kWarning, "hook {} of {} {} {}{}{}", program, NameOf(current_.event), current_.crash.id,
        end.failure, end.last_line.empty() ? "" : ": ", end.last_line);
  }
  changed_();
}

}  // namespace obit
