#include "render/record_page.h"

#include <algorithm>
#include <vector>

#include "base/text.h"
#include "render/times.h"
#include "render/units.h"
#include "render/users.h"
#include "render/words.h"

namespace obit {
namespace {

constexpr std::size_t kLabel = 12;     // cells, with the gap behind it
constexpr std::size_t kUsual = 100;    // line length where there is no terminal
constexpr std::size_t kLinesMax = 12;  // of one field: a command line may have thousands of words

/// Parts joined by `separator`; empty ones are left out.
std::string Join(const std::vector<std::string>& parts, std::string_view separator) {
  std::string out;
  for (const std::string& part : parts) {
    if (part.empty()) continue;
    if (!out.empty()) out += separator;
    out += part;
  }
  return out;
}

/// Lines "  Label       text", wrapped at spaces.
class Page {
 public:
  explicit Page(const Terminal& terminal)
      : terminal_(terminal),
        width_(std::max<std::size_t>(terminal.width == 0 ? kUsual : terminal.width, 40)) {}

  /// `text` is fit for a terminal; it breaks at spaces. An empty one has no line.
  void Field(std::string_view label, const std::string& text, Tone tone = Tone::kPlain) {
    if (text.empty()) return;
    const auto words = Split(text, ' ');
    Items(label, {words.begin(), words.end()}, " ", tone);
  }
  /// Items that stay whole, with a separator between those of one line.
  void Items(std::string_view label, const std::vector<std::string>& items, std::string_view separator,
             Tone tone) {
    const std::string head = fmt::format("  {:<{}}", label, kLabel), indent(head.size(), ' ');
    const auto lines = Wrap(items, separator, width_ - head.size());
    for (std::size_t i = 0; i < lines.size(); ++i) {
      if (i == kLinesMax) {
        Line(fmt::format("{}... {} more: see --json", indent, FormatCount(lines.size() - i, "line")),
             Tone::kDim);
        break;
      }
      out_ += i == 0 ? Paint(head, Tone::kDim, terminal_.colour) : indent;
      Line(lines[i], tone);
    }
  }
  void Line(const std::string& text, Tone tone = Tone::kPlain) {
    out_ += Paint(text, tone, terminal_.colour) + "\n";
  }

  [[nodiscard]] std::string Take() { return std::move(out_); }

 private:
  /// Lines of at most `width` cells; an item that is longer has its own.
  static std::vector<std::string> Wrap(const std::vector<std::string>& items, std::string_view separator,
                                       std::size_t width) {
    std::vector<std::string> lines;
    std::string line;
    std::size_t used = 0;
    for (const std::string& item : items) {
      const std::size_t cells = DisplayWidth(item);
      if (!line.empty() && used + DisplayWidth(separator) + cells > width) {
        lines.push_back(std::exchange(line, {}));
        used = 0;
      }
      if (!line.empty()) {
        line += separator;
        used += DisplayWidth(separator);
      }
      line += item;
      used += cells;
    }
    lines.push_back(line);
    return lines;
  }

  Terminal terminal_;
  std::size_t width_;
  std::string out_;
};

std::string Number(std::string_view what, const std::optional<std::uint64_t>& value) {
  return value ? fmt::format("{} {:#x}", what, *value) : std::string();
}

std::string ProcessText(const CrashRecord& record) {
  const CrashRecord::Process& process = record.process;
  std::string pid;
  if (process.pid > 0)
    pid = std::to_string(process.pid);
  else if (record.capture.method != CaptureMethod::kImport)
    pid = "of a pid namespace that obitd cannot see";
  return Join({pid,
               process.own_pid && *process.own_pid != process.pid
                   ? fmt::format("pid {} in its own namespace", *process.own_pid)
                   : "",
               process.parent ? fmt::format("parent {}", *process.parent) : "",
               process.threads ? FormatCount(*process.threads, "thread") : ""},
              ", ");
}

std::string UserText(const CrashRecord::Process& process) {
  const auto user = [](uid_t uid) { return fmt::format("{} ({})", UserName(uid), uid); };
  const auto group = [](gid_t gid) { return fmt::format("{} ({})", GroupName(gid), gid); };
  return Join({process.uid ? user(*process.uid) : "",
               process.euid && process.euid != process.uid ? "effective " + user(*process.euid) : "",
               process.gid ? "group " + group(*process.gid) : "",
               process.egid && process.egid != process.gid ? "effective group " + group(*process.egid) : "",
               process.privileged.value_or(false) ? "privileged: its core is for root only" : ""},
              ", ");
}

std::string ThreadText(const CrashRecord& record) {
  const CrashRecord::Thread& thread = record.thread;
  if (thread.tid == 0 && !thread.pc) return "";
  std::string name;
  if (!thread.comm.empty()) name = fmt::format("\"{}\"", EscapeForTerminal(thread.comm));
  return Join({Join({thread.tid != 0 ? std::to_string(thread.tid) : "", name}, " "), Number("pc", thread.pc),
               Number("sp", thread.sp)},
              ", ");
}

std::string ProgramText(const CrashRecord& record) {
  const CrashRecord::Process& process = record.process;
  if (process.exe.empty()) return "";
  return Join({EscapeForTerminal(process.exe), process.exe_deleted ? "deleted" : "",
               record.files.exe.empty() ? "" : "a copy is kept",
               process.exe_build_id.empty() ? "" : "build-id " + EscapeForTerminal(process.exe_build_id)},
              ", ");
}

std::string CommandText(const CrashRecord::Process& process) {
  std::string text;
  for (const std::string& argument : process.cmdline)
    text += (text.empty() ? "" : " ") + EscapeForTerminal(QuoteForShell(argument));
  return process.cmdline_truncated ? text + " ... (cut)" : text;
}

std::string NamespacesText(const CrashRecord::Process& process, const PageContext& context) {
  const auto differing = [](const std::string& own, const std::string& usual) {
    return own == usual ? std::string() : EscapeForTerminal(own);
  };
  return Join({differing(process.pid_namespace, context.pid_namespace),
               differing(process.mount_namespace, context.mount_namespace),
               differing(process.network_namespace, context.network_namespace),
               differing(process.user_namespace, context.user_namespace)},
              ", ");
}

std::string StartedText(const CrashRecord& record, std::int64_t now) {
  if (!record.process.started) return "";
  const std::string when = FormatMoment(*record.process.started, now);
  const double up = static_cast<double>(record.time - *record.process.started) / 1e9;
  return up > 0 ? fmt::format("{}, was up {}", when, FormatDuration(up)) : when;
}

std::string MemoryText(const CrashRecord::Process& process) {
  return Join({process.resident_bytes ? FormatBytes(*process.resident_bytes) + " resident" : "",
               process.virtual_bytes ? FormatBytes(*process.virtual_bytes) + " of address space" : ""},
              ", ");
}

std::string LimitText(const CrashRecord::Process& process) {
  if (!process.core_limit) return "";
  return "core size " + (*process.core_limit == UINT64_MAX ? "unlimited" : FormatBytes(*process.core_limit));
}

std::string FilesText(const CrashRecord& record, const PageContext& context) {
  return EscapeForTerminal(context.folder) + ": " +
         Join({"crash.json", record.files.core, record.files.exe}, ", ");
}

/// Memory that direct capture could not read. Not of the kernel's own pages: they are in every process, and
/// the kernel dumps zeros for them too.
std::string UnreadText(const CrashRecord::Capture& capture) {
  std::vector<std::string> parts;
  for (const auto& part : capture.unread) {
    if (part.name.starts_with("[vvar") || part.name == "[vsyscall]") continue;
    parts.push_back(
        FormatBytes(part.bytes) + " of " +
        (part.name.empty() ? fmt::format("memory at {:#x}", part.address) : EscapeForTerminal(part.name)));
  }
  return Join(parts, ", ");
}

std::string VerifiedText(const CrashRecord::Capture& capture) {
  if (!capture.verified) return "";
  if (capture.verified->different_bytes == 0)
    return FormatBytes(capture.verified->bytes) + " are what the kernel sent";
  return fmt::format("{} of {} differ from what the kernel sent",
                     FormatBytes(capture.verified->different_bytes), FormatBytes(capture.verified->bytes));
}

std::vector<std::string> NextCommands(const CrashRecord& record, const PageContext& context) {
  const std::string id = record.id.substr(0, 8);
  const std::string remove = fmt::format("{} rm {}", context.command, id);
  if (record.files.core.empty()) return {remove};
  return {fmt::format("{} gdb {}", context.command, id),
          fmt::format("{} dump {} -o core", context.command, id), remove};
}

}  // namespace

std::string RenderRecordPage(const CrashRecord& record, const PageContext& context) {
  const CrashRecord::Process& process = record.process;
  Page page(context.terminal);
  page.Line(Headline(record, context.now), Tone::kStrong);
  page.Line("");
  page.Field("Signal", DescribeSignal(record.signal));
  page.Field("Process", ProcessText(record));
  page.Field("Thread", ThreadText(record));
  page.Field("Program", ProgramText(record));
  page.Field("Command", CommandText(process));
  page.Field("User", UserText(process));
  page.Field("Folder", EscapeForTerminal(process.cwd));
  page.Field("Root", process.root == "/" ? "" : EscapeForTerminal(process.root));
  page.Field("Namespaces", NamespacesText(process, context));
  page.Field("Cgroup", EscapeForTerminal(process.cgroup));
  page.Field("Started", StartedText(record, context.now));
  page.Field("Memory", MemoryText(process));
  page.Field("Limit", LimitText(process));
  page.Field("Host",
             Join({EscapeForTerminal(record.host.name),
                   record.host.kernel.empty() ? "" : "Linux " + EscapeForTerminal(record.host.kernel)},
                  ", "));
  page.Field("Core", DescribeCapture(record.capture), ToneOf(record.capture.outcome));
  page.Field("Reason", EscapeForTerminal(record.capture.reason), ToneOf(record.capture.outcome));
  page.Field("Stream", EscapeForTerminal(record.capture.stream_reason));
  page.Field("Unread", UnreadText(record.capture));
  page.Field(
      "Verified", VerifiedText(record.capture),
      record.capture.verified && record.capture.verified->different_bytes > 0 ? Tone::kBad : Tone::kPlain);
  page.Field("Files", FilesText(record, context));
  page.Field("Id", record.id);
  page.Line("");
  page.Items("Next", NextCommands(record, context), " · ", Tone::kStrong);
  return page.Take();
}

}  // namespace obit
