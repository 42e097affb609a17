#include <algorithm>
#include <cerrno>
#include <optional>

#include "base/clock.h"
#include "base/disk_space.h"
#include "base/log.h"
#include "base/text.h"
#include "catalog/kept.h"
#include "catalog/selector.h"
#include "common.h"
#include "config/config_files.h"
#include "policy/retention.h"
#include "render/times.h"
#include "render/units.h"
#include "store/access.h"
#include "verbs.h"

namespace obit {
namespace {

/// The limits of the system's configuration, or those that the command line gives.
struct Wanted {
  Config config;
  std::optional<std::int64_t> core_age;  // ns
};
std::expected<Wanted, ExitCode> ReadOptions(const VacuumOptions& options, std::int64_t now) {
  const auto wrong = [](std::string_view option, const std::string& what) {
    Log(Severity::kError, "{}: {}", option, what);
    return std::unexpected(ExitCode::kUsage);
  };
  auto loaded = LoadConfig(SystemConfig());
  if (!loaded) return std::unexpected(Failed(loaded.error()));
  Wanted wanted{std::move(loaded->config), std::nullopt};
  // Who gives a limit means this one: with "--size 50G" nobody expects what is a month old to go as well.
  if (!options.size.empty() || !options.free.empty() || !options.age.empty()) {
    wanted.config.retention_size = wanted.config.retention_free = {};
    wanted.config.retention_core_days = wanted.config.retention_short_days = 0;
    wanted.config.retention_record_days = 0;
  }
  for (const auto& [name, text, amount] : {std::tuple{"--size", &options.size, &wanted.config.retention_size},
                                           {"--free", &options.free, &wanted.config.retention_free}}) {
    if (text->empty()) continue;
    const auto parsed = ParseDiskAmount(*text);
    if (!parsed) return wrong(name, parsed.error().what);
    *amount = *parsed;
  }
  if (!options.age.empty()) {
    const auto oldest = ParseSince(options.age, now);
    if (!oldest || *oldest > now)
      return wrong("--age", options.age + " is no age such as 30d, 12h or 2026-11-22");
    wanted.core_age = now - *oldest;
  }
  return wanted;
}

/// Plans until nothing was in the way.
constexpr int kRoundsMax = 8;

/// What goes, step by step.
class Sweep {
 public:
  Sweep(const Store& store, const CrashList& list, Wanted wanted, bool dry_run)
      : store_(store), wanted_(std::move(wanted)), dry_run_(dry_run) {
    for (const CrashSummary& crash : list.crashes) {
      const Store::Presence presence = store.PresenceOf(crash.location);
      if (!presence.exists) continue;
      kept_.Add(crash);
      kept_.crashes().back().pin = presence.pin;
      names_.push_back(ShortName(crash));
    }
    for (const BrokenCrash& crash : list.broken) {
      kept_.Add(store, crash);
      if (kept_.crashes().size() == names_.size()) continue;
      kept_.crashes().back().pin = store.PresenceOf(crash.location).pin;
      names_.push_back(ShortId(crash.location) + " (its record cannot be read)");
    }
    kept_.ShareAs(ReadUserRanges());
    (void)kept_.Measure(store);  // the next list finds out by itself
  }

  ExitCode Run(std::int64_t now) {
    const auto space = DiskSpaceOf(store_.root());
    if (!space) return Failed(space.error());
    // What cannot be removed is passed over, and something else goes in its place. Owners can see to it that
    // there is always something in the way.
    int rounds = 0;
    do {
      again_ = false;
      // Some file systems free late what was removed, and a dry run removes nothing.
      RetentionLimits limits = LimitsOf(wanted_.config, space->all, space->free + bytes_);
      if (wanted_.core_age) limits.core_age = *wanted_.core_age;
      for (const RetentionStep& step : PlanRetention(kept_.crashes(), limits, now).steps) Take(step, now);
    } while (again_ && ++rounds < kRoundsMax);
    Tell();
    return failed_ ? ExitCode::kFailed : ExitCode::kDone;
  }

 private:
  void Take(const RetentionStep& step, std::int64_t now) {
    KeptCrash& crash = kept_.crashes()[step.crash];
    const CrashLocation location = kept_.LocationOf(step.crash);
    // Who pins a crash does so since he sees that others go.
    if (const PinKind pin = store_.PresenceOf(location).pin; pin != PinKind::kNone && pin != crash.pin) {
      crash.pin = pin;
      again_ = true;
      return;
    }
    if (const auto confirmed = Confirm(store_, location, crash); !confirmed) {
      failed_ = again_ = crash.fixed = true;
      (void)Failed(confirmed.error());
      return;
    }
    // "--age 12h" is not what the configuration says.
    const std::string why = step.why == RetentionReason::kAge && wanted_.core_age && !step.whole
                                ? "it was older than asked for"
                                : DescribeRemoval(step.why, step.whole, wanted_.config);
    const auto remove = [&]() -> Result<void> {
      if (dry_run_) return {};
      if (step.whole) return store_.Remove(location);
      OBIT_TRY(
          store_.RemoveCore(location, {.id = location.id, .time = now, .bytes = step.frees, .why = why}));
      return {};
    };
    const auto removed = remove();
    const bool is_left = !removed && step.whole && removed.error().code == ENOTEMPTY;
    if (!removed && !is_left && removed.error().code != ENOENT) {
      failed_ = again_ = crash.fixed = true;
      (void)Failed(removed.error());
      return;
    }
    if (is_left) Log(Severity::kWarning, "{}", removed.error().what);
    crash.core_bytes = 0;
    if (step.whole) crash.record_bytes = 0, crash.fixed = true;
    ++(step.whole ? crashes_ : cores_);
    bytes_ += step.frees;
    Print(fmt::format("{} {}{}, {}: {}\n", dry_run_ ? "would remove" : "removed",
                      step.whole ? "all of " : "the core of ", EscapeForTerminal(names_[step.crash]),
                      FormatBytes(step.frees), why));
  }

  void Tell() const {
    std::uint64_t used = 0;
    for (const KeptCrash& crash : kept_.crashes()) used += crash.core_bytes + crash.record_bytes;
    if (cores_ + crashes_ == 0)
      return Print(fmt::format("Nothing to remove: {}, {} on the disk.\n",
                               FormatCount(kept_.crashes().size(), "crash"), FormatBytes(used)));
    std::vector<std::string> what;
    if (cores_ > 0) what.push_back(FormatCount(cores_, "core"));
    if (crashes_ > 0) what.push_back(FormatCount(crashes_, "whole crash"));
    Print(fmt::format("{}{}: {} freed, {} stay.\n", what.front(),
                      what.size() > 1 ? " and " + what.back() : std::string(), FormatBytes(bytes_),
                      FormatBytes(used)));
  }

  const Store& store_;
  Wanted wanted_;
  bool dry_run_, again_ = false, failed_ = false;
  KeptCrashes kept_;
  std::vector<std::string> names_;
  std::uint64_t cores_ = 0, crashes_ = 0, bytes_ = 0;
};

}  // namespace

ExitCode Vacuum(const std::string& store_path, const VacuumOptions& options) {
  const std::int64_t now = RealtimeNow();
  auto wanted = ReadOptions(options, now);
  if (!wanted) return wanted.error();
  const auto store = OpenStore(store_path);
  if (!store) return store.error();
  const auto list = ListStore(*store);
  if (!list) return list.error();
  ExitCode code = Sweep(*store, *list, std::move(*wanted), options.dry_run).Run(now);
  // Others count like all crashes: obit list tells of them.
  for (const BrokenCrash& broken : list->broken)
    if (!SaysThereIsNone(broken.why)) code = Failed(broken.why);
  return code;
}

}  // namespace obit
