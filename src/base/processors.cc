#include "base/processors.h"

namespace obit {

StayOnProcessor::StayOnProcessor() {
  BusyProcessor busy{.number = ::sched_getcpu()};
  if (::sched_getaffinity(0, sizeof busy.all, &busy.all) < 0 || CPU_COUNT(&busy.all) < 2) return;
  if (busy.number < 0 || busy.number >= CPU_SETSIZE || !CPU_ISSET(busy.number, &busy.all)) return;
  cpu_set_t only;
  CPU_ZERO(&only);
  CPU_SET(busy.number, &only);
  if (::sched_setaffinity(0, sizeof only, &only) == 0) processor_ = busy;
}

StayOnProcessor::~StayOnProcessor() {
  if (processor_) (void)::sched_setaffinity(0, sizeof processor_->all, &processor_->all);
}

void KeepOff(const BusyProcessor& busy) {
  cpu_set_t others = busy.all;
  CPU_CLR(busy.number, &others);
  (void)::sched_setaffinity(0, sizeof others, &others);
}

}  // namespace obit
