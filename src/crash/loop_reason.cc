#include "crash/loop_reason.h"

#include <fmt/format.h>

namespace obit {
namespace {

constexpr std::string_view kLike = "; like ";

}  // namespace

std::string LoopReason(std::string_view why, std::string_view like) {
  return fmt::format("{}{}{}{}", kLoopReason, why, like.empty() ? "" : kLike, like);
}

std::string_view LoopOf(std::string_view reason) {
  const std::size_t at = reason.rfind(kLike);
  return IsLoopReason(reason) && at != std::string_view::npos ? reason.substr(at + kLike.size()) : "";
}

}  // namespace obit
