#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "kernel/mapped_files.h"
#include "policy/config.h"
#include "server/analyzer_process.h"
#include "server/debug_fetcher.h"
#include "server/event_loop.h"
#include "store/store.h"

namespace obit {

/// Stored crashes that wait for their analysis. What comes out is stored as report.json; a crash that was
/// removed meanwhile is forgotten. Captures go first: nothing is begun while the queue is held.
class AnalysisQueue {
 public:
  /// Crashes in the queue that hold descriptors of what they had mapped, at most; the others are analysed by
  /// the names of their files.
  static constexpr std::size_t kHoldingMax = 16;
  /// Crashes whose debug information is yet to be fetched, at most. Those beyond it keep the report that they
  /// have.
  static constexpr std::size_t kToFetchMax = 64;
  /// Crashes that wait, at most. Those beyond it are for the next start of the server, or for obit analyze.
  static constexpr std::size_t kWaitingMax = 4096;

  /// `program` is obit-analyze; empty: nothing is ever analysed. `stored` is called for each report that was
  /// stored. `loop` and `store` outlive the queue.
  AnalysisQueue(EventLoop& loop, const Store& store, std::string program, const Config& config,
                std::function<void(const CrashLocation&, const Report&)> stored);
  ~AnalysisQueue();

  /// For the analyses to come.
  void Reconfigure(const Config& config);
  /// True if what a crash had mapped is of use: opening it takes time while its process is held.
  [[nodiscard]] bool WantsMappedFiles() const;
  void Add(CrashLocation crash, std::vector<MappedFile> mapped);
  /// Queues the newest crashes of the last days that have a core and no report, behind all others.
  void AddUnanalysed();
  /// True: begins no more analyses until false.
  void Hold(bool held);
  /// Kills what runs and forgets what waits: both are left for the next start.
  void Stop();
  /// Crashes beyond kWaitingMax so far.
  [[nodiscard]] std::uint64_t dropped() const { return dropped_; }

 private:
  struct Waiting {
    CrashLocation crash;
    std::vector<MappedFile> mapped;
    bool fetched = false;  ///< its debug information was asked for already
  };
  /// What servers are asked for, once the first report is there.
  struct ToFetch {
    CrashLocation crash;
    std::vector<std::string> build_ids;
  };
  struct Running {
    CrashLocation crash;
    std::unique_ptr<AnalyzerProcess> process;
    bool fetched = false;
  };

  [[nodiscard]] bool enabled() const { return config_.analyze && !program_.empty() && !stopped_; }
  void StartWaiting();
  void Start(Waiting waiting);
  void OnDone(std::list<Running>::iterator running, const Report& report);
  void Fetch(const CrashLocation& crash, const Report& report);
  void StartFetching();
  void OnFetched(const CrashLocation& crash, bool any);

  EventLoop& loop_;
  const Store& store_;
  std::string program_;
  Config config_;
  std::function<void(const CrashLocation&, const Report&)> stored_;
  std::deque<Waiting> waiting_;    // the oldest first
  std::deque<CrashLocation> old_;  // of before the start, the newest first
  std::list<Running> running_;
  std::deque<ToFetch> to_fetch_;           // the oldest first
  std::unique_ptr<ChildProcess> fetcher_;  // one at a time, beside the analyses: a server can be slow
  std::size_t holding_ = 0;                // of waiting_ with descriptors
  bool held_ = false, full_ = false, stopped_ = false;
  std::uint64_t dropped_ = 0;
};

}  // namespace obit
