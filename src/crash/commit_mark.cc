#include "crash/commit_mark.h"

#include "crash/json_object.h"

namespace obit {

std::string CommitToJson(const CommitMark& mark) {
  Json out = Json::object();
  out["schema"] = CommitMark::kSchema;
  out["id"] = mark.id;
  out["number"] = mark.number;
  return out.dump(2) + "\n";
}

Result<CommitMark> CommitFromJson(std::string_view text) {
  return ReadCrashFile<CommitMark>("commit", text, kCommitJsonMax, [](ObjectReader& in, CommitMark& mark) {
    in.Get("number", mark.number);
    if (mark.number == 0 || mark.number > kNumberMax) in.Wrong("number", "a number from 1 to 2^52");
  });
}

}  // namespace obit
