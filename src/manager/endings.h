#pragma once

#include <string>

#include "manager/release_watch.h"
#include "manager/state.h"

namespace obit {

/// What crashes end in, each in one of these; and their processes' release.
class Endings {
 public:
  Endings(ManagerState& state, ReleaseWatch& released) : state_(state), released_(released) {}

  /// Lets the process go, if that has not happened.
  void Release(OpenCrash& crash);
  /// A worker has let it go.
  void HasReleased(OpenCrash& crash) { released_.Watch(crash); }

  /// There is no core: only that it happened was wanted, as `crash.decision` says.
  void KeepEvent(OpenCrash& crash);
  /// There is no core, for this reason. What is a repeat is counted all the same.
  void Fail(OpenCrash& crash, std::string reason);
  void Count(OpenCrash& crash);
  /// A worker has had it; its core takes so many bytes, 0: there is none.
  void Commit(OpenCrash& crash, std::uint64_t core_bytes);
  void KeepWithoutCore(OpenCrash& crash, std::string reason);
  /// Whatever is in incoming/ID waits there for the next start.
  void Leave(OpenCrash& crash);

 private:
  void End(OpenCrash& crash, bool by_order);
  void CoreEnded(OpenCrash& crash, std::uint64_t bytes);
  void CoreFailed(OpenCrash& crash);

  ManagerState& state_;
  ReleaseWatch& released_;
};

}  // namespace obit
