#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "base/processors.h"
#include "base/result.h"
#include "store/core_frames.h"
#include "store/frame_compressor.h"

namespace obit {

/// Writes a core as seekable zstd (store/seekable.h) in one pass and bounded memory. The caller reads bytes
/// into Buffer(), or tells with Defer() how a thread can fetch them; threads compress full chunks, which are
/// appended in order. Zeros become part of a hole. One caller thread.
class CoreWriter {
 public:
  /// Bytes of the core that FetchFirst() has room for: several captures at once stay within some MiB each.
  static constexpr std::size_t kFetchedFirst = 4 << 20;

  struct Options {
    unsigned threads = 2;
    std::atomic<std::uint64_t>* written = nullptr;  ///< counts bytes of the file, for a watchdog
  };
  /// Fills all of `room` with bytes of the core. Called on a thread of the writer, or of its caller (KeepOff,
  /// FetchFirst).
  using Fetch = std::function<Result<void>(std::span<std::byte> room)>;

  /// `file` is empty, writable, and stays the caller's; it outlives this object.
  CoreWriter(const Fd& file, const Options& options);
  /// Stops without finishing: the file then has whole frames and no seek table (RecoverCore makes it good).
  ~CoreWriter();
  CoreWriter(CoreWriter&&) = delete;

  /// Threads that start from now on keep off the caller's processor. There is one less: instead of waiting
  /// for room the caller compresses.
  void KeepOff(const BusyProcessor& busy);

  /// Holes that were not yet written are kept by their length alone: for a core whose holes will be more than
  /// kPlainHolesMax. Without this call it is so from the hole on that makes them more.
  void KeepHolesByLength() { by_length_ = true; }

  /// Room for the next bytes of the core, never empty. Waits until there is some.
  [[nodiscard]] std::span<std::byte> Buffer();
  /// The first `n` bytes of Buffer() are filled. Fails with the errno of an earlier write, ENOSPC above all.
  [[nodiscard]] Result<void> Advance(std::size_t n);
  /// Copies `bytes` in: for callers that have them already.
  [[nodiscard]] Result<void> Append(std::span<const std::byte> bytes);
  /// The next `n` bytes of the core are a hole.
  [[nodiscard]] Result<void> Skip(std::uint64_t n);

  /// The next `n` bytes (1 to kFrameBytes) of the core are what `fetch` gives. Waits until there is room.
  /// Fails like Advance, or with the error of an earlier fetch: then see ResumeAfterFetch.
  [[nodiscard]] Result<void> Defer(std::size_t n, Fetch fetch);
  /// From now on, until CompressFetched(), Rest() or Finish(), what is deferred is fetched before anything is
  /// compressed, as far as there is room for it (kFetchedFirst); and the caller fetches, too, instead of
  /// waiting. For a core of some MiB, whose process is held until it is read.
  void FetchFirst();
  /// The process is gone: the threads do the rest.
  void CompressFetched();
  /// Nobody waits for what is left: threads that start from now on compress better, and there are two at
  /// most. After Rest() that is all of it.
  void TakeTime();
  /// Waits until every fetch has returned: what they read from is no longer needed. Fails with the first
  /// error.
  [[nodiscard]] Result<void> WaitFetched();
  /// After a failed fetch everything from its bytes on was dropped; without one nothing was. Waits for what
  /// was before it and returns how much of the core that is; the caller goes on from there.
  [[nodiscard]] std::uint64_t ResumeAfterFetch();

  /// Waits until all so far is in the file, and gives back its threads and their memory until there is more.
  void Rest();

  /// Compresses what is left and appends the seek table. After a failed write: cuts the file back to whole
  /// frames, for want of room (LacksRoom) to as many as leave some for the table and a record, and says in
  /// `plain` how much of the core that left. What the cut frees others may take first: then it cuts again,
  /// kCutsMax times. A disk that takes no table even so costs no more frames: they stay without it
  /// (`has_table`), and failure() says why.
  [[nodiscard]] Result<StoredCore> Finish();

  /// The write that failed, if one did.
  [[nodiscard]] std::optional<Error> failure();

 private:
  struct Chunk;
  struct Compressor;

  Result<void> Submit();
  Result<void> Enqueue(std::unique_ptr<Chunk> chunk);
  void StartThread();
  void Help();
  void Await(std::unique_lock<std::mutex>& lock, const std::function<bool()>& done);
  [[nodiscard]] FrameCompressor::Effort effort() const;
  std::unique_ptr<Chunk> TakeFree();
  void Compress();
  void FillTaken(Chunk& chunk, std::unique_lock<std::mutex>& lock);
  bool FetchNext(std::unique_lock<std::mutex>& lock);
  bool CompressNext(Compressor& compressor, std::unique_lock<std::mutex>& lock);
  void CompressToo();
  void AppendDone(std::unique_lock<std::mutex>& lock);
  Result<void> WriteChunk(const Chunk& chunk);
  Result<void> WriteHole();
  Result<void> WriteHoleMark();
  Result<void> WriteFrame(std::span<const std::byte> frame, std::uint64_t plain);
  Result<void> AppendFrame(std::span<const std::byte> frame);
  void StopThreads();
  Result<void> CutBack(const Error& why);
  Result<StoredCore> WriteEnd();

  const Fd& file_;
  const Options options_;
  std::size_t chunks_max_;

  std::unique_ptr<Chunk> current_;  // being filled by the caller
  std::uint64_t hole_ = 0;          // zeros since the last chunk that was submitted

  std::mutex mutex_;
  std::optional<BusyProcessor> busy_;   // the caller's
  std::unique_ptr<Compressor> helper_;  // of the caller, if it helps
  static thread_local std::unique_ptr<Compressor> spare_;
  std::condition_variable work_, done_;
  std::deque<std::unique_ptr<Chunk>> order_;  // submitted and not yet written, oldest first
  std::vector<std::unique_ptr<Chunk>> free_;
  std::size_t chunks_made_ = 0, idle_ = 0, to_fetch_ = 0;
  bool appending_ = false, stopping_ = false;
  bool has_time_ = false;
  bool fetch_first_ = false, wants_room_ = false;  // the caller waits for a chunk
  std::optional<Error> failure_;
  std::optional<Error> fetch_failure_;
  bool dropping_ = false;          // the failed fetch's chunk has come up: nothing after it is appended
  CoreFrames written_;             // the frames in the file
  std::uint64_t plain_holes_ = 0;  // bytes of holes that are zstd frames
  std::atomic<bool> by_length_ = false;
  std::uint64_t open_hole_ = 0;  // zeros after written_ that wait for the frame that ends them
  std::vector<std::jthread> threads_;
};

}  // namespace obit
