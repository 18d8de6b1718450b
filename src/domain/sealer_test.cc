#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <set>
#include <string>

#include "base/encoding.h"
#include "domain/keyring.h"

namespace muster {
namespace {

class SealerTest : public ::testing::Test {
 protected:
  std::string Seal(std::string_view plain, std::string_view context) {
    std::string sealed;
    sealer_.Seal(plain, context, sealed);
    return sealed;
  }

  SystemRandom random_;
  Keyring keyring_ = Keyring::Generate(random_);
  Sealer sealer_{keyring_, random_};
};

TEST_F(SealerTest, OpensWhatItSealed) {
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, std::size_t{15}, std::size_t{16}, std::size_t{100'000}}) {
    const std::string plain(size, 'p');
    const std::string sealed = Seal(plain, "member 1");
    EXPECT_EQ(sealed.size(), plain.size() + Sealer::kOverheadBytes);
    const Result<std::string> opened = sealer_.Open(sealed, "member 1");
    ASSERT_TRUE(opened) << opened.error().message;
    EXPECT_EQ(*opened, plain);
  }
}

TEST_F(SealerTest, Appends) {
  std::string sealed = "before";
  sealer_.Seal("plain", "context", sealed);
  EXPECT_TRUE(sealed.starts_with("before"));
  EXPECT_EQ(sealer_.Open(std::string_view(sealed).substr(6), "context"), "plain");
}

TEST_F(SealerTest, HidesThePlainTextAndNeverRepeatsANonce) {
  std::set<std::string> nonces;
  for (int i = 0; i < 1000; ++i) {
    const std::string sealed = Seal("+8613800000001", "c");
    EXPECT_FALSE(sealed.contains("13800000001"));
    EXPECT_TRUE(nonces.insert(sealed.substr(4, 12)).second);
  }
}

TEST_F(SealerTest, RefusesEveryByteThatWasChanged) {
  const std::string sealed = Seal("a personal value", "member 1");
  for (std::size_t at = 0; at < sealed.size(); ++at) {
    for (const char flip : {'\x01', '\x80'}) {
      std::string changed = sealed;
      changed[at] = static_cast<char>(changed[at] ^ flip);
      const Result<std::string> opened = sealer_.Open(changed, "member 1");
      ASSERT_FALSE(opened) << at;
      EXPECT_EQ(opened.error().reason, Reason::kInternal);
      EXPECT_FALSE(opened.error().message.contains("personal value"));
    }
  }
  EXPECT_TRUE(sealer_.Open(sealed, "member 1")) << "a failure leaves no trace in the sealer";
}

TEST_F(SealerTest, RefusesEveryTruncation) {
  const std::string sealed = Seal("a personal value", "member 1");
  for (std::size_t size = 0; size < sealed.size(); ++size) {
    EXPECT_FALSE(sealer_.Open(std::string_view(sealed).substr(0, size), "member 1"));
  }
  EXPECT_FALSE(sealer_.Open(sealed + "x", "member 1"));
}

TEST_F(SealerTest, RefusesAnotherContext) {
  const std::string sealed = Seal("plain", "member 1");
  for (const std::string_view context : {"member 2", "member 11", "member ", ""})
    EXPECT_FALSE(sealer_.Open(sealed, context));
  EXPECT_FALSE(sealer_.Open(Seal("plain", ""), "member 1"));
  EXPECT_TRUE(sealer_.Open(Seal("plain", ""), ""));
}

TEST_F(SealerTest, RefusesAnotherInstallationsKeys) {
  Sealer other(Keyring::Generate(random_), random_);
  const Result<std::string> opened = other.Open(Seal("plain", "c"), "c");
  ASSERT_FALSE(opened);
  EXPECT_TRUE(opened.error().message.contains("not authentic"));
}

TEST_F(SealerTest, NamesAnUnknownKey) {
  std::string sealed = Seal("plain", "c");
  sealed[3] = 9;
  const Result<std::string> opened = sealer_.Open(sealed, "c");
  ASSERT_FALSE(opened);
  EXPECT_TRUE(opened.error().message.contains("key 9")) << opened.error().message;
}

TEST_F(SealerTest, KeyIdOfASealedText) {
  const std::string sealed = Seal("plain", "c");
  EXPECT_EQ(Sealer::KeyIdOf(sealed), 1u);
  EXPECT_EQ(Sealer::KeyIdOf(sealed.substr(0, Sealer::kOverheadBytes - 1)), 0u);
  EXPECT_EQ(Sealer::KeyIdOf(""), 0u);
  std::string large = sealed;
  large.replace(0, 4, "\xff\xfe\xfd\xfc");
  EXPECT_EQ(Sealer::KeyIdOf(large), 0xfffefdfcu);
}

TEST_F(SealerTest, MovesWithItsState) {
  const std::string sealed = Seal("plain", "c");
  Sealer moved(std::move(sealer_));
  EXPECT_EQ(moved.Open(sealed, "c"), "plain");
}

TEST(SealerRotationTest, TheNewestKeySealsAndAllOpen) {
  SystemRandom random;
  std::string name = std::string(::testing::TempDir()) + "sealer-test-XXXXXX";
  const std::string folder = ::mkdtemp(name.data());
  const std::string path = folder + "/keyring";
  const Result<Keyring> first = Keyring::Create(path, random);
  ASSERT_TRUE(first);
  const Result<Keyring> second = Keyring::Rotate(path, random);
  ASSERT_TRUE(second);
  ::unlink(path.c_str());
  ::rmdir(folder.c_str());

  Sealer old_sealer(*first, random);
  Sealer new_sealer(*second, random);
  std::string by_old;
  std::string by_new;
  old_sealer.Seal("plain", "c", by_old);
  new_sealer.Seal("plain", "c", by_new);
  EXPECT_EQ(Sealer::KeyIdOf(by_old), 1u);
  EXPECT_EQ(Sealer::KeyIdOf(by_new), 2u);
  EXPECT_EQ(new_sealer.Open(by_old, "c"), "plain");
  EXPECT_EQ(new_sealer.Open(by_new, "c"), "plain");
  EXPECT_FALSE(old_sealer.Open(by_new, "c"));
}

RC_GTEST_PROP(SealerProperty, EveryTextUnderEveryContext,
              (const std::string& plain, const std::string& context, const std::string& other)) {
  SystemRandom random;
  Sealer sealer(Keyring::Generate(random), random);
  std::string sealed;
  sealer.Seal(plain, context, sealed);
  RC_ASSERT((sealer.Open(sealed, context) == plain));
  RC_ASSERT(sealer.Open(sealed, other).has_value() == (other == context));
}

}  // namespace
}  // namespace muster
