#include "base/byte_reader.h"

#include "base/test_support.h"

namespace obit {
namespace {

using testing::BytesOf;
using testing::TextOf;

TEST(ByteReader, ReadsValuesInOrder) {
  const std::uint32_t values[] = {0x01020304, 0xfffefdfc};
  ByteReader reader(std::as_bytes(std::span(values)));
  EXPECT_EQ(reader.Read<std::uint32_t>(), 0x01020304u);
  EXPECT_EQ(reader.position(), 4u);
  EXPECT_EQ(reader.Read<std::uint32_t>(), 0xfffefdfcu);
  EXPECT_EQ(reader.remaining(), 0u);
}

TEST(ByteReader, ReadsValuesThatAreNotAligned) {
  const std::string bytes("\x01\x00\x02\x00\x00", 5);
  ByteReader reader(BytesOf(bytes).subspan(1));
  EXPECT_EQ(reader.Read<std::uint8_t>(), 0);
  EXPECT_EQ(reader.Read<std::uint16_t>(), 2);
}

TEST(ByteReader, AFailedReadChangesNothing) {
  ByteReader reader(BytesOf("abc"));
  EXPECT_FALSE(reader.Read<std::uint32_t>());
  EXPECT_FALSE(reader.Take(4));
  EXPECT_FALSE(reader.TakeCString());
  EXPECT_EQ(reader.position(), 0u);
  EXPECT_EQ(reader.Read<char>(), 'a');
}

TEST(ByteReader, TakesNoMoreThanThereIsHoweverMuchIsAsked) {
  ByteReader reader(BytesOf("abcd"));
  EXPECT_EQ(TextOf(*reader.Take(1)), "a");
  EXPECT_FALSE(reader.Take(UINT64_MAX));
  EXPECT_FALSE(reader.Take(std::uint64_t{1} << 32 | 1));
  EXPECT_EQ(TextOf(*reader.Take(3)), "bcd");
  EXPECT_TRUE(reader.Take(0));
  EXPECT_FALSE(reader.Take(1));
}

TEST(ByteReader, TakesTextWithoutItsNul) {
  const std::string bytes("ab\0\0cd", 6);
  ByteReader reader(BytesOf(bytes));
  EXPECT_EQ(reader.TakeCString(), "ab");
  EXPECT_EQ(reader.TakeCString(), "");
  EXPECT_FALSE(reader.TakeCString());
  EXPECT_EQ(reader.remaining(), 2u);
}

TEST(ByteReader, AlignsUpAndNotPastTheEnd) {
  ByteReader reader(BytesOf("abcdef"));
  EXPECT_TRUE(reader.AlignTo(4));
  EXPECT_EQ(reader.position(), 0u);
  EXPECT_TRUE(reader.Take(1));
  EXPECT_TRUE(reader.AlignTo(4));
  EXPECT_EQ(reader.position(), 4u);
  EXPECT_TRUE(reader.Take(1));
  EXPECT_FALSE(reader.AlignTo(4));
  EXPECT_EQ(reader.position(), 5u);
}

TEST(ByteReader, HasNothingInNothing) {
  ByteReader reader({});
  EXPECT_FALSE(reader.Read<char>());
  EXPECT_FALSE(reader.TakeCString());
  EXPECT_TRUE(reader.Take(0));
  EXPECT_TRUE(reader.AlignTo(8));
}

}  // namespace
}  // namespace obit
