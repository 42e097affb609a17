#include "server/journal.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>

#include <fmt/ranges.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/fd.h"
#include "base/text.h"
#include "crash/identity.h"
#include "present/cause_sentence.h"

namespace obit {
namespace {

// systemd's own (sd-messages.h, SD_MESSAGE_COREDUMP): one for each crash.
constexpr const char* kCrashMessage = "fc2e22bc6ee647b6b90729ab34a250b1";
constexpr const char* kReportMessage = "7a3c1d1f4e0b4f6c9d9b6f9f0c0b17e2";  // of obit
constexpr int kCritical = 2, kNotice = 5;                                   // syslog(3)
constexpr std::size_t kFramesMax = 64;

template <class Number>
void AddNumber(JournalEntry& entry, std::string_view name, const std::optional<Number>& number) {
  if (number) entry.Add(name, std::to_string(*number));
}

std::string ProgramOf(const CrashRecord& record) {
  const std::string name = ProgramName(record.process.comm, record.process.exe);
  return name.empty() ? "unknown program" : EscapeForTerminal(name);
}

std::string MessageOf(const CrashRecord& record) {
  const CrashRecord::Process& process = record.process;
  std::string text = fmt::format("Process {} ({})", process.pid, ProgramOf(record));
  if (process.uid) text += fmt::format(" of user {}", *process.uid);
  text += fmt::format(" died of {}: {}", SignalName(record.signal.number), NameOf(record.capture.outcome));
  if (record.capture.core_bytes > 0) text += fmt::format(" core of {} bytes", record.capture.core_bytes);
  if (!record.capture.reason.empty()) text += fmt::format(" ({})", EscapeControls(record.capture.reason));
  return text + fmt::format("\nobit show {}", record.id);
}

void AddProcess(JournalEntry& entry, const CrashRecord::Process& process) {
  entry.Add("COREDUMP_PID", std::to_string(process.pid));
  AddNumber(entry, "COREDUMP_UID", process.uid);
  AddNumber(entry, "COREDUMP_GID", process.gid);
  entry.Add("COREDUMP_COMM", process.comm);
  entry.Add("COREDUMP_EXE", process.exe);
  entry.Add("COREDUMP_CGROUP", process.cgroup);
  const Identity identity = IdentityOf(process.cgroup);
  entry.Add("COREDUMP_UNIT", identity.unit);
  entry.Add("COREDUMP_USER_UNIT", identity.user_unit);
  entry.Add("OBIT_CONTAINER", identity.container);
  if (process.core_limit) entry.Add("COREDUMP_RLIMIT", std::to_string(*process.core_limit));
  if (process.privileged.value_or(true)) return;
  entry.Add("COREDUMP_CMDLINE", fmt::format("{}", fmt::join(process.cmdline, " ")));
  entry.Add("COREDUMP_CWD", process.cwd);
  entry.Add("COREDUMP_ROOT", process.root);
}

std::string FrameLine(std::size_t number, const Frame& frame, const Report& report) {
  std::string line = fmt::format("#{:<2} {}", number,
                                 frame.function.empty() ? "(no name)" : EscapeForTerminal(frame.function));
  if (!frame.file.empty())
    line += fmt::format(" at {}:{}", EscapeForTerminal(frame.file), frame.line);
  else if (frame.module)
    line += fmt::format(" in {} +0x{:x}", EscapeForTerminal(report.modules[*frame.module].path),
                        frame.module_offset);
  return line;
}

}  // namespace

void JournalEntry::Add(std::string_view name, std::string_view value) {
  value = value.substr(0, kValueMax);
  if (value.empty()) return;
  text_ += name;
  if (value.find('\n') == std::string_view::npos) {
    text_.append("=").append(value).append("\n");
    return;
  }
  const std::uint64_t size = value.size();  // little-endian, as every machine that obit runs on
  text_.append("\n").append(reinterpret_cast<const char*>(&size), sizeof size).append(value).append("\n");
}

JournalEntry EntryOfCrash(const CrashRecord& record, const std::string& folder) {
  JournalEntry entry;
  entry.Add("MESSAGE", MessageOf(record));
  entry.Add("MESSAGE_ID", kCrashMessage);
  entry.Add("PRIORITY", std::to_string(kCritical));
  entry.Add("SYSLOG_IDENTIFIER", "obitd");
  AddProcess(entry, record.process);
  entry.Add("COREDUMP_SIGNAL", std::to_string(record.signal.number));
  entry.Add("COREDUMP_SIGNAL_NAME", SignalName(record.signal.number));
  entry.Add("COREDUMP_TIMESTAMP", std::to_string(record.time / 1000));  // us since 1970
  entry.Add("COREDUMP_HOSTNAME", record.host.name);
  if (!record.files.core.empty()) entry.Add("COREDUMP_FILENAME", folder + "/" + record.files.core);
  if (record.capture.outcome == CrashOutcome::kTruncated) entry.Add("COREDUMP_TRUNCATED", "1");
  entry.Add("OBIT_ID", record.id);
  entry.Add("OBIT_OUTCOME", NameOf(record.capture.outcome));
  entry.Add("OBIT_DETAIL", NameOf(record.capture.detail));
  entry.Add("OBIT_CAPTURE", NameOf(record.capture.method));
  entry.Add("OBIT_TRANSPORT", record.capture.transport);
  entry.Add("OBIT_REASON", record.capture.reason);
  entry.Add("OBIT_CORE_BYTES", std::to_string(record.capture.core_bytes));
  entry.Add("OBIT_STORED_BYTES", std::to_string(record.capture.stored_bytes));
  entry.Add("OBIT_HELD_SECONDS", fmt::format("{:.3f}", record.capture.held_seconds));
  return entry;
}

JournalEntry EntryOfReport(const Report& report, const std::string& folder) {
  const std::string cause = CauseSentence(report.cause);
  std::string message = report.failure.empty() ? cause : report.failure;
  if (message.empty()) message = "no cause was found";
  message = fmt::format("Crash {}: {}", report.id, EscapeControls(message));
  if (!report.stacks.empty()) {
    const std::vector<Frame>& frames = report.stacks.front().frames;
    for (std::size_t i = 0; i < std::min(frames.size(), kFramesMax); ++i)
      message += "\n" + FrameLine(i, frames[i], report);
  }
  JournalEntry entry;
  entry.Add("MESSAGE", message);
  entry.Add("MESSAGE_ID", kReportMessage);
  entry.Add("PRIORITY", std::to_string(kNotice));
  entry.Add("SYSLOG_IDENTIFIER", "obitd");
  entry.Add("OBIT_ID", report.id);
  entry.Add("OBIT_CAUSE", cause);
  entry.Add("OBIT_GROUP", report.fingerprint.value);
  entry.Add("OBIT_FAILURE", report.failure);
  entry.Add("OBIT_FOLDER", folder);
  return entry;
}

Result<void> SendToJournal(const JournalEntry& entry, const std::string& path) {
  sockaddr_un address{.sun_family = AF_UNIX};
  if (path.size() >= sizeof address.sun_path) return Refuse(ENAMETOOLONG, "journal socket {}", path);
  std::memcpy(address.sun_path, path.data(), path.size());
  const Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return Fail(errno, "make a socket");
  if (::sendto(socket.get(), entry.text().data(), entry.text().size(), MSG_DONTWAIT | MSG_NOSIGNAL,
               reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0)
    return Fail(errno, "send to the journal");
  return {};
}

}  // namespace obit
