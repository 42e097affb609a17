#include "config/config.h"

#include <algorithm>
#include <fstream>

#include "base/test_support.h"

namespace obit {
namespace {

using namespace std::chrono_literals;
using testing::FailsWith;
using testing::Succeeds;
using testing::TemporaryFolder;

void ExpectDefaults(const Config& config) {
  const Config defaults;
  EXPECT_EQ(config.slots, defaults.slots);
  EXPECT_EQ(config.progress_timeout, defaults.progress_timeout);
  EXPECT_EQ(config.capture_timeout, defaults.capture_timeout);
  EXPECT_EQ(config.stop_timeout, defaults.stop_timeout);
  EXPECT_EQ(config.no_core_limit, defaults.no_core_limit);
  EXPECT_TRUE(config.respect_core_limit);
  EXPECT_EQ(config.analyze, defaults.analyze);
  EXPECT_EQ(config.analysis_slots, defaults.analysis_slots);
  EXPECT_EQ(config.analysis_timeout, defaults.analysis_timeout);
}

/// The message about a wrong file; empty if it was taken.
std::string Refusal(std::string_view text) {
  const auto config = ParseConfig(text, "obit.toml");
  if (config) return "";
  EXPECT_EQ(config.error().code, EINVAL);
  return config.error().what;
}

TEST(ParseConfig, WhatIsNotMentionedKeepsItsDefault) {
  for (const char* text : {"", "\n# nothing\n", "[capture]\n", "[server]\n[capture]\n"}) {
    const auto config = ParseConfig(text, "obit.toml");
    ASSERT_THAT(config, Succeeds()) << text;
    ExpectDefaults(*config);
  }
}

TEST(ParseConfig, TakesEveryKey) {
  const auto config = ParseConfig(
      "[capture]\nslots = 7\nqueue_timeout = 3\nprogress_timeout = 1\ntimeout = 86400\ncore_limit_zero = "
      "\"reject\"\n"
      "core_limit = \"ignore\"\n[analysis]\nenabled = false\nslots = 2\ntimeout = 3600\nenvironment = "
      "\"all\"\ndebuginfod_urls = "
      "\"http://a http://b\"\ndebuginfod_cache = \"/c\"\n[server]\nstop_timeout = 3\nstore = \"/s\"\n",
      "obit.toml");
  ASSERT_THAT(config, Succeeds());
  EXPECT_EQ(config->slots, 7u);
  EXPECT_EQ(config->queue_timeout, 3s);
  EXPECT_EQ(config->progress_timeout, 1s);
  EXPECT_EQ(config->capture_timeout, 86400s);
  EXPECT_EQ(config->no_core_limit, Detail::kReject);
  EXPECT_FALSE(config->respect_core_limit);
  EXPECT_EQ(config->stop_timeout, 3s);
  EXPECT_FALSE(config->analyze);
  EXPECT_EQ(config->analysis_slots, 2u);
  EXPECT_EQ(config->analysis_timeout, 3600s);
  EXPECT_EQ(config->environment, EnvironmentKept::kAll);
  EXPECT_EQ(config->debuginfod_urls, "http://a http://b");
  EXPECT_EQ(config->debuginfod_cache, "/c");
  EXPECT_EQ(config->store, "/s");
}

TEST(ParseConfig, TakesEveryWordForNoCore) {
  for (const auto& [word, detail] : {std::pair{"full", Detail::kFull},
                                     {"minimal", Detail::kMinimal},
                                     {"event", Detail::kEvent},
                                     {"reject", Detail::kReject}}) {
    const auto config = ParseConfig(fmt::format("capture.core_limit_zero = \"{}\"", word), "obit.toml");
    ASSERT_THAT(config, Succeeds());
    EXPECT_EQ(config->no_core_limit, detail);
  }
}

TEST(ParseConfig, TakesLimitsOfTheStore) {
  const auto config = ParseConfig(
      "[retention]\nenabled = false\nsize = \"50 GiB\"\nfree = \"off\"\ncore_days = 7\nrecord_days = 0\n"
      "user_share = 100\nunit_share = 1\n",
      "obit.toml");
  ASSERT_THAT(config, Succeeds());
  EXPECT_FALSE(config->retention);
  EXPECT_EQ(config->retention_size.bytes, std::uint64_t{50} << 30);
  EXPECT_EQ(config->retention_free, DiskAmount());
  EXPECT_EQ(config->retention_core_days, 7u);
  EXPECT_EQ(config->retention_record_days, 0u);
  EXPECT_EQ(config->retention_user_share, 100u);
  EXPECT_EQ(config->retention_unit_share, 1u);
  for (const char* size : {"\"\"", "\"ten\"", "10", "\"101%\"", "true"})
    EXPECT_EQ(Refusal(fmt::format("retention.size = {}\n", size)),
              "obit.toml:1: retention.size must be a part of the disk such as \"10%\", \"20 GiB\" or \"15%, "
              "10 GiB\", or \"off\"");
  for (const char* size : {"\"0 B\"", "\"10\"", "\"10%, 1023 KiB\""})
    EXPECT_EQ(Refusal(fmt::format("retention.free = {}\n", size)),
              "obit.toml:1: retention.free is less than 1 MiB; \"off\" is no limit");
}

TEST(ParseConfig, TakesALimitOfMemoryPressure) {
  EXPECT_EQ(ParseConfig("[load]\nmemory_pressure = 0\n", "obit.toml")->memory_pressure, 0u);
  EXPECT_EQ(Refusal("load.memory_pressure = 101\n"),
            "obit.toml:1: load.memory_pressure must be a whole number from 0 to 100");
}

TEST(ParseConfig, TakesAFolderByItsWholePathOnly) {
  for (const char* path : {"", "relative", "/srv/\xc3\xbc", "/srv/?", "/srv/\\u0000x"})
    EXPECT_THAT(Refusal(fmt::format("server.store = \"{}\"\n", path)),
                ::testing::HasSubstr("the path of a folder"))
        << path;
  EXPECT_EQ(Refusal("hooks.folder = \"\"\n"), "");
  EXPECT_NE(Refusal("hooks.folder = \"/srv/\xc3\xbc\"\n"), "");
}

TEST(ParseConfig, NamesLineAndNearestKeyOfAnUnknownOne) {
  EXPECT_EQ(Refusal("# obit\n[capture]\nslot = 4\n"),
            R"(obit.toml:3: unknown key "slot" in [capture]; did you mean "slots"?)");
  EXPECT_EQ(Refusal("[capture]\nprogres-timeout = 4\n"),
            R"(obit.toml:2: unknown key "progres-timeout" in [capture]; did you mean "progress_timeout"?)");
  EXPECT_EQ(Refusal("\n[captures]\nslots = 4\n"),
            R"(obit.toml:2: unknown name "captures"; did you mean "capture"?)");
}

TEST(ParseConfig, SaysWhatToWriteInThePlaceOfAFormerKey) {
  EXPECT_EQ(
      Refusal("[crash_loop]\ncrashes = 20\n"),
      R"(obit.toml:2: [crash_loop] has no "crashes" any more: "cores" and "events" say how much of a crash )"
      "site is kept: see obit.toml(5)");
  for (const char* key : {"storm", "interval"})
    EXPECT_THAT(Refusal(fmt::format("crash_loop.{} = 20\n", key)), ::testing::HasSubstr("any more"));
}

TEST(ParseConfig, TakesWhatIsKeptOfACrashLoop) {
  const auto config =
      ParseConfig("[crash_loop]\ncores = 1\nbytes = \"2 MiB\"\nevents = 3\nwindow = 4\n", "obit.toml");
  ASSERT_THAT(config, Succeeds());
  EXPECT_EQ(config->loop_cores, 1u);
  EXPECT_EQ(config->loop_bytes, 2u << 20);
  EXPECT_EQ(config->loop_events, 3u);
  EXPECT_EQ(config->loop_window, 4s);
}

TEST(ParseConfig, TakesSizes) {
  const auto bytes = [](const char* text) {
    const auto config = ParseConfig(fmt::format("budget.user_bytes = \"{}\"\n", text), "obit.toml");
    return config ? std::optional(config->user_bytes) : std::nullopt;
  };
  EXPECT_EQ(bytes("0 B"), 0u);
  EXPECT_EQ(bytes("3 KiB"), 3072u);
  EXPECT_EQ(bytes("16777215 TiB"), std::uint64_t{16777215} << 40);
  EXPECT_EQ(bytes("1.5 MiB"), 3u << 19);
  EXPECT_EQ(bytes("50G"), std::uint64_t{50} << 30);
  for (const char* text : {"16777216 TiB", "", "MiB", "-1 B", "1 ZiB", "1.5", "18446744073709551616 B"})
    EXPECT_EQ(bytes(text), std::nullopt) << text;
  EXPECT_THAT(Refusal("crash_loop.bytes = 5\n"), ::testing::HasSubstr("must be a size such as \"50 MiB\""));
  EXPECT_EQ(bytes("1 KiB"), 1024u);
  for (const char* text : {"1 B", "20", "1023"})
    EXPECT_EQ(Refusal(fmt::format("budget.user_bytes = \"{}\"\n", text)),
              "obit.toml:1: budget.user_bytes is less than 1 KiB");
}

TEST(ParseConfig, NamesNoKeyWhereNoneIsNear) {
  EXPECT_EQ(Refusal("[capture]\nwhatever_else = 1\n"),
            R"(obit.toml:2: unknown key "whatever_else" in [capture])");
  EXPECT_EQ(Refusal("x = 1\n"), R"(obit.toml:1: unknown name "x")");
}

TEST(ParseConfig, RefusesAKeyInTheWrongSection) {
  EXPECT_EQ(Refusal("[server]\nslots = 4\n"), R"(obit.toml:2: unknown key "slots" in [server])");
  EXPECT_EQ(Refusal("slots = 4\n"), R"(obit.toml:1: unknown name "slots")");
}

TEST(ParseConfig, RefusesNumbersOutOfRange) {
  for (const char* value : {"0", "257", "-1", "9223372036854775807"})
    EXPECT_EQ(Refusal(fmt::format("[capture]\nslots = {}\n", value)),
              "obit.toml:2: capture.slots must be a whole number from 1 to 256");
  EXPECT_EQ(Refusal("analysis.slots = 65\n"),
            "obit.toml:1: analysis.slots must be a whole number from 1 to 64");
  EXPECT_EQ(Refusal("analysis.environment = \"some\"\n"),
            R"(obit.toml:1: analysis.environment must be "none", "allow-list" or "all")");
  EXPECT_EQ(Refusal("analysis.debuginfod_cache = \"c\"\n"),
            "obit.toml:1: analysis.debuginfod_cache must be the path of a folder");
  EXPECT_EQ(Refusal("analysis.timeout = 3601\n"),
            "obit.toml:1: analysis.timeout must be a whole number from 1 to 3600");
  for (const char* key :
       {"capture.queue_timeout", "capture.progress_timeout", "capture.timeout", "server.stop_timeout"})
    for (const char* value : {"0", "86401", "-5"})
      EXPECT_EQ(Refusal(fmt::format("{} = {}\n", key, value)),
                fmt::format("obit.toml:1: {} must be a whole number from 1 to 86400", key));
}

TEST(ParseConfig, RefusesEveryOtherType) {
  for (const char* value : {"4.0", "\"4\"", "true", "[4]", "{ x = 4 }", "2026-11-23", "inf"}) {
    EXPECT_EQ(Refusal(fmt::format("capture.slots = {}\n", value)),
              "obit.toml:1: capture.slots must be a whole number from 1 to 256")
        << value;
    EXPECT_NE(Refusal(fmt::format("server.stop_timeout = {}\n", value)), "") << value;
    EXPECT_EQ(Refusal(fmt::format("capture.core_limit_zero = {}\n", value)),
              R"(obit.toml:1: capture.core_limit_zero must be "full", "minimal", "event" or "reject")")
        << value;
  }
  for (const char* value : {"4", "\"\"", "[[]]", "[{ slots = 4 }]"})
    EXPECT_EQ(Refusal(fmt::format("capture = {}\n", value)),
              "obit.toml:1: capture must be a section, [capture]");
}

TEST(ParseConfig, RefusesOtherWordsForNoCore) {
  for (const char* word : {"", "Minimal", "Event", "none"})
    EXPECT_NE(Refusal(fmt::format("capture.core_limit_zero = \"{}\"\n", word)), "") << word;
}

TEST(ParseConfig, KeepsFullOrMinimalCores) {
  EXPECT_EQ(ParseConfig("capture.detail = \"full\"", "obit.toml")->detail, Detail::kFull);
  EXPECT_EQ(ParseConfig("capture.detail = \"minimal\"", "obit.toml")->detail, Detail::kMinimal);
  for (const char* value : {"\"event\"", "\"reject\"", "\"\"", "\"Full\"", "1", "true"})
    EXPECT_EQ(Refusal(fmt::format("capture.detail = {}\n", value)),
              R"(obit.toml:1: capture.detail must be "full" or "minimal")")
        << value;
}

TEST(ParseConfig, RefusesWhatIsNoToml) {
  for (const char* text :
       {"\n[capture", "\nslots", "\n= 4", "\n[capture]\n[capture]", "\n\xff = 1", "\n\"a\0b = 1"})
    EXPECT_TRUE(Refusal(text).starts_with("obit.toml:")) << text << ": " << Refusal(text);
}

TEST(ParseConfig, RefusesWhatBreaksTomlxx) {
  EXPECT_TRUE(Refusal("\n[\n").starts_with("obit.toml:2: ")) << Refusal("\n[\n");
  for (const char* text :
       {"[", "[ \n", "[[\n", "[\n[capture]\n", "[\u00de", "\u00de", "capture.slots = \u00de"})
    EXPECT_NE(Refusal(text), "") << text;
}

TEST(ParseConfig, CommentsMayHaveAnyCharacter) {
  EXPECT_THAT(ParseConfig("# gr\u00fc\u00dfe \U0001f600\n", "obit.toml"), Succeeds());
}

TEST(ParseConfig, MessagesCannotMoveTheCursor) {
  const std::string refusal = Refusal("\"\\u001b[2J\" = 1\n");
  EXPECT_EQ(refusal, R"(obit.toml:1: unknown name "\x1b[2J")");
}

TEST(ParseConfig, ACoreLimitIsRespectedOrIgnored) {
  EXPECT_TRUE(ParseConfig("capture.core_limit = \"respect\"", "obit.toml")->respect_core_limit);
  for (const char* value : {"\"\"", "\"full\"", "4096", "true"})
    EXPECT_EQ(Refusal(fmt::format("capture.core_limit = {}\n", value)),
              R"(obit.toml:1: capture.core_limit must be "respect" or "ignore")");
}

TEST(ParseConfig, NamesWhatIsWrongAsItIs) {
  EXPECT_EQ(Refusal("\"a\\\\b\" = 1\n"), R"(obit.toml:1: unknown name "a\b")");
  EXPECT_EQ(Refusal("[capture]\n\"s\\\\l\" = 1\n").find(R"(obit.toml:2: unknown key "s\l" in [capture])"),
            0u);
}

TEST(DefaultConfig, IsWhatThePackagedFileSays) {
  // Each line that is a setting in comment, taken out of it.
  std::ifstream file(OBIT_SOURCE_DIR "/packaging/obit.toml");
  std::string text;
  for (std::string line; std::getline(file, line);)
    text += (line.starts_with('#') && !line.starts_with("# ") ? line.substr(1) : line) + "\n";
  LoadedConfig packaged = DefaultConfig();
  ASSERT_THAT(ParseConfigInto(text, "packaged", packaged), Succeeds());
  const LoadedConfig defaults = DefaultConfig();
  for (std::size_t i = 0; i < defaults.settings.size(); ++i) {
    const SettingInForce& setting = packaged.settings[i];
    EXPECT_NE(setting.from, "") << setting.key << " is not in the file";
    EXPECT_EQ(setting.value, defaults.settings[i].value) << setting.key;
  }
}

TEST(ConfigText, IsReadAsItWasWritten) {
  Config config;
  config.slots = 17;
  config.detail = Detail::kMinimal;
  config.direct = false;
  config.no_core_limit = Detail::kReject;
  config.respect_core_limit = false;
  config.loop_window = std::chrono::seconds(7);
  config.loop_bytes = 1025;
  config.user_bytes = 0;
  config.unit_bytes = UINT64_MAX;
  config.environment = EnvironmentKept::kAll;
  config.debuginfod_urls = "https://a/ \"b\" \\ 'c'\n";
  config.hooks = "";
  config.store = "/var/lib/o \"b\\it'";
  const std::string text = ConfigText(config);
  const auto read = ParseConfig(text, "text");
  ASSERT_THAT(read, testing::Succeeds());
  EXPECT_EQ(ConfigText(*read), text);
  EXPECT_EQ(read->slots, 17U);
  EXPECT_EQ(read->loop_bytes, 1025U);
  EXPECT_EQ(read->user_bytes, 0U);
  EXPECT_EQ(read->unit_bytes, UINT64_MAX);
  EXPECT_EQ(read->no_core_limit, Detail::kReject);
  EXPECT_EQ(read->debuginfod_urls, config.debuginfod_urls);
  EXPECT_EQ(read->hooks, "");
  EXPECT_EQ(read->store, config.store);
  // All keys: each line that is missing would be a default again.
  EXPECT_EQ(static_cast<std::size_t>(std::ranges::count(text, '\n')), DefaultConfig().settings.size());
  EXPECT_NE(ConfigText(Config{}), text);
}

}  // namespace
}  // namespace obit
