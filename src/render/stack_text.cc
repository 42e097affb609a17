#include "render/stack_text.h"

#include <algorithm>
#include <span>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "base/text.h"
#include "crash/runtime_frames.h"
#include "crash/runtime_names.h"
#include "render/function_name.h"
#include "render/page.h"

namespace obit {
namespace {

constexpr std::size_t kGap = 2;             // cells between two columns
constexpr std::size_t kFunctionUsual = 64;  // width of the column where there is no terminal

const Module* ModuleOf(const Frame& frame, const Report& report) {
  return frame.module && *frame.module < report.modules.size() ? &report.modules[*frame.module] : nullptr;
}

/// What programs call, and die in on behalf of their callers.
bool IsRuntime(const Frame& frame, const Report& report) {
  if (ModuleOf(frame, report) == nullptr) return IsLibrarySource(frame.file);
  return IsLibrarySource(frame.file) || OwnerOf(frame, report.modules) != FrameOwner::kProgram;
}

/// A row of the listing.
struct Row {
  std::string number, function, place;
  bool dim = false;
  const Frame* frame = nullptr;  ///< null: a remark
};

/// a + b * c, or the greatest number: a fold may claim any number of repetitions.
std::uint64_t Saturated(std::uint64_t a, std::uint64_t b, std::uint64_t c) {
  std::uint64_t product = 0, sum = 0;
  if (__builtin_mul_overflow(b, c, &product) || __builtin_add_overflow(a, product, &sum)) return UINT64_MAX;
  return sum;
}

class Listing {
 public:
  Listing(const Stack& stack, const Report& report, const StackLimits& limits) {
    const std::size_t total = stack.frames.size();
    const std::size_t last = std::min(limits.last, total);
    // A gap of one line is not worth its line.
    const bool whole = limits.first >= total || total - limits.first <= last + 1;
    auto fold = stack.folds.begin();
    std::uint64_t number = 0;
    for (std::size_t i = 0; i < total; ++i) {
      const bool shown = whole || i < limits.first || i >= total - last;
      if (shown) Add(stack.frames[i], number, report);
      if (!whole && i == limits.first)
        rows_.push_back({"", fmt::format("… {} more frames", total - limits.first - last), "", true});
      ++number;
      if (fold == stack.folds.end() || i + 1 != std::size_t{fold->first} + fold->count) continue;
      number = Saturated(number, fold->count, fold->times > 0 ? fold->times - 1 : 0);
      if (shown) AddFold(*fold);
      ++fold;
    }
  }

  [[nodiscard]] std::string Render(const Terminal& terminal) const {
    std::size_t digits = 0, function = 0, place = 0;
    for (const Row& row : rows_) {
      digits = std::max(digits, row.number.size());
      if (row.place.empty()) continue;
      function = std::max(function, DisplayWidth(row.function));
      place = std::max(place, DisplayWidth(row.place));
    }
    const std::size_t indent = kGap + digits + kGap;
    if (terminal.width == 0) {
      function = std::min(function, kFunctionUsual);
    } else {
      const std::size_t line = std::max<std::size_t>(terminal.width, 40);
      place = std::min(place, line / 3);
      function = std::min(function, line - std::min(line, indent + kGap + place));
    }
    std::string out;
    for (const Row& row : rows_) {
      // A name without a place may take the place, too.
      const std::size_t room = row.place.empty() ? function + kGap + place : function;
      const std::string name = terminal.width == 0 ? row.function : Fit(row, room);
      out +=
          Paint(fmt::format("{:{}}{:<{}}", "", kGap, row.number, digits + kGap), Tone::kDim, terminal.colour);
      out += Paint(name, row.dim ? Tone::kDim : Tone::kPlain, terminal.colour);
      if (!row.place.empty()) {
        out.append(std::max(function, DisplayWidth(name)) + kGap - DisplayWidth(name), ' ');
        out += Paint(terminal.width == 0 ? row.place : ShortenBeginning(row.place, place), Tone::kDim,
                     terminal.colour);
      }
      out += "\n";
    }
    return out;
  }

 private:
  void Add(const Frame& frame, std::uint64_t number, const Report& report) {
    if (frame.interrupted) rows_.push_back({"", "(a signal came here)", "", true});
    Row row;
    row.number = fmt::format("#{}", number);
    row.function = Before(frame) + FunctionText(frame, 0) + Behind(frame);
    row.place = PlaceText(frame, report);
    row.dim = IsRuntime(frame, report);
    row.frame = &frame;
    rows_.push_back(std::move(row));
  }
  void AddFold(const Stack::Fold& fold) {
    const std::string what = fold.count == 1 ? "this frame" : fmt::format("these {} frames", fold.count);
    rows_.push_back({"", fmt::format("… {} {} times", what, GroupThousands(fold.times)), "", true});
  }

  static std::string Before(const Frame& frame) { return IsGuess(frame) ? "? " : ""; }
  static std::string Behind(const Frame& frame) { return frame.inlined ? " (inlined)" : ""; }
  static std::string Fit(const Row& row, std::size_t room) {
    if (row.frame == nullptr) return Shorten(row.function, room);
    const std::string before = Before(*row.frame), behind = Behind(*row.frame);
    const std::size_t marks = before.size() + behind.size();
    return before + FunctionText(*row.frame, room > marks ? room - marks : 1) + behind;
  }
  /// "52,103".
  static std::string GroupThousands(std::uint64_t number) {
    std::string text = std::to_string(number);
    for (std::size_t at = text.size(); at > 3;) text.insert(at -= 3, ",");
    return text;
  }

  std::vector<Row> rows_;
};

}  // namespace

bool IsGuess(const Frame& frame) {
  return frame.origin == FrameOrigin::kFramePointer || frame.origin == FrameOrigin::kScan;
}

std::string FunctionText(const Frame& frame, std::size_t width) {
  const std::string& name = frame.function.empty() ? frame.symbol : frame.function;
  return name.empty() ? "(no name)" : ShortenFunction(name, width);
}

std::string PlaceText(const Frame& frame, const Report& report) {
  if (!frame.file.empty()) {
    const std::string file = EscapeForTerminal(FileNameOf(frame.file));
    return frame.line == 0 ? file : fmt::format("{}:{}", file, frame.line);
  }
  if (const Module* module = ModuleOf(frame, report); module != nullptr)
    return fmt::format("{} +{:#x}", EscapeForTerminal(FileNameOf(module->path)), frame.module_offset);
  return fmt::format("{:#x}", frame.pc);
}

const Frame* TellingFrame(const Stack& stack, const Report& report) {
  if (stack.frames.empty()) return nullptr;
  if (report.own_frame && !report.stacks.empty() && &stack == &report.stacks.front()) {
    const auto own = std::span(stack.frames).subspan(*report.own_frame);
    const auto named = std::ranges::find_if(own, [](const Frame& frame) { return !frame.function.empty(); });
    if (named != own.end()) return &*named;
  }
  const auto found = std::ranges::find_if(
      stack.frames, [&](const Frame& frame) { return !frame.function.empty() && !IsRuntime(frame, report); });
  return found != stack.frames.end() ? &*found : &stack.frames.front();
}

std::string RenderFrames(const Stack& stack, const Report& report, const Terminal& terminal,
                         const StackLimits& limits) {
  return Listing(stack, report, limits).Render(terminal);
}

std::string RenderStackRemarks(const Stack& stack, const Terminal& terminal) {
  Page page(terminal);
  if (std::ranges::any_of(stack.frames, IsGuess))
    page.Paragraph(2, "? found by frame pointers or on the stack, without unwind information: may be wrong",
                   Tone::kDim);
  if (!stack.end.empty())
    page.Paragraph(2, "The stack is not complete: " + EscapeForTerminal(stack.end), Tone::kDim);
  return page.Take();
}

}  // namespace obit
