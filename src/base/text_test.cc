#include "base/text.h"

#include "base/test_support.h"

namespace obit {
namespace {

using ::testing::ElementsAre;

TEST(Utf8Length, KnowsTheFirstAndLastCharacterOfEachLength) {
  EXPECT_EQ(Utf8Length(std::string_view("\0", 1)), 1u);
  EXPECT_EQ(Utf8Length("\x7f"), 1u);
  EXPECT_EQ(Utf8Length("\xc2\x80"), 2u);
  EXPECT_EQ(Utf8Length("\xdf\xbf"), 2u);
  EXPECT_EQ(Utf8Length("\xe0\xa0\x80"), 3u);
  EXPECT_EQ(Utf8Length("\xef\xbf\xbf"), 3u);
  EXPECT_EQ(Utf8Length("\xf0\x90\x80\x80"), 4u);
  EXPECT_EQ(Utf8Length("\xf4\x8f\xbf\xbf"), 4u);
}

TEST(Utf8Length, LooksAtTheFirstCharacterOnly) { EXPECT_EQ(Utf8Length("\xc3\xa9\xff"), 2u); }

TEST(Utf8Length, RefusesOverlongForms) {
  EXPECT_EQ(Utf8Length("\xc0\x80"), 0u);
  EXPECT_EQ(Utf8Length("\xc1\xbf"), 0u);
  EXPECT_EQ(Utf8Length("\xe0\x9f\xbf"), 0u);
  EXPECT_EQ(Utf8Length("\xf0\x8f\xbf\xbf"), 0u);
}

TEST(Utf8Length, RefusesSurrogates) {
  EXPECT_EQ(Utf8Length("\xed\x9f\xbf"), 3u);
  EXPECT_EQ(Utf8Length("\xed\xa0\x80"), 0u);
  EXPECT_EQ(Utf8Length("\xed\xbf\xbf"), 0u);
  EXPECT_EQ(Utf8Length("\xee\x80\x80"), 3u);
}

TEST(Utf8Length, RefusesValuesAboveTheLastCharacter) { EXPECT_EQ(Utf8Length("\xf4\x90\x80\x80"), 0u); }

TEST(Utf8Length, RefusesBytesThatBeginNoCharacter) {
  for (unsigned first = 0x80; first <= 0xff; ++first) {
    if (first >= 0xc2 && first <= 0xf4) continue;
    for (const char* rest : {"", "\x80\x80\x80", "\x90\x80\x80", "\xbf\xbf\xbf"})
      EXPECT_EQ(Utf8Length(std::string(1, static_cast<char>(first)) + rest), 0u) << std::hex << first;
  }
}

TEST(Utf8Length, RefusesEveryTruncation) {
  for (const std::string_view whole : {"\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x92\xa5"})
    for (std::size_t n = 0; n < whole.size(); ++n) {
      EXPECT_EQ(Utf8Length(whole.substr(0, n)), 0u);
      EXPECT_EQ(Utf8Length(std::string(whole.substr(0, n)) + "aaaa"), n == 0 ? 1u : 0u);
    }
}

TEST(EscapeForTerminal, LeavesTextInAnyLanguage) {
  for (const char* text : {"", "plain text.", "Grüße", "日本語", "💥", "\xc2\xa0"})
    EXPECT_EQ(EscapeForTerminal(text), text);
}

TEST(EscapeForTerminal, EscapesControlCharacters) {
  EXPECT_EQ(EscapeForTerminal("\x1b[2J"), "\\x1b[2J");
  EXPECT_EQ(EscapeForTerminal("a\tb\r"), "a\\x09b\\x0d");
  EXPECT_EQ(EscapeForTerminal("\x7f"), "\\x7f");
  EXPECT_EQ(EscapeForTerminal(std::string_view("\0", 1)), "\\x00");
}

TEST(EscapeForTerminal, EscapesTheControlCharactersAboveAscii) {
  EXPECT_EQ(EscapeForTerminal("\xc2\x9b"
                              "2J"),
            "\\xc2\\x9b2J");  // U+009B: the one-byte escape sequence
  EXPECT_EQ(EscapeForTerminal("\xc2\x80"), "\\xc2\\x80");
  EXPECT_EQ(EscapeForTerminal("\xc2\x9f"), "\\xc2\\x9f");
}

TEST(EscapeForTerminal, EscapesBytesThatAreNotUtf8) {
  EXPECT_EQ(EscapeForTerminal("a\xff\xc3"), "a\\xff\\xc3");
  EXPECT_EQ(EscapeForTerminal("\x9b"), "\\x9b");
}

TEST(EscapeForTerminal, EscapesWhatReordersALine) {
  const auto character = [](unsigned value) {  // of U+2000..2FFF
    return std::string{'\xe2', static_cast<char>(0x80 | (value >> 6 & 0x3f)),
                       static_cast<char>(0x80 | (value & 0x3f))};
  };
  for (unsigned value = 0x2020; value < 0x2080; ++value) {
    const bool reorders = (value >= 0x202a && value <= 0x202e) || (value >= 0x2066 && value <= 0x2069);
    EXPECT_EQ(EscapeForTerminal(character(value)).starts_with("\\xe2"), reorders) << std::hex << value;
  }
}

TEST(EscapeControls, LeavesBackslashesAndNothingElse) {
  EXPECT_EQ(EscapeControls(R"(printf("a\n"))"), R"(printf("a\n"))");
  EXPECT_EQ(EscapeControls(R"(\\x1b)"), R"(\\x1b)");
  for (const std::string_view text : {"\x1b[2J", "a\tb\r\n", "\xff", "\xc2\x9b", "\xe2\x80\xae", "ä"})
    EXPECT_EQ(EscapeControls(text), EscapeForTerminal(text));
}

TEST(EscapeForTerminal, CannotBeMistaken) {
  EXPECT_EQ(EscapeForTerminal("a\nb"), "a\\nb");
  EXPECT_EQ(EscapeForTerminal("a\\nb"), "a\\\\nb");
}

TEST(BytesToUtf8, KeepsTextAndItsControlCharacters) {
  EXPECT_EQ(BytesToUtf8("tab\t, \xc3\xa9"), "tab\t, \xc3\xa9");
  EXPECT_EQ(BytesToUtf8("\xff\\x"), "\\xff\\\\x");
}

TEST(BytesToUtf8, ComesBackForEveryPairOfBytes) {
  for (unsigned first = 0; first < 256; ++first)
    for (unsigned second = 0; second < 256; ++second) {
      const std::string bytes{static_cast<char>(first), static_cast<char>(second)};
      const std::string text = BytesToUtf8(bytes);
      ASSERT_EQ(Utf8ToBytes(text), bytes) << first << ' ' << second;
      for (std::string_view rest = text; !rest.empty(); rest.remove_prefix(Utf8Length(rest)))
        ASSERT_NE(Utf8Length(rest), 0u) << first << ' ' << second;
    }
}

TEST(BytesToUtf8, ComesBackWhenTheBytesLookLikeAnEscape) {
  for (const char* bytes : {"\\xff", "\\\\xff", "\\\xff", "\\", "\\\\", "x\\x4", "\\x\xff"})
    EXPECT_EQ(Utf8ToBytes(BytesToUtf8(bytes)), bytes);
}

TEST(Utf8ToBytes, TakesABackslashThatBeginsNothingAsItself) {
  for (const char* text : {"\\", "a\\", "\\n", "\\x", "\\x1", "\\xg0", "\\x0g", "\\xFF"})
    EXPECT_EQ(Utf8ToBytes(text), text);
}

TEST(Split, KeepsEmptyParts) {
  EXPECT_THAT(Split("", ','), ElementsAre(""));
  EXPECT_THAT(Split("a", ','), ElementsAre("a"));
  EXPECT_THAT(Split(",a,,b,", ','), ElementsAre("", "a", "", "b", ""));
}

TEST(Trim, RemovesSpaceAtBothEndsOnly) {
  EXPECT_EQ(Trim(" \t\r\n a b \n"), "a b");
  EXPECT_EQ(Trim(" \n"), "");
  EXPECT_EQ(Trim(""), "");
}

TEST(ParseUnsigned, ReadsAWholeNumber) {
  EXPECT_EQ(ParseUnsigned("0"), 0u);
  EXPECT_EQ(ParseUnsigned("18446744073709551615"), UINT64_MAX);
  EXPECT_EQ(ParseUnsigned("7fff", 16), 0x7fffu);
}

TEST(ParseUnsigned, RefusesEverythingElse) {
  for (const char* text : {"", " 1", "1 ", "+1", "-1", "1.0", "0x1", "a", "18446744073709551616"})
    EXPECT_FALSE(ParseUnsigned(text)) << text;
  EXPECT_FALSE(ParseUnsigned(std::string_view("1\0", 2)));
}

}  // namespace
}  // namespace obit
