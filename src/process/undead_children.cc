#include "process/undead_children.h"

namespace obit {

void UndeadChildren::Add(pid_t pid) {
  auto death = loop_.OnChild(pid, [this, pid](int) {
    children_.erase(pid);
    for (const auto& callback : callbacks_) callback();
  });
  // One that cannot be watched counts for good: it is there for all that is known.
  children_[pid] = death ? std::move(*death) : EventSource();
}

}  // namespace obit
