#include "analyze/cause.h"

#include <algorithm>
#include <csignal>

#include <seccomp.h>

#include "base/text.h"
#include "crash/plain_name.h"
#include "crash/runtime_frames.h"

namespace obit {
namespace {

constexpr int kSeccomp = 1;  // SYS_SECCOMP of si_code

std::string SystemCallName(int number) {
  char* name = ::seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86_64, number);
  std::string out = name == nullptr ? "" : std::string(name);
  std::free(name);
  return out;
}

Cause FindBadSystemCall(const CrashScene& scene) {
  Cause cause{.kind = CauseKind::kBadSystemCall};
  const auto& signal = scene.image.notes().signal;
  if (!signal || signal->code != kSeccomp || !signal->system_call) return cause;
  const std::string name = SystemCallName(*signal->system_call);
  cause.system_call = name.empty() ? fmt::format("{}", *signal->system_call)
                                   : fmt::format("{} ({})", name, *signal->system_call);
  return cause;
}

/// A signal that somebody sent.
Cause FindSender(const CrashScene& scene) {
  const auto& signal = scene.record.signal;
  Cause cause{.kind = CauseKind::kKilled, .what = SignalName(signal.number)};
  if (!signal.sender_pid) {
    cause.kind = CauseKind::kUnknown;
    cause.what = "died of " + cause.what;
    return cause;
  }
  Cause::Sender& sender = cause.sender.emplace();
  sender.pid = signal.sender_pid;
  sender.uid = signal.sender_uid;
  if (*signal.sender_pid == 0) {  // of another pid namespace, or the kernel's own
    sender = {.kind = SenderKind::kOutsideNamespace};
  } else if (IsSentByItself(scene.record)) {
    sender.kind = SenderKind::kItself;
    sender.in_handler = std::ranges::any_of(scene.stack.frames, &Frame::interrupted);
    if (sender.in_handler) cause.function = OwnFunction(scene);
  }
  return cause;
}

}  // namespace

const Frame* FirstOwnFrame(const CrashScene& scene) {
  std::vector<Module> modules;
  modules.reserve(scene.modules.count());
  for (std::uint32_t i = 0; i < scene.modules.count(); ++i) modules.push_back(scene.modules.files(i).module);
  const std::size_t own = CountRuntimeFrames(scene.stack.frames, modules, IsSentByItself(scene.record));
  return own < scene.stack.frames.size() ? &scene.stack.frames[own] : nullptr;
}

std::string OwnFunction(const CrashScene& scene) {
  const Frame* frame = FirstOwnFrame(scene);
  if (frame == nullptr) return "";
  if (!frame->function.empty()) return PlainName(frame->function);
  if (!frame->module) return "";
  const std::string& path = scene.modules.files(*frame->module).module.path;
  return std::string(FileNameOf(path));
}

Cause FindCause(CrashScene& scene) {
  const auto& signal = scene.record.signal;
  const bool sent = signal.sender_pid.has_value();  // by kill(2) and its kin
  const bool by_itself = IsSentByItself(scene.record);
  // The kernel sends SIGXFSZ in the name of the process that wrote (generic_write_check_limits() of
  // fs/read_write.c).
  const bool means_more = signal.number == SIGABRT || (signal.number == SIGXFSZ && signal.code == SI_USER);
  if (sent && !(by_itself && means_more)) return FindSender(scene);
  switch (signal.number) {
    case SIGSEGV:
    case SIGBUS:
      return FindMemoryFault(scene);
    case SIGABRT:
      return FindAbort(scene);
    case SIGILL:
    case SIGTRAP:
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
