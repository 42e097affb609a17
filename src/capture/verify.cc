#include "capture/verify.h"

#include <algorithm>
#include <cstring>

namespace obit {
namespace {

/// Gathers pages that differ, those of one segment as one.
class Differences {
 public:
  Differences(const std::vector<PlannedSegment>& segments, Verification& verified)
      : segments_(segments), verified_(verified) {}

  void Add(std::uint64_t offset, std::uint64_t bytes) {
    verified_.different_bytes += bytes;
    const auto after = std::ranges::upper_bound(segments_, offset, {}, &PlannedSegment::offset);
    const PlannedSegment* segment = after == segments_.begin() ? nullptr : &*std::prev(after);
    auto& found = verified_.differences;
    if (segment != last_ || found.empty()) {
      last_ = segment;
      if (found.size() == CrashRecord::Capture::kRangesMax) return;
      found.push_back({segment != nullptr ? segment->address + (offset - segment->offset) : offset, 0,
                       segment != nullptr ? segment->name : std::string()});
      open_ = true;
    }
    if (open_) found.back().bytes += bytes;
  }

 private:
  const std::vector<PlannedSegment>& segments_;
  Verification& verified_;
  const PlannedSegment* last_ = nullptr;
  bool open_ = false;
};

}  // namespace

Result<Verification> CompareWithStream(CoreReader& stored, CoreStream& stream, std::uint64_t end,
                                       const std::vector<PlannedSegment>& segments) {
  constexpr std::size_t kPage = 4096;
  Verification verified;
  Differences differences(segments, verified);
  std::vector<std::byte> sent(256 * 1024), kept(sent.size());
  while (stream.position() < end) {
    const std::uint64_t offset = stream.position();
    std::size_t filled = 0;  // whole pages, so that a difference is one of a page
    const std::size_t want = std::min<std::uint64_t>(sent.size() - offset % kPage, end - offset);
    while (filled < want)
      filled += OBIT_TRY(stream.Read(std::span(sent).subspan(filled, want - filled), end)).size();
    if (OBIT_TRY(stored.ReadAt(offset, std::span(kept).first(want))) != want)
      return Refuse(EBADMSG, "the stored core ends at {}", stored.size());
    for (std::size_t at = 0; at < want;) {
      const std::size_t step = std::min<std::size_t>(kPage - (offset + at) % kPage, want - at);
      if (std::memcmp(&sent[at], &kept[at], step) != 0) differences.Add(offset + at, step);
      at += step;
    }
    verified.bytes += want;
  }
  return verified;
}

}  // namespace obit
