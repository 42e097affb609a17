#include "store/core_frames.h"

#include <cerrno>

#include "store/hole_marks.h"

namespace obit {

void CoreFrames::Add(SeekEntry frame) {
  frames.push_back(frame);
  core.stored += frame.stored;
  core.plain += frame.plain;
}

void CoreFrames::AddMark(std::uint64_t hole) {
  Add({kHoleMarkBytes, 0});
  holes.push_back(hole);
  core.plain += hole;
  core.omitted += hole;
}

void CoreFrames::CutBack(std::uint64_t spare) {
  const std::uint64_t had = core.stored;
  while (!frames.empty() && had - core.stored < EndBytesMax(frames.size(), holes.size()) + spare) {
    const SeekEntry last = frames.back();
    core.stored -= last.stored;
    core.plain -= last.plain;
    if (MayBeHoleMark(last)) {
      core.plain -= holes.back();
      core.omitted -= holes.back();
      holes.pop_back();
    }
    frames.pop_back();
  }
}

bool LacksRoom(const Error& error) {
  return error.code == ENOSPC || error.code == EDQUOT || error.code == EFBIG;
}

}  // namespace obit
