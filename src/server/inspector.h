#pragma once

#include <cstdint>
#include <vector>

#include "base/fd.h"
#include "base/unix_socket.h"
#include "config/rule.h"
#include "server/door_board.h"
#include "server/process_inspector.h"
#include "server/role.h"

namespace obit {

/// The rules that an inspector was told, and their number.
struct RulesTold {
  std::vector<Rule> rules;
  std::uint32_t number = 0;  ///< 0: none
};

/// What an inspector has.
struct InspectorMeans {
  ProcessInspector& inspector;
  DoorBoard* door = nullptr;  ///< without it he keeps no door, and no crash has a glance
  PeerIdentifier identifier = {};
  RulesTold* rules = nullptr;  ///< without them no rule wins
};

/// Answers one message of the manager, a Question with its descriptors: of all but kSite the pidfd, then the
/// sending ends of its bags. What is no Question is left without an answer: the manager's deadline is for
/// that too. Fails if the manager is gone.
[[nodiscard]] Result<void> AnswerQuestion(const Fd& manager, Message message, const InspectorMeans& means);

/// Answers until the manager's socket ends, by the rules that he tells.
void AnswerQuestions(const Fd& manager, InspectorMeans means);

}  // namespace obit
