#include "bench/load_mix.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace muster {
namespace {

using ::testing::HasSubstr;

TEST(MixTest, ReadsWhatItWrites) {
  for (const char* text : {"get=80,resolve=15,update=5", "get=1", "batchGet=3,register=1",
                           "batchResolve=1,search=2,bind=3,unbind=3,merge=1,unmerge=1", "resolve=1000000"}) {
    const auto mix = ParseLoadMix(text);
    ASSERT_TRUE(mix) << text;
    EXPECT_EQ(mix->Text(), text);
  }
}

TEST(MixTest, OrderAndZerosDoNotMatter) {
  EXPECT_EQ(ParseLoadMix("update=5,get=95,resolve=0").value().Text(), "get=95,update=5");
}

TEST(MixTest, RegistrationsAloneNeedNoMembers) {
  EXPECT_FALSE(ParseLoadMix("register=3").value().NeedsMembers());
  for (const char* text : {"get=1", "register=1000000,search=1", "register=1,bind=1"})
    EXPECT_TRUE(ParseLoadMix(text).value().NeedsMembers()) << text;
}

TEST(MixTest, WrongOnesSayWhatWouldBeRight) {
  const std::pair<const char*, const char*> wrong[] = {{"", "the verbs are"},
                                                       {"get", "weight of get"},
                                                       {"get=", "weight of get"},
                                                       {"get=x", "weight"},
                                                       {"get=-1", "weight"},
                                                       {"get=1.5", "weight"},
                                                       {"get=1,", "the verbs"},
                                                       {"get=0", "above zero"},
                                                       {"get=1,get=2", "twice"},
                                                       {"drop=1", "'drop'"},
                                                       {"get=1000001", "weight of get is"}};
  for (const auto& [text, part] : wrong) {
    const auto mix = ParseLoadMix(text);
    ASSERT_FALSE(mix) << text;
    EXPECT_THAT(mix.error().message, HasSubstr(part)) << text;
  }
}

RC_GTEST_PROP(MixPropertyTest, NoTextBreaksIt, (const std::string& text)) {
  if (const auto mix = ParseLoadMix(text)) RC_ASSERT(ParseLoadMix(mix->Text()).value().Text() == mix->Text());
}

}  // namespace
}  // namespace muster
