#include "render/report_sections.h"

#include <algorithm>
#include <span>

#include <fmt/format.h>

#include "base/text.h"
#include "render/stack_text.h"
#include "render/table.h"
#include "render/units.h"

namespace obit {
namespace {

constexpr std::size_t kThreadsNamed = 8;  // ids in a heading

std::string Heading(const std::string& text, const Terminal& terminal) {
  return Paint(Shorten(text, terminal.width), Tone::kStrong, terminal.colour) + "\n";
}

/// "48220 "worker-4", 48221 "worker-5", 48230".
std::string ThreadIds(const Stack& stack, const CrashRecord& record) {
  std::string ids;
  for (const pid_t tid : std::span(stack.tids).first(std::min(stack.tids.size(), kThreadsNamed))) {
    ids += (ids.empty() ? "" : ", ") + std::to_string(tid);
    if (const auto name = record.thread_names.find(tid); name != record.thread_names.end())
      ids += fmt::format(" \"{}\"", EscapeForTerminal(name->second));
  }
  return stack.tids.size() > kThreadsNamed ? ids + ", ..." : ids;
}

std::string Indented(const std::string& lines) {
  std::string out;
  for (std::string_view rest = lines; !rest.empty();) {
    const std::size_t end = std::min(rest.find('\n'), rest.size() - 1) + 1;
    out.append("  ").append(rest.substr(0, end));
    rest.remove_prefix(end);
  }
  return out;
}

/// A table in a section: two cells from the edge.
std::string RenderIndented(const Table& table, Terminal terminal) {
  if (terminal.width > 2) terminal.width -= 2;
  return Indented(table.Render(terminal));
}

}  // namespace

std::string RenderOtherThreads(const Report& report, const CrashRecord& record, const Terminal& terminal) {
  std::string out;
  for (std::size_t i = 1; i < report.stacks.size(); ++i) {
    const Stack& stack = report.stacks[i];
    const std::string ids = ThreadIds(stack, record);
    out += i > 1 ? "\n" : "";
    out += Heading(
        stack.tids.size() > 1 ? fmt::format("{} threads alike: {}", stack.tids.size(), ids) : "Thread " + ids,
        terminal);
    out += RenderFrames(stack, report, terminal, {}) + RenderStackRemarks(stack, terminal);
  }
  return out;
}

std::string RenderHexDump(std::uint64_t address, std::string_view bytes, const Terminal& terminal) {
  constexpr std::size_t kWide = 16, kNarrow = 8, kWideLine = 2 + 18 + 2 + 3 * kWide + 1 + kWide + 2;
  const std::size_t row = terminal.width == 0 || terminal.width >= kWideLine ? kWide : kNarrow;
  const std::size_t digits = fmt::format("{:#x}", address + bytes.size()).size();
  std::string out;
  for (std::size_t at = 0; at < bytes.size(); at += row) {
    std::string hex, text;
    for (const char c : bytes.substr(at, row)) {
      hex += fmt::format("{:02x} ", static_cast<unsigned char>(c));
      text += c >= ' ' && c <= '~' ? c : '.';
    }
    out += Paint(fmt::format("  {:>{}}", fmt::format("{:#x}", address + at), digits), Tone::kDim,
                 terminal.colour);
    out += fmt::format("  {:<{}} |{}|\n", hex, row * 3, text);
  }
  return out;
}

std::string RenderRegisters(const Report& report, const Terminal& terminal) {
  std::string out;
  if (!report.registers.empty()) {
    out += Heading("Registers", terminal);
    Table table({{""}, {""}, {.title = "", .shrinks_to = 10}});
    for (const auto& reg : report.registers)
      table.Add({{EscapeForTerminal(reg.name), Tone::kStrong},
                 {fmt::format("{:#018x}", reg.value)},
                 {EscapeForTerminal(reg.about), Tone::kDim}});
    out += RenderIndented(table, terminal);
  }
  for (const auto& memory : report.memory) {
    if (memory.bytes.empty()) continue;
    out += out.empty() ? "" : "\n";
    out += Heading("Memory around " + EscapeForTerminal(memory.label), terminal);
    out += RenderHexDump(memory.address, memory.bytes, terminal);
  }
  return out;
}

std::string RenderModules(const Report& report, const Terminal& terminal) {
  if (report.modules.empty()) return "";
  Table table({{"BEGIN", Table::Align::kRight},
               {.title = "MODULE", .shrinks_to = 16},
               {.title = "PACKAGE", .shrinks_to = 12, .optional = true},
               {"SYMBOLS"},
               {.title = "NOTE", .shrinks_to = 12, .optional = true},
               {.title = "BUILD-ID", .optional = true}});
  for (const Module& module : report.modules) {
    const std::string symbols = module.symbols.empty() ? "none" : EscapeForTerminal(module.symbols);
    table.Add(
        {{fmt::format("{:#x}", module.begin)},
         {EscapeForTerminal(module.path), Tone::kStrong},
         {EscapeForTerminal(module.package)},
         {symbols + (module.lines ? ", lines" : ""), module.symbols.empty() ? Tone::kDim : Tone::kPlain},
         {EscapeForTerminal(module.problem), Tone::kWarning},
         {EscapeForTerminal(module.build_id), Tone::kDim}});
  }
  return Heading("Modules", terminal) + RenderIndented(table, terminal);
}

std::string RenderMappings(const Report& report, const Terminal& terminal) {
  if (report.mappings.empty()) return "";
  using enum Table::Align;
  Table table({{"BEGIN", kRight},
               {"END", kRight},
               {"ACCESS"},
               {"SIZE", kRight},
               {.title = "NAME", .shrinks_to = 12}});
  for (const auto& mapping : report.mappings)
    table.Add({{fmt::format("{:#x}", mapping.begin)},
               {fmt::format("{:#x}", mapping.end)},
               {EscapeForTerminal(mapping.access)},
               {mapping.end > mapping.begin ? FormatBytes(mapping.end - mapping.begin) : "-"},
               {EscapeForTerminal(mapping.name)}});
  std::string out = Heading("Mappings", terminal) + RenderIndented(table, terminal);
  if (report.mappings_total > report.mappings.size())
    out += fmt::format("  ... {} more\n", report.mappings_total - report.mappings.size());
  return out;
}

std::string RenderEnvironment(const Report& report, const Terminal& terminal) {
  std::string out = Heading("Environment", terminal);
  if (report.environment.empty()) return out + "  nothing was kept\n";
  for (const std::string& variable : report.environment) out += "  " + EscapeForTerminal(variable) + "\n";
  return out;
}

}  // namespace obit
