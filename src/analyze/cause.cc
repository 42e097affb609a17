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

Report::Cause FindBadSystemCall(const CrashScene& scene) {
  Report::Cause cause{.kind = CauseKind::kBadSystemCall, .sentence = "forbidden system call"};
  const auto& signal = scene.image.notes().signal;
  if (!signal || signal->code != kSeccomp || !signal->system_call) return cause;
  const std::string name = SystemCallName(*signal->system_call);
  cause.sentence += name.empty() ? fmt::format(" {}", *signal->system_call)
                                 : fmt::format(" {} ({})", name, *signal->system_call);
  return cause;
}

/// A signal that somebody sent.
Report::Cause FindSender(const CrashScene& scene) {
  const auto& signal = scene.record.signal;
  Report::Cause cause{.kind = CauseKind::kKilled};
  const std::string name = SignalName(signal.number);
  if (signal.sender_pid == 0) {  // of another pid namespace, or the kernel's own
    cause.sentence = fmt::format("killed by {} from outside its pid namespace", name);
  } else if (IsSentByItself(scene.record)) {
    cause.sentence = fmt::format("killed itself with {}", name);
    const bool handled = std::ranges::any_of(scene.stack.frames, &Frame::interrupted);
    if (handled) cause.sentence += " from a signal handler, which had come" + InFunction(scene);
  } else if (signal.sender_pid) {
    cause.sentence = fmt::format("killed by {} from process {}", name, *signal.sender_pid);
    if (signal.sender_uid) cause.sentence += fmt::format(" (uid {})", *signal.sender_uid);
  } else {
    cause.kind = CauseKind::kUnknown;
    cause.sentence = fmt::format("died of {}", name);
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

std::string InFunction(const CrashScene& scene) {
  const Frame* frame = FirstOwnFrame(scene);
  if (frame == nullptr) return "";
  if (!frame->function.empty()) return " in " + PlainName(frame->function);
  if (!frame->module) return "";
  const std::string& path = scene.modules.files(*frame->module).module.path;
  return " in " + std::string(FileNameOf(path));
}

Report::Cause FindCause(CrashScene& scene) {
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
      return {.kind = CauseKind::kCpuLimit, .sentence = "CPU time limit exceeded"};
    case SIGXFSZ:
      return {.kind = CauseKind::kFileSizeLimit, .sentence = "file size limit exceeded"};
    default:
      return FindSender(scene);
  }
}

}  // namespace obit
