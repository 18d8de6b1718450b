#include "domain/document_sealer.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <limits>
#include <map>
#include <vector>

#include "base/check.h"
#include "domain/hmac_sha256.h"

namespace muster {
namespace {

constexpr std::size_t kSealIdBytes = 4;
constexpr std::size_t kSaltBytes = 16;
constexpr std::size_t kCounterBytes = 8;
constexpr std::size_t kGcmTagBytes = 16;
constexpr std::size_t kSealedHeadBytes = kSealIdBytes + kSaltBytes + kCounterBytes;
static_assert(kSealedHeadBytes + kGcmTagBytes == DocumentSealer::kOverheadBytes);
constexpr std::string_view kPurpose = "muster document";

using Salt = std::array<std::uint8_t, kSaltBytes>;
using Nonce = std::array<std::uint8_t, 12>;

struct FreeDocumentCipher {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
struct FreeDocumentAlgorithm {
  void operator()(EVP_CIPHER* cipher) const { EVP_CIPHER_free(cipher); }
};
using DocumentCipher = std::unique_ptr<EVP_CIPHER_CTX, FreeDocumentCipher>;

const std::uint8_t* Octets(std::string_view text) { return reinterpret_cast<const std::uint8_t*>(text.data()); }

void PutBigEndian(std::uint64_t number, std::span<std::uint8_t> to) {
  for (std::size_t i = 0; i < to.size(); ++i) to[i] = static_cast<std::uint8_t>(number >> (8 * (to.size() - 1 - i)));
}

// What is authenticated with a document.
std::array<std::uint8_t, 16> Bound(MemberId id, Version version) {
  std::array<std::uint8_t, 16> bytes;
  PutBigEndian(static_cast<std::uint64_t>(id.value()), std::span(bytes).first(8));
  PutBigEndian(static_cast<std::uint64_t>(version.value()), std::span(bytes).last(8));
  return bytes;
}

std::unexpected<Error> DoesNotOpen(std::string_view why) {
  return Fail(Reason::kInternal, "a cached document does not open: " + std::string(why) +
                                     ". Check that all processes have the same keyring; the entry is not used");
}

}  // namespace

struct DocumentSealer::State {
  explicit State(const Keyring& keys) : keyring(keys) {}
  ~State() { OPENSSL_cleanse(plain.data(), plain.size()); }

  DocumentCipher MakeCipher(std::uint32_t seal_id, const Salt& of, bool seals) {
    HmacSha256 derive(keyring.seal_keys().at(seal_id));
    const std::array<std::string_view, 2> parts = {
        kPurpose, std::string_view(reinterpret_cast<const char*>(of.data()), of.size())};
    std::array<std::uint8_t, 32> key = derive.Hash(parts);
    DocumentCipher context(EVP_CIPHER_CTX_new());
    MUSTER_CHECK(context != nullptr);
    MUSTER_CHECK(EVP_CipherInit_ex2(context.get(), cipher.get(), key.data(), nullptr, seals ? 1 : 0, nullptr) == 1);
    OPENSSL_cleanse(key.data(), key.size());
    return context;
  }

  const Keyring keyring;
  const std::unique_ptr<EVP_CIPHER, FreeDocumentAlgorithm> cipher{EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr)};
  Salt salt{};
  std::uint64_t counter = 0;
  DocumentCipher sealing;
  std::map<std::pair<std::uint32_t, Salt>, DocumentCipher> opening;
  std::string plain;
};

DocumentSealer::DocumentSealer(const Keyring& keyring, Random& random) : state_(std::make_unique<State>(keyring)) {
  MUSTER_CHECK(state_->cipher != nullptr);
  random.Fill(state_->salt);
  state_->sealing = state_->MakeCipher(keyring.active_seal_id(), state_->salt, true);
}

DocumentSealer::~DocumentSealer() = default;

void DocumentSealer::Seal(const MemberDocument& document, std::string& out) {
  State& state = *state_;
  state.plain.clear();
  document.AppendBytes(state.plain);
  MUSTER_CHECK(state.plain.size() <= static_cast<std::size_t>(std::numeric_limits<int>::max()));
  const std::size_t begin = out.size();
  out.resize(begin + state.plain.size() + kOverheadBytes);
  auto* at = reinterpret_cast<std::uint8_t*>(out.data() + begin);
  PutBigEndian(state.keyring.active_seal_id(), {at, kSealIdBytes});
  std::memcpy(at + kSealIdBytes, state.salt.data(), kSaltBytes);
  Nonce nonce{};
  PutBigEndian(++state.counter, std::span(nonce).last(kCounterBytes));
  std::memcpy(at + kSealIdBytes + kSaltBytes, nonce.data() + nonce.size() - kCounterBytes, kCounterBytes);

  const auto bound = Bound(document.id(), document.version());
  EVP_CIPHER_CTX* cipher = state.sealing.get();
  const int size = static_cast<int>(state.plain.size());
  int done = 0;
  MUSTER_CHECK(EVP_EncryptInit_ex2(cipher, nullptr, nullptr, nonce.data(), nullptr) == 1);
  MUSTER_CHECK(EVP_EncryptUpdate(cipher, nullptr, &done, bound.data(), bound.size()) == 1);
  MUSTER_CHECK(EVP_EncryptUpdate(cipher, at + kSealedHeadBytes, &done, Octets(state.plain), size) == 1);
  std::uint8_t* const tag = at + kSealedHeadBytes + state.plain.size();
  MUSTER_CHECK(EVP_EncryptFinal_ex(cipher, tag, &done) == 1);
  MUSTER_CHECK(EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_GET_TAG, kGcmTagBytes, tag) == 1);
}

Result<MemberDocumentRef> DocumentSealer::Open(MemberId id, Version version, std::string_view sealed) {
  State& state = *state_;
  if (sealed.size() < kOverheadBytes || sealed.size() > static_cast<std::size_t>(std::numeric_limits<int>::max())) {
    return DoesNotOpen("it is truncated");
  }
  std::uint32_t seal_id = 0;
  for (std::size_t i = 0; i < kSealIdBytes; ++i) seal_id = seal_id << 8 | Octets(sealed)[i];
  std::pair<std::uint32_t, Salt> opener{seal_id, {}};
  std::memcpy(opener.second.data(), sealed.data() + kSealIdBytes, kSaltBytes);
  auto found = state.opening.find(opener);
  if (found == state.opening.end()) {
    if (!state.keyring.seal_keys().contains(seal_id)) return DoesNotOpen("the keyring lacks its key");
    // A sealer lives as long as its process, so there are few; what nobody uses any more goes with all the others.
    if (state.opening.size() == kOpenersMax) state.opening.clear();
    found = state.opening.emplace(opener, state.MakeCipher(seal_id, opener.second, false)).first;
  }
  Nonce nonce{};
  std::memcpy(nonce.data() + nonce.size() - kCounterBytes, sealed.data() + kSealIdBytes + kSaltBytes, kCounterBytes);
  const std::string_view body = sealed.substr(kSealedHeadBytes, sealed.size() - kOverheadBytes);
  std::array<std::uint8_t, kGcmTagBytes> tag;
  std::memcpy(tag.data(), sealed.data() + sealed.size() - kGcmTagBytes, kGcmTagBytes);
  state.plain.resize(body.size());
  const auto bound = Bound(id, version);
  EVP_CIPHER_CTX* cipher = found->second.get();
  auto* to = reinterpret_cast<std::uint8_t*>(state.plain.data());
  int done = 0;
  MUSTER_CHECK(EVP_DecryptInit_ex2(cipher, nullptr, nullptr, nonce.data(), nullptr) == 1);
  MUSTER_CHECK(EVP_DecryptUpdate(cipher, nullptr, &done, bound.data(), bound.size()) == 1);
  MUSTER_CHECK(EVP_DecryptUpdate(cipher, to, &done, Octets(body), static_cast<int>(body.size())) == 1);
  MUSTER_CHECK(EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_SET_TAG, kGcmTagBytes, tag.data()) == 1);
  if (EVP_DecryptFinal_ex(cipher, to + body.size(), &done) != 1) return DoesNotOpen("it is not authentic");
  MemberDocumentRef document = ParseMemberDocument(id, version, state.plain);
  if (!document) return DoesNotOpen("it is not a document");
  return document;
}

}  // namespace muster
