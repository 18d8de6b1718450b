#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "base/result.h"
#include "domain/ids.h"

namespace muster {

using SecretKey = std::array<std::uint8_t, 32>;

// The secrets of an installation: one key that identity keys and caller keys are hashed with, for ever; and the keys
// that personal values are sealed with, of which the newest seals and all open.
//
// File (mode 0600), one key a line:   hash <64 hex>   first, then   seal <id> <64 hex>   with rising ids above zero.
class Keyring {
 public:
  ~Keyring();  // wipes the keys
  Keyring(const Keyring&) = default;
  Keyring(Keyring&&) = default;
  Keyring& operator=(const Keyring&) = default;
  Keyring& operator=(Keyring&&) = default;

  // Reads `path`. INTERNAL with what to do: missing, readable by others, malformed.
  static Result<Keyring> Load(const std::string& path);
  // Makes `path` with fresh keys, durably; fails if it exists.
  static Result<Keyring> Create(const std::string& path, Random& random);
  // In memory only; for tests and tools.
  static Keyring Generate(Random& random);
  // Adds a sealing key, which becomes the active one, and replaces the file durably and at once: a crash leaves the old
  // file or the new one. Rotations of several processes exclude each other.
  static Result<Keyring> Rotate(const std::string& path, Random& random);

  const SecretKey& hash_key() const { return hash_key_; }
  std::uint32_t active_seal_id() const { return seal_keys_.rbegin()->first; }
  const std::map<std::uint32_t, SecretKey>& seal_keys() const { return seal_keys_; }

 private:
  Keyring() = default;
  static Result<Keyring> Parse(const std::string& path, std::string_view text);
  std::string Format() const;

  SecretKey hash_key_{};
  std::map<std::uint32_t, SecretKey> seal_keys_;
};

// HMAC-SHA-256 with a fixed key. Not thread-safe (it keeps OpenSSL contexts): one a thread.
class KeyedHash {
 public:
  explicit KeyedHash(const SecretKey& key);
  ~KeyedHash();
  KeyedHash(KeyedHash&&) noexcept;

  // Parts are length-prefixed (four bytes, big-endian), so that no two lists of parts are one message; at most
  // kPartsMax.
  static constexpr std::size_t kPartsMax = 8;
  std::array<std::uint8_t, 32> Hash(std::span<const std::string_view> parts);
  IdentityKey KeyOf(std::string_view kind, std::string_view platform, std::string_view normalised_value);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// AES-256-GCM. A sealed text is: key id (4 bytes, big-endian), nonce (12, random), ciphertext, tag (16). The key id and
// `context` are authenticated with it: a text opened under another context fails. Not thread-safe: one a thread. Random
// nonces carry a key for 2^32 sealings; rotate before.
class Sealer {
 public:
  Sealer(const Keyring& keyring, Random& random);
  ~Sealer();
  Sealer(Sealer&&) noexcept;

  static constexpr std::size_t kOverheadBytes = 32;
  void Seal(std::string_view plain, std::string_view context, std::string& out);  // appends
  // INTERNAL: truncated, unknown key id, not authentic.
  Result<std::string> Open(std::string_view sealed, std::string_view context);
  // The key id of a sealed text; 0 when it is too short.
  static std::uint32_t KeyIdOf(std::string_view sealed);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace muster
