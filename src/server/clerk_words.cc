// What the clerk tells the manager.

#include "server/clerk.h"
#include "server/facts_record.h"
#include "server/patient_messages.h"

namespace obit {

void Clerk::TellWantsMapped() {
  const bool wants = analyses_.WantsMappedFiles();
  if (wants_mapped_ == wants) return;
  wants_mapped_ = wants;
  Say({.kind = ClerkWord::Kind::kWantsMapped, .count = wants ? 1U : 0U});
}

void Clerk::TellTraces() {
  const std::size_t room = analyses_.RoomForTraces();
  if (traces_room_ == room) return;
  traces_room_ = room;
  Say({.kind = ClerkWord::Kind::kWantsTraces, .count = room});
}

/// The manager never waits, so this waits for it at most until it dies.
void Clerk::Say(ClerkWord word, std::string_view id, std::string_view text) {
  SetText(word.id, id);
  std::string message(reinterpret_cast<const char*>(&word), sizeof word);
  message += text.substr(0, kReasonMax);
  (void)SendPatiently(setup_.manager, std::as_bytes(std::span(message)));  // if it is gone, its orders end
}

}  // namespace obit
