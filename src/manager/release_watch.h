#pragma once

#include <cstdint>

#include "manager/events.h"
#include "manager/inspectors.h"
#include "manager/state.h"

namespace obit {

/// Makes sure that a crashed process goes once it was released. Closing the connection frees one that waits
/// for its reader; but the kernel, while it dumps, may itself wait in a page fault for a file system that
/// does not answer, and only SIGKILL ends that.
///
/// One that works is left alone. The kernel does not notice the end of its reader before it has something to
/// write, and walks through holes until then, 4 to 20 s a TiB (measured on 6.18). SIGKILL would take the
/// signal that it died of, and the word of its core, from what its parent is told.
class ReleaseWatch {
 public:
  ReleaseWatch(ManagerState& state, Inspectors& inspectors) : state_(state), inspectors_(inspectors) {}

  /// The process was let go.
  void Watch(OpenCrash& crash);
  void On(const event::ActivityFound& found);
  /// No answer will come about this process.
  void Unanswered(OpenCrash& crash);
  /// It is time to look.
  void Look(OpenCrash& crash);

 private:
  void Idle(OpenCrash& crash);
  void LookLater(OpenCrash& crash, ManagerLimits::Nanoseconds after);
  void GiveUp(OpenCrash& crash);

  ManagerState& state_;
  Inspectors& inspectors_;
};

}  // namespace obit
