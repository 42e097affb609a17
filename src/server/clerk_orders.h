#pragma once

#include <cstdint>
#include <deque>
#include <initializer_list>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "manager/count_cause.h"
#include "policy/crash_sites.h"
#include "server/facts_budget.h"
#include "server/messages.h"

namespace obit {

/// What the manager has to tell the clerk. Nothing here waits: what the clerk does not take at once is kept,
/// and sent when it can take more; what it had not done when it died is told to its successor. Whoever
/// accepts crashes bounds how many there are, and by FactsBudget what they hold.
class ClerkOrders {
 public:
  /// A clerk that listens on the other end of `socket`, which does not block; nullptr: there is none. All
  /// orders that are not done are told again.
  void Connect(const Fd* socket);

  /// For kRecord, kCommit and kKeepWithoutCore. `mapped` may be empty; it is for the clerk of now alone.
  /// `room` is what the facts take, until the clerk has done the order. `trace` as `mapped`.
  void Give(const Order& order, std::string_view facts, std::string_view reason, Fd mapped,
            FactsBudget::Room room = {}, Fd trace = {});
  void OnDone(CrashKey crash);

  // Numbers: told together, at most one message of a kind at a time.
  void AddRepeats(std::vector<RepeatsOfKept> counts);
  /// The line of a lost crash, if not too many wait: how many there are the load tells.
  void AddLost(std::string line);
  /// Each clerk is told the last one.
  void SetLoad(const Order::Load& load);
  void Hold(bool held);
  /// The clerk is to say what room there is. A new one says it by itself.
  void AskRoom() { room_due_ = true; }
  void Configure(std::string text);
  /// One that is only counted, and is no repeat, for the log: those of one name, signal and cause are told
  /// together.
  void AddCounted(std::string_view comm, const RecordHead& head, CountCause cause);
  /// A bag that nobody wants any more, with what is in it.
  void Discard(Fd bag);
  void OnDiscarded() { discards_told_ -= discards_told_ > 0 ? 1 : 0; }
  /// Those that are not sent yet. Nothing bounds them here: whoever accepts crashes counts them.
  [[nodiscard]] std::size_t discarded() const { return discarded_.size(); }
  /// The same, and those that are sent: what is in them is under way until the clerk has closed them.
  [[nodiscard]] std::size_t not_closed() const { return discarded_.size() + discards_told_; }
  /// After all orders.
  void Stop() { stop_ = true; }

  enum class Flushed : std::uint8_t {
    kAll,
    kFull,   ///< the clerk takes no more for now: the socket is to be waited for
    kShort,  ///< of memory, or of descriptors under way: the socket may have room all the while
  };
  /// Sends what the clerk takes. Bags that nobody wants come before orders: as long as they are not empty
  /// they keep other descriptors from being sent. What has no descriptor never waits for them.
  [[nodiscard]] Flushed Flush();
  /// Sends also the numbers that may wait for company: once a second is enough.
  void FlushNumbers() { numbers_due_ = true; }

 private:
  struct Message {
    CrashKey crash = 0;
    std::string bytes;
    Fd mapped, trace;
    FactsBudget::Room room;
  };
  [[nodiscard]] Flushed Send(const std::string& bytes, std::initializer_list<const Fd*> fds = {}) const;
  [[nodiscard]] Flushed SendControl();
  [[nodiscard]] Flushed SendBags();
  [[nodiscard]] Flushed SendOrders();
  [[nodiscard]] Flushed SendNumbers();
  static std::string Encode(const Order& order, std::string_view text);

  const Fd* socket_ = nullptr;
  std::deque<Message> orders_;  // given and not done, the oldest first
  std::size_t sent_ = 0;        // of them, from the front
  std::deque<std::string> lost_lines_;
  std::map<std::tuple<CountCause, std::string, std::int32_t>, Order> counted_;  // by name and signal
  std::deque<Fd> discarded_;
  std::size_t discards_told_ = 0;                 // to the clerk of now, and not answered
  std::map<std::string, RepeatsOfKept> repeats_;  // by the id of the crash that was kept
  Order::Load load_;
  bool load_changed_ = false, numbers_due_ = false, stop_ = false, stop_sent_ = false;
  bool held_ = false, held_told_ = false, room_due_ = false;
  std::string configuration_;
  bool configuration_due_ = false;
};

}  // namespace obit
