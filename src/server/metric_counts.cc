#include "server/metric_counts.h"

#include <cerrno>
#include <new>

#include <sys/mman.h>

namespace obit {

void MetricCounts::Continue(std::uint32_t manager_generation) {
  for (ContinuedCount* count :
       {&log_dropped, &analyses_dropped, &hook_runs, &hook_failures, &hook_events_dropped})
    count->Continue();
  if (manager == manager_generation) return;
  refused.Continue();
  replaced.Continue();
  if (manager != 0) replaced.before += manager_generation - manager;  // nobody else counts managers
  manager = manager_generation;
}

Result<SharedCounts> SharedCounts::Create() {
  void* memory =
      ::mmap(nullptr, sizeof(MetricCounts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return Fail(errno, "share memory between processes");
  SharedCounts counts(new (memory) MetricCounts);
  OBIT_TRY(counts.LetChildrenHaveIt(false));
  return counts;
}

SharedCounts::SharedCounts(SharedCounts&& other) noexcept : counts_(std::exchange(other.counts_, nullptr)) {}

SharedCounts::~SharedCounts() {
  if (counts_ != nullptr) ::munmap(counts_, sizeof(MetricCounts));
}

Result<void> SharedCounts::LetChildrenHaveIt(bool have) const {
  if (::madvise(counts_, sizeof(MetricCounts), have ? MADV_DOFORK : MADV_DONTFORK) < 0)
    return Fail(errno, "say whether children have the counts");
  return {};
}

}  // namespace obit
