// GLib (glib/gmessages.c, glib/gtestutils.c): g_error, criticals that are fatal, g_assert.

#include "analyze/runtime_words.h"
#include "base/text.h"

namespace obit {
namespace {

constexpr std::uint64_t kError = 4, kCritical = 8, kWarning = 16;  // GLogLevelFlags

std::string_view LevelName(std::uint64_t flags) {
  if ((flags & kError) != 0) return "error";
  if ((flags & kCritical) != 0) return "critical";
  return (flags & kWarning) != 0 ? "warning" : "";
}

/// GLogField: key, value, length. An array of them is what a message is made of.
std::string FieldIn(RuntimeScene& scene, const std::vector<std::uint64_t>& words, std::string_view key) {
  for (std::size_t i = 0; i + 2 < words.size(); ++i) {
    // The length is -1 for a text that ends with a NUL.
    if (words[i + 2] != UINT64_MAX || scene.image().Find(words[i]) == nullptr) continue;
    if (scene.Text(words[i], 32) != key) continue;
    if (std::string text = scene.Text(words[i + 1]); !text.empty()) return text;
  }
  return {};
}

std::string LogMessage(RuntimeScene& scene, std::size_t last, std::optional<std::size_t> g_log) {
  std::string message = FieldIn(scene, scene.WordsTo(last), "MESSAGE");
  if (!message.empty()) return message;
  // The default handler made the fields, and has returned.
  message = FieldIn(scene, scene.Words(scene.StackLeft(16 * 1024)), "MESSAGE");
  const std::string format = g_log ? scene.ArgumentText(*g_log, 2) : "";
  if (format.empty()) return message;
  if (!message.empty()) return FitsFormat(format, message) ? message : "";
  message = scene.Formatted(format, {}, scene.WordsTo(*g_log));  // g_logv keeps the text that it made
  return message.empty() ? scene.FormattedByArguments(format, *g_log, 3) : message;
}

Cause Assertion(RuntimeScene& scene, std::size_t frame) {
  Cause cause = scene.Make(CauseKind::kAssert, "GLib");
  // "ERROR:shop.c:12:check: assertion failed: (n == 3)"
  if (const auto symbol = scene.Symbol("libglib-2.0.so", "__glib_assert_msg"))
    if (const auto text = scene.image().ReadWord(*symbol)) cause.message = scene.Text(*text);
  constexpr std::string_view kFailed = "assertion failed";
  if (const std::size_t at = cause.message.find(kFailed); at != std::string::npos) {
    cause.expression = cause.message.substr(at + kFailed.size());
    if (cause.expression.starts_with(": ")) cause.expression.erase(0, 2);
    cause.expression = std::string(Trim(cause.expression));
    // "(n == 3)": these parentheses are GLib's.
    if (cause.expression.starts_with('(') && cause.expression.find(')') == cause.expression.size() - 1)
      cause.expression = cause.expression.substr(1, cause.expression.size() - 2);
  } else if (cause.message.empty() && scene.names()[frame] == "g_assertion_message_expr") {
    cause.expression = scene.ArgumentText(frame, 4);
  } else if (const std::size_t text = cause.message.rfind(": "); text != std::string::npos) {
    cause.expression = cause.message.substr(text + 2);
  }
  return cause;
}

}  // namespace

std::optional<Cause> RecogniseGlib(RuntimeScene& scene, std::size_t frame) {
  const auto& names = scene.names();
  // The part of g_assertion_message that aborts has no name where that was moved away.
  if (names[frame].empty() && frame > 0 && RuntimeScene::IsOneOf(names[frame - 1], {"abort", "__GI_abort"}) &&
      scene.ModuleName(frame).starts_with("libglib-2.0.so"))
    if (Cause cause = Assertion(scene, frame); !cause.message.empty()) return cause;
  if (RuntimeScene::IsOneOf(names[frame], {"g_assertion_message*", "g_assert_warning"}))
    return Assertion(scene, frame);
  if (!RuntimeScene::IsOneOf(names[frame], {"g_log", "g_logv", "g_log_*", "g_return_if_fail_warning"}))
    return std::nullopt;
  std::size_t last = frame;
  while (last + 1 < names.size() &&
         (scene.ModuleName(last + 1).starts_with("libglib-2.0.so") ||
          RuntimeScene::IsOneOf(names[last + 1], {"g_log*", "g_return_if_fail_warning"})))
    ++last;
  const auto assertion = scene.Find({"g_assertion_message*"}, frame);
  if (assertion && *assertion <= last) return Assertion(scene, *assertion);
  auto g_log = scene.Find({"g_log"}, frame);
  if (g_log && *g_log > last) g_log.reset();
  Cause cause = scene.Make(CauseKind::kRuntimeFatal, "GLib", LogMessage(scene, last, g_log));
  // Among those that syslog(3) knows, an error is called 3, and nothing else is.
  if (!g_log && FieldIn(scene, scene.WordsTo(last), "PRIORITY") == "3") cause.what = "error";
  if (const auto flags = g_log ? scene.Arguments(*g_log)[1] : std::nullopt) cause.what = LevelName(*flags);
  return cause;
}

}  // namespace obit
