#include "service_status.h"

#include <utility>

namespace obit {

void ServiceStatus::SetConfiguration(std::string wrong) {
  configuration_ = std::move(wrong);
  Send();
}

void ServiceStatus::SetPattern(std::string wrong) {
  pattern_ = std::move(wrong);
  Send();
}

void ServiceStatus::Send() const {
  std::string line = "STATUS=" + pattern_;
  if (!pattern_.empty() && !configuration_.empty()) line += "; ";
  line += configuration_;
  for (char& c : line)
    if (c == '\n') c = ' ';  // a line of the protocol each
  tell_(std::move(line));
}

}  // namespace obit
