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
  std::atomic<std::int32_t> pid;
  std::atomic<std::uint32_t> uid;
  std::atomic<std::int64_t> time;
  struct Place {
    std::atomic<std::uint64_t> hash;
    std::atomic<std::int64_t> until;
    std::atomic<std::uint64_t> crashes;
    std::atomic<std::int64_t> last;
  };
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

void DoorBoard::Count(std::size_t place, std::int64_t time) {
  Page::Place& counted = page_->places.at(place);
  counted.last.store(time, std::memory_order_relaxed);
  counted.crashes.fetch_add(1, std::memory_order_release);
}

DoorBoard::Counted DoorBoard::counted(std::size_t place) const {
  const Page::Place& counted = page_->places.at(place);
  const std::uint64_t crashes = counted.crashes.load(std::memory_order_acquire);
  return {crashes, counted.last.load(std::memory_order_relaxed)};
}

void DoorBoard::Take(const Hand& hand) {
  page_->uid.store(hand.uid, std::memory_order_relaxed);
  page_->time.store(hand.time, std::memory_order_relaxed);
  page_->pid.store(hand.pid, std::memory_order_release);
  page_->taken.fetch_add(1, std::memory_order_release);
}

void DoorBoard::LetGo() { page_->pid.store(0, std::memory_order_release); }

DoorBoard::Hand DoorBoard::hand() const {
  const pid_t pid = page_->pid.load(std::memory_order_acquire);
  return {pid, page_->uid.load(std::memory_order_relaxed), page_->time.load(std::memory_order_relaxed)};
}

std::uint64_t DoorBoard::taken() const { return page_->taken.load(std::memory_order_acquire); }

}  // namespace obit
