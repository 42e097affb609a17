#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "options.h"
#include "process/event_loop.h"
#include "server/supervisor.h"
#include "server/supervisor_errand.h"
#include "service_manager.h"
#include "service_status.h"

namespace obit {

/// obitd as a service: signals, and what the service manager and people are told. What may wait, files above
/// all, is done by errands.
class Service {
 public:
  /// `loop` outlives this object.
  Service(EventLoop& loop, const ServerOptions& options) : loop_(loop), options_(options), manager_(loop) {}

  /// Serves until a signal says stop. `ready` is called when crashes are accepted.
  [[nodiscard]] Result<void> Run(Supervisor::Setup setup, const std::function<void()>& ready);

 private:
  void Stop();
  void Reload();
  void OnConfiguration(const Result<std::string>& text);
  [[nodiscard]] std::string TakeConfiguration(const Result<std::string>& text);

  EventLoop& loop_;
  const ServerOptions& options_;
  ServiceManager manager_;
  ServiceStatus status_{[this](std::string lines) { manager_.Tell(std::move(lines)); }};
  std::unique_ptr<Supervisor> supervisor_;
  std::string store_;  // where crashes go, until a restart
  std::unique_ptr<SupervisorErrand> reload_;
  Result<void> ended_;         // why it could not go on
  bool reload_again_ = false;  // a signal came while one was under way
};

}  // namespace obit
