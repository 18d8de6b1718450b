#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "base/random.h"
#include "base/result.h"
#include "domain/keyring.h"
#include "domain/member_document.h"

namespace muster {

// Documents as they leave the process for a cache that others share: the whole block sealed (AES-256-GCM) under the
// member's id and version, so that one moved to another member or version does not open. A null document seals to an
// empty text.
//
// A sealed document is: key id (4 bytes, big-endian), salt (16), counter (8), ciphertext, tag (16). Each sealer draws a
// salt and has a key of its own, HMAC-SHA-256 of the salt under the keyring's active key, whose nonces count: so
// however many documents are filled, the 2^32 sealings that random nonces allow the keyring's key are not spent on
// them. Not thread-safe: one a loop.
class DocumentSealer {
 public:
  DocumentSealer(const Keyring& keyring, Random& random);
  ~DocumentSealer();
  DocumentSealer(const DocumentSealer&) = delete;

  static constexpr std::size_t kOverheadBytes = 44;
  // How many sealers' keys are kept for opening; beyond it one is derived again, which costs 2 µs.
  static constexpr std::size_t kOpenersMax = 256;

  void Seal(const MemberDocument& document, std::string& out);  // appends
  // INTERNAL: truncated, of an unknown key, not authentic, not a document. Says no more: whoever asked has other
  // sources.
  Result<MemberDocumentRef> Open(MemberId id, Version version, std::string_view sealed);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace muster
