#include "capture/verify.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <span>

#include <sys/random.h>

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

constexpr std::size_t kPage = 4096, kAtOnce = 256 * 1024;  // bytes

/// Bytes of `room` from `offset` on, by whole pages of the core, so that a difference is one of a page.
std::size_t WantedAt(std::uint64_t offset, std::uint64_t end) {
  return std::min<std::uint64_t>(kAtOnce - offset % kPage, end - offset);
}

Result<void> ReadStream(CoreStream& stream, std::span<std::byte> room, std::uint64_t end) {
  for (std::size_t filled = 0; filled < room.size();)
    filled += OBIT_TRY(stream.Read(room.subspan(filled), end)).size();
  return {};
}

Result<void> ReadStored(CoreReader& stored, std::uint64_t offset, std::span<std::byte> room) {
  if (OBIT_TRY(stored.ReadAt(offset, room)) == room.size()) return {};
  return Refuse(EBADMSG, "the stored core ends at {}", stored.size());
}

/// Calls look(OFFSET, BYTES) for each page of `bytes`, which lie at `offset` of the core.
template <class Look>
void ForEachPage(std::uint64_t offset, std::span<const std::byte> bytes, Look look) {
  while (!bytes.empty()) {
    const std::size_t step = std::min<std::size_t>(kPage - offset % kPage, bytes.size());
    look(offset, bytes.first(step));
    bytes = bytes.subspan(step);
    offset += step;
  }
}

}  // namespace

Result<Verification> CompareWithStream(CoreReader& stored, CoreStream& stream, std::uint64_t end,
                                       const std::vector<PlannedSegment>& segments) {
  Verification verified;
  Differences differences(segments, verified);
  std::vector<std::byte> sent(kAtOnce), kept(kAtOnce);
  while (stream.position() < end) {
    const std::uint64_t offset = stream.position();
    const std::size_t want = WantedAt(offset, end);
    OBIT_TRY(ReadStream(stream, std::span(sent).first(want), end));
    OBIT_TRY(ReadStored(stored, offset, std::span(kept).first(want)));
    ForEachPage(offset, std::span(kept).first(want), [&](std::uint64_t at, std::span<const std::byte> page) {
      if (std::memcmp(&sent[at - offset], page.data(), page.size()) != 0) differences.Add(at, page.size());
    });
    verified.bytes += want;
  }
  return verified;
}

Result<StreamDigest> StreamDigest::Read(CoreStream& stream, std::uint64_t end) {
  StreamDigest digest;
  digest.begin_ = stream.position();
  digest.end_ = std::max(end, digest.begin_);
  if (digest.end_ - digest.begin_ > kBytesMax)
    return Refuse(ENOMEM, "{} bytes are more than can be compared with what is gone", digest.end_);
  if (::getrandom(&digest.key_, sizeof digest.key_, 0) != sizeof digest.key_)
    return Fail(errno, "make a key");
  std::vector<std::byte> sent(kAtOnce);
  while (stream.position() < digest.end_) {
    const std::uint64_t offset = stream.position();
    const auto bytes = std::span(sent).first(WantedAt(offset, digest.end_));
    OBIT_TRY(ReadStream(stream, bytes, digest.end_));
    ForEachPage(offset, bytes, [&](std::uint64_t, std::span<const std::byte> page) {
      digest.pages_.push_back(KeyedHash(digest.key_, page));
    });
  }
  return digest;
}

Result<Verification> StreamDigest::CompareWith(CoreReader& stored,
                                               const std::vector<PlannedSegment>& segments) const {
  Verification verified;
  Differences differences(segments, verified);
  std::vector<std::byte> kept(kAtOnce);
  auto sent = pages_.begin();
  for (std::uint64_t offset = begin_; offset < end_; offset += WantedAt(offset, end_)) {
    const auto bytes = std::span(kept).first(WantedAt(offset, end_));
    OBIT_TRY(ReadStored(stored, offset, bytes));
    ForEachPage(offset, bytes, [&](std::uint64_t at, std::span<const std::byte> page) {
      if (KeyedHash(key_, page) != *sent++) differences.Add(at, page.size());
    });
    verified.bytes += bytes.size();
  }
  return verified;
}

}  // namespace obit
