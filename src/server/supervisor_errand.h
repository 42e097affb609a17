#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "process/event_loop.h"

namespace obit {

/// Something that may wait, for a file or a name server: a child does it, and has so long. It is killed when
/// this object goes. Whoever has it reaps it (Supervisor does).
class SupervisorErrand {
 public:
  /// In the child, which has no descriptor but the standard ones, reads what its user may, and with
  /// CAP_DAC_READ_SEARCH what others may, if the parent has that. The text has at most kAnswerMax bytes.
  using Work = std::function<Result<std::string>()>;
  using Done = std::function<void(Result<std::string>)>;
  static constexpr std::size_t kAnswerMax = 64 * 1024;

  /// `done` is called once, on the loop, and may drop the errand. ETIMEDOUT: it took too long.
  [[nodiscard]] static Result<std::unique_ptr<SupervisorErrand>> Start(EventLoop& loop, const Work& work,
                                                                       std::chrono::nanoseconds patience,
                                                                       Done done);
  ~SupervisorErrand();
  SupervisorErrand(SupervisorErrand&&) = delete;

 private:
  SupervisorErrand() = default;
  void OnAnswer();
  void Finish(Result<std::string> answer);

  Fd pidfd_, socket_;
  Done done_;
  EventSource readable_, deadline_;
};

}  // namespace obit
