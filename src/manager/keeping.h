#pragma once

#include <cstdint>
#include <string_view>

#include "manager/seats.h"
#include "manager/state.h"
#include "policy/early_release.h"

namespace obit {

/// The memory of processes that are gone, which workers keep until it is copied. Each has left its seat to
/// another: however long that takes, new crashes do not wait for it. Who is killed has let go, and the
/// minimal core that was stored before is what is left.
class Keeping {
 public:
  Keeping(ManagerState& state, Seats& seats) : state_(state), seats_(seats) {}

  /// Whether one more may be kept: of all, and of one user's, some at once. Who may, and has not decided yet,
  /// counts.
  [[nodiscard]] KeepRefusal Judge(const OpenCrash& crash) const;
  /// What those have that count, bytes.
  [[nodiscard]] std::uint64_t BytesPromised() const;
  /// The process is gone, and this worker keeps its memory.
  void Begin(Sitter& worker);
  /// A worker looks at the time itself; this one did not.
  [[nodiscard]] bool EndsLate(const Sitter& worker) const;
  /// Something is kept now of the crash with this id.
  [[nodiscard]] bool Keeps(std::string_view id) const;
  /// Somebody wants it back.
  void LetGo(std::string_view id);
  /// obitd is to stop.
  void LetAllGo();
  [[nodiscard]] Manager::Kept Now() const;

 private:
  [[nodiscard]] std::uint64_t ResidentOf(const Sitter& worker) const;
  [[nodiscard]] bool IsOf(const Sitter& worker, std::string_view id) const;

  ManagerState& state_;
  Seats& seats_;
};

}  // namespace obit
