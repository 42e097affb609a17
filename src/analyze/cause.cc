#include "analyze/cause.h"

#include <algorithm>
#include <csignal>

#include <elf.h>
#include <seccomp.h>

#include "analyze/runtime_words.h"
#include "base/text.h"
#include "crash/plain_name.h"
#include "crash/runtime_frames.h"
#include "crash/runtime_names.h"

namespace obit {
namespace {

constexpr int kSeccomp = 1;  // SYS_SECCOMP of si_code

std::string SystemCallName(const Architecture& arch, int number) {
  char* name = ::seccomp_syscall_resolve_num_arch(
      arch.machine == EM_X86_64 ? SCMP_ARCH_X86_64 : SCMP_ARCH_AARCH64, number);
  std::string out = name == nullptr ? "" : std::string(name);
  std::free(name);
  return out;
}

Cause FindBadSystemCall(const CrashScene& scene) {
  Cause cause{.kind = CauseKind::kBadSystemCall};
  const auto& signal = scene.image.notes().signal;
  if (!signal || signal->code != kSeccomp || !signal->system_call) return cause;
  const std::string name = SystemCallName(scene.image.arch(), *signal->system_call);
  cause.system_call = name.empty() ? fmt::format("{}", *signal->system_call)
                                   : fmt::format("{} ({})", name, *signal->system_call);
  return cause;
}

/// Numbers of system calls that send signals, and the argument with the signal, by its index in struct
/// user_regs_struct (arch/x86/entry/syscalls/syscall_64.tbl).
struct SendingCall {
  std::uint64_t number;
  std::size_t signal;
};
constexpr std::size_t kOrigRax = 15, kRdx = 12, kRsi = 13;
constexpr SendingCall kSendingCalls[] = {{62, kRsi},    // kill
                                         {129, kRsi},   // rt_sigqueueinfo
                                         {200, kRsi},   // tkill
                                         {234, kRdx},   // tgkill
                                         {297, kRdx},   // rt_tgsigqueueinfo
                                         {424, kRsi}};  // pidfd_send_signal

/// The thread is in a function that sends signals. It may have blocked the signal while it sent it, and a
/// handler may have sent it again.
bool IsInRaise(const CrashScene& scene) {
  for (const Frame& frame : scene.stack.frames) {
    if (frame.interrupted) break;
    if (IsSendingFunction(PlainName(frame.function))) return true;
  }
  return false;
}

bool IsInAbort(const CrashScene& scene) {
  return std::ranges::any_of(scene.stack.frames, [](const Frame& frame) {
    const std::string name = PlainName(frame.function);
    return name == "abort" || name == "__GI_abort";
  });
}

/// The thread is in a system call that may have unblocked a signal of its own, or it is not known in which
/// one it is: in any other call that signal would have come before. Calls that unblock while they wait are
/// where those of other threads come to as well; `alone`: there are none.
bool MayUnblock(std::span<const std::uint64_t> registers, bool alone) {
  // rt_sigprocmask and rt_sigreturn: raise(3) of musl, and of glibc before 2.34, ends with the former.
  constexpr std::uint64_t kUnblocking[] = {14, 15};
  // rt_sigsuspend, pselect6, ppoll, epoll_pwait, io_pgetevents, epoll_pwait2
  constexpr std::uint64_t kWaiting[] = {130, 270, 271, 281, 333, 441};
  if (registers.size() != kX86_64.register_count) return true;
  const std::uint64_t call = registers[kOrigRax];
  return std::ranges::find(kUnblocking, call) != std::end(kUnblocking) ||
         (alone && std::ranges::find(kWaiting, call) != std::end(kWaiting));
}

/// The thread that died sent it to itself: pids tell of processes only.
bool IsSentByThread(const CrashScene& scene) {
  if (!IsSentByItself(scene.record)) return false;
  if (IsInSendingCall(scene.registers, scene.record.signal.number) || IsInRaise(scene)) return true;
  // pthread_create(3) unblocks as well, and what has come meanwhile was sent by the new thread.
  if (std::ranges::any_of(scene.stack.frames, [](const Frame& frame) {
        const std::string name = PlainName(frame.function);
        return name == "pthread_create" || name.starts_with("__pthread_create");
      }))
    return false;
  // A signal of its own comes before the call returns, or when a call unblocks it.
  return MayUnblock(scene.registers, scene.image.notes().threads.size() < 2);
}

const Frame* OwnFrameFrom(const CrashScene& scene, std::size_t first, bool gave_up) {
  std::vector<Module> modules;
  modules.reserve(scene.modules.count());
  for (std::uint32_t i = 0; i < scene.modules.count(); ++i) modules.push_back(scene.modules.files(i).module);
  const std::size_t own = FindOwnFrame(scene.stack.frames, modules, first, gave_up);
  return own < scene.stack.frames.size() ? &scene.stack.frames[own] : nullptr;
}

/// Or of its module; empty if neither has a name.
std::string FunctionOf(const CrashScene& scene, const Frame* frame) {
  if (frame == nullptr) return "";
  if (!frame->function.empty()) return PlainName(frame->function);
  if (!frame->module) return "";
  return std::string(FileNameOf(scene.modules.files(*frame->module).module.path));
}

/// A signal that somebody sent.
Cause FindSender(const CrashScene& scene) {
  const auto& signal = scene.record.signal;
  Cause cause{.kind = CauseKind::kKilled, .what = SignalName(signal.number)};
  Cause::Sender& sender = cause.sender.emplace();
  switch (signal.code.value_or(SI_USER)) {
    case SI_TIMER:
      sender.kind = SenderKind::kTimer;
      return cause;
    case SI_MESGQ:
    case SI_ASYNCIO:
      sender.kind = SenderKind::kQueue;
      return cause;
    case SI_KERNEL:
      // By the terminal's driver (isig() of drivers/tty/n_tty.c), and nothing else of the kernel sends it.
      sender.kind = signal.number == SIGQUIT ? SenderKind::kTerminal : SenderKind::kKernel;
      if (signal.number == SIGQUIT) cause.kind = CauseKind::kTerminalQuit;
      return cause;
    default:
      break;
  }
  if (!signal.sender_pid) {
    cause.sender.reset();
    cause.kind = CauseKind::kUnknown;
    cause.what = "died of " + cause.what;
    return cause;
  }
  sender.pid = signal.sender_pid;
  sender.uid = signal.sender_uid;
  if (*signal.sender_pid == 0) {  // of another pid namespace, or the kernel's own
    sender = {.kind = SenderKind::kOutsideNamespace};
  } else if (IsSentByItself(scene.record)) {
    sender.kind = IsSentByThread(scene) ? SenderKind::kItself : SenderKind::kThread;
    // Another one, which is gone? Or a handler that has returned?
    cause.guess = sender.kind == SenderKind::kThread && scene.image.notes().threads.size() < 2;
    sender.in_handler =
        sender.kind == SenderKind::kItself && std::ranges::any_of(scene.stack.frames, &Frame::interrupted);
    if (sender.in_handler)  // where the signal of that handler had come
      cause.function = FunctionOf(scene, OwnFrameFrom(scene, InterruptedFrame(scene.stack.frames), false));
  }
  return cause;
}

/// SIGABRT. To send it is not yet to call abort(): kill(2) of its own pid is not.
Cause FindAbortOrSender(CrashScene& scene) {
  const auto& signal = scene.record.signal;
  const bool unknown = !signal.code && !signal.sender_pid;  // a core without siginfo
  if (!unknown && !IsSentByThread(scene)) return FindSender(scene);
  Cause cause = FindAbort(scene);
  const bool called = signal.code.value_or(unknown ? SI_USER : SI_TKILL) == SI_TKILL || IsInAbort(scene);
  return cause.kind == CauseKind::kAbort && !called ? FindSender(scene) : cause;
}

}  // namespace

bool IsInSendingCall(std::span<const std::uint64_t> registers, int signal) {
  return registers.size() == kX86_64.register_count &&
         std::ranges::any_of(kSendingCalls, [&](const SendingCall& call) {
           return registers[kOrigRax] == call.number && static_cast<int>(registers[call.signal]) == signal;
         });
}

namespace {

/// The process sent itself a signal there of which it would have died: by the registers that the system call
/// left. A handler of any other one ended it for a reason of its own. Nothing: they do not tell.
std::optional<bool> SentDeadlySignal(std::string_view function, const Registers& registers) {
  constexpr unsigned kDwarfRdx = 1, kDwarfRsi = 4;
  // kill(pid, signal), rt_sigqueueinfo(pid, signal, ...); else tgkill(pid, tid, signal) and its like
  constexpr std::string_view kSecond[] = {"kill", "killpg", "sigqueue"};
  constexpr int kDeadly[] = {SIGQUIT, SIGILL,  SIGTRAP, SIGABRT, SIGBUS,
                             SIGFPE,  SIGSEGV, SIGXCPU, SIGXFSZ, SIGSYS};
  if (function.starts_with("__")) function.remove_prefix(function.starts_with("__GI_") ? 5 : 2);
  const bool is_second = std::ranges::find(kSecond, function) != std::end(kSecond);
  const auto signal = registers.Get(is_second ? kDwarfRsi : kDwarfRdx);
  if (!signal || *signal == 0 || *signal > static_cast<std::uint64_t>(SIGRTMAX)) return std::nullopt;
  return std::ranges::find(kDeadly, static_cast<int>(*signal)) != std::end(kDeadly);
}

}  // namespace

std::size_t FrameThatGaveUp(const std::vector<Frame>& frames, const RawStack& raw, const Architecture& arch) {
  // Signal frames of other processors are not read: any handler may be of a fault.
  if (arch.machine != EM_X86_64) return InterruptedFrame(frames);
  for (std::size_t end = frames.size();;) {
    const std::size_t raising = RaisingFrame(frames, end);
    const auto index = static_cast<std::size_t>(  // of that frame in `raw`
        std::ranges::count(std::span(frames).first(raising), false, &Frame::inlined));
    if (raising == 0 || index >= raw.registers.size() || index >= raw.frames.size() ||
        raw.frames[index].pc != frames[raising].pc)
      return raising;
    if (SentDeadlySignal(PlainName(frames[raising].function), raw.registers[index]).value_or(true))
      return raising;
    end = raising;
  }
}

std::string OwnFunction(const CrashScene& scene) {
  const bool gave_up = IsSentByItself(scene.record);
  const std::size_t from = gave_up ? FrameThatGaveUp(scene.stack.frames, scene.raw, scene.image.arch()) : 0;
  return FunctionOf(scene, OwnFrameFrom(scene, from, gave_up));
}

bool IsSent(const CrashRecord::Signal& signal) {
  return signal.sender_pid || signal.code.value_or(1) <= 0 || signal.number == SIGQUIT;
}

Cause FindCause(CrashScene& scene) {
  const auto& signal = scene.record.signal;
  // The kernel sends SIGXFSZ in the name of the process that wrote (generic_write_check_limits() of
  // fs/read_write.c).
  if (signal.number == SIGXFSZ && signal.code == SI_USER && IsSentByItself(scene.record))
    return {.kind = CauseKind::kFileSizeLimit};
  if (signal.number == SIGABRT) return FindAbortOrSender(scene);
  if (IsSent(signal)) return FindSender(scene);
  switch (signal.number) {
    case SIGSEGV:
    case SIGBUS:
      return FindMemoryFault(scene);
    case SIGILL:
    case SIGTRAP:
      // Some libraries trap where others abort.
      if (auto said = FindRuntimeWords(scene)) return *std::move(said);
      return FindBadInstruction(scene);
    case SIGFPE:
      return FindBadInstruction(scene);
    case SIGSYS:
      return FindBadSystemCall(scene);
    case SIGXCPU:
      return {.kind = CauseKind::kCpuLimit};
    case SIGXFSZ:
      return {.kind = CauseKind::kFileSizeLimit};
    default:
      return FindSender(scene);
  }
}

}  // namespace obit
