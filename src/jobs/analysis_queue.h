#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "config/config.h"
#include "crash/handling.h"
#include "jobs/analyzer_process.h"
#include "jobs/debug_fetcher.h"
#include "jobs/fair_jobs.h"
#include "process/event_loop.h"
#include "store/access.h"
#include "store/store.h"

namespace obit {

/// Stored crashes that wait for their analysis. What comes out is stored as report.json; a crash that was
/// removed meanwhile is forgotten. Captures go first: nothing is begun while the queue is held. Users take
/// turns.
class AnalysisQueue {
 public:
  /// Crashes in the queue with a bag of what they had mapped, at most; the others are analysed by the names
  /// of their files. One user has half of them.
  static constexpr std::size_t kHoldingMax = 16;
  /// Crashes whose debug information is yet to be fetched, at most. Beyond it one of the user who has most
  /// keeps the report that it has.
  static constexpr std::size_t kToFetchMax = 64;
  /// Crashes that wait, at most. Beyond it one of the user who has most is for the next start of the server,
  /// or for obit analyze.
  static constexpr std::size_t kWaitingMax = 4096;
  /// Crashes of before the start that wait, at most. Beyond it the oldest of the user who has most is for
  /// obit analyze.
  static constexpr std::size_t kOldMax = 256;

  /// Cores in memory, for the trace alone, that wait for their analyses or have them, at most; and bytes of
  /// each. Beyond it a crash has no trace.
  static constexpr std::size_t kTracesMax = 16;
  static constexpr std::int64_t kTraceBytesMax = (4 << 20) + (64 << 10);

  /// A report was stored. `owner` is the user that the crash belongs to, `user` whose process it was.
  using Stored = std::function<void(const CrashLocation&, CrashOwner owner, JobUser user,
                                    const CrashHandling& handling, const Report&)>;

  /// `program` is obit-analyze; empty: nothing is ever analysed. `undead`: analyzers that do not die, for
  /// those that begin to come to no harm from what they wait for, nor to be too many. All that is given
  /// outlives the queue.
  AnalysisQueue(EventLoop& loop, const Store& store, UndeadChildren& undead, std::string program,
                const Config& config, Stored stored);
  ~AnalysisQueue();

  /// For the analyses to come.
  void Reconfigure(const Config& config);
  /// True if what a crash had mapped is of use: opening it takes time while its process is held.
  [[nodiscard]] bool WantsMappedFiles() const;
  /// `owner` is OwnerOf its record, `user` whose process it was; `mapped` is AnalyzerFiles::mapped.
  /// `handling` is of the record, too.
  void Add(CrashLocation crash, CrashOwner owner, JobUser user, Fd mapped,
           const CrashHandling& handling = {});
  /// The same of a crash without a core that has one for the trace alone, in a bag (BagItem::kTrace) that may
  /// have none. It is gone after its analysis, whatever comes of that; the report has nothing of what was in
  /// memory (ForgetMemory). What it has no debug information for is not fetched.
  void AddTrace(CrashLocation crash, CrashOwner owner, JobUser user, Fd mapped, Fd trace,
                const CrashHandling& handling = {});
  /// For so many there is room, those included that are not added yet.
  [[nodiscard]] std::size_t RoomForTraces() const;
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
    CrashOwner owner;
    JobUser user;
    CrashHandling handling;
    Fd mapped;
    bool fetched = false;  ///< its debug information was asked for already
    Fd trace{};            ///< its core, which nobody else has
  };
  /// What servers are asked for, once the first report is there.
  struct ToFetch {
    CrashLocation crash;
    CrashOwner owner;
    JobUser user;
    CrashHandling handling;
    std::vector<std::string> build_ids;
  };
  struct Running {
    CrashLocation crash;
    CrashOwner owner;
    JobUser user;
    CrashHandling handling;
    std::unique_ptr<AnalyzerProcess> process;
    bool fetched = false;
    bool is_trace = false;
  };

  /// Crashes that no rule says anything of may be analysed, or some others.
  [[nodiscard]] bool enabled() const;
  [[nodiscard]] bool Wants(const CrashHandling& handling) const;
  void DropUnwanted();
  void Enqueue(Waiting waiting);
  void Dequeued(const Waiting& waiting);
  void StartWaiting();
  [[nodiscard]] bool TooManyAreUndead();
  [[nodiscard]] Result<AnalyzerFiles> FilesOf(Waiting& waiting) const;
  void Start(Waiting waiting);
  void OnDone(std::list<Running>::iterator running, Report report);
  void Fetch(const Running& analysed, const Report& report);
  void StartFetching();
  void OnFetched(const ToFetch& fetched, bool any);

  EventLoop& loop_;
  const Store& store_;
  UndeadChildren& undead_;
  std::string program_;
  Config config_;
  Stored stored_;
  FairJobs<Waiting> waiting_{kWaitingMax};
  FairJobs<Waiting> old_{kOldMax};  // of before the start, each user's newest first
  std::list<Running> running_;
  FairJobs<ToFetch> to_fetch_{kToFetchMax};
  std::unique_ptr<ChildProcess> fetcher_;  // one at a time, beside the analyses: a server can be slow
  std::size_t holding_ = 0;                // of waiting_ with bags
  std::map<JobUser, std::size_t> holding_of_;
  std::size_t traces_ = 0;  // of waiting_ and running_
  bool held_ = false, full_ = false, stopped_ = false, said_undead_ = false;
  std::uint64_t dropped_ = 0;
};

}  // namespace obit
