#include "render/report_page.h"

#include <algorithm>
#include <cerrno>
#include <set>
#include <span>
#include <system_error>
#include <vector>

#include "base/text.h"
#include "present/cause_sentence.h"
#include "render/function_name.h"
#include "render/page.h"
#include "render/report_sections.h"
#include "render/source_lines.h"
#include "render/stack_text.h"
#include "render/units.h"
#include "render/users.h"
#include "render/words.h"

namespace obit {
namespace {

constexpr StackLimits kStackShown{.first = 24, .last = 6};
constexpr std::size_t kMessageLines = 8;
constexpr std::size_t kStacksNamed = 6;  // kinds of threads in the summary

/// The registers that the instruction names, as whole registers: "edi" is of "rdi", "w0" of "x0".
std::vector<const Report::Register*> UsedRegisters(const Report& report) {
  std::vector<const Report::Register*> used;
  if (!report.instruction) return used;
  std::set<std::string, std::less<>> words;
  std::string word;
  for (const char c : report.instruction->text + " ") {
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) {
      word += c;
      continue;
    }
    words.insert(std::exchange(word, {}));
  }
  for (const auto& reg : report.registers) {
    const std::string& name = reg.name;
    std::vector<std::string> names{name};
    if (name.size() == 3 && name[0] == 'r' && name[2] >= 'a') {  // rax: eax, ax, al, ah; rdi: edi, di, dil
      const std::string rest = name.substr(1);
      names.insert(names.end(),
                   {"e" + rest, rest, rest + "l", rest.substr(0, 1) + "l", rest.substr(0, 1) + "h"});
    } else if (name.size() >= 2 && name[0] == 'r') {  // r8: r8d, r8w, r8b
      names.insert(names.end(), {name + "d", name + "w", name + "b"});
    } else if (name.size() >= 2 && name[0] == 'x') {
      names.push_back("w" + name.substr(1));
    }
    if (std::ranges::any_of(names, [&](const std::string& n) { return words.contains(n); }))
      used.push_back(&reg);
  }
  return used;
}

std::string RegisterText(const Report::Register& reg) {
  std::string text = EscapeForTerminal(reg.name) + (reg.value == 0 ? " 0" : fmt::format(" {:#x}", reg.value));
  return reg.about.empty() ? text : text + fmt::format(" ({})", EscapeForTerminal(reg.about));
}

class ReportPage {
 public:
  ReportPage(const CrashRecord& record, const Report& report, const PageContext& context)
      : record_(record),
        report_(report),
        context_(context),
        sentence_(CauseSentence(report.cause)),
        page_(context.terminal) {}

  std::string Render(const ReportSections& sections) {
    page_.Paragraph(0, FullHeadline(record_, context_), Tone::kStrong);
    page_.Line("");
    AddCause();
    AddSource();
    AddStack();
    AddFields();
    const Terminal& terminal = context_.terminal;
    if (sections.all_threads) AddSection(RenderOtherThreads(report_, record_, terminal));
    if (sections.registers) AddSection(RenderRegisters(report_, terminal));
    if (sections.modules) AddSection(RenderModules(report_, terminal));
    if (sections.mappings) AddSection(RenderMappings(report_, terminal));
    if (sections.environment) AddSection(RenderEnvironment(report_, terminal));
    if (sections.record) {
      page_.Line("");
      page_.Line("Recorded at the crash", Tone::kStrong);
      AddRecordFields(page_, record_, context_);
    }
    page_.Line("");
    page_.Items("Next", NextCommands(sections), " · ", Tone::kStrong);
    return page_.Take();
  }

 private:
  [[nodiscard]] const Stack* Crashed() const {
    return report_.stacks.empty() ? nullptr : &report_.stacks.front();
  }

  void AddSection(const std::string& lines) {
    if (lines.empty()) return;
    page_.Line("");
    page_.Append(lines);
  }

  void AddCause() {
    page_.Paragraph(2, sentence_.empty() ? DescribeSignal(record_.signal) : DescribeCause(sentence_),
                    Tone::kBad);
    if (Crashed() != nullptr) telling_ = TellingFrame(*Crashed(), report_);
    if (telling_ != nullptr) page_.Paragraph(2, "in " + PlaceOfTelling());
    AddMessage();
    page_.Line("");
  }
  void AddMessage() {
    if (report_.cause.message.empty()) return;
    const auto lines = Split(Trim(report_.cause.message), '\n');
    for (const std::string_view line : std::span(lines).first(std::min(lines.size(), kMessageLines)))
      page_.Paragraph(2, "\"" + EscapeControls(line) + "\"", Tone::kDim);
    if (lines.size() > kMessageLines)
      page_.Line(fmt::format("  ... {} more lines: see --json", lines.size() - kMessageLines), Tone::kDim);
  }
  /// "Cache::find(std::string const&) const, cache.cc:112"; with the whole path where nothing limits the
  /// line.
  std::string PlaceOfTelling() const {
    constexpr std::size_t kAround = 7;  // cells: "  in " and ", "
    const Frame& frame = *telling_;
    const bool unlimited = context_.terminal.width == 0;
    std::string place = PlaceText(frame, report_);
    if (!frame.file.empty() && unlimited) {
      place = EscapeForTerminal(frame.file);
      if (frame.line != 0) place += fmt::format(":{}", frame.line);
    }
    if (!unlimited) place = ShortenBeginning(place, page_.width() / 2);
    if (frame.function.empty() && frame.symbol.empty()) return place;
    const std::size_t taken = DisplayWidth(place) + kAround;
    return FunctionText(frame, unlimited ? 0 : page_.width() - taken) + ", " + place;
  }

  void AddSource() {
    if (telling_ == nullptr || telling_->file.empty()) return;
    const auto source = ReadSourceLines(telling_->file, telling_->line, record_.time);
    if (!source) return;  // the usual case: no sources on this machine
    page_.Append(RenderSourceLines(*source, context_.terminal));
    if (source->newer)
      page_.Paragraph(5, "(the file is newer than the crash: these may be other lines)", Tone::kWarning);
    page_.Line("");
  }

  void AddStack() {
    if (Crashed() == nullptr) return;
    page_.Append(RenderFrames(*Crashed(), report_, context_.terminal, kStackShown));
    AddInstruction();
    page_.Append(RenderStackRemarks(*Crashed(), context_.terminal));
    page_.Line("");
  }
  /// "      mov 0x18(%rdi),%rax    rdi 0": the registers below where there is no room.
  void AddInstruction() {
    constexpr std::size_t kIndent = 6, kGap = 4;
    if (!report_.instruction || report_.instruction->text.empty()) return;
    const std::string line = std::string(kIndent, ' ') + EscapeControls(report_.instruction->text);
    std::vector<std::string> parts;
    for (const auto* reg : UsedRegisters(report_)) parts.push_back(RegisterText(*reg));
    const std::string registers = Join(parts, "  ");
    if (registers.empty() || DisplayWidth(line) + kGap + DisplayWidth(registers) <= page_.width())
      return page_.Line(line + (registers.empty() ? "" : std::string(kGap, ' ') + registers));
    page_.Line(line);
    page_.Paragraph(kIndent, registers);
  }

  void AddFields() {
    page_.Field("Threads", ThreadsText());
    page_.Field("Signal", sentence_.empty() ? "" : DescribeSignal(record_.signal, report_.cause));
    if (const auto items = ProcessItems(); !items.empty()) page_.Items("Process", items, " ", Tone::kPlain);
    page_.Field("Core", DescribeCapture(record_.capture), ToneOf(record_.capture.outcome));
    page_.Field("Removed", RemovedText(context_), Tone::kWarning);
    page_.Field("Holes", DescribeHoles(record_.capture));
    page_.Field("Reason", EscapeControls(record_.capture.reason), ToneOf(record_.capture.outcome));
    page_.Field("Lowered", LoweredText(record_.capture), Tone::kWarning);
    page_.Field("Repeats", RepeatsText(context_), Tone::kWarning);
    page_.Field("Symbols", SymbolsText(), Tone::kWarning);
    page_.Field("Analysis",
                report_.failure.empty() ? "" : "stopped early: " + EscapeControls(report_.failure),
                Tone::kWarning);
    page_.Field("Files", FilesText(record_, context_));
  }

  /// "17: this one; 15 alike in epoll_wait < worker_loop; 1 in clock_nanosleep < Stats::run".
  std::string ThreadsText() const {
    if (report_.threads < 2 || report_.stacks.empty()) return "";
    std::string text = fmt::format("{}: this one", report_.threads);
    std::size_t seen = report_.stacks.front().tids.size(), named = 0;
    if (seen > 1) text += fmt::format(" and {} alike", seen - 1);
    for (std::size_t i = 1; i < report_.stacks.size(); ++i) {
      const Stack& stack = report_.stacks[i];
      if (++named > kStacksNamed) break;
      seen += stack.tids.size();
      text += fmt::format("; {}{} in {}", stack.tids.size(), stack.tids.size() > 1 ? " alike" : "",
                          WhereText(stack));
    }
    return report_.threads > seen ? text + fmt::format("; {} more", report_.threads - seen) : text;
  }
  /// The innermost function and the first one that called into its library.
  std::string WhereText(const Stack& stack) const {
    const auto named = [](const Frame& frame) { return !frame.function.empty(); };
    const auto inner = std::ranges::find_if(stack.frames, named);
    if (inner == stack.frames.end())
      return stack.frames.empty() ? "no known function" : PlaceText(stack.frames.front(), report_);
    const auto outer = std::find_if(inner + 1, stack.frames.end(), [&](const Frame& frame) {
      return named(frame) && frame.module != inner->module;
    });
    const std::string text = BriefFunction(inner->function);
    if (outer != stack.frames.end()) return text + " < " + BriefFunction(outer->function);
    const auto next = std::find_if(inner + 1, stack.frames.end(), named);
    return next != stack.frames.end() ? text + " < " + BriefFunction(next->function) : text;
  }

  /// "48213, thread 48219 "worker-3": imgproxy --port 8080; user www-data; unit imgproxy.service; up 3 d 2
  /// h".
  std::vector<std::string> ProcessItems() const {
    const CrashRecord::Process& process = record_.process;
    std::string who = process.pid > 0 ? std::to_string(process.pid) : "";
    if (record_.thread.tid != 0 && record_.thread.tid != process.pid)
      who += fmt::format("{}thread {}", who.empty() ? "" : ", ", record_.thread.tid);
    if (!record_.thread.comm.empty() && record_.thread.comm != process.comm)
      who += fmt::format(" \"{}\"", EscapeForTerminal(record_.thread.comm));
    const std::string command = CommandText(process);
    const double up = process.started
                          ? (static_cast<double>(record_.time) - static_cast<double>(*process.started)) / 1e9
                          : 0;
    std::vector<std::string> parts{who + (who.empty() || command.empty() ? "" : ": ") + command,
                                   process.uid ? "user " + UserName(*process.uid) : "",
                                   DescribeIdentity(process.cgroup),
                                   up > 0 ? "up " + FormatDuration(up) : ""};
    std::erase(parts, "");
    // A command line breaks anywhere; the rest is easier to find in one piece.
    std::vector<std::string> items;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const std::string part = parts[i] + (i + 1 < parts.size() ? ";" : "");
      if (i > 0) {
        items.push_back(part);
        continue;
      }
      const auto words = Split(part, ' ');
      items.assign(words.begin(), words.end());
    }
    return items;
  }

  /// The modules of the crashed thread's frames that gave no names, and why.
  std::string SymbolsText() const {
    if (Crashed() == nullptr) return "";
    std::set<std::uint32_t> told;
    std::vector<std::string> parts;
    for (const Frame& frame : Crashed()->frames) {
      if (!frame.function.empty() || !frame.module || !told.insert(*frame.module).second) continue;
      const Module& module = report_.modules[*frame.module];
      if (!module.symbols.empty() && module.problem.empty()) continue;  // it has others
      const std::string name = EscapeForTerminal(FileNameOf(module.path));
      parts.push_back(
          module.problem.empty() ? name : fmt::format("{} ({})", name, EscapeForTerminal(module.problem)));
    }
    if (parts.empty()) return "";
    return "none for " + Join(parts, ", ") +
           (WasDenied() && HasCore() ? ": an analysis by root may have them" : "");
  }

  /// There are programs or libraries in folders that are closed to obitd, as the homes of most users are.
  bool WasDenied() const {
    return std::ranges::any_of(report_.modules, [](const Module& module) {
      return module.problem.ends_with(std::generic_category().message(EACCES));
    });
  }

  [[nodiscard]] bool HasCore() const { return !record_.files.core.empty(); }

  std::vector<std::string> NextCommands(const ReportSections& sections) const {
    const std::string id = record_.id.substr(0, 8);
    std::vector<std::string> commands;
    if (WasDenied() && HasCore()) commands.push_back(fmt::format("sudo {} analyze {}", context_.command, id));
    if (HasCore()) commands.push_back(fmt::format("{} gdb {}", context_.command, id));
    if (!sections.all_threads && report_.stacks.size() > 1)
      commands.push_back(fmt::format("{} show {} --all-threads", context_.command, id));
    else if (!sections.registers && !report_.registers.empty())
      commands.push_back(fmt::format("{} show {} --registers", context_.command, id));
    if (context_.standing && context_.standing->total > 1)
      commands.push_back(fmt::format("{} show {}", context_.command, context_.standing->group));
    if (commands.empty()) commands.push_back(fmt::format("{} rm {}", context_.command, id));
    return commands;
  }

  const CrashRecord& record_;
  const Report& report_;
  const PageContext& context_;
  const std::string sentence_;
  Page page_;
  const Frame* telling_ = nullptr;
};

}  // namespace

std::string RenderReportPage(const CrashRecord& record, const Report& report, const PageContext& context,
                             const ReportSections& sections) {
  return ReportPage(record, report, context).Render(sections);
}

}  // namespace obit
