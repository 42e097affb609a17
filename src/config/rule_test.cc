#include "config/rule.h"

#include <csignal>

#include "base/test_support.h"
#include "config/config.h"
#include "config/config_files.h"

namespace obit {
namespace {

using testing::FailsWith;
using testing::Succeeds;
using testing::TemporaryFolder;

std::string Refusal(std::string_view text) {
  const auto config = ParseConfig(text, "obit.toml");
  if (config) return "";
  EXPECT_EQ(config.error().code, EINVAL);
  return config.error().what;
}

constexpr std::string_view kAll = R"([[rule]]
title = "databases"
exe = ["/usr/lib/postgresql/*/bin/postgres", "/usr/sbin/mysqld"]
name = "post*"
unit = "postgresql@*.service"
slice = "system.slice"
container = "*"
pod = ["*"]
user = ["postgres", 1000]
signal = ["SIGSEGV", 6]
larger_than = "1 GiB"
smaller_than = "20 GiB"
dump_mode = "root"
detail = "minimal"
cores = 2
bytes = "1 MiB"
events = 0
environment = "none"
retention = "keep"
analysis = false
hooks = true
)";

TEST(ParseRules, TakesEveryKey) {
  const auto config = ParseConfig(kAll, "obit.toml");
  ASSERT_THAT(config, Succeeds());
  ASSERT_EQ(config->rules.size(), 1u);
  const Rule& rule = config->rules[0];
  EXPECT_EQ(rule.title, "databases");
  EXPECT_EQ(rule.from, "obit.toml:1");
  EXPECT_THAT(rule.exe, ::testing::ElementsAre("/usr/lib/postgresql/*/bin/postgres", "/usr/sbin/mysqld"));
  EXPECT_THAT(rule.name, ::testing::ElementsAre("post*"));
  EXPECT_THAT(rule.unit, ::testing::ElementsAre("postgresql@*.service"));
  EXPECT_THAT(rule.slice, ::testing::ElementsAre("system.slice"));
  EXPECT_THAT(rule.container, ::testing::ElementsAre("*"));
  EXPECT_THAT(rule.pod, ::testing::ElementsAre("*"));
  ASSERT_EQ(rule.users.size(), 2u);
  EXPECT_EQ(rule.users[0].name, "postgres");
  EXPECT_EQ(rule.users[0].uid, std::nullopt);
  EXPECT_EQ(rule.users[1].uid, 1000u);
  EXPECT_THAT(rule.signals, ::testing::ElementsAre(SIGSEGV, SIGABRT));
  EXPECT_EQ(rule.larger_than, std::uint64_t{1} << 30);
  EXPECT_EQ(rule.smaller_than, std::uint64_t{20} << 30);
  EXPECT_EQ(rule.root_only, true);
  EXPECT_EQ(rule.detail, Detail::kMinimal);
  EXPECT_EQ(rule.cores, 2u);
  EXPECT_EQ(rule.bytes, 1u << 20);
  EXPECT_EQ(rule.events, 0u);
  EXPECT_EQ(rule.environment, EnvironmentKept::kNone);
  EXPECT_EQ(rule.retention, RetentionClass::kKeep);
  EXPECT_EQ(rule.analyze, false);
  EXPECT_EQ(rule.hooks, true);
}

TEST(ParseRules, OneThatSaysNothingSetsNothing) {
  const auto config = ParseConfig("[[rule]]\n", "obit.toml");
  ASSERT_THAT(config, Succeeds());
  EXPECT_THAT(KeysOf(config->rules.at(0), UsersAs::kWritten), ::testing::IsEmpty());
}

TEST(ParseRules, KeepsTheirOrderAndSaysWhereTheyStand) {
  LoadedConfig loaded = DefaultConfig();
  ASSERT_THAT(
      ParseConfigInto("[[rule]]\ncores = 1\n\n[capture]\nslots = 2\n[[rule]]\ncores = 2\n", "a", loaded),
      Succeeds());
  ASSERT_THAT(ParseConfigInto("# one more\n[[rule]]\ncores = 3\n", "b", loaded), Succeeds());
  std::vector<std::string> from;
  std::vector<unsigned> cores;
  for (const Rule& rule : loaded.config.rules) {
    from.push_back(rule.from);
    cores.push_back(rule.cores.value());
  }
  EXPECT_THAT(from, ::testing::ElementsAre("a:1", "a:6", "b:2"));
  EXPECT_THAT(cores, ::testing::ElementsAre(1, 2, 3));
}

TEST(ParseRules, NamesLineAndNearestKeyOfAnUnknownOne) {
  EXPECT_EQ(Refusal("[[rule]]\n\nunits = \"a\"\n"),
            R"(obit.toml:3: unknown key "units" in [[rule]]; did you mean "unit"?)");
  EXPECT_EQ(Refusal("[[rules]]\n"), R"(obit.toml:1: unknown name "rules"; did you mean "rule"?)");
  EXPECT_EQ(Refusal("[[rule]]\nfrom = \"a\"\n"), R"(obit.toml:2: unknown key "from" in [[rule]])");
  EXPECT_EQ(Refusal("[[rule]]\n\"\\u001b[2J\" = 1\n"), R"(obit.toml:2: unknown key "\x1b[2J" in [[rule]])");
}

TEST(ParseRules, RefusesWhatIsNoListOfTables) {
  for (const char* text : {"[rule]\n", "rule = 1\n", "rule = [1]\n", "rule = [{}, \"\"]\n"})
    EXPECT_EQ(Refusal(text), "obit.toml:1: rule must be a table of its own, [[rule]]") << text;
}

TEST(ParseRules, RefusesWrongValues) {
  const auto refusal = [](const std::string& line) { return Refusal("[[rule]]\n" + line + "\n"); };
  for (const char* key : {"exe", "name", "unit", "slice", "container", "pod"})
    for (const std::string& value :
         {std::string("\"\""), std::string("1"), std::string("[true]"), "\"" + std::string(257, 'a') + "\""})
      EXPECT_EQ(refusal(fmt::format("{} = {}", key, value)),
                fmt::format("obit.toml:2: rule.{} must be a text of 1 to 256 bytes", key));
  EXPECT_EQ(refusal("exe = []"), "obit.toml:2: rule.exe must have 1 to 16 values");
  std::string many;
  for (int i = 0; i < 17; ++i) many += "\"a\", ";
  EXPECT_EQ(refusal("exe = [" + many + "]"), "obit.toml:2: rule.exe must have 1 to 16 values");
  EXPECT_EQ(refusal("user = -1"), "obit.toml:2: rule.user must be a whole number from 0 to 4294967294");
  EXPECT_NE(refusal("user = 4294967295"), "");
  EXPECT_EQ(refusal("user = true"), "obit.toml:2: rule.user must be a text of 1 to 256 bytes");
  for (const char* value : {"\"SEGV\"", "\"\"", "true", "\"11\""})
    EXPECT_EQ(refusal(fmt::format("signal = {}", value)),
              R"(obit.toml:2: rule.signal must be signals such as "SIGSEGV" or 11)");
  EXPECT_EQ(refusal("signal = 0"), "obit.toml:2: rule.signal must be a whole number from 1 to 64");
  EXPECT_EQ(refusal("dump_mode = \"suid\""), R"(obit.toml:2: rule.dump_mode must be "user" or "root")");
  EXPECT_EQ(refusal("detail = \"none\""),
            R"(obit.toml:2: rule.detail must be "full", "minimal", "event" or "reject")");
  EXPECT_EQ(refusal("retention = \"long\""),
            R"(obit.toml:2: rule.retention must be "normal", "short" or "keep")");
  EXPECT_EQ(refusal("analysis = 1"), "obit.toml:2: rule.analysis must be true or false");
  EXPECT_EQ(refusal("environment = true"),
            R"(obit.toml:2: rule.environment must be "none", "allow-list" or "all")");
  EXPECT_EQ(refusal("larger_than = 5"),
            R"(obit.toml:2: rule.larger_than must be a size such as "50 MiB" or "1.5 GiB")");
  EXPECT_EQ(refusal("cores = -1"), "obit.toml:2: rule.cores must be a whole number from 0 to 1000000");
  EXPECT_EQ(refusal("title = \"" + std::string(101, 'a') + "\""),
            "obit.toml:2: rule.title must be a text of 1 to 100 bytes");
}

TEST(ParseRules, AreNotMoreThanOthersCanTake) {
  std::string text;
  for (int i = 0; i < 64; ++i) text += "[[rule]]\n";
  EXPECT_EQ(Refusal(text), "");
  EXPECT_EQ(Refusal(text + "[[rule]]\n"), "obit.toml:65: there are more than 64 rules");
  std::string globs;
  for (int i = 0; i < 16; ++i) globs += "\"" + std::string(256, 'a') + "\", ";
  std::string longer;
  for (int i = 0; i < 8; ++i) longer += "[[rule]]\nexe = [" + globs + "]\n";
  EXPECT_EQ(Refusal(longer), "obit.toml:15: the rules have more than 32 KiB in all");
}

TEST(ConfigText, HasTheRulesWithTheirNames) {
  auto config =
      ParseConfig(std::string(kAll) + "[[rule]]\ndetail = \"event\"\ndump_mode = \"user\"\n", "some/file");
  ASSERT_THAT(config, Succeeds());
  config->rules[0].users[0].uid = 26;
  const std::string text = ConfigText(*config);
  const auto read = ParseConfig(text, "text");
  ASSERT_THAT(read, Succeeds());
  EXPECT_EQ(ConfigText(*read), text);
  ASSERT_EQ(read->rules.size(), 2u);
  EXPECT_EQ(read->rules[0].NameForPeople(), "databases");
  EXPECT_EQ(read->rules[1].NameForPeople(), "some/file:22");
  EXPECT_EQ(read->rules[0].users[0].uid, 26u);
  const auto keys = [](const Rule& rule) { return KeysOf(rule, UsersAs::kNumbers); };
  EXPECT_EQ(keys(read->rules[0]), keys(config->rules[0]));
  EXPECT_EQ(keys(read->rules[0]).size(), 20u);
}

TEST(ConfigText, ARuleOfAnyFileHasAName) {
  const std::string name = "/srv/" + std::string(300, 'a') + "/gr\xc3\xbc\n/obit.toml";
  const auto config = ParseConfig("[[rule]]\n", name);
  ASSERT_THAT(config, Succeeds());
  const auto read = ParseConfig(ConfigText(*config), "text");
  ASSERT_THAT(read, Succeeds());
  EXPECT_TRUE(read->rules.at(0).title.starts_with("...aaa")) << read->rules.at(0).title;
  EXPECT_TRUE(read->rules.at(0).title.ends_with("/gr??\n/obit.toml:1"));
}

TEST(ConfigText, RulesHaveAnyText) {
  const auto config = ParseConfig(
      "[[rule]]\ntitle = \"a \\\"b\\\" \\u0001\\u00fc\"\nexe = '\\x*\"'\nuser = \"\\n\"\n[[rule]]\nname = "
      "\"gr\xc3\xbc\"\n",
      "a");
  ASSERT_THAT(config, Succeeds());
  EXPECT_EQ(config->rules[0].title, "a \"b\" \x01??");
  EXPECT_EQ(config->rules[0].exe.at(0), "\\x*\"");
  EXPECT_EQ(config->rules[1].name.at(0), "gr??") << "any two bytes";
  const auto read = ParseConfig(RulesText(config->rules), "text");
  ASSERT_THAT(read, Succeeds());
  EXPECT_EQ(RulesText(read->rules), RulesText(config->rules));
  EXPECT_EQ(read->rules[0].title, config->rules[0].title);
}

TEST(Rule, ItsNameIsNeverLong) {
  Rule rule{.from = std::string(4000, 'a') + "/obit.toml:12"};
  EXPECT_EQ(rule.NameForPeople().size(), kRuleNameMax);
  EXPECT_TRUE(rule.NameForPeople().starts_with("..."));
  EXPECT_TRUE(rule.NameForPeople().ends_with("/obit.toml:12"));
}

TEST(LoadConfig, LooksUpTheUsersOfRules) {
  const TemporaryFolder folder;
  ASSERT_THAT(WriteFileAtomically(folder.fd(), "obit.toml",
                                  "[[rule]]\nuser = [\"root\", \"nobody-is-called-so\", 7]\n", 0600),
              Succeeds());
  const auto loaded = LoadConfig(ConfigOf(folder / "obit.toml"));
  ASSERT_THAT(loaded, Succeeds());
  const auto& users = loaded->config.rules.at(0).users;
  EXPECT_EQ(users.at(0).uid, 0u);
  EXPECT_EQ(users.at(1).uid, std::nullopt);
  EXPECT_EQ(users.at(2).uid, 7u);
  EXPECT_THAT(loaded->no_users,
              ::testing::ElementsAre(
                  fmt::format(R"({}:1: there is no user "nobody-is-called-so")", folder / "obit.toml")));
  EXPECT_EQ(KeysOf(loaded->config.rules[0], UsersAs::kWritten).at(0).second,
            R"(["root", "nobody-is-called-so", 7])");
  EXPECT_EQ(KeysOf(loaded->config.rules[0], UsersAs::kNumbers).at(0).second,
            R"([0, "nobody-is-called-so", 7])");
}

}  // namespace
}  // namespace obit
