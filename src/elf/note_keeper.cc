#include "elf/note_keeper.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include <elf.h>

namespace obit {
namespace {

/// What tells which note it is: the header, and a name as the kernel's are ("CORE", "LINUX").
constexpr std::size_t kJudged = sizeof(Elf64_Nhdr) + 8;

/// All that is ever kept, where there are notes of obit's own, bytes: twice the kernel's of a minimal core.
constexpr std::size_t kOwnMax = 16 << 20;

constexpr std::string_view kCore("CORE\0", 5), kObit("obit\0", 5);

std::uint64_t Aligned(std::uint64_t bytes) { return (bytes + 3) & ~std::uint64_t{3}; }

Elf64_Nhdr HeaderOf(std::span<const std::byte> note) {
  Elf64_Nhdr header;  // the same three words in both classes
  std::memcpy(&header, note.data(), sizeof header);
  return header;
}

std::uint64_t SizeOf(const Elf64_Nhdr& header) {
  return sizeof header + Aligned(header.n_namesz) + Aligned(header.n_descsz);
}

}  // namespace

void NoteKeeper::Feed(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    if (note_left_ == 0) {
      bytes = bytes.subspan(Gather(bytes));
      continue;
    }
    const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), note_left_));
    if (keep_) kept_.insert(kept_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(n));
    note_left_ -= n;
    bytes = bytes.subspan(n);
  }
}

/// Takes a first part of a note, until it can be judged; returns how much that is.
std::size_t NoteKeeper::Gather(std::span<const std::byte> bytes) {
  const auto missing = [&] {
    if (begin_.size() < sizeof(Elf64_Nhdr)) return sizeof(Elf64_Nhdr) - begin_.size();
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(kJudged, SizeOf(HeaderOf(begin_))));
    return wanted - begin_.size();
  };
  std::size_t taken = 0;
  while (taken < bytes.size() && missing() > 0) {
    const auto more = bytes.subspan(taken, std::min(missing(), bytes.size() - taken));
    begin_.insert(begin_.end(), more.begin(), more.end());
    taken += more.size();
  }
  if (missing() == 0) Judge();
  return taken;
}

void NoteKeeper::Judge() {
  const Elf64_Nhdr header = HeaderOf(begin_);
  const std::uint64_t size = SizeOf(header);
  const auto fits = [&](std::size_t max) { return size <= max - std::min(kept_.size(), max); };
  const auto is_named = [&](std::string_view name) {
    return header.n_namesz == name.size() &&
           std::memcmp(begin_.data() + sizeof header, name.data(), name.size()) == 0;
  };
  const bool is_needed = header.n_type == NT_PRSTATUS && is_named(kCore);
  if (is_named(kObit) && size <= kOwnMax - std::min(max_, kOwnMax)) {
    // It brings its own room along: there may be any number of threads before it.
    max_ += static_cast<std::size_t>(size);
    whole_max_ += static_cast<std::size_t>(size);
    keep_ = true;
    Pass(size);
    return;
  }
  // Once one was left out, a smaller one behind it is no more worth than that.
  keep_ = (!left_out_ && fits(whole_max_)) || (is_needed && fits(max_));
  left_out_ = left_out_ || !keep_;
  Pass(size);
}

/// Goes on with the note that is passing, once it is judged.
void NoteKeeper::Pass(std::uint64_t size) {
  if (keep_) kept_.insert(kept_.end(), begin_.begin(), begin_.end());
  note_left_ = size - begin_.size();
  begin_.clear();
}

}  // namespace obit
