#include "domain/normalise_unicode.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>

#include "base/encoding.h"
#include "domain/testing/arbitrary_member.h"

namespace muster {
namespace {

TEST(ComposeTest, IsNfc) {
  EXPECT_EQ(Compose(""), "");
  EXPECT_EQ(Compose("Li Lei"), "Li Lei");
  EXPECT_EQ(Compose("e\u0301"), "é");
  EXPECT_EQ(Compose("\u212b"), "Å");
  EXPECT_EQ(Compose("ＡﬁÉ"), "ＡﬁÉ");
}

TEST(FoldCaseTest, IsNfkcCasefold) {
  EXPECT_EQ(FoldCase(""), "");
  EXPECT_EQ(FoldCase("E\u0301"), "é");
  EXPECT_EQ(FoldCase("ＡﬁẞΣ"), "afissσ");
}

// U+0345 is a mark that folds to a letter, so that the order of marks counts before it is folded.
TEST(FoldCaseTest, TheOrderOfMarksIsThatOfNfc) {
  EXPECT_EQ(FoldCase("a\u0345\u0301"), FoldCase("a\u0301\u0345"));
  EXPECT_EQ(DomainToAscii("a\u0345\u0301.cn"), DomainToAscii("a\u0301\u0345.cn"));
}

TEST(DomainToAsciiTest, IsUts46) {
  EXPECT_EQ(DomainToAscii("例子.中国"), "xn--fsqu00a.xn--fiqs8s");
  EXPECT_EQ(DomainToAscii("Bücher.example"), "xn--bcher-kva.example");
  EXPECT_EQ(DomainToAscii("faß.de"), "xn--fa-hia.de");
  EXPECT_EQ(DomainToAscii("xn--fa-hia.de"), "xn--fa-hia.de");
  EXPECT_EQ(DomainToAscii("xn--\u0080.de"), std::nullopt);
  EXPECT_EQ(DomainToAscii("a_b.de"), std::nullopt);
}

RC_GTEST_PROP(UnicodeProperty, TwiceIsOnce, ()) {
  const std::string text = *testing::ArbitraryText(100);
  const std::string composed = Compose(text);
  RC_ASSERT(IsValidUtf8(composed));
  RC_ASSERT(Compose(composed) == composed);
  const std::string folded = FoldCase(text);
  RC_ASSERT(IsValidUtf8(folded));
  RC_ASSERT(FoldCase(folded) == folded);
  if (const auto domain = DomainToAscii(text)) RC_ASSERT(DomainToAscii(*domain) == domain);
}

}  // namespace
}  // namespace muster
