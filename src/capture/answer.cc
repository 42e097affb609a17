#include "capture/answer.h"

namespace obit {

CoredumpWish WishOf(Detail detail) {
  switch (detail) {
    case Detail::kFull:
    case Detail::kMinimal:
      return CoredumpWish::kCore;
    case Detail::kEvent:
      return CoredumpWish::kEvent;
    case Detail::kReject:
      return CoredumpWish::kReject;
  }
  return CoredumpWish::kEvent;
}

}  // namespace obit
