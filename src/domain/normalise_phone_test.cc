#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>
#include <vector>

#include "base/random.h"
#include "domain/normalise.h"

namespace muster {
namespace {

constexpr std::string_view kRegion = "CN";

void ExpectPhone(std::string_view spelling, std::string_view expected, std::string_view region = kRegion) {
  const Normalised normalised = NormalisePhone(spelling, region);
  ASSERT_TRUE(normalised) << spelling;
  EXPECT_EQ(*normalised, expected) << spelling;
}

void ExpectNoPhone(std::string_view spelling, std::string_view region = kRegion) {
  EXPECT_FALSE(NormalisePhone(spelling, region)) << spelling << " became " << *NormalisePhone(spelling, region);
}

TEST(NormalisePhoneTest, SpellingsOfOneNumber) {
  for (const char* spelling : {
           "+8613800000001",
           "+86 138 0000 0001",
           "+86-138-0000-0001",
           "+86 (138) 0000-0001",
           "  +86 138 0000 0001  ",
           "13800000001",
           "138 0000 0001",
           "138.0000.0001",
           "8613800000001",
           "008613800000001",
           "86 13800000001",
           "＋８６１３８０００００００１",
           "+٨٦١٣٨٠٠٠٠٠٠٠١",
           "１３８　００００　０００１",
           "138\u20110000\u20130001",
           "\u202a+8613800000001\u202c",  // as copied from an address book
           "\ufeff13800000001",
       }) {
    ExpectPhone(spelling, "+8613800000001");
  }
}

TEST(NormalisePhoneTest, NumbersOfTheWorld) {
  ExpectPhone("+1 650-253-0000", "+16502530000");
  ExpectPhone("(650) 253-0000", "+16502530000", "US");
  ExpectPhone("+44 (0) 20 7031 3000", "+442070313000");
  ExpectPhone("020 7031 3000", "+442070313000", "GB");
  ExpectPhone("+852 2123 4567", "+85221234567");
  ExpectPhone("+81 90-1234-5678", "+819012345678");
  ExpectPhone("+39 06 698 83712", "+390669883712");  // keeps its leading zero
  ExpectPhone("+86 10 6552 9988", "+861065529988");
  ExpectPhone("010-65529988", "+861065529988");
  ExpectPhone("+54 9 11 2345-6789", "+5491123456789");
}

TEST(NormalisePhoneTest, TheDefaultRegionIsForNumbersWithoutACountryOnly) {
  ExpectPhone("+8613800000001", "+8613800000001", "US");
  ExpectNoPhone("13800000001", "US");
  ExpectPhone("+16502530000", "+16502530000", "CN");
}

TEST(NormalisePhoneTest, RefusesWhatWouldReadAsAnotherNumberTheSecondTime) {
  ExpectPhone("+52 1 722 290 9312", "+527222909312");
  ExpectNoPhone("+52 1 1 722 290 9312");
  ExpectNoPhone("117222909312", "MX");
}

// Random numbers of all countries: what is accepted is accepted again as it is, in every region.
TEST(NormalisePhoneTest, TwiceIsOnceForAllCountries) {
  SeededRandom random(7);
  constexpr std::string_view kRegions[] = {"CN", "US", "GB", "IT", "AR", "MX", "BR",
                                           "DE", "RU", "KZ", "SM", "CI", "JP"};
  int accepted = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string number;
    if (random.Below(3) != 0) number = "+" + std::to_string(1 + random.Below(998));
    if (random.Below(3) == 0) number += std::to_string(random.Below(12));  // prefixes, in front of a number
    for (std::uint64_t digits = 5 + random.Below(10); digits > 0; --digits)
      number += static_cast<char>('0' + random.Below(10));
    const Normalised once = NormalisePhone(number, kRegions[random.Below(std::size(kRegions))]);
    if (!once) continue;
    ++accepted;
    ASSERT_EQ(NormalisePhone(*once, kRegions[random.Below(std::size(kRegions))]), once) << number;
  }
  EXPECT_GT(accepted, 500);
}

TEST(NormalisePhoneTest, RefusesWhatIsNoNumber) {
  for (const char* spelling : {"",
                               " ",
                               "+",
                               "++8613800000001",
                               "+86+13800000001",
                               "13800000001+",
                               "abc",
                               "1380000000",
                               "138000000012",
                               "+86138000000",
                               "+8611000000000",
                               "+8614000000000",
                               "+999123456789",
                               "110",
                               "+86110",
                               "(((",
                               "-",
                               "......",
                               "+8613800000001 ext 5",
                               "+8613800000001x5",
                               "+8613800000001;ext=5",
                               "+8613800000001#5",
                               "+8613800000001,5",
                               "tel:+8613800000001",
                               "1-800-FLOWERS",
                               "call 13800000001",
                               "13800000001 or 13900000001",
                               "13800000001/13900000001",
                               "电话13800000001",
                               "13800000001。",
                               "138\t0000\t0001",
                               "+86 138\n0000 0001",
                               "٪13800000001",
                               "00000000000",
                               "+0013800000001"}) {
    ExpectNoPhone(spelling);
  }
  ExpectNoPhone(std::string(65, '1'));
  ExpectNoPhone(std::string(64, '('));
  ExpectNoPhone(std::string("+86138\0000000001", 14));
}

TEST(NormalisePhoneTest, RefusalsDoNotRepeatTheNumber) {
  EXPECT_FALSE(NormalisePhone("+8613977777", kRegion).error().contains("77777"));
}

TEST(NormalisePhoneTest, KnowsTheRegions) {
  for (const char* region : {"CN", "US", "GB", "HK", "TW"}) EXPECT_TRUE(IsPhoneRegion(region));
  for (const char* region : {"", "cn", "XX", "ZZ", "CHN", "001"}) EXPECT_FALSE(IsPhoneRegion(region));
}

// The shortcut must be what the library is, number by number: every prefix of five digits, with and without the country
// code.
TEST(NormalisePhoneTest, TheShortcutKnowsEveryChinesePrefixThatTheLibraryKnows) {
  for (int prefix = 10'000; prefix < 20'000; ++prefix) {
    const std::string low = std::to_string(prefix) + "000000";
    const std::string high = "+86" + std::to_string(prefix) + "987654";
    ASSERT_EQ(NormalisePhone(low, kRegion), NormalisePhoneByLibrary(low, kRegion)) << low;
    ASSERT_EQ(NormalisePhone(high, kRegion), NormalisePhoneByLibrary(high, kRegion)) << high;
  }
}

rc::Gen<std::string> PhoneLike() {
  return rc::gen::exec([] {
    std::string text = *rc::gen::element<std::string>("+86", "+86", "+86 ", "86", "0086", "", "+", "+1", "+86-", " +86",
                                                      "+ 86", "(+86)", "0");
    text += *rc::gen::element<std::string>("138", "199", "1740", "170", "146", "10", "1", "", "21", "17951138");
    for (const std::string& piece : *rc::gen::container<std::vector<std::string>>(rc::gen::weightedOneOf<std::string>(
             {{10, rc::gen::element<std::string>("0", "1", "5", "9", "00", "123", "8888")},
              {2, rc::gen::element<std::string>(" ", "-", "(", ")", ".", "０", "　", "+", "x")}}))) {
      if (text.size() < 60) text += piece;
    }
    return text;
  });
}

RC_GTEST_PROP(NormalisePhoneProperty, TheShortcutIsTheLibrary, ()) {
  const std::string text = *PhoneLike();
  const std::string region = *rc::gen::element<std::string>("CN", "CN", "US", "GB");
  RC_ASSERT((NormalisePhone(text, region) == NormalisePhoneByLibrary(text, region)));
}

RC_GTEST_PROP(NormalisePhoneProperty, AChineseMobileNumberHoweverItIsWritten, ()) {
  std::string digits = *rc::gen::element<std::string>("138", "139", "159", "188", "199", "166", "172");
  std::string spelling = *rc::gen::element<std::string>("+86", "+86 ", "", " ");
  spelling += digits;
  for (int i = 0; i < 8; ++i) {
    const std::string digit = std::to_string(*rc::gen::inRange(0, 10));
    digits += digit;
    spelling += *rc::gen::element<std::string>("", "", " ", "-") + digit;
  }
  RC_ASSERT((NormalisePhone(spelling, kRegion) == Normalised("+86" + digits)));
  RC_ASSERT((NormalisePhoneByLibrary(spelling, kRegion) == Normalised("+86" + digits)));
}

}  // namespace
}  // namespace muster
