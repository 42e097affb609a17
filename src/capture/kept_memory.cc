#include "capture/kept_memory.h"

#include <algorithm>
#include <cstring>

namespace obit {
namespace {

constexpr std::size_t kPagesHeld = 1024;  // of what was read, 4 MiB

/// Looks at one mapping for one reason: on kernels without PAGEMAP_SCAN, 4 GiB of addresses.
constexpr std::uint64_t kLooksOfOne = 64;
/// Words are many: so often it is asked whether there is time.
constexpr std::uint64_t kWordsAsked = 64 * 1024;
/// Ranges of which it is told that they are zeros: a hostile process can make many, and each has a program
/// header.
constexpr std::size_t kZeroRunsMax = 16 * 1024;

std::uint64_t PageOf(std::uint64_t address) { return address / PageBytes() * PageBytes(); }
std::uint64_t PageEnd(std::uint64_t address) {
  return address > UINT64_MAX - PageBytes() ? PageOf(UINT64_MAX) : PageOf(address + PageBytes() - 1);
}

}  // namespace

std::uint64_t AddressSet::Add(std::uint64_t begin, std::uint64_t end) {
  if (begin >= end) return 0;
  std::uint64_t added = end - begin;
  auto next = ranges_.lower_bound(begin);
  if (next != ranges_.begin() && std::prev(next)->second >= begin) --next;
  while (next != ranges_.end() && next->first <= end) {
    const auto [there, there_end] = *next;
    const std::uint64_t both_begin = std::max(begin, there), both_end = std::min(end, there_end);
    if (both_begin < both_end) added -= std::min(added, both_end - both_begin);
    begin = std::min(begin, there);
    end = std::max(end, there_end);
    next = ranges_.erase(next);
  }
  ranges_.emplace(begin, end);
  return added;
}

bool AddressSet::Has(std::uint64_t address) const {
  const auto after = ranges_.upper_bound(address);
  return after != ranges_.begin() && address < std::prev(after)->second;
}

std::vector<MemoryRun> AddressSet::Without(std::uint64_t begin, std::uint64_t end) const {
  std::vector<MemoryRun> gaps;
  auto next = ranges_.upper_bound(begin);
  if (next != ranges_.begin()) begin = std::max(begin, std::prev(next)->second);
  for (; begin < end && next != ranges_.end() && next->first < end; ++next) {
    if (begin < next->first) gaps.push_back({begin, next->first});
    begin = next->second;
  }
  if (begin < end) gaps.push_back({begin, end});
  return gaps;
}

bool KeptMemory::Take(std::uint64_t& budget, std::uint64_t asked_each) {
  if (is_over_) return false;
  if (budget == 0 || (budget % asked_each == 0 && budget_.go_on && !budget_.go_on())) {
    is_over_ = true;
    return false;
  }
  --budget;
  return true;
}

std::uint64_t KeptMemory::Keep(std::uint64_t address, std::uint64_t bytes) {
  return KeepFirst(address, bytes, UINT64_MAX);
}

std::uint64_t KeptMemory::KeepFirst(std::uint64_t address, std::uint64_t bytes, std::uint64_t max) {
  std::uint64_t kept = 0;
  const std::uint64_t end = PageEnd(address + std::min(bytes, UINT64_MAX - address));
  for (std::uint64_t at = PageOf(address); at < end && kept < max && !is_full();) {
    const ProcessMapping* mapping = map_.Find(at);
    if (mapping == nullptr) break;
    const std::uint64_t stop = std::min(end, mapping->end);
    kept += KeepOf(*mapping, mapping->kind(), at, stop, max - kept);
    at = stop;
  }
  return kept;
}

std::uint64_t KeptMemory::Keep(std::uint64_t address, std::uint64_t bytes, PageKind kind) {
  const ProcessMapping* mapping = map_.Find(address);
  if (mapping == nullptr) return 0;
  const std::uint64_t end = PageEnd(address + std::min(bytes, UINT64_MAX - address));
  return KeepOf(*mapping, kind, PageOf(address), std::min(end, mapping->end), UINT64_MAX);
}

void KeptMemory::KeepWhole(const ProcessMapping& mapping) { bytes_ += kept_.Add(mapping.begin, mapping.end); }

std::uint64_t KeptMemory::KeepOf(const ProcessMapping& mapping, PageKind kind, std::uint64_t begin,
                                 std::uint64_t end, std::uint64_t max) {
  begin = std::max(begin, mapping.begin);
  // What the kernel would not dump (MADV_DONTDUMP, coredump_filter) was not to be on any disk.
  end = std::min(end, mapping.begin + mapping.core_bytes);
  std::uint64_t kept = 0, looks = 0;
  for (const MemoryRun& gap : kept_.Without(begin, end)) {
    for (std::uint64_t at = gap.begin; at < gap.end;) {
      if (++looks > kLooksOfOne || is_full() || !Take(budget_.looks, 1)) return kept;
      const PageScan scan = view_.Scan(mapping, kind, at, gap.end);
      std::uint64_t looked = std::min(scan.end, gap.end);
      bool is_cut = looked <= at;
      for (const MemoryRun& run : scan.runs) {
        const std::uint64_t left = std::min(bytes_ < max_ ? max_ - bytes_ : 0, max - kept);
        const std::uint64_t room = left / PageBytes() * PageBytes();
        const std::uint64_t run_end = std::min(run.end, run.begin + std::min(room, run.end - run.begin));
        const std::uint64_t added = kept_.Add(run.begin, run_end);
        kept += added;
        bytes_ += added;
        if (run_end == run.end) continue;
        looked = run_end;
        is_cut = true;
        break;
      }
      if (kind == PageKind::kFilled && looked_at_.ranges().size() < kZeroRunsMax) looked_at_.Add(at, looked);
      if (is_cut) return kept;
      at = looked;
    }
  }
  return kept;
}

const std::vector<std::byte>& KeptMemory::Page(std::uint64_t address) {
  static const std::vector<std::byte> kNothing;
  const std::uint64_t begin = PageOf(address);
  if (const auto held = pages_.find(begin); held != pages_.end()) return held->second;
  if (!Take(budget_.looks, 1)) return kNothing;
  if (pages_.size() >= kPagesHeld) pages_.clear();
  std::vector<std::byte>& page = pages_[begin];
  const ProcessMapping* mapping = map_.Find(address);
  if (mapping == nullptr) return page;
  const std::uint64_t end = std::min(begin + PageBytes(), mapping->end);
  // A page of a file counts if it is in memory, dumped or not: else a look might wait for whoever has the
  // file.
  const PageKind kind = mapping->is_anonymous() ? PageKind::kFilled : PageKind::kPresent;
  if (mapping->is_anonymous() && end - mapping->begin > mapping->core_bytes) return page;
  // What is kept of anonymous memory was found to hold something.
  if (kind != PageKind::kFilled || !kept_.Has(begin)) {
    const PageScan there = view_.Scan(*mapping, kind, begin, end);
    if (there.runs != std::vector{MemoryRun{begin, end}}) return page;
  }
  page.resize(end - begin);
  if (!view_.Read(*mapping, begin, page)) page.clear();
  return page;
}

bool KeptMemory::Read(std::uint64_t address, std::span<std::byte> out) {
  while (!out.empty()) {
    const std::vector<std::byte>& page = Page(address);
    const std::uint64_t inside = address % PageBytes();
    if (inside >= page.size()) return false;
    const std::size_t n = std::min<std::size_t>(out.size(), page.size() - inside);
    std::memcpy(out.data(), page.data() + inside, n);
    out = out.subspan(n);
    address += n;
  }
  return true;
}

std::optional<std::uint64_t> KeptMemory::ReadWord(std::uint64_t address) {
  std::uint64_t word = 0;
  if (!Take(budget_.words, kWordsAsked) || address > UINT64_MAX - sizeof word ||
      !Read(address, std::as_writable_bytes(std::span(&word, 1))))
    return std::nullopt;
  return word;
}

void KeptMemory::ForEachKeptWord(std::uint64_t begin, std::uint64_t end,
                                 const std::function<bool(std::uint64_t)>& use) {
  constexpr std::uint64_t kWord = sizeof(std::uint64_t);
  for (std::uint64_t at = (begin + kWord - 1) / kWord * kWord; at >= begin && at < end;
       at = PageOf(at) + PageBytes()) {
    if (!Has(at)) continue;
    const std::vector<std::byte>& page = Page(at);
    for (std::uint64_t inside = at % PageBytes(); inside + kWord <= page.size() && PageOf(at) + inside < end;
         inside += kWord) {
      std::uint64_t word = 0;
      std::memcpy(&word, page.data() + inside, kWord);
      if (!Take(budget_.words, kWordsAsked) || !use(word)) return;
    }
  }
}

std::uint64_t KeptMemory::TextLength(std::uint64_t address, std::uint64_t max) {
  std::uint64_t length = 0;
  while (length < max && address < UINT64_MAX - length) {
    const std::vector<std::byte>& page = Page(address + length);
    const std::uint64_t inside = (address + length) % PageBytes();
    if (inside >= page.size()) break;
    const auto there = std::span(page).subspan(inside, std::min(max - length, page.size() - inside));
    const auto end = static_cast<std::uint64_t>(std::ranges::find(there, std::byte{0}) - there.begin());
    length += end;
    if (end < there.size()) break;
  }
  return length;
}

std::vector<CoreRun> KeptMemory::Runs() const {
  std::vector<CoreRun> runs;
  const auto add = [&](std::uint64_t begin, std::uint64_t end, bool in_file) {
    while (begin < end) {
      const ProcessMapping* mapping = map_.Find(begin);
      if (mapping == nullptr) return;
      const std::uint64_t stop = std::min(end, mapping->end);
      runs.push_back({begin, stop - begin, in_file ? stop - begin : 0, mapping->flags});
      begin = stop;
    }
  };
  for (const auto& [begin, end] : kept_.ranges()) add(begin, end, true);
  for (const auto& [begin, end] : looked_at_.ranges())
    for (const MemoryRun& gap : kept_.Without(begin, end)) add(gap.begin, gap.end, false);
  std::ranges::sort(runs, {}, &CoreRun::address);
  return runs;
}

}  // namespace obit
