// The sanitizers, where they abort (abort_on_error): AddressSanitizer keeps its report in a buffer that it
// has a pointer to on the stack; of the others the frames tell what it was.

#include <algorithm>
#include <unordered_set>

#include "analyze/runtime_words.h"
#include "base/text.h"

namespace obit {
namespace {

constexpr std::string_view kFrames[] = {"__sanitizer::*", "__asan*",         "__ubsan*",
                                        "__tsan*",        "__msan*",         "__lsan*",
                                        "__hwasan*",      "__interceptor_*", "__interception::*"};

struct Tool {
  std::string_view prefix, name, kind;
};
constexpr Tool kTools[] = {{"__asan", "AddressSanitizer", ""},
                           {"__hwasan", "HWAddressSanitizer", ""},
                           {"__tsan::ReportRace", "ThreadSanitizer", "data race"},
                           {"__tsan::ReportDeadlock", "ThreadSanitizer", "lock-order-inversion"},
                           {"__tsan", "ThreadSanitizer", ""},
                           {"__msan_warning", "MemorySanitizer", "use-of-uninitialized-value"},
                           {"__msan", "MemorySanitizer", ""},
                           {"__lsan", "LeakSanitizer", "detected memory leaks"},
                           {"__ubsan", "UndefinedBehaviorSanitizer", ""}};

struct Handler {
  std::string_view name, words;
};
constexpr Handler kHandlers[] = {
    {"add_overflow", "integer overflow in an addition"},
    {"sub_overflow", "integer overflow in a subtraction"},
    {"mul_overflow", "integer overflow in a multiplication"},
    {"negate_overflow", "integer overflow in a negation"},
    {"divrem_overflow", "overflow in a division, or a division by zero"},
    {"shift_out_of_bounds", "shift by too many bits, or of a negative number"},
    {"out_of_bounds", "index out of bounds"},
    {"type_mismatch", "null or misaligned pointer, or an object that is too small"},
    {"alignment_assumption", "assumption of alignment does not hold"},
    {"builtin_unreachable", "unreachable code was reached"},
    {"missing_return", "end of a function that returns a value was reached"},
    {"vla_bound_not_positive", "size of an array is not positive"},
    {"float_cast_overflow", "floating-point number does not fit"},
    {"load_invalid_value", "value that its type does not have"},
    {"invalid_builtin", "invalid argument of a builtin"},
    {"nonnull_return", "null returned where that is not allowed"},
    {"nonnull_arg", "null passed where that is not allowed"},
    {"nullability_arg", "null passed where that is not allowed"},
    {"pointer_overflow", "overflow in pointer arithmetic"},
    {"implicit_conversion", "implicit conversion changed a value"},
    {"function_type_mismatch", "call through a pointer of the wrong function type"},
    {"cfi_check_fail", "control flow integrity check failed"}};

/// "==4711==ERROR: AddressSanitizer: heap-buffer-overflow on address 0x602000000034 at pc 0x...", then what
/// was done.
bool TakeReport(RuntimeScene& scene, std::size_t last, std::string_view tool, Cause& cause) {
  const std::string mark = fmt::format("ERROR: {}: ", tool);
  std::unordered_set<std::uint64_t> seen;
  for (const std::uint64_t word : scene.WordsTo(last)) {
    if (!scene.IsWritable(word) || !seen.insert(word).second) continue;
    const std::string bytes = scene.Bytes({word, word + 2048});
    const std::string_view text = std::string_view(bytes).substr(0, bytes.find('\0'));
    const std::size_t at = text.find(mark);
    if (at == std::string_view::npos || at > 512 || !text.starts_with("==")) continue;
    const std::string_view report = text.substr(at + mark.size());
    const std::string line = FirstLineOf(report);
    if (!IsReadable(line)) continue;
    cause.message = line.substr(0, std::min({line.find(" at pc "), line.find(" in thread "), line.size()}));
    if (const std::size_t hex = line.find(" address 0x"); hex != std::string::npos) {
      const std::string_view digits =
          std::string_view(line).substr(hex + std::string_view(" address 0x").size());
      cause.address = ParseUnsigned(digits.substr(0, digits.find_first_not_of("0123456789abcdef")), 16);
    }
    if (report.find("\nWRITE of size ") != std::string_view::npos) cause.access = MemoryAccess::kWrite;
    if (report.find("\nREAD of size ") != std::string_view::npos) cause.access = MemoryAccess::kRead;
    return true;
  }
  return false;
}

void TakeUndefined(RuntimeScene& scene, std::size_t frame, Cause& cause) {
  constexpr std::string_view kPrefixes[] = {"__ubsan_handle_", "__ubsan::__ubsan_handle_"};
  std::string_view name = scene.names()[frame];
  for (const std::string_view prefix : kPrefixes)
    if (name.starts_with(prefix)) name.remove_prefix(prefix.size());
  const auto* handler =
      std::ranges::find_if(kHandlers, [&](const Handler& one) { return name.starts_with(one.name); });
  if (handler == std::end(kHandlers)) return;
  cause.message = handler->words;
  // The first argument begins with the source location: file, line, column.
  const auto data = scene.Arguments(frame)[0];
  const auto file = data ? scene.image().ReadWord(*data) : std::nullopt;
  const auto place = data ? scene.image().ReadWord(*data + 8) : std::nullopt;
  const std::string path = file ? scene.Text(*file) : "";
  if (path.empty() || !place) return;
  // A place that was reported has its column taken away, so that it is reported once.
  const std::string where = fmt::format("{}:{}", path, *place & UINT32_MAX);
  const std::string bytes = scene.Bytes(scene.StackLeft(64 * 1024));
  std::string said = LineWith(bytes, where + ":");
  if (said.find(": runtime error: ") == std::string::npos) said.clear();
  constexpr std::string_view kError = "runtime error: ";
  if (said.empty())
    cause.message += " at " + where;
  else
    cause.message = said.substr(said.find(kError) + kError.size());
}

}  // namespace

std::optional<Cause> RecogniseSanitizer(RuntimeScene& scene, std::size_t frame) {
  const auto& names = scene.names();
  // A program's abort() comes through theirs as well.
  if (!RuntimeScene::IsOneOf(names[frame], {"__sanitizer::Die", "__sanitizer::Abort"})) return std::nullopt;
  std::size_t last = frame;
  while (last + 1 < names.size() && RuntimeScene::IsOneOf(names[last + 1], kFrames)) ++last;
  Cause cause = scene.Make(CauseKind::kSanitizerReport, "");
  for (const Tool& tool : kTools) {
    const auto found =
        std::ranges::find_if(names.begin() + static_cast<std::ptrdiff_t>(frame),
                             names.begin() + static_cast<std::ptrdiff_t>(last + 1),
                             [&](const std::string& name) { return name.starts_with(tool.prefix); });
    if (found == names.begin() + static_cast<std::ptrdiff_t>(last + 1)) continue;
    cause.runtime = tool.name;
    cause.message = tool.kind;
    TakeReport(scene, last, tool.name, cause);
    if (tool.prefix == "__ubsan") TakeUndefined(scene, last, cause);
    break;
  }
  return cause;
}

}  // namespace obit
