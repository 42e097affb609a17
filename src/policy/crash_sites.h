#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include <sys/types.h>

#include "base/keyed_hash.h"
#include "config/config.h"
#include "crash/repeats.h"
#include "crash/site.h"

namespace obit {

/// What a core may come to on the disk, as far as nothing but the memory of its process is known.
[[nodiscard]] constexpr std::uint64_t StoredEstimate(std::uint64_t resident) { return resident / 4; }

/// Crashes that were counted after one that was kept.
struct RepeatsOfKept {
  std::int64_t kept_time = 0;  ///< of that crash, ns since 1970
  Repeats repeats;             ///< all of them
};

/// What is known of a site in its present window. Another CrashSites can go on with it.
struct SiteState {
  std::uint64_t key = 0;       ///< the site's hash; 0: there is none
  std::int64_t until = 0;      ///< the end of its window, CLOCK_BOOTTIME
  std::uint64_t bytes = 0;     ///< of its cores that are stored
  std::uint64_t promised = 0;  ///< what those under way may come to, beside these
  std::uint64_t largest = 0;
  std::uint64_t variant = 0;             ///< the hash of the first one
  std::uint32_t share = 0;               ///< whose place it takes: CrashSites::Crash::share
  std::uint32_t cores = 0, records = 0;  ///< that are kept, or under way; records with and without a core
  std::uint32_t variants = 0;            ///< that have states of their own, beside this
  std::uint32_t is_loop = 0;             ///< some were only counted
  std::uint32_t failed = 0;              ///< captures that failed, but those that a further one made good
  std::int64_t core_at = 0;              ///< when the last one began that was to have a core, CLOCK_BOOTTIME
  char kept_id[16] = {};  ///< the crash that others are counted after; no text: there is none (any more)
  std::int64_t kept_time = 0;
  std::uint64_t repeats = 0;
  std::int64_t first = 0, last = 0;  ///< of the repeats
  /// The place where its crashes are turned away (CrashSites::SendToDoor), counted from 1; 0: none.
  std::uint32_t door_place = 0;
  std::uint32_t padding = 0;
  std::uint64_t door_counted = 0;  ///< how many that place had counted, of whichever sites, when it was asked

  [[nodiscard]] bool has_kept() const { return kept_id[0] != '\0'; }
  [[nodiscard]] std::string_view kept() const { return {kept_id, ::strnlen(kept_id, sizeof kept_id)}; }
  [[nodiscard]] RepeatsOfKept AllRepeats() const {
    return {kept_time, {.id = std::string(kept()), .crashes = repeats, .first = first, .last = last}};
  }
};
static_assert(std::has_unique_object_representations_v<SiteState>);

/// How much is kept of what crashes again and again at one site. In each window, which begins with the site's
/// first crash, so many have a core, of so many bytes in all (Config::loop_cores, loop_bytes), but that the
/// first one has one of any size; then so many are recorded without (loop_events); more are only counted.
/// There is no exception, however fast they come: a storm at one site tells no more than its first crashes.
/// Captures that failed are made good, one in kAgain, though so many are recorded: a bad minute costs a site
/// no core.
///
/// A process chooses its name, and what lies on its stack. So these only make variants of a site, each with
/// all of the above for its own, and no more than kVariantsMax of them in a window of the site; those beyond
/// share what the first one has.
///
/// It knows kStatesMax variants. One more takes the place of one whose window is over, or else of one of
/// whoever has most: all uids that one user can have are one (Crash::share).
class CrashSites {
 public:
  static constexpr std::size_t kStatesMax = 4096;
  static constexpr std::uint32_t kVariantsMax = 8;
  static constexpr std::uint32_t kDoorPlaces = 16;        ///< SendToDoor
  static constexpr std::int64_t kAgain = 10'000'000'000;  ///< ns

  explicit CrashSites(const HashKey& key) : key_(key) {}

  struct Crash {
    std::string_view id;    ///< that it will have if it is kept: 16 characters at most
    std::int64_t time = 0;  ///< ns since 1970
    const CrashSite& site;
    std::int64_t now = 0;        ///< CLOCK_BOOTTIME
    std::uint64_t resident = 0;  ///< bytes of memory that the process has
    std::optional<uid_t> share;  ///< whose share it takes; nothing: nobody's
    bool may_have_core = true;
  };
  /// As much as may be kept.
  enum class Verdict : std::uint8_t {
    kCore,
    kEvent,
    kLoopBegins,  ///< to be counted, and the first one of its window that is
    kCount,
  };
  /// A crash that was to have a core, or to be recorded.
  struct Ticket {
    std::uint32_t state = 0;
    bool has_core = false;
    std::uint64_t window = 0;    ///< 0: none
    std::uint64_t promised = 0;  ///< bytes
  };
  /// A state in its present window.
  struct Whereabouts {
    std::uint32_t state = 0;
    std::uint64_t window = 0;  ///< 0: none
    auto operator<=>(const Whereabouts&) const = default;
  };
  /// Why a crash that is recorded has no core.
  enum class Bound : std::uint8_t { kCores, kBytes, kRecords };
  struct Judgement {
    Verdict verdict = Verdict::kCore;
    Bound bound = Bound::kCores;  ///< of kEvent, unless it may have none
    Ticket ticket;
    std::string like;  ///< the crash that those without a core come after, if there is one
    SiteState state;   ///< of the site, with this crash
    Whereabouts at;    ///< of that
  };
  [[nodiscard]] Judgement Judge(const Crash& crash, const Config& config);
  /// What the core of such a crash came to, bytes on the disk. 0: there is none, so another one may have it.
  void Ended(const Ticket& ticket, std::uint64_t bytes);
  /// There is no core, against what was decided.
  void Failed(const Ticket& ticket);
  /// There is not even a record.
  void Withdraw(const Ticket& ticket, std::string_view id);
  /// The crash `id`, which others are counted after, is not there any more: the next one of its site is kept,
  /// though not with one more core.
  void Forget(std::string_view id);

  /// From here on crashes of this state are counted elsewhere too, at a place below kDoorPlaces that has
  /// counted so many before, of others. A state has one place at most, and a place one state.
  void SendToDoor(const Whereabouts& at, std::uint32_t place, std::uint64_t counted);
  /// That place has counted so many now (modulo 2^64), the last of them at `last`, ns since 1970. How many
  /// more that are than before: of a window that is over nobody's. None, if so many there cannot have been.
  std::uint64_t CountedAtDoor(std::uint32_t place, std::uint64_t counted, std::int64_t last);
  /// When the window ends; 0: it has.
  [[nodiscard]] std::int64_t UntilOf(const Whereabouts& at) const;

  /// The counts that have changed since the last call.
  [[nodiscard]] std::vector<RepeatsOfKept> TakeRepeats();

  /// States are known by their index, below kStatesMax. All that have changed since the last call.
  template <class Save>
  void TakeChanged(Save save) {
    for (const std::uint32_t index : std::exchange(changed_, {})) {
      marks_[index].changed = false;
      save(index, states_[index]);
    }
  }
  /// The states that another one had, by their indices. What was under way then is not any more.
  void Restore(std::span<const SiteState> states);

 private:
  struct Mark {
    std::uint64_t window = 0;  // no other state or window has it
    bool changed = false;      // since TakeChanged
    bool untold = false;       // its count, since TakeRepeats
  };
  struct DoorPlace {
    Whereabouts at;
    std::uint64_t counted = 0;
  };
  [[nodiscard]] std::uint32_t StateOf(const Crash& crash, const Config& config);
  [[nodiscard]] std::uint32_t Take(std::uint64_t key, uid_t share, std::int64_t now, std::uint32_t but);
  [[nodiscard]] std::uint32_t Victim(std::int64_t now, std::uint32_t but);
  void Drop(std::uint32_t index);
  void Begin(std::uint32_t index, std::int64_t until, std::uint64_t variant);
  void NoteKept(std::uint32_t index, std::string_view id, std::int64_t time);
  void EndCount(std::uint32_t index);
  [[nodiscard]] const SiteState* StateAt(const Whereabouts& at) const;
  [[nodiscard]] SiteState* StateAt(const Whereabouts& at) {
    return const_cast<SiteState*>(std::as_const(*this).StateAt(at));
  }
  void RestoreDoor(std::uint32_t index);
  void Count(std::uint32_t index, std::uint64_t crashes, std::int64_t first, std::int64_t last);
  void Changed(std::uint32_t index);

  static constexpr std::uint32_t kNone = UINT32_MAX;

  HashKey key_;
  std::vector<SiteState> states_;
  std::vector<Mark> marks_;  // of the states
  std::array<DoorPlace, kDoorPlaces> doors_;
  std::unordered_map<std::uint64_t, std::uint32_t> known_;  // states, by their keys
  std::unordered_map<uid_t, std::uint32_t> per_share_;      // how many states each has
  std::vector<std::uint32_t> changed_, untold_;             // states; may name some whose mark is gone
  std::vector<RepeatsOfKept> ended_;                        // counts that grow no more, not told yet
  std::uint64_t windows_ = 0;
  std::uint32_t hand_ = 0;  // where a state whose window is over is looked for
};

}  // namespace obit
