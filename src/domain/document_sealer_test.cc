#include "domain/document_sealer.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cstddef>
#include <string>

#include "domain/testing/arbitrary_member.h"

namespace muster {
namespace {

class DocumentSealerTest : public ::testing::Test {
 protected:
  static MemberDocumentRef Make(std::int64_t id, std::int64_t version) {
    Member member;
    member.id = MemberId(id);
    member.version = Version(version);
    member.real_name = Pii<std::string>("Li Lei");
    return MakeMemberDocument(member);
  }
  std::string Seal(const MemberDocumentRef& document) {
    std::string sealed;
    sealer_.Seal(*document, sealed);
    return sealed;
  }

  SystemRandom random_;
  Keyring keyring_ = Keyring::Generate(random_);
  DocumentSealer sealer_{keyring_, random_};
};

RC_GTEST_FIXTURE_PROP(DocumentSealerTest, WhatIsSealedOpensAsItWasAlsoElsewhere, ()) {
  const MemberDocumentRef document = MakeMemberDocument(*testing::ArbitraryMember());
  const std::string sealed = Seal(document);
  DocumentSealer elsewhere(keyring_, random_);
  const auto opened = elsewhere.Open(document->id(), document->version(), sealed);
  RC_ASSERT(opened.has_value());
  RC_ASSERT((*opened)->json() == document->json());
  RC_ASSERT((*opened)->state() == document->state());
  RC_ASSERT(std::ranges::equal((*opened)->keys(), document->keys()));
  std::string masked, as_before;
  (*opened)->AppendMasked(masked);
  document->AppendMasked(as_before);
  RC_ASSERT(masked == as_before);
}

TEST_F(DocumentSealerTest, NothingOfItCanBeRead) {
  EXPECT_EQ(Seal(Make(1, 1)).find("Li Lei"), std::string::npos);
  EXPECT_NE(Seal(Make(1, 1)), Seal(Make(1, 1))) << "a nonce was used twice";
}

TEST_F(DocumentSealerTest, OpensOnlyAsTheMemberAndVersionThatItIs) {
  const std::string sealed = Seal(Make(1, 5));
  EXPECT_TRUE(sealer_.Open(MemberId(1), Version(5), sealed));
  EXPECT_FALSE(sealer_.Open(MemberId(2), Version(5), sealed));
  EXPECT_FALSE(sealer_.Open(MemberId(1), Version(6), sealed));
}

TEST_F(DocumentSealerTest, EveryChangedByteIsNoticed) {
  const std::string sealed = Seal(Make(1, 5));
  for (std::size_t i = 0; i < sealed.size(); ++i) {
    std::string changed = sealed;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    const auto opened = sealer_.Open(MemberId(1), Version(5), changed);
    ASSERT_FALSE(opened) << i;
    EXPECT_EQ(opened.error().reason, Reason::kInternal);
    EXPECT_FALSE(sealer_.Open(MemberId(1), Version(5), sealed.substr(0, i))) << i;
  }
}

TEST_F(DocumentSealerTest, AnotherKeyringDoesNotOpenIt) {
  const Keyring other = Keyring::Generate(random_);
  DocumentSealer elsewhere(other, random_);
  EXPECT_FALSE(elsewhere.Open(MemberId(1), Version(5), Seal(Make(1, 5))));
}

TEST_F(DocumentSealerTest, ManySealersCanBeOpened) {
  std::vector<std::string> sealed;
  for (std::size_t i = 0; i < 2 * DocumentSealer::kOpenersMax + 1; ++i) {
    DocumentSealer one(keyring_, random_);
    one.Seal(*Make(1, 5), sealed.emplace_back());
  }
  for (const std::string& text : sealed) EXPECT_TRUE(sealer_.Open(MemberId(1), Version(5), text));
}

TEST(MemberDocumentBytes, WhatIsNoDocumentIsRefused) {
  Member member;
  member.id = MemberId(1);
  member.version = Version(2);
  member.real_name = Pii<std::string>("Li Lei");
  member.identities.resize(2);
  std::string bytes;
  MakeMemberDocument(member)->AppendBytes(bytes);
  ASSERT_TRUE(ParseMemberDocument(MemberId(1), Version(2), bytes));
  // Whatever is in it, nothing outside of it is read (ASan), and a span lies within the JSON.
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    if (auto made = ParseMemberDocument(MemberId(1), Version(2), std::string_view(bytes).substr(0, size))) {
      std::string masked;
      made->AppendMasked(masked);
    }
  }
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    for (const int bit : {0, 7}) {
      std::string changed = bytes;
      changed[i] = static_cast<char>(changed[i] ^ (1 << bit));
      if (auto made = ParseMemberDocument(MemberId(1), Version(2), changed)) {
        std::string masked;
        made->AppendMasked(masked);
      }
    }
  }
}

}  // namespace
}  // namespace muster
