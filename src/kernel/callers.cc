#include "kernel/callers.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "base/io.h"
#include "base/keyed_hash.h"
#include "kernel/process_memory.h"

namespace obit {
namespace {

constexpr std::size_t kWords = 4;                           // so many count
constexpr std::uint64_t kPresent = std::uint64_t{1} << 63;  // of an entry of pagemap

/// How many bytes from `begin` on are in memory, kCallersBytes at most.
std::uint64_t PresentFrom(const Fd& proc, pid_t tid, std::uint64_t begin) {
  const std::uint64_t page = PageBytes();
  const auto pagemap = OpenAt(proc, fmt::format("{}/pagemap", tid), O_RDONLY);
  if (!pagemap) return 0;
  std::array<std::uint64_t, kCallersBytes / 4096 + 1> entries{};
  const std::uint64_t first = begin / page;
  const ssize_t bytes = ::pread(pagemap->get(), entries.data(), sizeof entries,
                                static_cast<off_t>(first * sizeof(std::uint64_t)));
  const auto known =
      std::span(entries).first(bytes > 0 ? static_cast<std::size_t>(bytes) / sizeof entries[0] : 0);
  const auto absent =
      std::ranges::find_if(known, [](std::uint64_t entry) { return (entry & kPresent) == 0; });
  const std::uint64_t end = (first + static_cast<std::uint64_t>(absent - known.begin())) * page;
  return end <= begin ? 0 : std::min(end - begin, kCallersBytes);
}

}  // namespace

std::uint64_t CallersOf(const Fd& proc, pid_t tid, std::uint64_t sp, std::uint64_t code_begin,
                        std::uint64_t code_end) {
  sp &= ~std::uint64_t{7};
  if (sp == 0 || sp > INT64_MAX) return 0;
  std::array<std::byte, kCallersBytes> stack;
  const std::uint64_t present = PresentFrom(proc, tid, sp);
  if (present == 0) return 0;
  const auto memory = OpenAt(proc, fmt::format("{}/mem", tid), O_RDONLY);
  if (!memory) return 0;
  const ssize_t read = ::pread(memory->get(), stack.data(), present, static_cast<off_t>(sp));
  if (read <= 0) return 0;
  // The words of a 32-bit process are half as long; of others with code below 4 GiB the upper half is 0.
  const std::size_t step = code_end <= UINT32_MAX ? sizeof(std::uint32_t) : sizeof(std::uint64_t);
  std::array<std::uint64_t, kWords> found{};
  std::size_t count = 0;
  for (std::size_t at = 0; at + step <= static_cast<std::size_t>(read) && count < kWords; at += step) {
    std::uint64_t word = 0;
    std::memcpy(&word, stack.data() + at, step);
    if (word > code_begin && word < code_end) found[count++] = word - code_begin;
  }
  if (count == 0) return 0;
  return std::max<std::uint64_t>(KeyedHash({}, std::as_bytes(std::span(found).first(count))), 1);
}

}  // namespace obit
