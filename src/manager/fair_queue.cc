#include "manager/fair_queue.h"

namespace obit {

void FairQueue::Add(User user, CrashKey crash) {
  if (waiting_[user].insert(crash).second) ++size_;
}

bool FairQueue::Remove(User user, CrashKey crash) {
  const auto found = waiting_.find(user);
  if (found == waiting_.end() || found->second.erase(crash) == 0) return false;
  if (found->second.empty()) waiting_.erase(found);
  --size_;
  return true;
}

}  // namespace obit
