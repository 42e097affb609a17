// Random cores through CoreWriter and back, byte for byte against a model: what one seed of a thousand breaks
// is what no chosen example has.

#include <algorithm>
#include <map>

#include <fcntl.h>
#include <unistd.h>

#include "store/core_reader.h"
#include "store/core_writer.h"
#include "store/recover.h"
#include "store/test_support.h"

namespace obit {
namespace {

using testing::Bytes;
using testing::Content;
using testing::MemoryFile;
using testing::Noise;
using testing::Succeeds;
using testing::UnpackedByZstd;

constexpr std::uint64_t kPage = 4096, kBlock = 128 * 1024, kGiB = 1ULL << 30, kTiB = 1ULL << 40;

enum class Holes { kSmall, kGibibytes, kTebibytes };

/// What a core is to be: its data, all else zeros.
class Model {
 public:
  void Add(Bytes data) {
    const std::uint64_t bytes = data.size();
    if (bytes > 0) data_.emplace(size_, std::move(data));
    size_ += bytes;
  }
  void AddHole(std::uint64_t bytes) { size_ += bytes; }

  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] Bytes Range(std::uint64_t offset, std::uint64_t bytes) const {
    Bytes range(bytes);
    auto piece = data_.upper_bound(offset);
    if (piece != data_.begin()) --piece;
    for (; piece != data_.end() && piece->first < offset + bytes; ++piece) {
      const std::uint64_t begin = std::max(offset, piece->first);
      const std::uint64_t end = std::min(offset + bytes, piece->first + piece->second.size());
      if (begin < end)
        std::copy_n(piece->second.begin() + static_cast<std::ptrdiff_t>(begin - piece->first), end - begin,
                    range.begin() + static_cast<std::ptrdiff_t>(begin - offset));
    }
    return range;
  }
  /// No byte of the range is data.
  [[nodiscard]] bool IsHole(std::uint64_t offset, std::uint64_t bytes) const {
    for (auto piece = data_.begin(); piece != data_.end(); ++piece)
      for (std::size_t at = 0; at < piece->second.size(); ++at)
        if (piece->second[at] != std::byte{0} && piece->first + at >= offset &&
            piece->first + at < offset + bytes)
          return false;
    return true;
  }
  /// Where something begins or ends.
  [[nodiscard]] std::vector<std::uint64_t> Borders() const {
    std::vector<std::uint64_t> borders{0, size_};
    for (const auto& [offset, data] : data_) {
      borders.push_back(offset);
      borders.push_back(offset + data.size());
    }
    return borders;
  }

 private:
  std::map<std::uint64_t, Bytes> data_;  // by offset
  std::uint64_t size_ = 0;
};

class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}
  std::uint64_t Below(std::uint64_t end) { return engine_() % end; }
  bool Once(std::uint64_t in) { return Below(in) == 0; }
  std::uint64_t seed() { return engine_(); }

  /// Some multiple of `unit`, up to `most` of it, or next to one.
  std::uint64_t Near(std::uint64_t unit, std::uint64_t most) {
    const std::uint64_t middle = unit * Below(most + 1);
    std::uint64_t off = 0;
    switch (Below(4)) {
      case 0:
        return middle;
      case 1:
        off = 1 + Below(3);
        break;
      case 2:
        off = kPage * Below(40);
        break;
      case 3:
        off = Below(unit);
        break;
    }
    return Once(2) && off <= middle ? middle - off : middle + off;
  }
  std::uint64_t DataBytes() {
    switch (Below(4)) {
      case 0:
        return Near(kFrameBytes, 3);
      case 1:
        return Near(kBlock, 3);
      case 2:
        return Near(kPage, 20);
      default:
        return Below(3000);
    }
  }
  std::uint64_t HoleBytes(Holes holes) {
    if (holes == Holes::kTebibytes && Once(3)) return Near(kTiB, 30);
    if (holes != Holes::kSmall && Once(2)) return Near(kGiB, 3);
    switch (Below(3)) {
      case 0:
        return Near(kFrameBytes, 4);
      case 1:
        return Near(kBlock, 9);
      default:
        return Near(kPage, 40);
    }
  }

 private:
  std::mt19937_64 engine_;
};

/// Writes a random core by every way that a writer takes bytes.
class RandomCore {
 public:
  RandomCore(std::uint64_t seed, Holes holes)
      : random_(seed), holes_(holes), writer_(file_, {.threads = 1 + static_cast<unsigned>(seed % 4)}) {}

  void Write() {
    const bool by_length = holes_ == Holes::kTebibytes && random_.Once(2);
    if (by_length) writer_.KeepHolesByLength();
    for (std::uint64_t steps = 1 + random_.Below(12); steps > 0; --steps) Step();
    const auto stored = writer_.Finish();
    ASSERT_THAT(stored, Succeeds());
    EXPECT_EQ(stored->plain, model_.size());
    EXPECT_EQ(stored->stored, Content(file_).size());
    EXPECT_LE(stored->omitted, stored->plain);
    if (holes_ != Holes::kTebibytes) {
      EXPECT_EQ(stored->omitted, 0u);
    }
    if (by_length) {
      EXPECT_EQ(UnpackedByZstd(file_).size(), stored->plain - stored->omitted);
    }
  }

  [[nodiscard]] const Fd& file() const { return file_; }
  [[nodiscard]] const Model& model() const { return model_; }

 private:
  void Step() {
    switch (random_.Below(7)) {
      case 0:
      case 1:
        return Skip(random_.HoleBytes(holes_));
      case 2:
        return Append(RandomData(random_.DataBytes()));
      case 3:
        return Append(Bytes(random_.DataBytes()));  // zeros that nobody called a hole
      case 4:
        return Fill(RandomData(random_.DataBytes()));
      case 5:
        return Defer(RandomData(random_.DataBytes()));
      case 6: {
        if (random_.Once(2)) {
          EXPECT_THAT(writer_.WaitFetched(), Succeeds());
        }
        EXPECT_EQ(writer_.ResumeAfterFetch(), model_.size());
        return;
      }
    }
  }

  /// Noise with pages of zeros, or pages of noise in zeros, or little else than zeros.
  Bytes RandomData(std::uint64_t bytes) {
    Bytes data = Noise(bytes, random_.seed());
    const auto rule = random_.Below(3);
    for (std::size_t at = 0; at < data.size(); at += kPage)
      if ((rule == 1 && random_.Once(4)) || (rule == 2 && !random_.Once(64)))
        std::fill_n(data.begin() + static_cast<std::ptrdiff_t>(at), std::min(kPage, data.size() - at),
                    std::byte{0});
    return data;
  }

  void Skip(std::uint64_t bytes) {
    ASSERT_THAT(writer_.Skip(bytes), Succeeds());
    model_.AddHole(bytes);
  }
  void Append(Bytes data) {
    ASSERT_THAT(writer_.Append(data), Succeeds());
    model_.Add(std::move(data));
  }
  void Fill(Bytes data) {
    for (std::size_t at = 0; at < data.size();) {
      const auto room = writer_.Buffer();
      const std::size_t n = std::min({room.size(), data.size() - at, 1 + random_.Below(kFrameBytes)});
      std::ranges::copy(std::span(data).subspan(at, n), room.begin());
      ASSERT_THAT(writer_.Advance(n), Succeeds());
      at += n;
    }
    model_.Add(std::move(data));
  }
  void Defer(Bytes data) {
    for (std::size_t at = 0; at < data.size();) {
      const std::size_t n = std::min(data.size() - at, 1 + random_.Below(kFrameBytes));
      Bytes part(data.begin() + static_cast<std::ptrdiff_t>(at),
                 data.begin() + static_cast<std::ptrdiff_t>(at + n));
      const auto fetch = [part = std::move(part)](std::span<std::byte> room) -> Result<void> {
        std::ranges::copy(part, room.begin());
        return {};
      };
      ASSERT_THAT(writer_.Defer(n, fetch), Succeeds());
      at += n;
    }
    model_.Add(std::move(data));
  }

  Random random_;
  const Holes holes_;
  const Fd file_ = MemoryFile();
  CoreWriter writer_;
  Model model_;
};

/// Reads around everything that begins or ends, and somewhere.
void CheckReads(CoreReader& reader, const Model& model, std::uint64_t size, std::uint64_t seed) {
  Random random(seed);
  std::vector<std::uint64_t> places = model.Borders();
  for (int i = 0; i < 8; ++i) places.push_back(random.Below(size + 1));
  std::ranges::shuffle(places, std::mt19937_64(seed));
  for (const std::uint64_t place : places) {
    const std::uint64_t from = place - std::min(place, random.Below(2 * kPage));
    Bytes out(1 + random.Below(random.Once(8) ? 2 * kFrameBytes : 4 * kPage), std::byte{0xaa});
    const auto got = reader.ReadAt(from, out);
    ASSERT_THAT(got, Succeeds()) << "at " << from;
    ASSERT_EQ(*got, from < size ? std::min<std::uint64_t>(out.size(), size - from) : 0) << "at " << from;
    out.resize(*got);
    ASSERT_TRUE(out == model.Range(from, *got)) << "at " << from << ", " << *got << " bytes";
  }
}

void CheckWalk(CoreReader& reader, const Model& model) {
  std::uint64_t next = 0;
  const auto walked = reader.Walk([&](const CoreReader::Piece& piece) -> Result<void> {
    EXPECT_EQ(piece.offset, next);
    if (piece.hole())
      EXPECT_TRUE(model.IsHole(piece.offset, piece.length)) << "at " << piece.offset;
    else
      EXPECT_TRUE(std::ranges::equal(piece.bytes, model.Range(piece.offset, piece.length)))
          << "at " << piece.offset;
    next += piece.length;
    return {};
  });
  EXPECT_THAT(walked, Succeeds());
  EXPECT_EQ(next, reader.size());
}

/// A file that ends anywhere is made good, and is then the beginning of the core.
void CheckRecovery(const Fd& file, const Model& model, std::uint64_t seed) {
  Random random(seed);
  const Bytes stored = Content(file);
  for (int i = 0; i < 4; ++i) {
    const std::size_t cut = i == 0 ? stored.size() : random.Below(stored.size());
    const Fd copy = MemoryFile(std::span(stored).first(cut));
    const auto recovered = RecoverCore(copy);
    ASSERT_THAT(recovered, Succeeds());
    ASSERT_LE(recovered->plain, model.size()) << "cut at " << cut;
    if (i == 0) {
      EXPECT_TRUE(Content(copy) == stored) << "a whole file was changed";
    }
    auto reader = CoreReader::Open(Fd(::dup(copy.get())));
    ASSERT_THAT(reader, Succeeds());
    ASSERT_EQ(reader->size(), recovered->plain);
    CheckReads(*reader, model, recovered->plain, seed + i);
  }
}

class RoundTrip : public ::testing::TestWithParam<std::uint64_t> {};
INSTANTIATE_TEST_SUITE_P(Seed, RoundTrip, ::testing::Range(std::uint64_t{0}, std::uint64_t{60}));

TEST_P(RoundTrip, ASmallCoreComesBackByteForByte) {
  RandomCore core(GetParam(), Holes::kSmall);
  ASSERT_NO_FATAL_FAILURE(core.Write());
  auto reader = CoreReader::Open(Fd(::dup(core.file().get())));
  ASSERT_THAT(reader, Succeeds());
  ASSERT_EQ(reader->size(), core.model().size());
  ASSERT_NO_FATAL_FAILURE(CheckReads(*reader, core.model(), reader->size(), GetParam()));
  CheckWalk(*reader, core.model());
  EXPECT_TRUE(UnpackedByZstd(core.file()) == core.model().Range(0, core.model().size()));
  CheckRecovery(core.file(), core.model(), GetParam());
}

void CheckWithoutUnpacking(std::uint64_t seed, Holes holes) {
  RandomCore core(seed, holes);
  ASSERT_NO_FATAL_FAILURE(core.Write());
  auto reader = CoreReader::Open(Fd(::dup(core.file().get())));
  ASSERT_THAT(reader, Succeeds());
  ASSERT_EQ(reader->size(), core.model().size());
  ASSERT_NO_FATAL_FAILURE(CheckReads(*reader, core.model(), reader->size(), seed));
  CheckWalk(*reader, core.model());
  CheckRecovery(core.file(), core.model(), seed);
}

TEST_P(RoundTrip, ACoreWithHolesOfGibibytesComesBackByteForByte) {
  CheckWithoutUnpacking(1000 + GetParam(), Holes::kGibibytes);
}

TEST_P(RoundTrip, ACoreWithHolesOfTebibytesComesBackByteForByte) {
  CheckWithoutUnpacking(2000 + GetParam(), Holes::kTebibytes);
}

}  // namespace
}  // namespace obit
