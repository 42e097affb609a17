#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <iterator>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include <sys/types.h>

namespace obit {

/// Whose a job is, where it comes to shares. Nothing: that is not known.
using JobUser = std::optional<uid_t>;

/// Jobs that wait. Users take turns, and each user's oldest job comes first: nobody's thousand jobs stand
/// before another's first. It forgets who has none, so that it is never larger than its jobs.
template <class Job>
class FairJobs {
 public:
  explicit FairJobs(std::size_t most) : most_(most) {}

  /// What has no place: beyond `most`, the newest job of the user who has most, which may be this one.
  std::optional<Job> Add(JobUser user, Job job) {
    const auto [found, is_new] = users_.try_emplace(user);
    if (is_new) found->second.turn = turns_.insert(turns_.end(), user);
    Put(user, found->second, std::move(job));
    if (++size_ <= most_) return std::nullopt;
    // If another has as many, who adds one more has the most.
    const auto& [count, has_most] = *by_count_.rbegin();
    return TakeFrom(has_most.contains(user) ? found : users_.find(*has_most.begin()), /*newest=*/true);
  }
  /// The next one. Its user is the last to have another.
  std::optional<Job> Take() {
    if (turns_.empty()) return std::nullopt;
    const auto user = users_.find(turns_.front());
    turns_.splice(turns_.end(), turns_, turns_.begin());
    return TakeFrom(user, /*newest=*/false);
  }
  /// Drops all jobs of which `wanted` is not true. These.
  template <class Wanted>
  std::vector<Job> KeepOnly(Wanted wanted) {
    std::vector<Job> dropped;
    for (auto user = users_.begin(); user != users_.end();) {
      const auto next = std::next(user);
      std::deque<Job>& jobs = user->second.jobs;
      Uncount(user->first, user->second);
      const auto unwanted = std::stable_partition(jobs.begin(), jobs.end(), wanted);
      size_ -= static_cast<std::size_t>(jobs.end() - unwanted);
      std::move(unwanted, jobs.end(), std::back_inserter(dropped));
      jobs.erase(unwanted, jobs.end());
      if (!jobs.empty()) {
        by_count_[jobs.size()].insert(user->first);
      } else {
        turns_.erase(user->second.turn);
        users_.erase(user);
      }
      user = next;
    }
    return dropped;
  }
  void clear() {
    users_.clear();
    turns_.clear();
    by_count_.clear();
    size_ = 0;
  }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }

 private:
  struct Waiting {
    std::deque<Job> jobs;  // the oldest first
    std::list<JobUser>::iterator turn;
  };
  using Users = std::map<JobUser, Waiting>;

  void Put(const JobUser& user, Waiting& waiting, Job job) {
    Uncount(user, waiting);
    waiting.jobs.push_back(std::move(job));
    by_count_[waiting.jobs.size()].insert(user);
  }
  void Uncount(const JobUser& user, const Waiting& waiting) {
    const auto count = by_count_.find(waiting.jobs.size());
    if (count == by_count_.end()) return;
    count->second.erase(user);
    if (count->second.empty()) by_count_.erase(count);
  }
  Job TakeFrom(typename Users::iterator user, bool newest) {
    Waiting& waiting = user->second;
    Uncount(user->first, waiting);
    Job job = std::move(newest ? waiting.jobs.back() : waiting.jobs.front());
    if (newest)
      waiting.jobs.pop_back();
    else
      waiting.jobs.pop_front();
    --size_;
    if (!waiting.jobs.empty()) {
      by_count_[waiting.jobs.size()].insert(user->first);
    } else {
      turns_.erase(waiting.turn);
      users_.erase(user);
    }
    return job;
  }

  std::size_t most_, size_ = 0;
  Users users_;  // who has any
  std::list<JobUser> turns_;
  std::map<std::size_t, std::set<JobUser>> by_count_;
};

}  // namespace obit
