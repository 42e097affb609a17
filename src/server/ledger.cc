#include "server/ledger.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "kernel/core_pattern.h"
#include "server/facts_record.h"
#include "server/ledger_page.h"

namespace obit {
namespace {

/// What is written nowhere else than in a ledger of this program.
bool IsSound(const LedgerEntry& entry) {
  const RecordHead& head = entry.head;
  return IsCrashId({head.id, sizeof head.id}) &&
         head.transport <= static_cast<std::uint32_t>(Transport::kSocketRequest) &&
         head.detail <= static_cast<std::uint32_t>(Detail::kReject) &&
         head.outcome <= static_cast<std::uint32_t>(CrashOutcome::kFailed) && head.lowered < kShortages;
}

/// Only its owner can have written it, and only under this name.
bool IsGenuine(const Fd& file, std::size_t size) {
  struct stat status{};
  return ::fstat(file.get(), &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == ::geteuid() &&
         status.st_nlink == 1 && (status.st_mode & 077) == 0 &&
         static_cast<std::uint64_t>(status.st_size) == size;
}

/// Its blocks are there from the beginning: a full file system must not end who writes (SIGBUS).
Result<Fd> MakeFile(const std::string& path, std::size_t size) {
  if (::unlink(path.c_str()) < 0 && errno != ENOENT) return Fail(errno, "remove {}", path);
  Fd file = OBIT_TRY(Open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
  if (::fallocate(file.get(), 0, 0, static_cast<off_t>(size)) < 0) {
    const int error = errno;
    ::unlink(path.c_str());
    return Fail(error, "make room for {}", path);
  }
  return file;
}

}  // namespace

/// Whole pages: behind them lies the door's board.
std::size_t Ledger::PageBytes() {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  return (sizeof(Page) + page - 1) / page * page;
}

Result<Ledger> Ledger::Map(int fd) {
  DoorBoard door = OBIT_TRY(DoorBoard::Map(fd, static_cast<off_t>(PageBytes())));
  const int flags = MAP_SHARED | (fd < 0 ? MAP_ANONYMOUS : 0);
  void* memory = ::mmap(nullptr, PageBytes(), PROT_READ | PROT_WRITE, flags, fd, 0);
  if (memory == MAP_FAILED) return Fail(errno, "map the ledger");
  return Ledger(static_cast<Page*>(memory), std::move(door));
}

Result<Ledger> Ledger::Open(const std::string& path) {
  const std::size_t bytes = PageBytes() + DoorBoard::Bytes();
  if (!path.empty()) {
    struct stat status{};
    const bool is_there = ::lstat(path.c_str(), &status) == 0;
    const auto found = obit::Open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK);
    if (found && IsGenuine(*found, bytes)) {
      Ledger ledger = OBIT_TRY(Map(found->get()));
      if (ledger.page_->IsOfThisVersion()) {
        // Whatever stands there: what is lost from here on is told.
        ledger.LostTold(std::min(ledger.lost_told(), ledger.lost()));
        return ledger;
      }
    }
    if (is_there)
      Log(Severity::kNotice,
          "{}: it is not of this version of obitd, or damaged: what crash loops have had begins anew", path);
  }
  const Fd made = path.empty() ? Fd() : OBIT_TRY(MakeFile(path, bytes));
  Ledger ledger = OBIT_TRY(Map(made.get()));
  ledger.page_->version = kLedgerVersion;
  ledger.page_->size = sizeof(Page);
  std::array<HashKey, 2> keys;
  if (::getrandom(&keys, sizeof keys, 0) != static_cast<ssize_t>(sizeof keys))
    return Fail(errno, "get random keys");
  ledger.page_->site_key = keys[0];
  ledger.door_.SetKey(keys[1]);
  ledger.page_->magic = kLedgerMagic;
  return ledger;
}

Ledger::Ledger(Ledger&& other) noexcept
    : page_(std::exchange(other.page_, nullptr)), door_(std::move(other.door_)) {}

Ledger::~Ledger() {
  if (page_ != nullptr) ::munmap(page_, PageBytes());
}

Result<void> Ledger::LetChildrenHaveIt(bool have) const {
  if (::madvise(page_, PageBytes(), have ? MADV_DOFORK : MADV_DONTFORK) < 0)
    return Fail(errno, "say whether children have the ledger");
  return {};
}

/// A manager that died between taking a crash and saying so.
void Ledger::TakeFromDoor() {
  constexpr std::uint32_t kNobody = 0;  // managers count from 1
  const std::vector<Left> known = LeftBy(kNobody);
  for (std::size_t hand = 0; hand < DoorBoard::kHands; ++hand)
    if (const auto held = door_.held(hand))
      if (std::ranges::any_of(known, [&](const Left& left) { return left.entry.head.pid == held->pid; }))
        door_.LetGo(hand);
}

std::uint32_t Ledger::BeginGeneration() {
  TakeFromDoor();
  std::uint32_t generation = kLedgerFree;
  while (generation == kLedgerFree)
    generation = page_->generation.fetch_add(1, std::memory_order_relaxed) + 1;
  return generation;
}

std::optional<std::size_t> Ledger::Note(std::uint32_t generation, const LedgerEntry& entry) {
  const std::size_t first = page_->next.load(std::memory_order_relaxed);
  for (std::size_t i = 0; i < kSlots; ++i) {
    const std::size_t slot = (first + i) % kSlots;
    if (!page_->slots[slot].free()) continue;
    page_->slots[slot].Write(generation, entry);
    page_->next.store(static_cast<std::uint32_t>(slot + 1), std::memory_order_relaxed);
    return slot;
  }
  return std::nullopt;
}

void Ledger::Update(std::size_t slot, const LedgerEntry& entry) {
  Slot& written = page_->slots.at(slot);
  written.Write(written.generation.load(std::memory_order_relaxed), entry);
}

void Ledger::Clear(std::size_t slot) {
  page_->slots.at(slot).generation.store(kLedgerFree, std::memory_order_release);
}

void Ledger::Count(std::uint64_t Tallies::* which) {
  std::atomic<std::uint64_t>& tally = page_->Tally(which);
  tally.store(tally.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

void Ledger::CountUnlisted(int change) {
  const std::uint64_t now = page_->unlisted.load(std::memory_order_relaxed);
  page_->unlisted.store(now + static_cast<std::uint64_t>(change), std::memory_order_relaxed);
}

void Ledger::LoseUnlisted() {
  const std::uint64_t lost = page_->lost.load(std::memory_order_relaxed);
  page_->lost.store(lost + page_->unlisted.load(std::memory_order_relaxed), std::memory_order_relaxed);
  page_->unlisted.store(0, std::memory_order_relaxed);
}

std::uint64_t Ledger::lost() const { return page_->lost.load(std::memory_order_relaxed); }

Tallies Ledger::tallies() const {
  std::uint64_t at_door = 0;
  for (std::size_t i = 0; i < DoorBoard::kPlaces; ++i) at_door += door_.counted(i).crashes;
  return {.repeated = page_->repeated.load(std::memory_order_relaxed) + at_door,
          .counted = page_->counted.load(std::memory_order_relaxed),
          .over_budget = page_->over_budget.load(std::memory_order_relaxed),
          .no_room = page_->no_room.load(std::memory_order_relaxed),
          .lost = lost()};
}

std::uint64_t Ledger::lost_told() const { return page_->lost_told.load(std::memory_order_relaxed); }

void Ledger::LostTold(std::uint64_t count) { page_->lost_told.store(count, std::memory_order_relaxed); }

std::vector<Ledger::Left> Ledger::LeftBy(std::uint32_t other_than_generation) const {
  std::vector<Left> left;
  for (std::size_t slot = 0; slot < kSlots; ++slot) {
    const auto entry = page_->slots[slot].ReadLeftUnless(other_than_generation);
    if (entry && IsSound(*entry)) left.push_back({slot, *entry});
  }
  return left;
}

bool Ledger::IsOpen(std::string_view id) const {
  constexpr std::uint32_t kNobody = 0;  // managers count from 1
  return std::ranges::any_of(LeftBy(kNobody),
                             [id](const Left& left) { return TextIn(left.entry.head.id) == id; });
}

bool OnTmpfs(const std::string& path) {
  struct statfs status{};
  return ::statfs(path.c_str(), &status) == 0 && status.f_type == TMPFS_MAGIC;
}

}  // namespace obit
