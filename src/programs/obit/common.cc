#include "common.h"

#include <algorithm>

#include <fcntl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/text.h"
#include "catalog/list.h"
#include "catalog/selector.h"
#include "config/config_files.h"
#include "render/times.h"
#include "render/words.h"

namespace obit {

ExitCode Failed(const Error& error) {
  Log(Severity::kError, "{}", error.what);
  return ExitCode::kFailed;
}

ExitCode NotSelected(const Error& error) {
  Log(Severity::kError, "{}", error.what);
  return error.code == ENOTUNIQ ? ExitCode::kSeveral : ExitCode::kNoMatch;
}

std::expected<Store, ExitCode> OpenStore(const std::string& path) {
  auto store = Store::Open(path);
  if (store) return std::move(*store);
  if (store.error().code == ENOENT) {
    Log(Severity::kError, "{} is no store: obitd makes one when it starts, and so does obit import", path);
    return std::unexpected(ExitCode::kFailed);
  }
  return std::unexpected(Failed(store.error()));
}

std::expected<CrashList, ExitCode> ListStore(const Store& store) {
  auto list = ListCrashes(store);
  if (!list) return std::unexpected(Failed(list.error()));
  return std::move(*list);
}

std::expected<std::int64_t, ExitCode> SinceOf(const std::string& since) {
  if (const auto begin = ParseSince(since, RealtimeNow())) return *begin;
  Log(Severity::kError, "--since {}: not a time such as 2h, 3d, today or 2026-11-22", since);
  return std::unexpected(ExitCode::kUsage);
}

ExitCode KeepSince(std::vector<CrashSummary>& crashes, const std::string& since) {
  if (since.empty()) return ExitCode::kDone;
  const auto begin = SinceOf(since);
  if (!begin) return begin.error();
  std::erase_if(crashes, [&](const CrashSummary& crash) { return crash.time < *begin; });
  return ExitCode::kDone;
}

std::expected<CrashLocation, ExitCode> ChooseFrom(const CrashList& list, const std::string& store_path,
                                                  const std::string& selector, std::string_view doing,
                                                  std::string_view verb) {
  const auto selected = SelectCrash(list.crashes, selector);
  if (!selected) {
    // It may be there and be unreadable: that is the better answer.
    for (const BrokenCrash& broken : list.broken)
      if (broken.location.id.starts_with(selector)) return std::unexpected(Failed(broken.why));
    for (const UnreadableDay& day : list.unreadable) (void)Failed(day.why);
    return std::unexpected(NotSelected(selected.error()));
  }
  const CrashSummary& crash = *selected->crash;
  if (selected->others > 0) {
    std::string text = fmt::format(
        "{} crashes of {}; {} the newest, {} ({})", selected->others + 1, selector, doing,
        ShortId(crash.location),
        crash.core_removed ? "its core was removed" : CoreColumn(crash.outcome, crash.core_bytes));
    if (selected->whole != nullptr)
      text += fmt::format(". The full one: {} {} {}", CommandFor(store_path), verb,
                          ShortId(selected->whole->location));
    Log(Severity::kNotice, "{}", text);
  }
  return crash.location;
}

std::expected<std::map<CrashLocation, const CrashSummary*>, ExitCode> ChooseEach(
    std::span<const CrashSummary> crashes, const std::vector<std::string>& selectors, Prefer prefer) {
  std::map<CrashLocation, const CrashSummary*> chosen;
  for (const std::string& selector : selectors) {
    const auto selected = SelectCrash(crashes, selector, prefer);
    if (!selected) return std::unexpected(NotSelected(selected.error()));
    if (selected->others > 0) {
      const Error several{ENOTUNIQ, fmt::format("{} crashes of {}: give an id, or @1 for the newest of all",
                                                selected->others + 1, selector)};
      return std::unexpected(NotSelected(several));
    }
    chosen.emplace(selected->crash->location, selected->crash);
  }
  return chosen;
}

std::expected<ChosenCrash, ExitCode> ChooseCrash(const std::string& store_path, const std::string& selector,
                                                 std::string_view doing, std::string_view verb) {
  auto store = OpenStore(store_path);
  if (!store) return std::unexpected(store.error());
  const auto list = ListStore(*store);
  if (!list) return std::unexpected(list.error());
  const auto crash = ChooseFrom(*list, store_path, selector, doing, verb);
  if (!crash) return std::unexpected(crash.error());
  auto record = store->Load(*crash);
  if (!record) return std::unexpected(Failed(record.error()));
  return ChosenCrash{std::move(*store), *crash, std::move(*record)};
}

const std::string& DefaultStore() {
  static const std::string store = [] {
    const auto loaded = LoadConfig(SystemConfig());
    if (loaded) return loaded->config.store;
    Config defaults;
    Log(Severity::kWarning, "{}; the store is taken to be {}", loaded.error().what, defaults.store);
    return std::move(defaults.store);
  }();
  return store;
}

std::string CommandFor(const std::string& store) {
  return store == DefaultStore() ? "obit" : "obit --store " + QuoteForShell(store);
}

namespace {

/// What was printed and not yet written. Not stdio's: that loses bytes when standard output does not block.
struct Output {
  std::string text;
  Result<void> written;

  void Write() {
    if (written && !text.empty()) {
      const Fd out(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0));
      written = out ? WriteAll(out, text) : Result<void>(Fail(errno, "open"));
    }
    text.clear();
  }
};
Output& Printed() {
  static Output output;
  return output;
}

}  // namespace

void Print(std::string_view text) {
  constexpr std::size_t kBuffered = 64 * 1024;
  static const bool terminal = ::isatty(STDOUT_FILENO) == 1;  // somebody waits for each line
  Printed().text += text;
  if (terminal || Printed().text.size() >= kBuffered) Printed().Write();
}

void PrintJson(std::string_view json) {
  std::string out;
  out.reserve(json.size());
  while (!json.empty()) {
    const std::size_t length = std::max<std::size_t>(Utf8Length(json), 1);
    const std::string_view character = json.substr(0, length);
    // The controls below are not in strings: JSON escapes them itself.
    if (static_cast<unsigned char>(character[0]) < ' ' || EscapeControls(character) == character)
      out += character;
    else if (length == 1)
      out += "\\u007f";  // what is not UTF-8 was made so before
    else
      out += fmt::format("\\u{:04x}", length == 2 ? (character[0] & 0x1f) << 6 | (character[1] & 0x3f)
                                                  : (character[0] & 0x0f) << 12 | (character[1] & 0x3f) << 6 |
                                                        (character[2] & 0x3f));
    json.remove_prefix(length);
  }
  Print(out);
}

Result<void> FlushOutput() {
  Printed().Write();
  return Printed().written;
}

}  // namespace obit
