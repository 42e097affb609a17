#include "crash/removed_core.h"

#include "crash/json_object.h"

namespace obit {

std::string RemovedCoreToJson(const RemovedCore& removed) {
  Json out = Json::object();
  out["schema"] = RemovedCore::kSchema;
  out["id"] = removed.id;
  out["time"] = FormatTimestamp(removed.time);
  out["bytes"] = removed.bytes;
  Put(out, "why", removed.why);
  return out.dump(2) + "\n";
}

Result<RemovedCore> RemovedCoreFromJson(std::string_view text) {
  return ReadCrashFile<RemovedCore>("removal", text, kRemovedJsonMax,
                                    [](ObjectReader& in, RemovedCore& removed) {
                                      std::optional<std::int64_t> time;
                                      in.GetTime("time", time);
                                      if (!time) in.Wrong("time", "there");
                                      removed.time = time.value_or(0);
                                      in.Get("bytes", removed.bytes);
                                      in.Get("why", removed.why);
                                    });
}

}  // namespace obit
