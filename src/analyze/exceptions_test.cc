#include "analyze/exceptions.h"

#include <array>

#include "analyze/test_support.h"

namespace obit {
namespace {

using namespace testing;

/// Memory with exceptions in it, on the stack of a dead process: addresses are offsets from kStack.
class Thrown {
 public:
  static constexpr std::uint64_t kGnu = 0x474e5543432b2b00, kLlvm = 0x434c4e47432b2b00;
  static constexpr std::uint64_t kHeader = 0x1000, kObject = kHeader + 32;

  void Word(std::uint64_t at, std::uint64_t value) { dead_.Word(kStack + at, value); }
  void Pointer(std::uint64_t at, std::uint64_t to) { Word(at, kStack + to); }
  void Text(std::uint64_t at, std::string_view text) {
    for (std::size_t i = 0; i <= text.size(); i += 8) {
      std::uint64_t word = 0;
      std::memcpy(&word, text.data() + i, std::min<std::size_t>(8, text.size() - i));
      Word(at + i, word);
    }
  }
  /// A type_info at `at`, with its name behind the others'.
  void Type(std::uint64_t at, std::string_view name) {
    Text(at + 0x200, name);
    Pointer(at + 8, at + 0x200);
  }
  /// An exception of the type at `type`.
  void Exception(std::uint64_t language, std::uint64_t type) {
    Word(kHeader, language);
    Pointer(kHeader - 80, type);
  }
  [[nodiscard]] std::optional<ThrownException> Find(std::uint64_t at = kHeader) {
    auto image = CoreImage::Open(StoredFile(dead_.Core()));
    EXPECT_THAT(image, Succeeds());
    return FindException(*image, std::array{kStack + at});
  }

 private:
  DeadProcess dead_;
};

constexpr std::uint64_t kType = 0x4000, kBase = 0x4400, kOther = 0x4800;

TEST(FindException, OfAStandardClass) {
  Thrown thrown;
  thrown.Type(kType, "St13runtime_error");
  thrown.Exception(Thrown::kGnu, kType);
  thrown.Text(0x2000, "no configuration");
  thrown.Pointer(Thrown::kObject + 8, 0x2000);
  auto found = thrown.Find();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->type, "std::runtime_error");
  EXPECT_EQ(found->text, "no configuration");
  EXPECT_FALSE(found->text_guess);
  EXPECT_TRUE(thrown.Find(Thrown::kObject)) << "a pointer to the object leads to it as well";
  EXPECT_FALSE(thrown.Find(Thrown::kHeader + 8));
}

TEST(FindException, TypesHaveTheNamesThatPeopleKnow) {
  Thrown thrown;
  thrown.Exception(Thrown::kGnu, kType);
  thrown.Type(kType, "NSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE");
  EXPECT_EQ(thrown.Find()->type, "std::string");
  thrown.Type(kType, "NSt3__111regex_errorE");
  EXPECT_EQ(thrown.Find()->type, "std::regex_error");
}

TEST(FindException, ThrownAgainLeadsToTheFirst) {
  for (const std::uint64_t language : {Thrown::kGnu, Thrown::kLlvm}) {
    Thrown thrown;
    thrown.Type(kType, "i");
    thrown.Exception(language, kType);
    thrown.Word(Thrown::kObject, 42);
    thrown.Word(0x3000, language + 1);
    thrown.Pointer(0x3000 - 80 - (language == Thrown::kLlvm ? 8 : 0), Thrown::kObject);
    const auto found = thrown.Find(0x3000);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->type + " " + found->text, "int 42");
  }
}

TEST(FindException, ThrownAgainThatLeadsToItselfIsNone) {
  Thrown thrown;
  thrown.Word(0x3000, Thrown::kGnu + 1);
  thrown.Pointer(0x3000 - 80, 0x3000 + 32);
  EXPECT_FALSE(thrown.Find(0x3000));
}

TEST(FindException, ByTheBasesOfItsType) {
  Thrown thrown;
  thrown.Type(kType, "N4shop5ErrorE");
  thrown.Type(kBase, "N4shop5OrderE");
  thrown.Type(kOther, "St13runtime_error");
  thrown.Exception(Thrown::kGnu, kType);
  thrown.Word(kType + 16, std::uint64_t{2} << 32);  // no flags, two bases
  thrown.Pointer(kType + 24, kBase);
  thrown.Word(kType + 32, 2);  // public, at 0
  thrown.Pointer(kType + 40, kOther);
  thrown.Word(kType + 48, 16 << 8 | 2);
  thrown.Text(0x2000, "order 4711 is lost");
  thrown.Pointer(Thrown::kObject + 16 + 8, 0x2000);
  const auto found = thrown.Find();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->type, "shop::Error");
  EXPECT_EQ(found->text, "order 4711 is lost");
}

TEST(FindException, BasesThatGoRoundEnd) {
  Thrown thrown;
  thrown.Type(kType, "1A");
  thrown.Type(kBase, "1B");
  thrown.Exception(Thrown::kGnu, kType);
  thrown.Pointer(kType + 16, kBase);
  thrown.Pointer(kBase + 16, kType);
  const auto found = thrown.Find();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->type, "A");
}

TEST(FindException, ATextOfAnyStringInTheObjectIsAGuess) {
  Thrown thrown;
  thrown.Type(kType, "N4shop7RefusalE");
  thrown.Exception(Thrown::kGnu, kType);
  thrown.Word(Thrown::kObject, 7);
  thrown.Pointer(Thrown::kObject + 8, Thrown::kObject + 24);
  thrown.Word(Thrown::kObject + 16, 6);
  thrown.Text(Thrown::kObject + 24, "no jam");
  const auto found = thrown.Find();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->text, "no jam");
  EXPECT_TRUE(found->text_guess);
}

TEST(FindException, StringsOfLibcxx) {
  Thrown thrown;
  thrown.Type(kType, "N4shop7RefusalE");
  thrown.Exception(Thrown::kLlvm, kType);
  thrown.Text(Thrown::kObject + 8, "\x0cno jam");
  EXPECT_EQ(thrown.Find()->text, "no jam");
  thrown.Word(Thrown::kObject + 8, 0x31);
  thrown.Word(Thrown::kObject + 16, 18);
  thrown.Text(0x2000, "no jam for anybody");
  thrown.Pointer(Thrown::kObject + 24, 0x2000);
  EXPECT_EQ(thrown.Find()->text, "no jam for anybody");
}

/// What the runtime knows of a thread whose memory begins at kStack + 0x500, if __cxa_get_globals is this
/// code.
std::optional<ExceptionGlobals> GlobalsBy(DeadProcess dead, std::initializer_list<unsigned> code) {
  dead.Code(code);
  auto image = CoreImage::Open(StoredFile(dead.Core()));
  EXPECT_THAT(image, Succeeds());
  return FindExceptionGlobals(*image, kCode, kStack + 0x500);
}

/// sub $8,%rsp; mov %fs:0,%rax; add $8,%rsp; add $-0x60,%rax; ret
constexpr std::initializer_list<unsigned> kStatic = {0x48, 0x83, 0xec, 8,    0x64, 0x48, 0x8b, 0x04,
                                                     0x25, 0,    0,    0,    0,    0x48, 0x83, 0xc4,
                                                     8,    0x48, 0x05, 0xa0, 0xff, 0xff, 0xff, 0xc3};

TEST(FindExceptionGlobals, OfAStaticProgram) {
  DeadProcess dead;
  dead.Word(kStack + 0x4a0, kStack + 0x1000 - 80).Word(kStack + 0x4a8, 2).Word(kStack + 0x1000, Thrown::kGnu);
  const auto found = GlobalsBy(dead, kStatic);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->caught, kStack + 0x1000);
  EXPECT_EQ(found->uncaught, 2);
}

TEST(FindExceptionGlobals, OfALibrary) {
  DeadProcess dead;
  dead.Word(kStack + 0x508, kStack + 0x600).Word(kStack + 0x600 + 3 * 16, kStack + 0x700);  // dtv
  dead.Word(kStack + 0x710, 0).Word(kStack + 0x718, 1);
  // endbr64; push %rax; lea n(%rip),%rdi; call; lea 0(%rax),%rax; pop %rcx; ret, and what the first lea
  // points to
  const auto found =
      GlobalsBy(dead, {0xf3, 0x0f, 0x1e, 0xfa, 0x50, 0x48, 0x8d, 0x3d, 0x14, 0,    0, 0, 0xe8, 0, 0, 0,
                       0,    0x48, 0x8d, 0x80, 0,    0,    0,    0,    0x59, 0xc3, 0, 0, 0,    0, 0, 0,
                       3,    0,    0,    0,    0,    0,    0,    0,    0x10, 0,    0, 0, 0,    0, 0, 0});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->caught, 0);
  EXPECT_EQ(found->uncaught, 1);
}

TEST(FindExceptionGlobals, RefusesOtherCodeAndWhatIsNoException) {
  EXPECT_FALSE(GlobalsBy({}, {0x48, 0x31, 0xc0, 0xc3}));
  EXPECT_FALSE(GlobalsBy({}, {0x64, 0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0, 0x48, 0x05, 0, 0}));
  DeadProcess dead;
  dead.Word(kStack + 0x4a0, kStack + 0x1000 - 80);
  EXPECT_FALSE(GlobalsBy(dead, kStatic)) << "where it points to is no exception";
}

TEST(FindException, ATypeWithoutANameIsNone) {
  Thrown thrown;
  thrown.Exception(Thrown::kGnu, kType);
  EXPECT_FALSE(thrown.Find());
  thrown.Type(kType, "no name of a type");
  EXPECT_FALSE(thrown.Find());
}

}  // namespace
}  // namespace obit
