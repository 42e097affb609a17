#include "server/clerk_orders.h"

#include <algorithm>
#include <cstring>
#include <span>

#include "base/limits.h"
#include "base/unix_socket.h"
#include "server/facts_record.h"
#include "server/message_bytes.h"

namespace obit {
namespace {

/// Lines for the log that wait for a clerk, at most: of what is lost; and of what is only counted, beside one
/// for all others.
constexpr std::size_t kLinesMax = 64;

}  // namespace

std::string ClerkOrders::Encode(const Order& order, std::string_view text) {
  std::string message(reinterpret_cast<const char*>(&order), sizeof order);
  message.append(text.substr(0, kMessageMax - sizeof order));
  return message;
}

ClerkOrders::Flushed ClerkOrders::Send(const std::string& bytes, std::initializer_list<const Fd*> fds) const {
  const auto sent = SendMessage(*socket_, std::as_bytes(std::span(bytes)), NumbersOf(fds));
  if (sent) return Flushed::kAll;
  return IsShortage(sent.error()) ? Flushed::kShort : Flushed::kFull;
}

void ClerkOrders::Connect(const Fd* socket) {
  socket_ = socket;
  sent_ = 0;
  discards_told_ = 0;  // they went with who had them
  held_told_ = room_due_ = false;
  stop_sent_ = false;
  configuration_due_ = !configuration_.empty();
  load_changed_ = true;
}

void ClerkOrders::Give(const Order& order, std::string_view facts, std::string_view reason, Fd mapped,
                       FactsBudget::Room room, Fd trace) {
  orders_.push_back({order.crash, Encode(order, std::string(facts).append(reason)), std::move(mapped),
                     std::move(trace), std::move(room)});
}

/// The clerk answers in the order in which it was told; but a new one may answer what the old one was told
/// too.
void ClerkOrders::OnDone(CrashKey crash) {
  const auto sent_end = orders_.begin() + static_cast<std::ptrdiff_t>(sent_);
  const auto done =
      std::find_if(orders_.begin(), sent_end, [&](const Message& one) { return one.crash == crash; });
  if (done == sent_end) return;
  orders_.erase(done);
  --sent_;
}

void ClerkOrders::AddRepeats(std::vector<RepeatsOfKept> counts) {
  for (RepeatsOfKept& count : counts) repeats_.insert_or_assign(count.repeats.id, std::move(count));
}

void ClerkOrders::AddLost(std::string line) {
  if (lost_lines_.size() < kLinesMax) lost_lines_.push_back(std::move(line));
}

void ClerkOrders::AddCounted(std::string_view comm, const RecordHead& head, CountCause cause) {
  auto found = counted_.find({cause, std::string(comm), head.signal});
  if (found == counted_.end()) {
    const bool has_room = counted_.size() < kLinesMax;
    const auto kind =
        has_room ? std::tuple(cause, std::string(comm), head.signal) : std::tuple(cause, std::string(), 0);
    const Order order{.kind = Order::Kind::kCount,
                      .head = has_room ? head : RecordHead{},
                      .cause = static_cast<std::uint32_t>(cause)};
    found = counted_.try_emplace(kind, order).first;
  }
  ++found->second.count;
}

void ClerkOrders::Discard(Fd bag) {
  if (bag) discarded_.push_back(std::move(bag));
}

void ClerkOrders::SetLoad(const Order::Load& load) {
  if (std::memcmp(&load, &load_, sizeof load) == 0) return;
  load_ = load;
  load_changed_ = true;
}

void ClerkOrders::Hold(bool held) { held_ = held; }

void ClerkOrders::Configure(std::string text) {
  configuration_ = std::move(text);
  configuration_due_ = true;
}

/// What changes how the clerk goes on.
ClerkOrders::Flushed ClerkOrders::SendControl() {
  if (configuration_due_) {
    const auto sent = Send(Encode({.kind = Order::Kind::kConfigure}, configuration_));
    if (sent != Flushed::kAll) return sent;
    configuration_due_ = false;
  }
  if (held_ != held_told_) {
    const auto sent = Send(Encode({.kind = Order::Kind::kHoldJobs, .held = held_ ? 1U : 0U}, {}));
    if (sent != Flushed::kAll) return sent;
    held_told_ = held_;
  }
  if (room_due_) {
    const auto sent = Send(Encode({.kind = Order::Kind::kAskRoom}, {}));
    if (sent != Flushed::kAll) return sent;
    room_due_ = false;
  }
  return Flushed::kAll;
}

ClerkOrders::Flushed ClerkOrders::SendBags() {
  while (!discarded_.empty()) {
    const auto sent = Send(Encode({.kind = Order::Kind::kDiscard}, {}), {&discarded_.front()});
    if (sent != Flushed::kAll) return sent;
    discarded_.pop_front();
    ++discards_told_;
  }
  return Flushed::kAll;
}

/// One whose bags cannot be sent goes without them.
ClerkOrders::Flushed ClerkOrders::SendOrders() {
  while (sent_ < orders_.size()) {
    Message& next = orders_[sent_];
    auto sent = Send(next.bytes, {&next.mapped, &next.trace});
    if (sent == Flushed::kShort && (next.mapped || next.trace)) {
      Discard(std::move(next.mapped));
      Discard(std::move(next.trace));
      Order order;
      std::memcpy(&order, next.bytes.data(), sizeof order);
      order.has_mapped = order.has_trace = 0;
      std::memcpy(next.bytes.data(), &order, sizeof order);
      sent = Send(next.bytes);
    }
    if (sent != Flushed::kAll) return sent;
    next.mapped.Reset();
    next.trace.Reset();
    ++sent_;
  }
  return Flushed::kAll;
}

/// The load is the last: by then the clerk has all lines that it will get of what is lost.
ClerkOrders::Flushed ClerkOrders::SendNumbers() {
  while (!lost_lines_.empty()) {
    const auto sent = Send(Encode({.kind = Order::Kind::kLost}, lost_lines_.front()));
    if (sent != Flushed::kAll) return sent;
    lost_lines_.pop_front();
  }
  while (!counted_.empty()) {
    const auto& [kind, order] = *counted_.begin();
    const auto sent = Send(Encode(order, std::get<std::string>(kind)));
    if (sent != Flushed::kAll) return sent;
    counted_.erase(counted_.begin());
  }
  while (!repeats_.empty()) {
    const RepeatsOfKept& count = repeats_.begin()->second;
    Order order{.kind = Order::Kind::kRepeats, .count = count.repeats.crashes};
    SetText(order.head.id, count.repeats.id);
    order.head.time = count.kept_time;
    order.first = count.repeats.first;
    order.last = count.repeats.last;
    const auto sent = Send(Encode(order, {}));
    if (sent != Flushed::kAll) return sent;
    repeats_.erase(repeats_.begin());
  }
  if (load_changed_) {
    const auto sent = Send(Encode({.kind = Order::Kind::kLoad, .load = load_}, {}));
    if (sent != Flushed::kAll) return sent;
    load_changed_ = false;
  }
  return Flushed::kAll;
}

ClerkOrders::Flushed ClerkOrders::Flush() {
  if (socket_ == nullptr || stop_sent_) return Flushed::kAll;
  if (const auto sent = SendControl(); sent != Flushed::kAll) return sent;
  const auto bags = SendBags();
  if (bags == Flushed::kFull) return bags;
  if (const auto sent = SendOrders(); sent != Flushed::kAll) return sent;
  if (numbers_due_ || stop_) {
    if (const auto sent = SendNumbers(); sent != Flushed::kAll) return sent;
    numbers_due_ = false;
  }
  if (stop_) {
    const auto sent = Send(Encode({.kind = Order::Kind::kStop}, {}));
    if (sent != Flushed::kAll) return sent;
    stop_sent_ = true;
  }
  return bags;
}

}  // namespace obit
