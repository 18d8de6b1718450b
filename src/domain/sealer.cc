#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <array>
#include <cstring>
#include <limits>

#include "base/check.h"
#include "domain/keyring.h"

namespace muster {

namespace {

constexpr std::size_t kKeyIdBytes = 4;
constexpr std::size_t kNonceBytes = 12;
constexpr std::size_t kTagBytes = 16;
constexpr std::size_t kHeaderBytes = kKeyIdBytes + kNonceBytes;
static_assert(kHeaderBytes + kTagBytes == Sealer::kOverheadBytes);
// Nonces drawn at once: one call of the generator costs more than a sealing.
constexpr std::size_t kNonceBatch = 64;

struct FreeCipherContext {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
struct FreeCipher {
  void operator()(EVP_CIPHER* cipher) const { EVP_CIPHER_free(cipher); }
};
using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, FreeCipherContext>;

const std::uint8_t* Bytes(std::string_view text) { return reinterpret_cast<const std::uint8_t*>(text.data()); }

// OpenSSL counts in int.
int Length(std::string_view text) {
  MUSTER_CHECK(text.size() <= static_cast<std::size_t>(std::numeric_limits<int>::max()));
  return static_cast<int>(text.size());
}

}  // namespace

struct Sealer::State {
  explicit State(Random& random_source) : random(random_source) {}
  ~State() { OPENSSL_cleanse(nonces.data(), nonces.size()); }

  std::unique_ptr<EVP_CIPHER, FreeCipher> cipher{EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr)};
  std::uint32_t seal_id = 0;
  CipherContext sealing;                           // holds the active key's schedule
  std::map<std::uint32_t, CipherContext> opening;  // one a key
  Random& random;
  std::array<std::uint8_t, kNonceBatch * kNonceBytes> nonces;
  std::size_t nonces_used = kNonceBatch;

  CipherContext NewContext(const SecretKey& key, bool seal) {
    CipherContext context(EVP_CIPHER_CTX_new());
    MUSTER_CHECK(context != nullptr);
    MUSTER_CHECK(EVP_CipherInit_ex2(context.get(), cipher.get(), key.data(), nullptr, seal ? 1 : 0, nullptr) == 1);
    return context;
  }

  const std::uint8_t* NextNonce() {
    if (nonces_used == kNonceBatch) {
      random.Fill(nonces);
      nonces_used = 0;
    }
    return nonces.data() + kNonceBytes * nonces_used++;
  }
};

Sealer::Sealer(const Keyring& keyring, Random& random) : state_(std::make_unique<State>(random)) {
  MUSTER_CHECK(state_->cipher != nullptr);
  state_->seal_id = keyring.active_seal_id();
  state_->sealing = state_->NewContext(keyring.seal_keys().at(state_->seal_id), true);
  for (const auto& [id, key] : keyring.seal_keys()) state_->opening.emplace(id, state_->NewContext(key, false));
}

Sealer::~Sealer() = default;
Sealer::Sealer(Sealer&&) noexcept = default;

void Sealer::Seal(std::string_view plain, std::string_view context, std::string& out) {
  const std::size_t begin = out.size();
  out.resize(begin + plain.size() + kOverheadBytes);
  auto* at = reinterpret_cast<std::uint8_t*>(out.data() + begin);
  const std::uint32_t id = state_->seal_id;
  const std::array<std::uint8_t, kKeyIdBytes> id_bytes = {
      static_cast<std::uint8_t>(id >> 24), static_cast<std::uint8_t>(id >> 16), static_cast<std::uint8_t>(id >> 8),
      static_cast<std::uint8_t>(id)};
  const std::uint8_t* nonce = state_->NextNonce();
  std::memcpy(at, id_bytes.data(), kKeyIdBytes);
  std::memcpy(at + kKeyIdBytes, nonce, kNonceBytes);

  EVP_CIPHER_CTX* cipher = state_->sealing.get();
  int size = 0;
  MUSTER_CHECK(EVP_EncryptInit_ex2(cipher, nullptr, nullptr, nonce, nullptr) == 1);
  MUSTER_CHECK(EVP_EncryptUpdate(cipher, nullptr, &size, id_bytes.data(), kKeyIdBytes) == 1);
  MUSTER_CHECK(EVP_EncryptUpdate(cipher, nullptr, &size, Bytes(context), Length(context)) == 1);
  MUSTER_CHECK(EVP_EncryptUpdate(cipher, at + kHeaderBytes, &size, Bytes(plain), Length(plain)) == 1);
  MUSTER_CHECK(EVP_EncryptFinal_ex(cipher, at + kHeaderBytes + plain.size(), &size) == 1);
  MUSTER_CHECK(EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_GET_TAG, kTagBytes, at + kHeaderBytes + plain.size()) == 1);
}

Result<std::string> Sealer::Open(std::string_view sealed, std::string_view context) {
  if (sealed.size() < kOverheadBytes) {
    return Fail(Reason::kInternal,
                "a sealed value is truncated: check the data file with `muster doctor`, restore a backup");
  }
  const std::uint32_t id = KeyIdOf(sealed);
  const auto found = state_->opening.find(id);
  if (found == state_->opening.end()) {
    return Fail(Reason::kInternal,
                "a value is sealed with key " + std::to_string(id) +
                    ", which the keyring does not hold: restore the keyring file that belongs to this data");
  }
  const std::string_view header = sealed.substr(0, kHeaderBytes);
  const std::string_view body = sealed.substr(kHeaderBytes, sealed.size() - kOverheadBytes);
  std::array<std::uint8_t, kTagBytes> tag;
  std::memcpy(tag.data(), sealed.data() + sealed.size() - kTagBytes, kTagBytes);

  std::string plain(body.size(), '\0');
  auto* to = reinterpret_cast<std::uint8_t*>(plain.data());
  EVP_CIPHER_CTX* cipher = found->second.get();
  int size = 0;
  MUSTER_CHECK(EVP_DecryptInit_ex2(cipher, nullptr, nullptr, Bytes(header.substr(kKeyIdBytes)), nullptr) == 1);
  MUSTER_CHECK(EVP_DecryptUpdate(cipher, nullptr, &size, Bytes(header), kKeyIdBytes) == 1);
  MUSTER_CHECK(EVP_DecryptUpdate(cipher, nullptr, &size, Bytes(context), Length(context)) == 1);
  MUSTER_CHECK(EVP_DecryptUpdate(cipher, to, &size, Bytes(body), Length(body)) == 1);
  MUSTER_CHECK(EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_SET_TAG, kTagBytes, tag.data()) == 1);
  if (EVP_DecryptFinal_ex(cipher, to + plain.size(), &size) != 1) {
    OPENSSL_cleanse(plain.data(), plain.size());
    return Fail(
        Reason::kInternal,
        "a sealed value is not authentic: the data file was altered or the keyring is another installation's; restore "
        "them together from a backup");
  }
  return plain;
}

std::uint32_t Sealer::KeyIdOf(std::string_view sealed) {
  if (sealed.size() < kOverheadBytes) return 0;
  const std::uint8_t* bytes = Bytes(sealed);
  return std::uint32_t{bytes[0]} << 24 | std::uint32_t{bytes[1]} << 16 | std::uint32_t{bytes[2]} << 8 | bytes[3];
}

}  // namespace muster
