#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "crash/repeats.h"
#include "crash/site.h"
#include "policy/config.h"

namespace obit {

/// Tells crash loops: a program that is started again and again and crashes at the same site each time. The
/// first crashes of a site are kept (Config::loop_crashes in loop_window); those beyond are counted, and one
/// each loop_interval is kept, until there was none for so long. A storm, many at once, is no loop: a
/// process is never part of one that was started before, or within loop_storm after, the site's first crash.
///
/// It knows kSitesMax sites at most and forgets those first whose time is over; a crash of a site that it
/// does not know is kept.
class CrashLoops {
 public:
  struct Crash {
    std::string id;         ///< that it will have if it is kept
    std::int64_t time = 0;  ///< ns since 1970
    CrashSite site;
    std::int64_t started = 0;  ///< the process, ns of CLOCK_BOOTTIME
    std::int64_t now = 0;      ///< the same clock
  };
  enum class Verdict {
    kKeep,
    kLoopBegins,  ///< to be counted, and it is the first one
    kCount,
  };

  static constexpr std::size_t kSitesMax = 4096;

  [[nodiscard]] Verdict Judge(const Crash& crash, const Config& config);
  /// The crash `id`, which was to be kept, is not there (any more): the next one of its site is kept.
  void Forget(std::string_view id);

  /// What was counted after a crash that was kept.
  struct Count {
    std::int64_t kept_time = 0;  ///< of that crash, ns since 1970
    Repeats repeats;             ///< all of them, not only those since the last call
  };
  /// The counts that have changed since the last call.
  [[nodiscard]] std::vector<Count> TakeChanged();

 private:
  /// What is known of a site in the present period: a window, or an interval of a loop.
  struct Site {
    std::int64_t until = 0;        // the end of the period, CLOCK_BOOTTIME
    std::int64_t storm_until = 0;  // processes that were started up to then are of a storm
    unsigned kept = 0;
    bool looping = false;
    std::int64_t last_counted = 0;
    Count count;  // since the last one that was kept
  };
  static void BeginPeriod(Site& site, std::int64_t now, const Config& config);
  void MakeRoom(std::int64_t now);

  std::map<CrashSite, Site> sites_;
  std::map<std::string, Count> changed_;  // by id
};

}  // namespace obit
