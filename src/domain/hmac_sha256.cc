#include "domain/hmac_sha256.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/check.h"

namespace muster {

namespace {

constexpr std::size_t kBlockBytes = 64;
constexpr std::size_t kDigestBytes = 32;

struct FreeContext {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
struct FreeDigest {
  void operator()(EVP_MD* digest) const { EVP_MD_free(digest); }
};
using Context = std::unique_ptr<EVP_MD_CTX, FreeContext>;

Context NewContext() {
  Context context(EVP_MD_CTX_new());
  MUSTER_CHECK(context != nullptr);
  return context;
}

}  // namespace

struct HmacSha256::State {
  std::unique_ptr<EVP_MD, FreeDigest> sha256{EVP_MD_fetch(nullptr, "SHA256", nullptr)};
  Context inner = NewContext();  // after the key's inner block
  Context outer = NewContext();  // after the key's outer block
  Context work = NewContext();

  void Absorb(EVP_MD_CTX* context, std::span<const std::uint8_t> key, std::uint8_t pad) {
    std::array<std::uint8_t, kBlockBytes> block;
    for (std::size_t i = 0; i < kBlockBytes; ++i)
      block[i] = static_cast<std::uint8_t>((i < key.size() ? key[i] : 0) ^ pad);
    MUSTER_CHECK(EVP_DigestInit_ex2(context, sha256.get(), nullptr) == 1);
    MUSTER_CHECK(EVP_DigestUpdate(context, block.data(), block.size()) == 1);
    OPENSSL_cleanse(block.data(), block.size());
  }
};

HmacSha256::HmacSha256(std::span<const std::uint8_t> key) : state_(std::make_unique<State>()) {
  MUSTER_CHECK(state_->sha256 != nullptr);
  MUSTER_CHECK(key.size() <= kBlockBytes);
  state_->Absorb(state_->inner.get(), key, 0x36);
  state_->Absorb(state_->outer.get(), key, 0x5c);
}

HmacSha256::~HmacSha256() = default;

std::array<std::uint8_t, 32> HmacSha256::Hash(std::span<const std::string_view> parts) {
  EVP_MD_CTX* work = state_->work.get();
  std::array<std::uint8_t, kDigestBytes> digest;
  unsigned size = 0;
  MUSTER_CHECK(EVP_MD_CTX_copy_ex(work, state_->inner.get()) == 1);
  for (const std::string_view part : parts) MUSTER_CHECK(EVP_DigestUpdate(work, part.data(), part.size()) == 1);
  MUSTER_CHECK(EVP_DigestFinal_ex(work, digest.data(), &size) == 1 && size == kDigestBytes);
  MUSTER_CHECK(EVP_MD_CTX_copy_ex(work, state_->outer.get()) == 1);
  MUSTER_CHECK(EVP_DigestUpdate(work, digest.data(), digest.size()) == 1);
  MUSTER_CHECK(EVP_DigestFinal_ex(work, digest.data(), &size) == 1 && size == kDigestBytes);
  return digest;
}

}  // namespace muster
