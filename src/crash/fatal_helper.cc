#include "crash/fatal_helper.h"

#include <string>
#include <vector>

#include "crash/name_lists.h"

namespace obit {
namespace {

// What ends a process in well-known libraries and runtimes.
constexpr std::string_view kFatalPrefixes[] = {"google::LogMessage",
                                               "google::LogDestination",
                                               "google::DumpStack",
                                               "google::CheckOp",
                                               "google::MakeCheckOp",
                                               "google::logging_fail",
                                               "google::base::CheckOp",
                                               "google::ErrnoLogMessage",
                                               "absl::log_internal",
                                               "absl::raw_log_internal",
                                               "absl::raw_logging_internal",
                                               "absl::base_internal::Throw",
                                               "logging::LogMessage",
                                               "logging::Check",
                                               "logging::NotReached",
                                               "logging::Raw",
                                               "base::ImmediateCrash",
                                               "folly::detail::",
                                               "folly::terminate",
                                               "boost::assertion_failed",
                                               "boost::throw_exception",
                                               "QMessageLogger::",
                                               "qt_assert",
                                               "qt_message",
                                               "qFatal",
                                               "qTerminate",
                                               "qBadAlloc",
                                               "g_log",
                                               "g_abort",
                                               "g_assertion_message",
                                               "g_error",
                                               "g_thread_abort",
                                               "_g_log",
                                               "Py_Fatal",
                                               "_Py_Fatal",
                                               "_Py_CheckFunctionResult",
                                               "fatal_error",
                                               "node::Abort",
                                               "node::Assert",
                                               "node::OnFatalError",
                                               "node::OOMErrorHandler",
                                               "V8_Fatal",
                                               "v8::base::",
                                               "v8::Utils::Report",
                                               "v8::internal::FatalProcess",
                                               "v8::internal::V8::Fatal",
                                               "ExceptionalCondition",
                                               "errfinish",
                                               "rb_bug",
                                               "rb_fatal",
                                               "Perl_croak",
                                               "Perl_die",
                                               "llvm::report_fatal_error",
                                               "llvm::llvm_unreachable_internal",
                                               "MOZ_Crash",
                                               "MOZ_ReportCrash",
                                               "mozalloc_abort",
                                               "moz_abort",
                                               "WTFCrash",
                                               "WTFReportAssertion",
                                               "log_assert_failed",
                                               "tcmalloc::Crash",
                                               "tcmalloc::Log",
                                               "je_safety_check",
                                               "_mi_assert_fail",
                                               "_mi_error",
                                               "fmt::detail::assert_fail",
                                               "report_vm_error",
                                               "report_fatal",
                                               "log.Fatal",
                                               "log.Panic",
                                               "log.(*Logger).Fatal",
                                               "log.(*Logger).Panic"};

// A name of such words alone, at least one of the first, is a helper to die.
constexpr std::string_view kFatalWords[] = {"die",         "fatal", "panic", "abort", "bug",    "crash",
                                            "unreachable", "croak", "bail",  "oops",  "assert", "assertion"};
constexpr std::string_view kFillWords[] = {"on",
                                           "with",
                                           "the",
                                           "now",
                                           "do",
                                           "my",
                                           "our",
                                           "app",
                                           "at",
                                           "and",
                                           "or",
                                           "error",
                                           "err",
                                           "errno",
                                           "exit",
                                           "fail",
                                           "failed",
                                           "fails",
                                           "failure",
                                           "failing",
                                           "fast",
                                           "message",
                                           "msg",
                                           "log",
                                           "logging",
                                           "logger",
                                           "print",
                                           "printf",
                                           "fmt",
                                           "format",
                                           "vprintf",
                                           "v",
                                           "va",
                                           "impl",
                                           "internal",
                                           "handler",
                                           "hook",
                                           "if",
                                           "not",
                                           "reached",
                                           "out",
                                           "of",
                                           "memory",
                                           "oom",
                                           "system",
                                           "sys",
                                           "program",
                                           "process",
                                           "core",
                                           "dump",
                                           "check",
                                           "checked",
                                           "checks",
                                           "handle",
                                           "report",
                                           "raise",
                                           "throw",
                                           "call",
                                           "always",
                                           "never",
                                           "no",
                                           "return",
                                           "noreturn",
                                           "in",
                                           "file",
                                           "line",
                                           "loc",
                                           "location",
                                           "here",
                                           "hard",
                                           "soft",
                                           "quit",
                                           "kill",
                                           "self",
                                           "signal",
                                           "immediate",
                                           "immediately",
                                           "eq",
                                           "ne",
                                           "lt",
                                           "le",
                                           "gt",
                                           "ge",
                                           "equal",
                                           "true",
                                           "false",
                                           "null",
                                           "nonnull",
                                           "cond",
                                           "condition",
                                           "invariant",
                                           "require",
                                           "ensure",
                                           "verify",
                                           "expect",
                                           "expected",
                                           "contract",
                                           "violation",
                                           "violated",
                                           "precondition",
                                           "postcondition",
                                           "terminate",
                                           "stop",
                                           "bad",
                                           "rs",
                                           "c",
                                           "cc",
                                           "cpp",
                                           "helper",
                                           "wrapper",
                                           "function",
                                           "func"};
// Nor need one of the first be there where one of each of these is.
constexpr std::string_view kCheckWords[] = {
    "check",    "checks",       "verify",        "require", "ensure", "expect", "invariant",
    "contract", "precondition", "postcondition", "error",   "err",    "fail",   "terminate"};
constexpr std::string_view kFailedWords[] = {"fail",     "failed", "fails", "failure", "violation",
                                             "violated", "exit",   "quit",  "fast",    "handler"};

bool IsUpper(char c) { return c >= 'A' && c <= 'Z'; }
bool IsLower(char c) { return c >= 'a' && c <= 'z'; }

/// "LogMessageFatal", "log_message_fatal" and "LOG_FATAL" to words in small letters.
std::vector<std::string> WordsOf(std::string_view name) {
  std::vector<std::string> words(1);
  for (std::size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    if (!IsUpper(c) && !IsLower(c)) {
      if (!words.back().empty()) words.emplace_back();
      continue;
    }
    const bool begins =
        IsUpper(c) && i > 0 &&
        (IsLower(name[i - 1]) || (i + 1 < name.size() && IsLower(name[i + 1]) && IsUpper(name[i - 1])));
    if (begins && !words.back().empty()) words.emplace_back();
    words.back() += IsUpper(c) ? static_cast<char>(c - 'A' + 'a') : c;
  }
  if (words.back().empty()) words.pop_back();
  return words;
}

/// "xdie", "vfatal", "panicf": the same, in a dialect.
std::string_view BareWord(std::string_view word) {
  if (IsOneOf(word, kFatalWords) || IsOneOf(word, kFillWords)) return word;
  for (const std::string_view before : {"", "x", "v", "my"}) {
    if (!word.starts_with(before)) continue;
    for (const std::string_view behind : {"", "f", "ln", "x", "v"}) {
      std::string_view bare = word.substr(before.size());
      if (!bare.ends_with(behind)) continue;
      bare.remove_suffix(behind.size());
      if (IsOneOf(bare, kFatalWords)) return bare;
    }
  }
  return word;
}

/// Names that are nothing but words for it.
bool TellsOfDying(std::string_view name) {
  const std::size_t scope = name.rfind("::"), dot = name.rfind('.');
  const std::string_view own = scope != std::string_view::npos ? name.substr(scope + 2)
                               : dot != std::string_view::npos ? name.substr(dot + 1)
                                                               : name;
  bool fatal = false, certain = false, check = false, failed = false;
  const std::vector<std::string> words = WordsOf(own);
  const auto surely = [](std::string_view word) {
    return word == "die" || word == "fatal" || word == "panic";
  };
  for (const std::string& whole : words) {
    const std::string_view word = BareWord(whole);
    const bool strong = IsOneOf(word, kFatalWords);
    // The first may be whose it is: "git_die".
    const bool is_prefix = &whole == &words.front() && words.size() > 1 && surely(BareWord(words.back()));
    if (!strong && !is_prefix && !IsOneOf(word, kFillWords)) return false;
    fatal = fatal || strong;
    certain = certain || surely(word) || words.size() > 1;
    check = check || IsOneOf(word, kCheckWords);
    failed = failed || IsOneOf(word, kFailedWords);
  }
  if (check && failed && words.size() > 1) return true;
  if (!fatal) return false;
  // A class may have a method abort() of its own trade: Transaction::abort.
  if (certain || scope == std::string_view::npos) return true;
  const std::size_t outer = name.rfind("::", scope - 1);
  const std::size_t at = outer == std::string_view::npos ? 0 : outer + 2;
  return scope == 0 || !IsUpper(name[at]);
}

}  // namespace

bool IsFatalHelper(std::string_view name) { return HasPrefix(name, kFatalPrefixes) || TellsOfDying(name); }

}  // namespace obit
