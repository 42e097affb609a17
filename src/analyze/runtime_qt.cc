// Qt (qtbase/src/corelib/global/qlogging.cpp, qglobal.cpp): qFatal and Q_ASSERT. The message is a QString,
// UTF-16.

#include <algorithm>
#include <cstring>

#include "analyze/runtime_words.h"
#include "base/text.h"

namespace obit {
namespace {

std::string FromUtf16(std::string_view bytes) {
  std::string text;
  for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) {
    char16_t unit = 0;
    std::memcpy(&unit, bytes.data() + i, sizeof unit);
    char32_t c = unit;
    if (unit >= 0xd800 && unit < 0xdc00 && i + 3 < bytes.size()) {
      char16_t low = 0;
      std::memcpy(&low, bytes.data() + i + 2, sizeof low);
      if (low < 0xdc00 || low >= 0xe000) return {};
      c = 0x10000 + ((char32_t{unit} - 0xd800) << 10) + (low - 0xdc00);
      i += 2;
    }
    if (c < 0x80) {
      text += static_cast<char>(c);
    } else if (c < 0x800) {
      text += static_cast<char>(0xc0 | c >> 6);
      text += static_cast<char>(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
      text += static_cast<char>(0xe0 | c >> 12);
      text += static_cast<char>(0x80 | (c >> 6 & 0x3f));
      text += static_cast<char>(0x80 | (c & 0x3f));
    } else {
      text += static_cast<char>(0xf0 | c >> 18);
      text += static_cast<char>(0x80 | (c >> 12 & 0x3f));
      text += static_cast<char>(0x80 | (c >> 6 & 0x3f));
      text += static_cast<char>(0x80 | (c & 0x3f));
    }
  }
  return IsReadable(text) ? text : "";
}

std::string Utf16At(RuntimeScene& scene, std::uint64_t address, std::uint64_t units) {
  if (units == 0 || units > RuntimeScene::kTextMax) return {};
  const std::string bytes = scene.Bytes({address, address + 2 * units});
  return bytes.size() == 2 * units ? FromUtf16(bytes) : std::string();
}

/// A QString that fits the format: of Qt 5 a pointer to {references, size, allocated, offset}, the text
/// behind that; of Qt 6 {header, text, size}.
std::string FindMessage(RuntimeScene& scene, std::size_t last, const std::string& format) {
  const std::vector<std::uint64_t> words = scene.WordsTo(last);
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (!scene.IsWritable(words[i])) continue;
    std::string text;
    const auto head = scene.Words({words[i], words[i] + 24});
    if (words[i] % 8 == 0 && head.size() == 3 && head[2] == 24 && (head[0] & UINT32_MAX) < 4096)
      text = Utf16At(scene, words[i] + 24, head[0] >> 32);
    if (text.empty() && i + 1 < words.size()) text = Utf16At(scene, words[i], words[i + 1]);
    if (!text.empty() && FitsFormat(format, text)) return text;
  }
  return {};
}

}  // namespace

std::optional<Cause> RecogniseQt(RuntimeScene& scene, std::size_t frame) {
  const auto& names = scene.names();
  if (!RuntimeScene::IsOneOf(
          names[frame], {"QMessageLogger::fatal", "qt_assert", "qt_assert_x", "qt_message_fatal", "qFatal"}))
    return std::nullopt;
  const auto assertion = scene.Find({"qt_assert", "qt_assert_x"}, frame);
  if (assertion && *assertion <= frame + 4) {  // (expression, file, line); (where, what, file, line)
    Cause cause = scene.Make(CauseKind::kAssert, "Qt");
    cause.expression = scene.ArgumentText(*assertion, names[*assertion] == "qt_assert_x" ? 1 : 0);
    return cause;
  }
  const auto fatal = scene.Find({"QMessageLogger::fatal"}, frame);
  const std::string format = fatal ? scene.ArgumentText(*fatal, 1) : "";
  std::string message;
  if (!format.empty()) {
    message = format.find('%') == std::string::npos ? format : FindMessage(scene, *fatal, format);
    if (message.empty()) message = scene.FormattedByArguments(format, *fatal, 2);  // this, format
  }
  Cause cause = scene.Make(CauseKind::kRuntimeFatal, "Qt", message);
  cause.what = "fatal error";
  return cause;
}

}  // namespace obit
