#include "analyze/symbolizer.h"

#include <algorithm>
#include <filesystem>
#include <ranges>
#include <string>

#include <dwarf.h>

#include "analyze/demangle.h"
#include "crash/plain_name.h"
#include "crash/runtime_names.h"

namespace obit {
namespace {

constexpr std::size_t kUnitRangesMax = 1 << 22, kInlinedMax = 256, kTextMax = 4096;
constexpr std::uint64_t kEntryWork = 16, kRowWork = 4;  // in what it takes to look at a symbol
constexpr const char* kSignalHandlerCalled = "<signal handler called>";

std::string Bounded(const char* text) {
  return text == nullptr ? "" : std::string(text, ::strnlen(text, kTextMax));
}

std::string LinkageName(Dwarf_Die* die) {
  Dwarf_Attribute memory;
  for (const unsigned name : {DW_AT_linkage_name, DW_AT_MIPS_linkage_name}) {
    Dwarf_Attribute* attribute = ::dwarf_attr_integrate(die, name, &memory);
    if (attribute != nullptr)
      if (const char* text = ::dwarf_formstring(attribute)) return Bounded(text);
  }
  return {};
}

void SetName(Dwarf_Die* die, Frame& frame) {
  frame.symbol = LinkageName(die);
  if (frame.symbol.empty()) {
    frame.function = QualifiedName(die);
    return;
  }
  frame.function = Demangle(frame.symbol);
  if (frame.function == frame.symbol) frame.symbol.clear();
}

/// Debug information names files relative to the folder that the compiler ran in.
std::string SourcePath(Dwarf_Die* unit, const char* name) {
  const std::filesystem::path path = Bounded(name);
  if (path.empty() || path.is_absolute()) return path.string();
  Dwarf_Attribute memory;
  Dwarf_Attribute* folder = ::dwarf_attr(unit, DW_AT_comp_dir, &memory);
  const std::string from = folder == nullptr ? "" : Bounded(::dwarf_formstring(folder));
  return (std::filesystem::path(from) / path).lexically_normal().string();
}

std::uint32_t UnsignedAttribute(Dwarf_Die* die, unsigned name) {
  Dwarf_Attribute memory;
  Dwarf_Word value = 0;
  Dwarf_Attribute* attribute = ::dwarf_attr(die, name, &memory);
  if (attribute == nullptr || ::dwarf_formudata(attribute, &value) != 0 || value > UINT32_MAX) return 0;
  return static_cast<std::uint32_t>(value);
}

/// The row of the line table that holds for an address. Several rows may begin at one: the last of them that
/// begins a statement is where a person would say that the program is, as gdb does.
Dwarf_Line* LineAt(Dwarf_Die& unit, Dwarf_Addr address) {
  Dwarf_Line* last = ::dwarf_getsrc_die(&unit, address);
  Dwarf_Lines* rows = nullptr;
  std::size_t count = 0;
  Dwarf_Addr begin = 0;
  bool is_statement = false;
  if (last == nullptr || ::dwarf_linebeginstatement(last, &is_statement) != 0 || is_statement) return last;
  if (::dwarf_lineaddr(last, &begin) != 0 || ::dwarf_getsrclines(&unit, &rows, &count) != 0) return last;
  const auto address_of = [&](std::size_t row) {
    Dwarf_Addr at = 0;
    return ::dwarf_lineaddr(::dwarf_onesrcline(rows, row), &at) == 0 ? at : 0;
  };
  const auto all = std::views::iota(std::size_t{0}, count);
  const auto same = std::ranges::equal_range(all, begin, {}, address_of);
  for (const std::size_t row : same | std::views::reverse) {
    Dwarf_Line* one = ::dwarf_onesrcline(rows, row);
    bool is_end = false;
    if (::dwarf_lineendsequence(one, &is_end) == 0 && is_end) continue;
    if (::dwarf_linebeginstatement(one, &is_statement) == 0 && is_statement) return one;
  }
  return last;
}

}  // namespace

std::vector<Frame> Symbolizer::Name(const RawFrame& frame) {
  const std::uint64_t lookup = frame.lookup();
  auto found = known_.find(lookup);
  if (found == known_.end()) found = known_.emplace(lookup, Find(frame)).first;
  std::vector<Frame> frames = found->second;
  for (Frame& one : frames) {
    one.pc = frame.pc;
    one.origin = frame.origin;
  }
  return frames;
}

std::vector<Frame> Symbolizer::Find(const RawFrame& frame) {
  std::vector<Frame> frames;
  Frame outer{.pc = frame.pc};
  const auto module = modules_.Find(frame.lookup());
  if (module) {
    outer.module = module;
    outer.module_offset = modules_.OffsetOf(*module, frame.pc);
    if (frame.trampoline) {
      outer.function = kSignalHandlerCalled;
    } else {
      NameByDebug(*module, frame.lookup(), frames);
      if (frames.empty()) frames.emplace_back();
      NameBySymbol(*module, frame.lookup(), frame.pc, frames.back());
      for (Frame& one : frames) {
        one.pc = outer.pc;
        one.module = outer.module;
        one.module_offset = outer.module_offset;
      }
    }
  }
  if (frames.empty()) frames.push_back(outer);
  return frames;
}

/// By .debug_aranges; where that fails by the units' own ranges.
bool Symbolizer::UnitOf(std::uint32_t module, Dwarf* debug, Dwarf_Addr address, Dwarf_Die& unit) {
  if (::dwarf_addrdie(debug, address, &unit) != nullptr && ::dwarf_haspc(&unit, address) == 1) return true;
  auto [known, is_new] = units_.try_emplace(module);
  Units& units = known->second;
  if (is_new) {
    Dwarf_CU* next = nullptr;
    Dwarf_Die die;
    while (units.ranges.size() < kUnitRangesMax &&
           ::dwarf_get_units(debug, next, &next, nullptr, nullptr, &die, nullptr) == 0) {
      Dwarf_Addr base = 0, begin = 0, end = 0;
      work_ += kEntryWork;
      for (std::ptrdiff_t at = 0; (at = ::dwarf_ranges(&die, at, &base, &begin, &end)) > 0;)
        units.ranges.push_back({begin, end, ::dwarf_dieoffset(&die)});
    }
    std::ranges::sort(units.ranges, {}, &Units::Range::begin);
  }
  auto after = std::ranges::upper_bound(units.ranges, address, {}, &Units::Range::begin);
  if (after == units.ranges.begin() || address >= (--after)->end) return false;
  return ::dwarf_offdie(debug, after->unit, &unit) != nullptr;
}

void Symbolizer::NameByDebug(std::uint32_t module, std::uint64_t lookup, std::vector<Frame>& frames) {
  Dwarf_Addr bias = 0;
  Dwarf* debug = modules_.Debug(module, bias);
  Dwarf_Die unit;
  if (debug == nullptr || !UnitOf(module, debug, lookup - bias, unit)) return;
  std::string file;
  std::uint32_t line = 0;
  if (Dwarf_Line* source = LineAt(unit, lookup - bias)) {
    int number = 0;
    file = SourcePath(&unit, ::dwarf_linesrc(source, nullptr, nullptr));
    if (::dwarf_lineno(source, &number) == 0 && number > 0) line = static_cast<std::uint32_t>(number);
  }
  Dwarf_Files* files = nullptr;
  std::size_t file_count = 0;
  if (::dwarf_getsrcfiles(&unit, &files, &file_count) != 0) file_count = 0;
  const auto [functions, is_new] = functions_.try_emplace(unit.addr, unit);
  if (is_new) {
    Dwarf_Lines* rows = nullptr;
    std::size_t row_count = 0;
    if (::dwarf_getsrclines(&unit, &rows, &row_count) == 0) work_ += kRowWork * row_count;
  }
  const std::uint64_t visited_before = is_new ? 0 : functions->second.visited();
  std::vector<Dwarf_Die> scopes = functions->second.At(lookup - bias);
  work_ += kEntryWork * (functions->second.visited() - visited_before);
  for (Dwarf_Die& scope : scopes) {
    Frame& frame = frames.emplace_back();
    SetName(&scope, frame);
    frame.file = file;
    frame.line = line;
    const bool is_inlined = ::dwarf_tag(&scope) == DW_TAG_inlined_subroutine;
    if (!is_inlined && IsLibrarySource(frame.file)) {
      // The row of a header, and nothing of an inlined function: where the function itself is says more.
      const char* declared = ::dwarf_decl_file(&scope);
      std::string own = declared == nullptr ? std::string() : SourcePath(&unit, declared);
      if (!own.empty() && !IsLibrarySource(own)) {
        frame.file = std::move(own);
        frame.line = 0;
      }
    }
    if (!is_inlined || frames.size() > kInlinedMax) return;
    frame.inlined = true;
    // Where the call was, is where the outer function is.
    const std::uint32_t call_file = UnsignedAttribute(&scope, DW_AT_call_file);
    file =
        call_file < file_count ? SourcePath(&unit, ::dwarf_filesrc(files, call_file, nullptr, nullptr)) : "";
    line = UnsignedAttribute(&scope, DW_AT_call_line);
  }
  if (frames.empty() && !file.empty()) {  // assembler: lines without functions
    frames.emplace_back().file = file;
    frames.back().line = line;
  } else if (!frames.empty() && frames.back().inlined) {
    frames.emplace_back();
  }
}

void Symbolizer::NameBySymbol(std::uint32_t module, std::uint64_t lookup, std::uint64_t pc, Frame& frame) {
  Dwfl_Module* handle = modules_.handle(module);
  if (handle == nullptr) return;
  work_ += static_cast<std::uint64_t>(std::max(::dwfl_module_getsymtab(handle), 0));  // it looks at each
  GElf_Off offset = 0;
  GElf_Sym symbol{};
  const char* name = ::dwfl_module_addrinfo(handle, lookup, &offset, &symbol, nullptr, nullptr, nullptr);
  // A symbol that ends before the address is the nearest, not the function's own; "$x" is none at all, but
  // says that code begins there (ELF for the Arm 64-bit architecture, 5.5.5).
  if (name == nullptr || name[0] == '$' || (symbol.st_size != 0 && offset >= symbol.st_size)) return;
  frame.offset = offset + (pc - lookup);
  // A C++ function that only its file knows has no linkage name in its debug information, but a symbol with
  // all of it.
  const bool says_more = frame.symbol.empty() && std::string_view(name).starts_with("_Z");
  const std::string bounded = Bounded(name);
  std::string linked = Demangle(bounded);
  if (!frame.function.empty() && !says_more) {
    if (linked != frame.function && !IsRuntimeLibrary(modules_.files(module).module.path) &&
        PlainName(linked) != PlainName(frame.function))
      frame.linked_as = std::move(linked);
    return;
  }
  frame.symbol = bounded;
  frame.function = std::move(linked);
  if (frame.function == frame.symbol) frame.symbol.clear();
}

}  // namespace obit
