#include "base/log.h"
#include "server/confine.h"
#include "server/inspector.h"
#include "server/role.h"

namespace obit {

void RunInspector(InspectorSetup setup) {
  if (const auto confined = ConfineInspector(); !confined) {
    Log(Severity::kError, "an inspector cannot be confined: {}", confined.error().what);
    ::_exit(1);
  }
  AnswerQuestions(setup.manager,
                  {.inspector = *setup.inspector, .door = setup.door, .identifier = setup.identifier});
  ::_exit(0);
}

}  // namespace obit
