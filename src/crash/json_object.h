#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/result.h"
#include "base/text.h"
#include "crash/record.h"

// JSON objects, written and read member by member: for the .cc files of this layer only.

namespace obit {

using Json = nlohmann::ordered_json;

// Writing: what is empty is left out, so that a reader can tell "not known" from a value.

inline void Put(Json& out, const char* key, const std::string& bytes) {
  if (!bytes.empty()) out[key] = BytesToUtf8(bytes);
}
inline void Put(Json& out, const char* key, bool value) {
  if (value) out[key] = true;
}
template <class T>
inline void Put(Json& out, const char* key, const std::optional<T>& value) {
  if (value) out[key] = *value;
}
/// Addresses as hex text: JSON numbers lose bits past 2^53 in many readers.
inline void PutAddress(Json& out, const char* key, const std::optional<std::uint64_t>& address) {
  if (address) out[key] = fmt::format("{:#x}", *address);
}

/// Reads the members of one JSON object. The first thing that is wrong is kept; the rest then reads as empty.
class ObjectReader {
 public:
  ObjectReader(const Json& object, std::string where, std::string& wrong)
      : object_(object), where_(std::move(where)), wrong_(wrong) {
    if (!object_.is_object()) Wrong("", "an object");
  }

  void Get(const char* key, std::string& out) {
    if (const Json* value = Find(key)) {
      if (value->is_string())
        out = Utf8ToBytes(value->get_ref<const std::string&>());
      else
        Wrong(key, "a string");
    }
  }
  void Get(const char* key, bool& out) {
    if (const Json* value = Find(key)) {
      if (value->is_boolean())
        out = value->get<bool>();
      else
        Wrong(key, "true or false");
    }
  }
  void Get(const char* key, double& out) {
    if (const Json* value = Find(key)) {
      if (value->is_number())
        out = value->get<double>();
      else
        Wrong(key, "a number");
    }
  }
  template <class T>
    requires(std::is_integral_v<T> && !std::is_same_v<T, bool>)
  void Get(const char* key, T& out) {
    const Json* value = Find(key);
    if (value == nullptr) return;
    if (const auto number = NumberOf<T>(*value))
      out = *number;
    else
      Wrong(key, "a whole number in range");
  }
  template <class T>
  void Get(const char* key, std::optional<T>& out) {
    if (Find(key) == nullptr) return;
    T value{};
    Get(key, value);
    out = value;
  }
  void GetAddress(const char* key, std::optional<std::uint64_t>& out) {
    std::string text;
    Get(key, text);
    if (text.empty()) return;
    out = text.starts_with("0x") ? ParseUnsigned(std::string_view(text).substr(2), 16) : std::nullopt;
    if (!out) Wrong(key, "an address such as \"0x7f00\"");
  }
  void GetTime(const char* key, std::optional<std::int64_t>& out) {
    std::string text;
    Get(key, text);
    if (text.empty()) return;
    out = ParseTimestamp(text);
    if (!out) Wrong(key, "a UTC time such as \"2026-11-23T14:02:11Z\"");
  }
  template <class E>
  void GetEnum(const char* key, std::optional<E> (*named)(std::string_view), E& out) {
    std::string text;
    Get(key, text);
    if (const auto value = named(text))
      out = *value;
    else
      Wrong(key, "a known word");
  }
  template <class T>
    requires std::is_integral_v<T>
  void Get(const char* key, std::vector<T>& out) {
    const Json* value = Find(key);
    if (value == nullptr) return;
    if (!value->is_array()) return Wrong(key, "an array");
    for (const Json& item : *value) {
      const auto number = NumberOf<T>(item);
      if (!number) return Wrong(key, "an array of whole numbers in range");
      out.push_back(*number);
    }
  }
  void Get(const char* key, std::vector<std::string>& out) {
    const Json* value = Find(key);
    if (value == nullptr) return;
    if (!value->is_array()) return Wrong(key, "an array");
    for (const Json& item : *value) {
      if (!item.is_string()) return Wrong(key, "an array of strings");
      out.push_back(Utf8ToBytes(item.get_ref<const std::string&>()));
    }
  }
  const Json* Find(const char* key) {
    if (!object_.is_object()) return nullptr;
    const auto found = object_.find(key);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
  }
  /// The object member `key`; an empty object if it is absent.
  ObjectReader Object(const char* key) {
    static const Json kEmpty = Json::object();
    const Json* value = Find(key);
    return {value != nullptr ? *value : kEmpty, where_ + key + ".", wrong_};
  }
  /// Each item of the array member `key`.
  template <class F>
  void ForEach(const char* key, F visit) {
    const Json* value = Find(key);
    if (value == nullptr) return;
    if (!value->is_array()) return Wrong(key, "an array");
    for (const Json& item : *value) visit(ObjectReader(item, where_ + key + ".", wrong_));
  }
  void Wrong(const char* key, std::string_view expected) {
    if (wrong_.empty()) wrong_ = fmt::format("{}{} is not {}", where_, key, expected);
  }

 private:
  template <class T>
  static std::optional<T> NumberOf(const Json& value) {
    if (value.is_number_unsigned()) {
      if (const auto number = value.get<std::uint64_t>(); std::in_range<T>(number))
        return static_cast<T>(number);
    } else if (value.is_number_integer()) {
      if (const auto number = value.get<std::int64_t>(); std::in_range<T>(number))
        return static_cast<T>(number);
    }
    return std::nullopt;
  }

  const Json& object_;
  std::string where_;
  std::string& wrong_;
};

/// The oldest schema version that is still read.
template <class T>
constexpr int OldestSchema() {
  if constexpr (requires { T::kOldestSchema; })
    return T::kOldestSchema;
  else
    return T::kSchema;
}

/// A file of a crash, `text`, as `read(ObjectReader&, T&)` reads it, after what each begins with: its schema
/// version and the id of the crash. `name` begins the messages. EBADMSG: longer than `max` bytes, or not such
/// a file; EPROTONOSUPPORT: of a schema version that T does
/// not know.
template <class T, class F>
Result<T> ReadCrashFile(std::string_view name, std::string_view text, std::size_t max, F read) {
  if (text.size() > max) return Refuse(EBADMSG, "{} is larger than {} bytes", name, max);
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return Refuse(EBADMSG, "{} is not JSON", name);
  T out;
  std::string wrong;
  ObjectReader in(json, "", wrong);
  int schema = 0;
  in.Get("schema", schema);
  if (wrong.empty() && (schema < OldestSchema<T>() || schema > T::kSchema))
    return Refuse(EPROTONOSUPPORT, "{} has schema version {}; this obit knows {}", name, schema, T::kSchema);
  in.Get("id", out.id);
  if (!IsCrashId(out.id)) in.Wrong("id", "16 hex digits");
  read(in, out);
  if (!wrong.empty()) return Refuse(EBADMSG, "{}: {}", name, wrong);
  return out;
}

}  // namespace obit
