#include "server/door_board.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <span>
#include <string>
#include <utility>

#include <sys/mman.h>
#include <unistd.h>

namespace obit {

struct DoorBoard::Page {
  HashKey key;
  std::atomic<std::uint64_t> taken;
  struct Hand {
    std::atomic<std::int64_t> pid;  // 0: it is free
    std::atomic<std::int64_t> uid, time;
    std::atomic<std::uint64_t> place;    // where it is about to be counted, from 1; 0: nowhere
    std::atomic<std::uint64_t> crashes;  // that place has once it is
  };
  struct Place {
    std::atomic<std::uint64_t> hash;
    std::atomic<std::int64_t> until;
    std::atomic<std::uint64_t> crashes;
    std::atomic<std::int64_t> last;
  };
  std::array<Hand, kHands> hands;
  std::array<Place, kPlaces> places;
  static_assert(std::atomic<std::uint64_t>::is_always_lock_free);
};

std::size_t DoorBoard::Bytes() {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  return (sizeof(Page) + page - 1) / page * page;
}

Result<DoorBoard> DoorBoard::Map(int fd, off_t offset) {
  const int flags = MAP_SHARED | (fd < 0 ? MAP_ANONYMOUS : 0);
  void* memory = ::mmap(nullptr, Bytes(), PROT_READ | PROT_WRITE, flags, fd, fd < 0 ? 0 : offset);
  if (memory == MAP_FAILED) return Fail(errno, "map the door's board");
  return DoorBoard(static_cast<Page*>(memory));
}

DoorBoard::DoorBoard(DoorBoard&& other) noexcept : page_(std::exchange(other.page_, nullptr)) {}

DoorBoard::~DoorBoard() {
  if (page_ != nullptr) ::munmap(page_, Bytes());
}

Result<void> DoorBoard::LetChildrenHaveIt(bool have) const {
  if (::madvise(page_, Bytes(), have ? MADV_DOFORK : MADV_DONTFORK) < 0)
    return Fail(errno, "say whether children have the door's board");
  return {};
}

void DoorBoard::SetKey(const HashKey& key) { page_->key = key; }

std::uint64_t DoorBoard::HashOf(const CrashGlance& glance) const {
  const std::array<std::uint64_t, 7> numbers{
      glance.uid,         static_cast<std::uint64_t>(glance.signal),
      glance.cgroup,      glance.code_bytes,
      glance.offset,      glance.root_only ? 1U : 0U,
      glance.comm.size(),
  };
  std::string bytes(reinterpret_cast<const char*>(numbers.data()), sizeof numbers);
  bytes += glance.comm;
  bytes += glance.program;
  return std::max<std::uint64_t>(KeyedHash(page_->key, std::as_bytes(std::span(bytes))), 1);
}

void DoorBoard::TurnAway(std::size_t place, std::uint64_t hash, std::int64_t until) {
  Page::Place& written = page_->places.at(place);
  written.hash.store(hash, std::memory_order_relaxed);
  written.until.store(until, std::memory_order_release);
}

std::optional<std::size_t> DoorBoard::PlaceOf(std::uint64_t hash, std::int64_t now) const {
  for (std::size_t i = 0; i < kPlaces; ++i) {
    const Page::Place& place = page_->places[i];
    if (now < place.until.load(std::memory_order_acquire) &&
        place.hash.load(std::memory_order_relaxed) == hash)
      return i;
  }
  return std::nullopt;
}

std::int64_t DoorBoard::Until() const {
  std::int64_t until = 0;
  for (const Page::Place& place : page_->places)
    until = std::max(until, place.until.load(std::memory_order_relaxed));
  return until;
}

DoorBoard::Counted DoorBoard::counted(std::size_t place) const {
  const Page::Place& counted = page_->places.at(place);
  const std::uint64_t crashes = counted.crashes.load(std::memory_order_acquire);
  return {crashes, counted.last.load(std::memory_order_relaxed)};
}

std::optional<std::size_t> DoorBoard::FreeHand() const {
  for (std::size_t i = 0; i < kHands; ++i)
    if (page_->hands[i].pid.load(std::memory_order_acquire) == 0) return i;
  return std::nullopt;
}

void DoorBoard::Take(std::size_t hand, const Held& held) {
  Page::Hand& taken = page_->hands.at(hand);
  taken.place.store(0, std::memory_order_relaxed);
  taken.uid.store(held.uid, std::memory_order_relaxed);
  taken.time.store(held.time, std::memory_order_relaxed);
  taken.pid.store(held.pid, std::memory_order_release);
  page_->taken.fetch_add(1, std::memory_order_release);
}

void DoorBoard::Count(std::size_t hand, std::size_t place, std::int64_t time) {
  Page::Hand& held = page_->hands.at(hand);
  Page::Place& counted = page_->places.at(place);
  const std::uint64_t crashes = counted.crashes.load(std::memory_order_relaxed) + 1;
  held.crashes.store(crashes, std::memory_order_relaxed);
  held.place.store(place + 1, std::memory_order_release);
  counted.last.store(time, std::memory_order_relaxed);
  counted.crashes.store(crashes, std::memory_order_release);
  LetGo(hand);
}

void DoorBoard::LetGo(std::size_t hand) { page_->hands.at(hand).pid.store(0, std::memory_order_release); }

std::optional<DoorBoard::Held> DoorBoard::held(std::size_t hand) const {
  const Page::Hand& held = page_->hands.at(hand);
  const std::int64_t pid = held.pid.load(std::memory_order_acquire);
  if (pid == 0) return std::nullopt;
  const std::uint64_t place = held.place.load(std::memory_order_acquire);
  if (place != 0 && place <= kPlaces &&
      page_->places[place - 1].crashes.load(std::memory_order_acquire) ==
          held.crashes.load(std::memory_order_relaxed))
    return std::nullopt;
  // Whatever stands there.
  const bool is_pid = pid > 0 && pid <= INT32_MAX;
  const std::int64_t uid = held.uid.load(std::memory_order_relaxed);
  return Held{.pid = is_pid ? static_cast<pid_t>(pid) : Held::kUnknown,
              .uid = uid >= 0 && uid <= UINT32_MAX ? uid : Held::kUnknown,
              .time = held.time.load(std::memory_order_relaxed)};
}

std::uint64_t DoorBoard::taken() const { return page_->taken.load(std::memory_order_acquire); }

}  // namespace obit
