#include "render/words.h"

#include <algorithm>

#include "base/text.h"
#include "crash/identity.h"
#include "render/times.h"
#include "render/units.h"
#include "render/users.h"

namespace obit {

std::string CoreColumn(CrashOutcome outcome, std::uint64_t core_bytes) {
  switch (outcome) {
    case CrashOutcome::kFull:
      return FormatBytes(core_bytes);
    case CrashOutcome::kTruncated:
      return core_bytes > 0 ? "truncated " + FormatBytes(core_bytes) : "truncated";
    case CrashOutcome::kMinimal:
      return core_bytes > 0 ? "minimal " + FormatBytes(core_bytes) : "minimal";
    case CrashOutcome::kEvent:
    case CrashOutcome::kFailed:
      break;
  }
  return std::string(NameOf(outcome));
}

Tone ToneOf(CrashOutcome outcome) {
  switch (outcome) {
    case CrashOutcome::kTruncated:
      return Tone::kWarning;
    case CrashOutcome::kFailed:
      return Tone::kBad;
    case CrashOutcome::kEvent:
      return Tone::kDim;
    case CrashOutcome::kFull:
    case CrashOutcome::kMinimal:
      break;
  }
  return Tone::kPlain;
}

std::string DescribeCapture(const CrashRecord::Capture& capture) {
  std::string text(NameOf(capture.outcome));
  if (capture.core_bytes > 0) {
    text += ": " + FormatBytes(capture.core_bytes);
    if (capture.outcome == CrashOutcome::kTruncated && capture.promised_bytes)
      text += fmt::format(" of {},", FormatBytes(*capture.promised_bytes));
    else if (capture.full_bytes)
      text += fmt::format(" of {},", FormatBytes(*capture.full_bytes));
    text += " in " + FormatBytes(capture.stored_bytes);
  } else if (capture.stored_bytes > 0) {
    text += ": " + FormatBytes(capture.stored_bytes) + " as stored";
  }
  switch (capture.method) {
    case CaptureMethod::kStream:
      text += ", by stream over " + EscapeForTerminal(capture.transport);
      break;
    case CaptureMethod::kDirect:
      text += ", taken directly over " + EscapeForTerminal(capture.transport);
      break;
    case CaptureMethod::kImport:
      text += ", imported from a core file";
      break;
    case CaptureMethod::kNone:
      if (!capture.transport.empty()) text += ", over " + EscapeForTerminal(capture.transport);
      break;
  }
  if (capture.held_seconds > 0) text += "; held for " + FormatDuration(capture.held_seconds);
  return text;
}

std::string DescribeHoles(const CrashRecord::Capture& capture) {
  if (capture.omitted_bytes == 0) return "";
  return FormatBytes(capture.omitted_bytes) +
         " are stored as lengths: obit gives them as zeros, zstd -dc leaves them out";
}

std::string DescribeSignal(const CrashRecord::Signal& signal) {
  if (signal.number == 0) return "unknown signal";
  std::string text = SignalName(signal.number);
  if (signal.code) text += fmt::format(" ({})", SignalCodeName(signal.number, *signal.code));
  if (signal.address) text += fmt::format(" at address {:#x}", *signal.address);
  if (signal.sender_pid)
    text += fmt::format(", sent by process {}", *signal.sender_pid);
  else if (signal.sender_uid)
    text += ", sent";
  if (signal.sender_uid) text += " of " + UserName(*signal.sender_uid);
  return text;
}

std::string DescribeSignal(const CrashRecord::Signal& signal, const Cause& cause) {
  std::string text = DescribeSignal(signal);
  if (!cause.first_fault) return text;
  const Cause::FirstFault& first = *cause.first_fault;
  return text +
         fmt::format(", after {}, which a handler caught",
                     DescribeSignal({.number = first.signal, .code = first.code, .address = first.address}));
}

std::string Headline(const CrashRecord& record, std::int64_t now) {
  const std::string program = ProgramName(record.process.comm, record.process.exe);
  std::string text = program.empty() ? "A program without a name" : EscapeForTerminal(program);
  text += record.signal.number == 0 ? " died" : " died of " + SignalName(record.signal.number);
  const std::string when = FormatMomentInProse(record.time, now);
  // Nobody saw an imported crash: its time is that of the file.
  return text + (record.capture.method == CaptureMethod::kImport ? "; its core file was written " : " ") +
         when;
}

std::string DescribeIdentity(std::string_view cgroup) {
  constexpr std::size_t kShort = 12;  // digits of a container's id, as the runtimes show it
  const Identity identity = IdentityOf(cgroup);
  std::string text;
  const auto add = [&](const std::string& part) { text += (text.empty() ? "" : ", ") + part; };
  if (!identity.user_unit.empty())
    add(fmt::format("unit {} of {}", EscapeForTerminal(identity.user_unit),
                    EscapeForTerminal(identity.unit)));
  else if (!identity.unit.empty())
    add("unit " + EscapeForTerminal(identity.unit));
  if (!identity.container.empty()) {
    const bool is_id = identity.container.size() == 64;
    add("container " + EscapeForTerminal(is_id ? identity.container.substr(0, kShort) : identity.container) +
        (identity.runtime.empty() ? "" : fmt::format(" ({})", identity.runtime)));
  }
  if (!identity.pod.empty()) add("pod " + EscapeForTerminal(identity.pod));
  return text;
}

std::string Ordinal(std::uint64_t number) {
  const bool teen = number % 100 >= 11 && number % 100 <= 13;
  const std::uint64_t last = teen ? 0 : number % 10;
  return fmt::format("{}{}", number, last == 1 ? "st" : last == 2 ? "nd" : last == 3 ? "rd" : "th");
}

std::string DescribeCause(std::string_view sentence) {
  std::string text = EscapeControls(sentence);
  const std::string_view word = std::string_view(text).substr(0, text.find(' '));
  if (word.contains("::")) return text;  // "std::terminate": a name stays as it is
  if (!text.empty() && text[0] >= 'a' && text[0] <= 'z') text[0] = static_cast<char>(text[0] - 'a' + 'A');
  return text;
}

std::string QuoteForShell(const std::string& argument) {
  constexpr std::string_view kPlain = "@%+=:,./-_";
  const auto plain = [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           kPlain.find(c) != std::string_view::npos;
  };
  if (!argument.empty() && std::ranges::all_of(argument, plain)) return argument;
  std::string quoted = "'";
  for (const char c : argument) {
    if (c == '\'')
      quoted += "'\\''";
    else
      quoted += c;
  }
  return quoted + "'";
}

}  // namespace obit
