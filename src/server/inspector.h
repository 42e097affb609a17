#pragma once

#include "base/fd.h"
#include "base/unix_socket.h"
#include "server/door_board.h"
#include "server/process_inspector.h"
#include "server/role.h"

namespace obit {

/// What an inspector has.
struct InspectorMeans {
  ProcessInspector& inspector;
  DoorBoard* door = nullptr;  ///< without it he keeps no door, and no crash has a glance
  PeerIdentifier identifier = {};
};

/// Answers one message of the manager, a Question with its descriptors: of all but kSite the pidfd, then the
/// sending ends of its bags. What is no Question is left without an answer: the manager's deadline is for
/// that too. Fails if the manager is gone.
[[nodiscard]] Result<void> AnswerQuestion(const Fd& manager, Message message, const InspectorMeans& means);

/// Answers until the manager's socket ends.
void AnswerQuestions(const Fd& manager, const InspectorMeans& means);

}  // namespace obit
