#pragma once

#include <cstddef>
#include <map>

#include "manager/seats.h"
#include "manager/state.h"

namespace obit {

/// Which crashes without a core have a core all the same, for the trace alone: it is analysed and thrown
/// away. Nobody waits for one, and none waits for a worker.
class Traces {
 public:
  Traces(ManagerState& state, const Seats& seats) : state_(state), seats_(seats) {}

  /// As far as workers, the clerk and its site are concerned. Its site may have cores, which say more.
  [[nodiscard]] bool HasRoomFor(const OpenCrash& crash) const;

  void On(const event::TracesWanted& wanted) { room_ = wanted.room; }
  /// A worker has it for that; and the clerk has what came of it, or there is nothing.
  void Begun(OpenCrash& crash);
  void Over(OpenCrash& crash);

 private:
  ManagerState& state_;
  const Seats& seats_;
  std::size_t room_ = 0;  // of the clerk, for those that are open here, too
  std::map<User, std::size_t> open_of_;
  std::size_t open_ = 0;
};

}  // namespace obit
