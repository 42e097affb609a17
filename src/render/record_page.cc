#include "render/record_page.h"

#include <algorithm>
#include <vector>

#include "base/text.h"
#include "render/page.h"
#include "render/times.h"
#include "render/units.h"
#include "render/users.h"
#include "render/words.h"

namespace obit {
namespace {

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

/// A path of the process, or that it is too long to be known.
std::string PathText(const CrashRecord::Process& process, std::string_view name, const std::string& path) {
  return std::ranges::find(process.too_long, name) == process.too_long.end() ? EscapeForTerminal(path)
                                                                             : "longer than obitd can read";
}

std::string ProgramText(const CrashRecord& record) {
  const CrashRecord::Process& process = record.process;
  return Join(
      {PathText(process, "exe", process.exe), process.exe_deleted ? "deleted" : "",
       record.files.exe.empty() ? "" : "a copy is kept",
       record.capture.exe_reason.empty() ? ""
                                         : "no copy is kept: " + EscapeControls(record.capture.exe_reason),
       process.exe_build_id.empty() ? "" : "build-id " + EscapeForTerminal(process.exe_build_id)},
      ", ");
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
  const double up = (static_cast<double>(record.time) - static_cast<double>(*record.process.started)) / 1e9;
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
  if (!capture.verified)
    return capture.verify_reason.empty() ? "" : "no: " + EscapeControls(capture.verify_reason);
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

std::string FullHeadline(const CrashRecord& record, const PageContext& context) {
  std::string text = Headline(record, context.now);
  if (!context.standing) return text;
  const PageContext::Standing& standing = *context.standing;
  if (standing.total == 1)
    text += ", the only one of its kind";
  else if (standing.position == standing.total)
    text += fmt::format(", the {} time since {}", Ordinal(standing.position),
                        FormatBeginning(standing.first_time, context.now));
  else
    text += fmt::format(", the {} of {} times since {}", Ordinal(standing.position), standing.total,
                        FormatBeginning(standing.first_time, context.now));
  return text + fmt::format(" (group {})", standing.group);
}

std::string CommandText(const CrashRecord::Process& process) {
  std::string text;
  for (const std::string& argument : process.cmdline)
    text += (text.empty() ? "" : " ") + EscapeControls(QuoteForShell(argument));
  return process.cmdline_truncated ? text + " ... (cut)" : text;
}

std::string RepeatsText(const PageContext& context) {
  if (!context.repeats) return "";
  const Repeats& repeats = *context.repeats;
  return fmt::format("{} more until {} {} counted, not kept (crash loop)", repeats.crashes,
                     FormatMomentInProse(repeats.last, context.now), repeats.crashes == 1 ? "was" : "were");
}

std::string LoweredText(const CrashRecord::Capture& capture) {
  return capture.lowered_reason == capture.reason ? "" : EscapeControls(capture.lowered_reason);
}

std::string RemovedText(const PageContext& context) {
  if (!context.removed) return "";
  const RemovedCore& removed = *context.removed;
  std::string text = FormatMomentInProse(removed.time, context.now) + ", " + FormatBytes(removed.bytes);
  if (!removed.why.empty()) text += ": " + EscapeControls(removed.why);
  return text;
}

std::string FilesText(const CrashRecord& record, const PageContext& context) {
  return EscapeForTerminal(context.folder) + ": " +
         Join({"crash.json", record.files.core, record.files.exe, context.has_report ? "report.json" : "",
               context.repeats ? "repeats.json" : ""},
              ", ");
}

void AddRecordFields(Page& page, const CrashRecord& record, const PageContext& context) {
  const CrashRecord::Process& process = record.process;
  page.Field("Signal", DescribeSignal(record.signal));
  page.Field("Process", ProcessText(record));
  page.Field("Thread", ThreadText(record));
  page.Field("Program", ProgramText(record));
  page.Field("Command", CommandText(process));
  page.Field("User", UserText(process));
  page.Field("Folder", PathText(process, "cwd", process.cwd));
  page.Field("Root", process.root == "/" ? "" : PathText(process, "root", process.root));
  page.Field("Namespaces", NamespacesText(process, context));
  page.Field("Belongs to", DescribeIdentity(process.cgroup));
  page.Field("Cgroup", PathText(process, "cgroup", process.cgroup));
  page.Field("Started", StartedText(record, context.now));
  page.Field("Memory", MemoryText(process));
  page.Field("Limit", LimitText(process));
  page.Field("Host",
             Join({EscapeForTerminal(record.host.name),
                   record.host.kernel.empty() ? "" : "Linux " + EscapeForTerminal(record.host.kernel)},
                  ", "));
  page.Field("Core", DescribeCapture(record.capture), ToneOf(record.capture.outcome));
  page.Field("Removed", RemovedText(context), Tone::kWarning);
  page.Field("Holes", DescribeHoles(record.capture));
  page.Field("Reason", EscapeControls(record.capture.reason), ToneOf(record.capture.outcome));
  page.Field("Rule", EscapeControls(record.capture.rule));
  page.Field("Lowered", LoweredText(record.capture), Tone::kWarning);
  page.Field("Repeats", RepeatsText(context), Tone::kWarning);
  page.Field("Stream", EscapeControls(record.capture.stream_reason));
  page.Field("Unread", UnreadText(record.capture));
  page.Field(
      "Verified", VerifiedText(record.capture),
      record.capture.verified && record.capture.verified->different_bytes > 0 ? Tone::kBad : Tone::kPlain);
  page.Field("Files", FilesText(record, context));
  page.Field("Id", record.id);
}

std::string RenderRecordPage(const CrashRecord& record, const PageContext& context) {
  Page page(context.terminal);
  page.Paragraph(0, FullHeadline(record, context), Tone::kStrong);
  page.Line("");
  AddRecordFields(page, record, context);
  page.Field("Analysis", context.analysis, Tone::kWarning);
  page.Line("");
  page.Items("Next", NextCommands(record, context), " · ", Tone::kStrong);
  return page.Take();
}

}  // namespace obit
