#pragma once

#include <functional>
#include <string>

namespace obit {

/// The line that "systemctl status" shows of obitd: what is wrong with it, if anything is.
class ServiceStatus {
 public:
  using Tell = std::function<void(std::string lines)>;  ///< the service manager
  explicit ServiceStatus(Tell tell) : tell_(std::move(tell)) {}

  /// What is wrong with the last reload; empty: it was taken.
  void SetConfiguration(std::string wrong);
  /// What is wrong with the kernel's core pattern; empty: it leads here.
  void SetPattern(std::string wrong);

 private:
  void Send() const;

  Tell tell_;
  std::string configuration_, pattern_;
};

}  // namespace obit
