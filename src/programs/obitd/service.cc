#include "service.h"

#include <chrono>
#include <csignal>
#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "configuration.h"

namespace obit {
namespace {

/// For a configuration on a file system that does not answer.
constexpr std::chrono::seconds kReloadPatience{5};

}  // namespace

Result<void> Service::Run(Supervisor::Setup setup, const std::function<void()>& ready) {
  store_ = setup.store;
  const EventSource term = OBIT_TRY(loop_.OnSignal(SIGTERM, [this] { Stop(); }));
  const EventSource interrupt = OBIT_TRY(loop_.OnSignal(SIGINT, [this] { Stop(); }));
  const EventSource hangup = OBIT_TRY(loop_.OnSignal(SIGHUP, [this] { Reload(); }));
  supervisor_ = OBIT_TRY(
      Supervisor::Create(loop_, std::move(setup),
                         {.listening =
                              [this, ready] {
                                ready();
                                manager_.Tell("READY=1");
                              },
                          .pattern = [this](std::string wrong) { status_.SetPattern(std::move(wrong)); },
                          .stopped =
                              [this](Result<void> ended) {
                                ended_ = std::move(ended);
                                loop_.Stop();
                              }}));
  manager_.FeedWatchdog([this] { return supervisor_->CheckManager(); });
  OBIT_TRY(loop_.Run());
  return std::move(ended_);
}

void Service::Stop() {
  manager_.Tell("STOPPING=1");
  supervisor_->Stop();
}

// Reload.

void Service::Reload() {
  if (reload_) {
    reload_again_ = true;
    return;
  }
  manager_.Tell(fmt::format("RELOADING=1\nMONOTONIC_USEC={}", MonotonicNow() / 1000));
  auto errand = SupervisorErrand::Start(
      loop_,
      [this]() -> Result<std::string> {
        Config config = OBIT_TRY(ReadConfig(options_));
        ForbidHarmfulHooks(config);
        return ConfigText(config);
      },
      kReloadPatience, [this](const Result<std::string>& text) { OnConfiguration(text); });
  if (!errand) return OnConfiguration(std::unexpected(errand.error()));
  reload_ = std::move(*errand);
}

void Service::OnConfiguration(const Result<std::string>& text) {
  const std::string wrong = TakeConfiguration(text);
  if (wrong.empty())
    Log(Severity::kNotice, "configuration read again");
  else
    Log(Severity::kError, "{}", wrong);
  status_.SetConfiguration(wrong);
  manager_.Tell("READY=1");
  reload_.reset();
  if (std::exchange(reload_again_, false)) Reload();
}

/// What is wrong with the configuration that was to be taken; empty if it was.
std::string Service::TakeConfiguration(const Result<std::string>& text) {
  const auto config = text ? ParseConfig(*text, "configuration") : std::unexpected(text.error());
  if (!config) return "the old configuration stays: " + config.error().what;
  supervisor_->Configure(*config, *text);
  if (!options_.store.empty() || config->store == store_) return "";
  return fmt::format("server.store = {} is taken after a restart: until then crashes go to {}", config->store,
                     store_);
}

}  // namespace obit
