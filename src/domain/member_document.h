#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "domain/member.h"

namespace muster {

// How a personal value is hidden from a caller that may not see it.
enum class MaskStyle : std::uint8_t {
  kPhone,  // "+86138****0001": country code and three digits, four last; as kTail when the national number is below ten
           // digits
  kEmail,  // "l***@example.com"; "***@example.com" when one character stands before the @
  kTail,   // "****6789": the last four of a value of at least eight characters, else "****"
  kName,   // "L***": the first character; "***" when it is the only one
};

class MemberDocumentRef;

// A member at one version in the form in which it is cached and answered: one contiguous, immutable, reference-counted
// block that holds its JSON (the API's, personal values in clear), where the personal values lie in it, and its
// identity keys. About 64 bytes more than the JSON. Threads may share one.
class MemberDocument {
 public:
  struct Span {
    std::uint32_t begin;  // of the escaped text between the quotes
    std::uint32_t size;
    MaskStyle style;
  };

  MemberId id() const { return id_; }
  Version version() const { return version_; }
  MemberState state() const { return state_; }
  bool Holds(const IdentityKey& key) const;
  std::span<const IdentityKey> keys() const;

  // The JSON object with every personal value in clear.
  std::string_view json() const;
  // Appends the JSON object with personal values masked.
  void AppendMasked(std::string& out) const;
  // Where the personal values lie in it, in their order.
  std::span<const Span> spans() const;

  // What the block takes from the allocator, in bytes.
  std::size_t AllocatedBytes() const;

  // The block without what its owner knows: appends state, keys, spans and JSON as bytes, for whoever keeps documents
  // elsewhere (in the byte order of the machine). ParseMemberDocument makes the document of them again.
  void AppendBytes(std::string& out) const;

 private:
  friend class MemberDocumentRef;
  friend class MemberDocumentBuilder;
  friend MemberDocumentRef ParseMemberDocument(MemberId id, Version version, std::string_view bytes);
  MemberDocument() = default;

  mutable std::atomic<std::uint32_t> references_{1};
  std::uint32_t json_size_ = 0;
  MemberId id_;
  Version version_;
  MemberState state_ = MemberState::kActive;
  std::uint16_t key_count_ = 0;
  std::uint16_t span_count_ = 0;
  // Followed by the keys, the spans and the JSON.
};

// A counted reference; null means "no such member".
class MemberDocumentRef {
 public:
  MemberDocumentRef() = default;
  MemberDocumentRef(const MemberDocumentRef& other) : document_(other.document_) {
    if (document_) document_->references_.fetch_add(1, std::memory_order_relaxed);
  }
  MemberDocumentRef(MemberDocumentRef&& other) noexcept : document_(std::exchange(other.document_, nullptr)) {}
  MemberDocumentRef& operator=(MemberDocumentRef other) noexcept {
    std::swap(document_, other.document_);
    return *this;
  }
  ~MemberDocumentRef();

  explicit operator bool() const { return document_ != nullptr; }
  const MemberDocument& operator*() const { return *document_; }
  const MemberDocument* operator->() const { return document_; }
  const MemberDocument* get() const { return document_; }

  // Asks the processor to fetch the block, all lines at once, for whoever is about to write the document out: one wait
  // for memory where reading it would be several.
  void Prefetch() const {
    for (std::size_t at = 0; at < kPrefetchBytes; at += kCacheLineBytes) {
      __builtin_prefetch(reinterpret_cast<const char*>(document_) + at);
    }
  }

 private:
  friend class MemberDocumentBuilder;
  friend MemberDocumentRef ParseMemberDocument(MemberId id, Version version, std::string_view bytes);
  static constexpr std::size_t kCacheLineBytes = 64;
  static constexpr std::size_t kPrefetchBytes = 768;  // as long as most documents are
  explicit MemberDocumentRef(const MemberDocument* adopted) : document_(adopted) {}
  const MemberDocument* document_ = nullptr;
};

// Renders a member. The JSON is proto3's mapping of muster.v1.Member: lowerCamelCase, 64-bit integers as strings,
// fields at their default left out (but not times, which every member has), in the order of the field numbers,
// attributes in the order of their names. Texts must be valid UTF-8 (CheckFields sees to that). 0.3 µs for 600 bytes.
MemberDocumentRef MakeMemberDocument(const Member& member);

// Of what AppendBytes wrote; null: it is not that. Looks at sizes and bounds, not at the JSON.
MemberDocumentRef ParseMemberDocument(MemberId id, Version version, std::string_view bytes);

// Hides `value` as `style` says; how many characters are hidden does not show. A value with a backslash is hidden
// whole, so that the escaped text of a JSON string can be masked as it is.
void AppendMask(std::string& out, std::string_view value, MaskStyle style);
std::string Mask(std::string_view value, MaskStyle style);
MaskStyle MaskStyleOf(std::string_view kind);

// Whether `text` may be what AppendMask made: every mask shows kMaskStars, whatever it hides. Such a text is never
// taken for a value, or a caller that may not see a value could write over it, or find somebody else by it, with its
// mask.
inline constexpr std::string_view kMaskStars = "***";
inline bool IsMasked(std::string_view text) { return text.contains(kMaskStars); }

}  // namespace muster
