#include "crash/record.h"

#include <algorithm>
#include <array>
#include <csignal>
#include <cstring>

#include <fmt/format.h>
#include <sys/random.h>

namespace obit {
namespace {

template <class E, std::size_t N>
std::string_view Find(const std::array<std::pair<E, std::string_view>, N>& names, E value) {
  for (const auto& [known, name] : names)
    if (known == value) return name;
  return "unknown";
}

template <class E, std::size_t N>
std::optional<E> Named(const std::array<std::pair<E, std::string_view>, N>& names, std::string_view wanted) {
  for (const auto& [known, name] : names)
    if (name == wanted) return known;
  return std::nullopt;
}

constexpr std::array<std::pair<Detail, std::string_view>, 4> kDetails{{{Detail::kFull, "full"},
                                                                       {Detail::kMinimal, "minimal"},
                                                                       {Detail::kEvent, "event"},
                                                                       {Detail::kReject, "reject"}}};
constexpr std::array<std::pair<CaptureMethod, std::string_view>, 4> kMethods{
    {{CaptureMethod::kNone, "none"},
     {CaptureMethod::kStream, "stream"},
     {CaptureMethod::kDirect, "direct"},
     {CaptureMethod::kImport, "import"}}};
constexpr std::array<std::pair<CrashOutcome, std::string_view>, 5> kOutcomes{
    {{CrashOutcome::kFull, "full"},
     {CrashOutcome::kMinimal, "minimal"},
     {CrashOutcome::kEvent, "event"},
     {CrashOutcome::kTruncated, "truncated"},
     {CrashOutcome::kFailed, "failed"}}};

struct CodeName {
  int signal;  // 0: of any signal
  int code;
  std::string_view name;
};
// sigaction(2); include/uapi/asm-generic/siginfo.h
constexpr CodeName kCodes[] = {
    {0, SI_USER, "SI_USER"},      {0, SI_KERNEL, "SI_KERNEL"},  {0, SI_QUEUE, "SI_QUEUE"},
    {0, SI_TIMER, "SI_TIMER"},    {0, SI_MESGQ, "SI_MESGQ"},    {0, SI_ASYNCIO, "SI_ASYNCIO"},
    {0, SI_SIGIO, "SI_SIGIO"},    {0, SI_TKILL, "SI_TKILL"},    {SIGSEGV, 1, "SEGV_MAPERR"},
    {SIGSEGV, 2, "SEGV_ACCERR"},  {SIGSEGV, 3, "SEGV_BNDERR"},  {SIGSEGV, 4, "SEGV_PKUERR"},
    {SIGSEGV, 8, "SEGV_MTEAERR"}, {SIGSEGV, 9, "SEGV_MTESERR"}, {SIGSEGV, 10, "SEGV_CPERR"},
    {SIGBUS, 1, "BUS_ADRALN"},    {SIGBUS, 2, "BUS_ADRERR"},    {SIGBUS, 3, "BUS_OBJERR"},
    {SIGBUS, 4, "BUS_MCEERR_AR"}, {SIGBUS, 5, "BUS_MCEERR_AO"}, {SIGILL, 1, "ILL_ILLOPC"},
    {SIGILL, 2, "ILL_ILLOPN"},    {SIGILL, 3, "ILL_ILLADR"},    {SIGILL, 4, "ILL_ILLTRP"},
    {SIGILL, 5, "ILL_PRVOPC"},    {SIGILL, 6, "ILL_PRVREG"},    {SIGILL, 7, "ILL_COPROC"},
    {SIGILL, 8, "ILL_BADSTK"},    {SIGFPE, 1, "FPE_INTDIV"},    {SIGFPE, 2, "FPE_INTOVF"},
    {SIGFPE, 3, "FPE_FLTDIV"},    {SIGFPE, 4, "FPE_FLTOVF"},    {SIGFPE, 5, "FPE_FLTUND"},
    {SIGFPE, 6, "FPE_FLTRES"},    {SIGFPE, 7, "FPE_FLTINV"},    {SIGFPE, 8, "FPE_FLTSUB"},
    {SIGTRAP, 1, "TRAP_BRKPT"},   {SIGTRAP, 2, "TRAP_TRACE"},   {SIGTRAP, 3, "TRAP_BRANCH"},
    {SIGTRAP, 4, "TRAP_HWBKPT"},  {SIGSYS, 1, "SYS_SECCOMP"},   {SIGSYS, 2, "SYS_USER_DISPATCH"},
};

}  // namespace

std::string_view NameOf(Detail detail) { return Find(kDetails, detail); }
std::string_view NameOf(CaptureMethod method) { return Find(kMethods, method); }
std::string_view NameOf(CrashOutcome outcome) { return Find(kOutcomes, outcome); }
std::optional<CrashOutcome> OutcomeNamed(std::string_view name) { return Named(kOutcomes, name); }
std::optional<Detail> DetailNamed(std::string_view name) { return Named(kDetails, name); }
std::optional<CaptureMethod> MethodNamed(std::string_view name) { return Named(kMethods, name); }

std::string SignalName(int number) {
  if (number >= SIGRTMIN && number <= SIGRTMAX)
    return number == SIGRTMIN ? "SIGRTMIN" : fmt::format("SIGRTMIN+{}", number - SIGRTMIN);
  const char* name = ::sigabbrev_np(number);
  return name != nullptr ? fmt::format("SIG{}", name) : fmt::format("signal {}", number);
}

std::string SignalCodeName(int signal, int code) {
  for (const CodeName& known : kCodes)
    if (known.code == code && (known.signal == 0 || known.signal == signal)) return std::string(known.name);
  return std::to_string(code);
}

bool IsSentByItself(const CrashRecord& record) {
  const auto& sender = record.signal.sender_pid;
  return sender && (sender == record.process.pid || sender == record.process.own_pid);
}

std::string ProgramName(std::string_view comm, std::string_view exe) {
  constexpr std::size_t kCommMax = 15;  // TASK_COMM_LEN without its NUL
  const std::string_view file = exe.substr(exe.rfind('/') + 1);
  const bool cut = comm.size() == kCommMax && file.starts_with(comm);
  return std::string(comm.empty() || cut ? file : comm);
}

std::string NewCrashId() {
  std::uint64_t random = 0;
  while (::getrandom(&random, sizeof random, 0) != sizeof random) {
  }  // only a signal can make it fail
  return fmt::format("{:016x}", random);
}

bool IsCrashId(std::string_view text) {
  return text.size() == 16 &&
         std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

}  // namespace obit
