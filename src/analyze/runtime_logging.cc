// glog (src/logging.cc, src/raw_logging.cc) and Abseil (absl/log/internal/log_message.cc,
// absl/base/internal/raw_logging.cc): CHECK and LOG(FATAL). A message lies in a buffer that the object of the
// log statement points to, and that lives on the stack; as "F20260102 03:04:05.678901 4711 shop.cc:12] Check
// failed: ...".

#include <algorithm>

#include "analyze/runtime_words.h"
#include "base/text.h"

namespace obit {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

/// What stands behind the "] " of a line of a fatal message; nothing if it is none.
std::optional<std::string_view> FatalText(std::string_view line) {
  if (!line.starts_with('F')) return std::nullopt;
  const std::size_t date = std::min(line.find(' '), line.size());
  if ((date != 5 && date != 9) || !std::ranges::all_of(line.substr(1, date - 1), IsDigit))
    return std::nullopt;
  const std::size_t end = line.find("] ");
  if (end == std::string_view::npos || end > 1024 || line.substr(0, end).find('\n') != std::string_view::npos)
    return std::nullopt;
  if (line.substr(0, end).rfind(':') == std::string_view::npos || !IsDigit(line[end - 1]))
    return std::nullopt;
  return line.substr(end + 2);
}

std::string FatalAt(RuntimeScene& scene, std::uint64_t address) {
  char first = 0;
  if (scene.image().Read(address, std::as_writable_bytes(std::span(&first, 1))) != 1 || first != 'F')
    return {};
  std::string bytes(RuntimeScene::kTextMax, '\0');
  bytes.resize(scene.image().Read(address, std::as_writable_bytes(std::span(bytes))));
  const std::string_view line = std::string_view(bytes).substr(0, bytes.find('\0'));
  const auto text = FatalText(line);
  return text && IsReadable(*text) ? std::string(Trim(*text)) : std::string();
}

/// Abseil's object points to its data, in which a pointer leads to the text; glog's points to its data, in
/// which the text stands behind a number.
std::string FindFatal(RuntimeScene& scene, std::size_t last) {
  constexpr std::size_t kDataWords = 64, kPointersMax = 1024;
  std::vector<std::uint64_t> words = scene.WordsTo(last);
  words.resize(std::min(words.size(), kPointersMax));
  std::erase_if(words, [&](std::uint64_t word) { return !scene.IsWritable(word); });
  for (const std::uint64_t word : words)
    for (const std::uint64_t offset : {0, 4})
      if (std::string text = FatalAt(scene, word + offset); !text.empty()) return text;
  for (const std::uint64_t word : words) {
    if (word % 8 != 0) continue;
    for (const std::uint64_t inner : scene.Words({word, word + 8 * kDataWords})) {
      if (!scene.IsWritable(inner)) continue;
      for (const std::uint64_t offset : {0, 4})
        if (std::string text = FatalAt(scene, inner + offset); !text.empty()) return text;
    }
  }
  return {};
}

bool IsGlog(std::string_view name) {
  return name.starts_with("google::LogMessage") || name.starts_with("google::ErrnoLogMessage") ||
         name.starts_with("google::RawLog");
}
/// "absl::lts_20220623::log_internal::LogMessage::Flush", whatever the inline namespace is.
bool IsAbseil(std::string_view name) {
  return name.starts_with("absl::") && (name.find("log_internal::") != std::string_view::npos ||
                                        name.find("raw_log_internal::") != std::string_view::npos ||
                                        name.find("raw_logging_internal::") != std::string_view::npos);
}

}  // namespace

std::optional<Cause> RecogniseLogging(RuntimeScene& scene, std::size_t frame) {
  const auto& names = scene.names();
  const bool is_glog = IsGlog(names[frame]);
  if (!is_glog && !IsAbseil(names[frame])) return std::nullopt;
  std::size_t last = frame;
  while (last + 1 < names.size() && (IsGlog(names[last + 1]) || IsAbseil(names[last + 1]))) ++last;
  std::string text = FindFatal(scene, std::min(last + 1, names.size() - 1));
  constexpr std::string_view kRaw = "RAW: ";
  if (text.empty()) {  // on the stack of the function that wrote it
    const std::string line = LineWith(scene.Bytes(scene.StackTo(last)), kRaw);
    if (line.find("] RAW: ") != std::string::npos) text = line.substr(line.find(kRaw));
  }
  if (text.starts_with(kRaw)) text.erase(0, kRaw.size());
  Cause cause = scene.Make(CauseKind::kRuntimeFatal, is_glog ? "glog" : "Abseil", text);
  constexpr std::string_view kCheck = "Check failed: ";
  if (text.starts_with(kCheck)) {
    cause.kind = CauseKind::kAssert;
    cause.expression = FirstLineOf(std::string_view(text).substr(kCheck.size()));
  } else if (text.starts_with("Check ") && text.find(" failed: ") != std::string::npos) {
    cause.kind = CauseKind::kAssert;
    cause.expression = Between(text, "Check ", " failed: ");
  } else {
    cause.what = "fatal error";
  }
  return cause;
}

}  // namespace obit
