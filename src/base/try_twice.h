#pragma once

namespace obit {

/// What fails for a moment need not fail again: a disk that was full for as long as another file was there, a
/// cable that was loose. For what costs nothing to be tried twice, and much if it is not done.
template <class Attempt>
[[nodiscard]] auto TryTwice(Attempt attempt) {
  if (auto done = attempt()) return done;
  return attempt();
}

}  // namespace obit
