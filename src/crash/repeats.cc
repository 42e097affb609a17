#include "crash/repeats.h"

#include "crash/json_object.h"

namespace obit {

std::string RepeatsToJson(const Repeats& repeats) {
  Json out = Json::object();
  out["schema"] = Repeats::kSchema;
  out["id"] = repeats.id;
  out["crashes"] = repeats.crashes;
  out["first"] = FormatTimestamp(repeats.first);
  out["last"] = FormatTimestamp(repeats.last);
  return out.dump(2) + "\n";
}

Result<Repeats> RepeatsFromJson(std::string_view text) {
  return ReadCrashFile<Repeats>("count", text, kRepeatsJsonMax, [](ObjectReader& in, Repeats& repeats) {
    in.Get("crashes", repeats.crashes);
    if (repeats.crashes == 0) in.Wrong("crashes", "a number of crashes");
    std::optional<std::int64_t> first, last;
    in.GetTime("first", first);
    in.GetTime("last", last);
    if (!first || !last) in.Wrong("first, last", "there");
    repeats.first = first.value_or(0);
    repeats.last = last.value_or(0);
  });
}

}  // namespace obit
