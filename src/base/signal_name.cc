#include "base/signal_name.h"

#include <csignal>
#include <cstring>
#include <string_view>

#include <fmt/format.h>

namespace obit {
namespace {

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

std::string SignalName(int number) {
  if (number >= SIGRTMIN && number <= SIGRTMAX)
    return number == SIGRTMIN ? "SIGRTMIN" : fmt::format("SIGRTMIN+{}", number - SIGRTMIN);
  const char* name = ::sigabbrev_np(number);
  return name != nullptr ? fmt::format("SIG{}", name) : fmt::format("signal {}", number);
}

std::optional<int> SignalNamed(std::string_view name) {
  if (!name.starts_with("SIG")) return std::nullopt;
  for (int number = 1; number <= SIGRTMAX; ++number)
    if (SignalName(number) == name) return number;
  return std::nullopt;
}

std::string SignalCodeName(int signal, int code) {
  for (const CodeName& known : kCodes)
    if (known.code == code && (known.signal == 0 || known.signal == signal)) return std::string(known.name);
  return std::to_string(code);
}

}  // namespace obit
