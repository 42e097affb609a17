#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace obit {

/// Keeps the notes of a core as they stream by, all of them while there is room, and then only those without
/// which a thread is none: NT_PRSTATUS, a few hundred bytes of the kernel's 12 KiB and more a thread; and
/// obit's own. Bytes are untrusted.
class NoteKeeper {
 public:
  /// Keeps notes whole up to `whole_max` bytes, and `max` bytes in all; obit's own, a few MiB, besides.
  NoteKeeper(std::size_t whole_max, std::size_t max) : whole_max_(whole_max), max_(max) {}

  /// So many bytes may come: room is made at once, and not again and again while a process waits.
  void Expect(std::uint64_t bytes) { kept_.reserve(std::min<std::uint64_t>(bytes, whole_max_)); }
  /// Takes the next bytes of the PT_NOTE segment, in pieces of any size.
  void Feed(std::span<const std::byte> bytes);

  /// What is kept: whole notes, and at the end perhaps one that is still passing.
  [[nodiscard]] std::span<const std::byte> notes() const { return kept_; }
  /// Some were left out.
  [[nodiscard]] bool left_out() const { return left_out_; }

 private:
  std::size_t Gather(std::span<const std::byte> bytes);
  void Judge();
  void Pass(std::uint64_t size);

  std::size_t whole_max_, max_;  // both grow by what is kept of obit's own
  std::vector<std::byte> kept_;
  std::vector<std::byte> begin_;  // of the note that is passing, until it is judged
  std::uint64_t note_left_ = 0;   // bytes of it that are still to come, once it is judged
  bool keep_ = false, left_out_ = false;
};

}  // namespace obit
