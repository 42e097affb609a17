#include "config/rule.h"

#include <algorithm>
#include <csignal>
#include <limits>
#include <string_view>

#include <fmt/format.h>

#include "base/nearest.h"
#include "base/signal_name.h"
#include "base/text.h"
#include "config/rule_table.h"

namespace obit {
namespace {

constexpr std::string_view kRule = "rule";
constexpr std::string_view kUser = "user", kRoot = "root";  // of dump_mode

/// `read` each value, of a list or of one alone.
template <class Read>
Result<void> ForEachOf(const Value& value, Read read) {
  const auto* list = value.node.as_array();
  if (list == nullptr) return read(value);
  if (list->empty() || list->size() > Rule::kValuesMax)
    return Refuse(EINVAL, "{} must have 1 to {} values", value.where, Rule::kValuesMax);
  for (const toml::node& one : *list) OBIT_TRY(read({one, value.where}));
  return {};
}

/// What ParseToml makes of a character outside ASCII its escape is made, too: whoever reads RulesText has the
/// same rules.
Result<std::string> ShortText(const Value& value, std::size_t max) {
  const std::string* text = value.text();
  if (text == nullptr || text->empty() || text->size() > max)
    return Refuse(EINVAL, "{} must be a text of 1 to {} bytes", value.where, max);
  std::string ascii = *text;
  std::ranges::replace_if(ascii, [](char c) { return static_cast<unsigned char>(c) >= 0x80; }, '?');
  return ascii;
}

Result<std::vector<std::string>> Globs(const Value& value) {
  std::vector<std::string> globs;
  OBIT_TRY(ForEachOf(value, [&](const Value& one) -> Result<void> {
    globs.push_back(OBIT_TRY(ShortText(one, Rule::kGlobMax)));
    return {};
  }));
  return globs;
}
Result<std::vector<Rule::User>> Users(const Value& value) {
  std::vector<Rule::User> users;
  OBIT_TRY(ForEachOf(value, [&](const Value& one) -> Result<void> {
    constexpr std::int64_t kUidMax = std::numeric_limits<uid_t>::max() - std::int64_t{1};
    if (one.node.is_integer())
      users.push_back({"", static_cast<uid_t>(OBIT_TRY(Integer(one, 0, kUidMax)))});
    else
      users.push_back({OBIT_TRY(ShortText(one, Rule::kGlobMax)), std::nullopt});
    return {};
  }));
  return users;
}
Result<std::vector<int>> Signals(const Value& value) {
  std::vector<int> signals;
  OBIT_TRY(ForEachOf(value, [&](const Value& one) -> Result<void> {
    if (one.node.is_integer()) {
      signals.push_back(static_cast<int>(OBIT_TRY(Integer(one, 1, SIGRTMAX))));
    } else {
      const auto signal = one.text() != nullptr ? SignalNamed(*one.text()) : std::nullopt;
      if (!signal) return Refuse(EINVAL, R"({} must be signals such as "SIGSEGV" or 11)", one.where);
      signals.push_back(*signal);
    }
    return {};
  }));
  return signals;
}
Result<bool> RootOnly(const Value& value) {
  if (const std::string* text = value.text())
    if (*text == kUser || *text == kRoot) return *text == kRoot;
  return Refuse(EINVAL, R"({} must be "{}" or "{}")", value.where, kUser, kRoot);
}
Result<RetentionClass> Retention(const Value& value) {
  if (const auto* text = value.text())
    if (const auto retention = RetentionClassNamed(*text)) return *retention;
  return Refuse(EINVAL, R"({} must be "normal", "short" or "keep")", value.where);
}
Result<std::string> Title(const Value& value) { return ShortText(value, Rule::kTitleMax); }

std::string PrintOne(const std::string& text, UsersAs) { return Print(text); }
std::string PrintOne(int signal, UsersAs) { return Print(SignalName(signal)); }
std::string PrintOne(const Rule::User& user, UsersAs as) {
  const bool as_number = user.uid && (as == UsersAs::kNumbers || user.name.empty());
  return as_number ? std::to_string(*user.uid) : Print(user.name);
}
template <class T>
std::string PrintSet(const std::vector<T>& list, UsersAs as) {
  if (list.size() == 1) return PrintOne(list[0], as);
  std::string text;
  for (const T& one : list) text += (text.empty() ? "[" : ", ") + PrintOne(one, as);
  return list.empty() ? "" : text + "]";
}
std::string PrintSet(const std::string& text, UsersAs) { return text.empty() ? "" : Print(text); }
template <class T>
std::string PrintSet(const std::optional<T>& value, UsersAs) {
  return value ? Print(*value) : "";
}

struct RuleKey {
  std::string_view key;
  Result<void> (*read)(const Value& value, Rule& rule);
  std::string (*print)(const Rule& rule, UsersAs users);  // empty: it is not set
};
template <auto kMember, auto kRead>
constexpr RuleKey Key(std::string_view key) {
  return {key,
          [](const Value& value, Rule& rule) -> Result<void> {
            rule.*kMember = OBIT_TRY(kRead(value));
            return {};
          },
          [](const Rule& rule, UsersAs users) { return PrintSet(rule.*kMember, users); }};
}
constexpr RuleKey kKeys[] = {
    Key<&Rule::title, Title>("title"),
    Key<&Rule::exe, Globs>("exe"),
    Key<&Rule::name, Globs>("name"),
    Key<&Rule::unit, Globs>("unit"),
    Key<&Rule::slice, Globs>("slice"),
    Key<&Rule::container, Globs>("container"),
    Key<&Rule::pod, Globs>("pod"),
    Key<&Rule::users, Users>("user"),
    Key<&Rule::signals, Signals>("signal"),
    Key<&Rule::larger_than, Bytes>("larger_than"),
    Key<&Rule::smaller_than, Bytes>("smaller_than"),
    {"dump_mode",
     [](const Value& value, Rule& rule) -> Result<void> {
       rule.root_only = OBIT_TRY(RootOnly(value));
       return {};
     },
     [](const Rule& rule, UsersAs) {
       return rule.root_only ? Print(std::string(*rule.root_only ? kRoot : kUser)) : std::string();
     }},
    Key<&Rule::detail, AnyDetail>("detail"),
    Key<&Rule::cores, Whole<0, 1'000'000>>("cores"),
    Key<&Rule::bytes, Bytes>("bytes"),
    Key<&Rule::events, Whole<0, 1'000'000>>("events"),
    {"early_release",
     [](const Value& value, Rule& rule) -> Result<void> {
       rule.early_release = OBIT_TRY(EarlyReleaseWanted(value));
       return {};
     },
     [](const Rule& rule, UsersAs) {
       return rule.early_release ? PrintEarlyRelease(*rule.early_release) : std::string();
     }},
    Key<&Rule::environment, Environment>("environment"),
    Key<&Rule::retention, Retention>("retention"),
    Key<&Rule::analyze, Boolean>("analysis"),
    Key<&Rule::hooks, Boolean>("hooks"),
};

Result<Rule> ReadRule(const toml::table& table, const std::string& name) {
  Rule rule{.from = fmt::format("{}:{}", name, table.source().begin.line)};
  for (const auto& [key, node] : table) {
    const std::string line = fmt::format("{}:{}", name, key.source().begin.line);
    const auto* known = std::ranges::find(kKeys, key.str(), &RuleKey::key);
    if (known == std::end(kKeys)) {
      std::vector<std::string_view> keys;
      for (const RuleKey& one : kKeys) keys.push_back(one.key);
      return Refuse(EINVAL, R"({}: unknown key "{}" in [[{}]]{})", line, EscapeControls(key.str()), kRule,
                    DidYouMean(key.str(), keys));
    }
    OBIT_TRY(known->read({node, fmt::format("{}: {}.{}", line, kRule, known->key)}, rule));
  }
  return rule;
}

}  // namespace

/// The end of a long path tells more.
std::string Rule::NameForPeople() const {
  if (!title.empty()) return title;
  constexpr std::string_view kDots = "...";
  if (from.size() <= kRuleNameMax) return from;
  return std::string(kDots) + from.substr(from.size() - (kRuleNameMax - kDots.size()));
}

std::vector<std::pair<std::string, std::string>> KeysOf(const Rule& rule, UsersAs users) {
  std::vector<std::pair<std::string, std::string>> keys;
  for (const RuleKey& key : kKeys)
    if (std::string value = key.print(rule, users); !value.empty())
      keys.emplace_back(key.key, std::move(value));
  return keys;
}

std::string RulesText(const std::vector<Rule>& rules) {
  std::string text;
  for (Rule named : rules) {
    named.title = named.NameForPeople();
    text += fmt::format("[[{}]]\n", kRule);
    for (const auto& [key, value] : KeysOf(named, UsersAs::kNumbers))
      text += fmt::format("{} = {}\n", key, value);
  }
  return text;
}

Result<void> ReadRules(const toml::node& node, const std::string& name, const std::string& line,
                       std::vector<Rule>& rules) {
  const toml::array* list = node.as_array();
  const auto is_table = [](const toml::node& one) { return one.is_table(); };
  if (list == nullptr || !std::ranges::all_of(*list, is_table))
    return Refuse(EINVAL, "{}: {} must be a table of its own, [[{}]]", line, kRule, kRule);
  std::size_t bytes = RulesText(rules).size();
  for (const toml::node& one : *list) {
    rules.push_back(OBIT_TRY(ReadRule(*one.as_table(), name)));
    if (rules.size() > Rule::kMax)
      return Refuse(EINVAL, "{}: there are more than {} rules", rules.back().from, Rule::kMax);
    bytes += RulesText({rules.back()}).size();
    if (bytes > Rule::kTextMax)
      return Refuse(EINVAL, "{}: the rules have more than {} KiB in all", rules.back().from,
                    Rule::kTextMax >> 10);
  }
  return {};
}

}  // namespace obit
