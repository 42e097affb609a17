// A crashed process, or at least its memory, is held until the last byte of it is read, and compression is
// the slowest step from there to the disk. So several threads do it. Yet the file has the core's bytes in
// their order, memory must not grow with the core, and at any moment the disk can be full or this process be
// killed.
//
// The idea: the core is cut into chunks of kFrameBytes, and each becomes a zstd frame that depends on no
// other. Threads compress them in any order, and readers unpack any of them alone. Only appending is
// ordered: `order_` has the chunks as the core has them, and the thread that finishes one appends all that
// are finished at the front, unless another is at it. So there is no thread that only writes, and none has
// to be woken for each frame. Nor need bytes pass through the caller: a chunk may come with a function that
// fetches them (Defer), and is then read, compressed and written by whichever thread is free. A stream has
// one reader, which fills the chunks (Buffer, Advance). There are chunks_max_ of them, which go round: a
// caller who finds none free waits, and the kernel behind it. Where no thread can be had, or a processor is
// to be left alone (KeepOff), the caller compresses instead of waiting.
//
// Where a process is held until a small core is read (FetchFirst), the threads only fetch at first: to
// compress takes longer than to read.
//
// Zeros are no data. A chunk of zeros only lengthens the hole before the next one, and a hole is written
// once something follows: as frames of zeros, which are made without zstd, or, where those would be too
// many, by its length (store/hole_marks.h).
//
// A reader can rely on this: `written_` moves on only behind a whole frame. So a full disk costs no more than
// the end of the core, of which Finish() gives back as many frames as the seek table and the record need; and
// what a killed writer leaves is repaired by its frames alone (RecoverCore). If a fetch fails, nothing from
// its bytes on is appended, whatever else is ready: the caller is told how much of the core there is, and
// goes on from there in another way (ResumeAfterFetch).

#include "store/core_writer.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

#include <zstd.h>

#include "base/io.h"
#include "base/try_twice.h"
#include "store/frame_compressor.h"
#include "store/hole_marks.h"

namespace obit {
namespace {

/// Threads of one core that nobody waits for.
constexpr unsigned kThreadsWithTime = 2;
/// The largest frame of kFrameBytes, bytes.
const std::size_t kFrameRoom = ZSTD_compressBound(kFrameBytes);

/// Room for kFrameBytes or for the frame of them. Not zeroed: a small core touches only some pages of it.
using Room = std::unique_ptr<std::byte[]>;
Room MakeRoom() { return std::make_unique_for_overwrite<std::byte[]>(kFrameRoom); }

bool IsZero(std::span<const std::byte> bytes) {
  return bytes.empty() ||
         (bytes[0] == std::byte{0} && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

}  // namespace

/// What a thread needs to compress chunks.
struct CoreWriter::Compressor {
  explicit Compressor(FrameCompressor::Effort effort) : frames(effort) {}
  FrameCompressor frames;
  Room room = MakeRoom();  // for the next frame
};

/// What a thread that captures has for its next one.
thread_local std::unique_ptr<CoreWriter::Compressor> CoreWriter::spare_;

/// A piece of the core on its way: filled by the caller or by `fetch`, compressed by a thread, appended in
/// order.
struct CoreWriter::Chunk {
  enum class State { kWaiting, kTaken, kDone };
  Room room = MakeRoom();       // of its bytes; once it is compressed, of its frame
  std::size_t plain_bytes = 0;  // filled
  std::size_t frame_bytes = 0;  // 0: the bytes are zeros
  std::uint64_t hole = 0;       // zeros before this chunk's bytes
  Fetch fetch;
  std::optional<Error> fetch_error;
  State state = State::kWaiting;

  std::span<std::byte> filled() { return {room.get(), plain_bytes}; }
  void Fill();
  Result<void> Compress(Compressor& compressor);
};

void CoreWriter::Chunk::Fill() {
  if (auto fetched = fetch(filled()); !fetched) fetch_error = std::move(fetched).error();
}

/// The frame takes the place of its bytes, and the compressor gets their room for the next one: so each chunk
/// needs only one.
Result<void> CoreWriter::Chunk::Compress(Compressor& compressor) {
  frame_bytes = 0;
  if (fetch_error || IsZero(filled())) return {};
  frame_bytes = OBIT_TRY(compressor.frames.Compress(filled(), {compressor.room.get(), kFrameRoom}));
  std::swap(room, compressor.room);
  return {};
}

// Enough that the threads have work while the caller prepares more, and few enough that several captures at
// once stay within some MiB each.
CoreWriter::CoreWriter(const Fd& file, const Options& options)
    : file_(file), options_(options), chunks_max_(std::min<std::size_t>(2 * options.threads + 2, 20)) {}

CoreWriter::~CoreWriter() {
  StopThreads();
  if (helper_ && helper_->frames.effort() == FrameCompressor::Effort::kUsual) spare_ = std::move(helper_);
}

void CoreWriter::KeepOff(const BusyProcessor& busy) {
  const std::lock_guard lock(mutex_);
  busy_ = busy;
  Help();
}

/// The caller compresses, too. What it needs for that it keeps: a worker has many small cores.
void CoreWriter::Help() {
  if (helper_) return;
  helper_ = effort() == FrameCompressor::Effort::kUsual ? std::move(spare_) : nullptr;
  if (!helper_) helper_ = std::make_unique<Compressor>(effort());
  helper_->frames.Restart();
}

std::span<std::byte> CoreWriter::Buffer() {
  if (!current_) current_ = TakeFree();
  return std::span(current_->room.get(), kFrameBytes).subspan(current_->plain_bytes);
}

Result<void> CoreWriter::Advance(std::size_t n) {
  current_->plain_bytes += n;
  if (current_->plain_bytes == kFrameBytes) return Submit();
  return {};
}

Result<void> CoreWriter::Append(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const auto room = Buffer();
    const std::size_t n = std::min(room.size(), bytes.size());
    std::memcpy(room.data(), bytes.data(), n);
    bytes = bytes.subspan(n);
    OBIT_TRY(Advance(n));
  }
  return {};
}

Result<void> CoreWriter::Skip(std::uint64_t n) {
  if (current_ && current_->plain_bytes > 0) OBIT_TRY(Submit());
  if (n > kCoreBytesMax - std::min(hole_, kCoreBytesMax)) return Fail(EFBIG, "a hole of {} bytes", n);
  hole_ += n;
  return {};
}

/// Hands the current chunk on; zeros only lengthen the hole that comes before the next one.
Result<void> CoreWriter::Submit() {
  if (IsZero(current_->filled())) {
    hole_ += current_->plain_bytes;
    current_->plain_bytes = 0;
    const std::lock_guard lock(mutex_);
    if (failure_) return std::unexpected(*failure_);
    return {};
  }
  current_->hole = std::exchange(hole_, 0);
  return Enqueue(std::move(current_));
}

Result<void> CoreWriter::Defer(std::size_t n, Fetch fetch) {
  if (current_ && current_->plain_bytes > 0) OBIT_TRY(Submit());
  if (!current_) current_ = TakeFree();
  current_->plain_bytes = n;
  current_->hole = std::exchange(hole_, 0);
  current_->fetch = std::move(fetch);
  return Enqueue(std::move(current_));
}

void CoreWriter::FetchFirst() {
  const std::lock_guard lock(mutex_);
  chunks_max_ = std::max(chunks_max_, kFetchedFirst / kFrameBytes);
  fetch_first_ = true;
}

void CoreWriter::CompressFetched() {
  const std::lock_guard lock(mutex_);
  CompressToo();
}

void CoreWriter::TakeTime() {
  const std::lock_guard lock(mutex_);
  has_time_ = true;
}

FrameCompressor::Effort CoreWriter::effort() const {
  return has_time_ ? FrameCompressor::Effort::kMore : FrameCompressor::Effort::kUsual;
}

void CoreWriter::CompressToo() {
  fetch_first_ = false;
  work_.notify_all();
}

Result<void> CoreWriter::WaitFetched() {
  std::unique_lock lock(mutex_);
  while (fetch_first_ && FetchNext(lock)) continue;  // now, and not once a thread has woken up
  Await(lock, [&] { return to_fetch_ == 0; });
  if (fetch_failure_) return std::unexpected(*fetch_failure_);
  return {};
}

std::uint64_t CoreWriter::ResumeAfterFetch() {
  if (current_ && current_->plain_bytes > 0) (void)Submit();  // a failed write is told by the next call
  std::unique_lock lock(mutex_);
  CompressToo();
  Await(lock, [&] { return order_.empty() && !appending_; });
  if (fetch_failure_) hole_ = 0;  // it came after the bytes that failed
  fetch_failure_.reset();
  dropping_ = false;
  return written_.core.plain + open_hole_ + hole_;
}

Result<void> CoreWriter::Enqueue(std::unique_ptr<Chunk> chunk) {
  const std::lock_guard lock(mutex_);
  auto ready = failure_         ? Result<void>(std::unexpected(*failure_))
               : fetch_failure_ ? Result<void>(std::unexpected(*fetch_failure_))
                                : Result<void>();
  if (!ready) {
    free_.push_back(std::move(chunk));
    return ready;
  }
  StartThread();
  chunk->state = Chunk::State::kWaiting;
  if (chunk->fetch) ++to_fetch_;
  order_.push_back(std::move(chunk));
  work_.notify_one();
  return {};
}

/// Another thread, if all are busy and there may be more. Where none can be had the caller helps.
void CoreWriter::StartThread() {
  const unsigned all = has_time_ ? std::min(options_.threads, kThreadsWithTime) : options_.threads;
  const unsigned most = helper_ && all > 1 ? all - 1 : all;
  if (idle_ > 0 || threads_.size() >= most) return;
  try {
    threads_.emplace_back([this] { Compress(); });
  } catch (const std::system_error&) {
    if (threads_.empty()) Help();
  }
}

/// Waits for the threads. A caller that helps does what is there to be done meanwhile.
void CoreWriter::Await(std::unique_lock<std::mutex>& lock, const std::function<bool()>& done) {
  while (!done())
    if (!helper_ || !CompressNext(*helper_, lock)) done_.wait(lock, done);
}

std::unique_ptr<CoreWriter::Chunk> CoreWriter::TakeFree() {
  std::unique_lock lock(mutex_);
  if (free_.empty() && chunks_made_ < chunks_max_) {
    ++chunks_made_;
    return std::make_unique<Chunk>();
  }
  while (fetch_first_ && free_.empty() && FetchNext(lock)) continue;
  wants_room_ = true;
  if (fetch_first_) work_.notify_all();
  Await(lock, [&] { return !free_.empty(); });
  wants_room_ = false;
  auto chunk = std::move(free_.back());
  free_.pop_back();
  chunk->plain_bytes = 0;
  chunk->hole = 0;
  chunk->fetch = nullptr;
  chunk->fetch_error.reset();
  return chunk;
}

/// A thread.
void CoreWriter::Compress() {
  std::unique_lock lock(mutex_);
  if (const auto busy = busy_) obit::KeepOff(*busy);
  while (fetch_first_ && FetchNext(lock)) continue;
  const FrameCompressor::Effort chosen = effort();
  lock.unlock();
  Compressor compressor(chosen);
  lock.lock();
  for (;;) {
    if (CompressNext(compressor, lock)) continue;
    if (stopping_) return;
    ++idle_;
    work_.wait(lock);
    --idle_;
  }
}

/// Has a chunk that was taken filled.
void CoreWriter::FillTaken(Chunk& chunk, std::unique_lock<std::mutex>& lock) {
  lock.unlock();
  chunk.Fill();
  lock.lock();
  chunk.fetch = nullptr;
  if (chunk.fetch_error && !fetch_failure_) fetch_failure_ = chunk.fetch_error;
  if (--to_fetch_ == 0) done_.notify_all();
}

/// Fills the oldest chunk that is to be fetched and that nobody has taken, and leaves the rest to others.
/// False: there is none.
bool CoreWriter::FetchNext(std::unique_lock<std::mutex>& lock) {
  const auto is_to_fetch = [](const auto& chunk) {
    return chunk->state == Chunk::State::kWaiting && chunk->fetch;
  };
  const auto next = std::ranges::find_if(order_, is_to_fetch);
  if (next == order_.end()) return false;
  Chunk& chunk = **next;  // stays put: only a finished chunk leaves order_
  chunk.state = Chunk::State::kTaken;
  FillTaken(chunk, lock);
  chunk.state = Chunk::State::kWaiting;
  return true;
}

/// Fills and compresses the oldest chunk that nobody has taken, and appends what is next in order. Where
/// fetching comes first it does that, and compresses only if the caller needs room. False: there is nothing
/// to do.
bool CoreWriter::CompressNext(Compressor& compressor, std::unique_lock<std::mutex>& lock) {
  if (fetch_first_) {
    if (FetchNext(lock)) return true;
    if (!wants_room_) return false;
  }
  const auto is_waiting = [](const auto& chunk) { return chunk->state == Chunk::State::kWaiting; };
  auto next = std::ranges::find_if(order_, is_waiting);
  if (next == order_.end()) return false;
  Chunk& chunk = **next;  // stays put: only a finished chunk leaves order_
  chunk.state = Chunk::State::kTaken;
  if (chunk.fetch) FillTaken(chunk, lock);
  lock.unlock();
  auto compressed = chunk.Compress(compressor);
  lock.lock();
  if (!compressed && !failure_) failure_ = std::move(compressed).error();
  chunk.state = Chunk::State::kDone;
  AppendDone(lock);
  return true;
}

/// Appends the finished chunks at the front, one thread at a time; writes without the lock. After a failure
/// only drops them.
void CoreWriter::AppendDone(std::unique_lock<std::mutex>& lock) {
  if (appending_) return;  // that thread looks again before it leaves
  appending_ = true;
  while (!order_.empty() && order_.front()->state == Chunk::State::kDone) {
    Chunk& chunk = *order_.front();
    if (!failure_ && !dropping_) {
      lock.unlock();
      auto written = WriteChunk(chunk);
      lock.lock();
      if (!written) failure_ = std::move(written).error().In("write core.zst");
    }
    dropping_ = dropping_ || chunk.fetch_error;
    free_.push_back(std::move(order_.front()));
    order_.pop_front();
    // Not for each: waking the caller costs more than it gains while the other threads still have work.
    // Unless what he brings comes first.
    if (free_.size() * 2 >= chunks_max_ || (fetch_first_ && wants_room_)) done_.notify_all();
  }
  appending_ = false;
  if (order_.empty()) done_.notify_all();
}

/// Writes a chunk's bytes, and before them the hole that they end. Only the thread that appends calls it, so
/// it needs no lock for what it counts.
Result<void> CoreWriter::WriteChunk(const Chunk& chunk) {
  open_hole_ += chunk.hole;
  if (chunk.fetch_error) return {};
  if (chunk.frame_bytes == 0) {
    open_hole_ += chunk.plain_bytes;
    return {};
  }
  OBIT_TRY(WriteHole());
  return WriteFrame({chunk.room.get(), chunk.frame_bytes}, chunk.plain_bytes);
}

/// One frame at a time: a long hole has many, and those that are whole stay when the disk is full.
Result<void> CoreWriter::WriteHole() {
  if (open_hole_ == 0) return {};
  if (open_hole_ > kCoreBytesMax - written_.core.plain) return Fail(EFBIG, "a hole of {} bytes", open_hole_);
  if (plain_holes_ + open_hole_ > kPlainHolesMax) by_length_ = true;
  if (by_length_) return WriteHoleMark();
  std::vector<std::byte> frame;
  std::uint64_t made_of = 0;  // zeros; frames of the same size may be of different holes
  while (open_hole_ > 0) {
    const std::uint64_t plain = std::min(open_hole_, kHoleFrameBytes);
    if (plain != made_of) {
      frame.clear();
      AppendHoleFrame(frame, plain);
      made_of = plain;
    }
    OBIT_TRY(WriteFrame(frame, plain));
    open_hole_ -= plain;
    plain_holes_ += plain;
  }
  return {};
}

Result<void> CoreWriter::WriteHoleMark() {
  std::vector<std::byte> mark;
  AppendHoleMark(mark, open_hole_);
  OBIT_TRY(AppendFrame(mark));
  written_.AddMark(std::exchange(open_hole_, 0));
  return {};
}

Result<void> CoreWriter::WriteFrame(std::span<const std::byte> frame, std::uint64_t plain) {
  if (plain > kCoreBytesMax - written_.core.plain)
    return Fail(EFBIG, "{} bytes behind {}", plain, written_.core.plain);
  OBIT_TRY(AppendFrame(frame));
  written_.Add({static_cast<std::uint32_t>(frame.size()), static_cast<std::uint32_t>(plain)});
  return {};
}

/// The caller adds it to `written_`.
Result<void> CoreWriter::AppendFrame(std::span<const std::byte> frame) {
  if (written_.frames.size() == kFramesMax - 1) return Fail(EFBIG, "frame {}", written_.frames.size());
  OBIT_TRY(TryTwice([&] { return WriteAllAt(file_, frame, written_.core.stored); }));
  if (options_.written != nullptr) options_.written->fetch_add(frame.size(), std::memory_order_relaxed);
  return {};
}

void CoreWriter::StopThreads() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    CompressToo();
  }
  threads_.clear();  // joins
}

void CoreWriter::Rest() {
  if (current_ && current_->plain_bytes > 0) (void)Submit();  // a failed write is told by the next call
  {
    std::unique_lock lock(mutex_);
    CompressToo();
    Await(lock, [&] { return order_.empty() && !appending_; });
  }
  StopThreads();
  stopping_ = false;
  free_.clear();
  chunks_made_ = current_ ? 1 : 0;
}

Result<StoredCore> CoreWriter::Finish() {
  if (current_ && current_->plain_bytes > 0) (void)Submit();  // a failure is looked at below
  if (helper_) {                                              // it may be the only one
    std::unique_lock lock(mutex_);
    CompressToo();
    Await(lock, [&] { return order_.empty() && !appending_; });
  }
  StopThreads();
  if (!fetch_failure_) open_hole_ += hole_;
  if (!failure_)
    if (auto written = WriteHole(); !written) failure_ = std::move(written).error().In("write core.zst");
  if (!failure_) {
    auto written = TryTwice([&] { return WriteEnd(); });
    if (written) return written;
    failure_ = std::move(written).error();
  }
  Error why = *failure_;
  for (int cuts = 0; cuts < kCutsMax; ++cuts) {
    if (!CutBack(why)) break;
    const auto written = TryTwice([&] { return WriteEnd(); });
    if (written) return written;
    why = written.error();
    if (!LacksRoom(why) || written_.frames.empty()) break;
  }
  StoredCore core = written_.core;
  (void)::ftruncate(file_.get(), static_cast<off_t>(core.stored));  // without the half of a table
  core.has_table = false;
  return core;
}

Result<StoredCore> CoreWriter::WriteEnd() {
  const auto end = OBIT_TRY(EncodeEnd(written_.frames, written_.holes));
  StoredCore core = written_.core;
  OBIT_TRY_IN(WriteAllAt(file_, end, core.stored), "write the seek table of core.zst");
  core.stored += end.size();
  return core;
}

/// Drops frames from the end until the seek table and a record fit into what that frees. What failed
/// otherwise costs none.
Result<void> CoreWriter::CutBack(const Error& why) {
  if (LacksRoom(why)) written_.CutBack(kSpareBytes);
  return TryTwice([&]() -> Result<void> {
    if (::ftruncate(file_.get(), static_cast<off_t>(written_.core.stored)) == 0) return {};
    return Fail(errno, "shorten core.zst");
  });
}

std::optional<Error> CoreWriter::failure() {
  const std::lock_guard lock(mutex_);
  return failure_;
}

}  // namespace obit
