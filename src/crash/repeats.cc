#include "crash/repeats.h"

#include "crash/json_object.h"
#include "crash/record.h"

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
  if (text.size() > kRepeatsJsonMax)
    return Refuse(EBADMSG, "repeats are larger than {} bytes", kRepeatsJsonMax);
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return Refuse(EBADMSG, "repeats are not JSON");
  Repeats repeats;
  std::string wrong;
  ObjectReader in(json, "", wrong);
  int schema = 0;
  in.Get("schema", schema);
  if (wrong.empty() && schema != Repeats::kSchema)
    return Refuse(EPROTONOSUPPORT, "repeats have schema version {}; this obit knows {}", schema,
                  Repeats::kSchema);
  in.Get("id", repeats.id);
  if (!IsCrashId(repeats.id)) in.Wrong("id", "16 hex digits");
  in.Get("crashes", repeats.crashes);
  if (repeats.crashes == 0) in.Wrong("crashes", "a number of crashes");
  std::optional<std::int64_t> first, last;
  in.GetTime("first", first);
  in.GetTime("last", last);
  if (!first || !last) in.Wrong("first, last", "there");
  if (!wrong.empty()) return Refuse(EBADMSG, "repeats: {}", wrong);
  repeats.first = *first;
  repeats.last = *last;
  return repeats;
}

}  // namespace obit
