#include "domain/member_document.h"

#include <malloc.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <vector>

#include "base/check.h"
#include "domain/json_text.h"
#include "domain/member_rules.h"

namespace muster {

namespace {

// Where documents are written before their size is known; one a thread. Larger ones are not kept.
constexpr std::size_t kScratchBytesKept = std::size_t{64} << 10;

struct Scratch {
  std::unique_ptr<char[]> bytes;
  std::size_t size = 0;
  std::vector<MemberDocument::Span> spans;

  char* Reserve(std::size_t wanted) {
    if (wanted > size) {
      size = std::max(wanted, kScratchBytesKept);
      bytes = std::make_unique_for_overwrite<char[]>(size);
    }
    return bytes.get();
  }
  void Trim() {
    if (size <= kScratchBytesKept) return;
    bytes.reset();
    size = 0;
  }
};

// At least what the member's JSON can take.
std::size_t JsonBytesMax(const Member& member) {
  constexpr std::size_t kFixed = 512;        // names of fields, numbers, times, states
  constexpr std::size_t kPerIdentity = 192;  // the same of an identity
  constexpr std::size_t kPerItem = 8;        // quotes, commas, colons
  std::size_t text = member.display_name.size() + member.real_name.Reveal().size() + member.birth_date.size() +
                     member.city.size() + member.tier.size();
  for (const std::string& tag : member.tags) text += tag.size();
  for (const auto& [name, value] : member.attributes) text += name.size() + value.size();
  for (const Identity& identity : member.identities) {
    text += identity.kind.size() + identity.platform.size() + identity.value.Reveal().size() + identity.source.size();
  }
  return kFixed + kPerIdentity * member.identities.size() +
         kPerItem * (member.tags.size() + 2 * member.attributes.size()) + json_text::kEscapedBytesPerByteMax * text;
}

}  // namespace

class MemberDocumentBuilder {
 public:
  explicit MemberDocumentBuilder(const Member& member) : member_(member) {}

  MemberDocumentRef Build() {
    static thread_local Scratch scratch;
    const std::size_t bytes_max = JsonBytesMax(member_);
    begin_ = scratch.Reserve(bytes_max);
    at_ = begin_;
    spans_ = &scratch.spans;
    spans_->clear();
    WriteMember();
    MUSTER_CHECK(static_cast<std::size_t>(at_ - begin_) <= bytes_max);
    MemberDocumentRef document = Allocate();
    scratch.Trim();
    return document;
  }

 private:
  void Literal(std::string_view text) {
    std::memcpy(at_, text.data(), text.size());
    at_ += text.size();
  }

  // `prefix` is what stands before the text: comma, name, colon and the opening quote.
  void Text(std::string_view prefix, std::string_view text) {
    if (text.empty()) return;
    Literal(prefix);
    at_ = json_text::WriteEscaped(at_, text);
    *at_++ = '"';
  }

  void Personal(std::string_view prefix, std::string_view text, MaskStyle style) {
    if (text.empty()) return;
    Literal(prefix);
    char* const from = at_;
    at_ = json_text::WriteEscaped(at_, text);
    spans_->push_back({static_cast<std::uint32_t>(from - begin_), static_cast<std::uint32_t>(at_ - from), style});
    *at_++ = '"';
  }

  void Number(std::string_view prefix, std::int64_t number) {
    if (number == 0) return;
    Literal(prefix);
    at_ = json_text::WriteNumber(at_, number);
    *at_++ = '"';
  }

  void Time(std::string_view prefix, Timestamp time) {
    Literal(prefix);
    at_ = json_text::WriteTime(at_, time);
    *at_++ = '"';
  }

  void WriteMember() {
    Literal(R"({"id":")");
    at_ = json_text::WriteNumber(at_, member_.id.value());
    Literal(R"(","state":")");
    Literal(StateName(member_.state));
    *at_++ = '"';
    Text(R"(,"displayName":")", member_.display_name);
    Personal(R"(,"realName":")", member_.real_name.Reveal(), MaskStyle::kName);
    if (member_.gender != Gender::kUnspecified) Text(R"(,"gender":")", GenderName(member_.gender));
    Text(R"(,"birthDate":")", member_.birth_date);
    Text(R"(,"city":")", member_.city);
    Text(R"(,"tier":")", member_.tier);
    WriteTags();
    WriteAttributes();
    WriteIdentities();
    Number(R"(,"version":")", member_.version.value());
    Time(R"(,"createTime":")", member_.create_time);
    Time(R"(,"updateTime":")", member_.update_time);
    Number(R"(,"mergedInto":")", member_.merged_into.value());
    *at_++ = '}';
  }

  void WriteTags() {
    std::string_view prefix = R"(,"tags":[")";
    for (const std::string& tag : member_.tags) {
      Literal(prefix);
      at_ = json_text::WriteEscaped(at_, tag);
      *at_++ = '"';
      prefix = R"(,")";
    }
    if (!member_.tags.empty()) *at_++ = ']';
  }

  void WriteAttributes() {
    std::string_view prefix = R"(,"attributes":{")";
    for (const auto& [name, value] : member_.attributes) {
      Literal(prefix);
      at_ = json_text::WriteEscaped(at_, name);
      Literal(R"(":")");
      at_ = json_text::WriteEscaped(at_, value);
      *at_++ = '"';
      prefix = R"(,")";
    }
    if (!member_.attributes.empty()) *at_++ = '}';
  }

  void WriteIdentities() {
    std::string_view prefix = R"(,"identities":[{"kind":")";
    for (const Identity& identity : member_.identities) {
      Literal(prefix);
      at_ = json_text::WriteEscaped(at_, identity.kind);
      *at_++ = '"';
      Text(R"(,"platform":")", identity.platform);
      Personal(R"(,"value":")", identity.value.Reveal(), MaskStyleOf(identity.kind));
      if (identity.verified) Literal(R"(,"verified":true)");
      Literal(R"(,"state":")");
      Literal(IdentityStateName(identity.state));
      *at_++ = '"';
      Time(R"(,"bindTime":")", identity.bind_time);
      Text(R"(,"source":")", identity.source);
      *at_++ = '}';
      prefix = R"(,{"kind":")";
    }
    if (!member_.identities.empty()) *at_++ = ']';
  }

  MemberDocumentRef Allocate() const {
    const auto json_size = static_cast<std::size_t>(at_ - begin_);
    MUSTER_CHECK(json_size <= std::numeric_limits<std::uint32_t>::max());
    MUSTER_CHECK(member_.identities.size() < std::numeric_limits<std::uint16_t>::max());  // and one span for the name
    const std::size_t keys_bytes = member_.identities.size() * sizeof(IdentityKey);
    const std::size_t spans_bytes = spans_->size() * sizeof(MemberDocument::Span);
    void* block = std::malloc(sizeof(MemberDocument) + keys_bytes + spans_bytes + json_size);
    MUSTER_CHECK(block != nullptr);

    auto* document = new (block) MemberDocument;
    document->json_size_ = static_cast<std::uint32_t>(json_size);
    document->id_ = member_.id;
    document->version_ = member_.version;
    document->state_ = member_.state;
    document->key_count_ = static_cast<std::uint16_t>(member_.identities.size());
    document->span_count_ = static_cast<std::uint16_t>(spans_->size());
    auto* to = reinterpret_cast<char*>(document + 1);
    for (const Identity& identity : member_.identities) {
      std::memcpy(to, identity.key.bytes.data(), sizeof(IdentityKey));
      to += sizeof(IdentityKey);
    }
    if (spans_bytes != 0) std::memcpy(to, spans_->data(), spans_bytes);
    std::memcpy(to + spans_bytes, begin_, json_size);
    return MemberDocumentRef(document);
  }

  const Member& member_;
  char* begin_ = nullptr;
  char* at_ = nullptr;
  std::vector<MemberDocument::Span>* spans_ = nullptr;
};

MemberDocumentRef MakeMemberDocument(const Member& member) { return MemberDocumentBuilder(member).Build(); }

MemberDocumentRef::~MemberDocumentRef() {
  if (document_ == nullptr || document_->references_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  static_assert(std::is_trivially_destructible_v<MemberDocument>);
  std::free(const_cast<MemberDocument*>(document_));
}

std::span<const IdentityKey> MemberDocument::keys() const {
  return {reinterpret_cast<const IdentityKey*>(this + 1), key_count_};
}

std::span<const MemberDocument::Span> MemberDocument::spans() const {
  static_assert(alignof(Span) <= alignof(MemberDocument) && sizeof(IdentityKey) % alignof(Span) == 0);
  return {reinterpret_cast<const Span*>(keys().data() + key_count_), span_count_};
}

std::string_view MemberDocument::json() const {
  return {reinterpret_cast<const char*>(spans().data() + span_count_), json_size_};
}

bool MemberDocument::Holds(const IdentityKey& key) const { return std::ranges::find(keys(), key) != keys().end(); }

namespace {

// What stands before keys, spans and JSON in AppendBytes. The first byte is the format's number.
struct BytesHead {
  std::uint8_t format = 1;
  std::uint8_t state = 0;
  std::uint16_t key_count = 0;
  std::uint16_t span_count = 0;
  std::uint16_t nothing = 0;
};
static_assert(sizeof(BytesHead) == 8);

}  // namespace

void MemberDocument::AppendBytes(std::string& out) const {
  const BytesHead head{.state = static_cast<std::uint8_t>(state_), .key_count = key_count_, .span_count = span_count_};
  out.append(reinterpret_cast<const char*>(&head), sizeof head);
  const char* const rest = reinterpret_cast<const char*>(this + 1);
  out.append(rest, keys().size_bytes() + spans().size_bytes() + json_size_);
}

MemberDocumentRef ParseMemberDocument(MemberId id, Version version, std::string_view bytes) {
  BytesHead head;
  if (bytes.size() < sizeof head) return {};
  std::memcpy(&head, bytes.data(), sizeof head);
  bytes.remove_prefix(sizeof head);
  const std::size_t tables = head.key_count * sizeof(IdentityKey) + head.span_count * sizeof(MemberDocument::Span);
  if (head.format != BytesHead().format || head.state < static_cast<std::uint8_t>(MemberState::kActive) ||
      head.state > static_cast<std::uint8_t>(MemberState::kClosed) || bytes.size() < tables ||
      bytes.size() - tables > std::numeric_limits<std::uint32_t>::max()) {
    return {};
  }
  void* block = std::malloc(sizeof(MemberDocument) + bytes.size());
  MUSTER_CHECK(block != nullptr);
  auto* document = new (block) MemberDocument;
  document->json_size_ = static_cast<std::uint32_t>(bytes.size() - tables);
  document->id_ = id;
  document->version_ = version;
  document->state_ = static_cast<MemberState>(head.state);
  document->key_count_ = head.key_count;
  document->span_count_ = head.span_count;
  std::memcpy(reinterpret_cast<char*>(document + 1), bytes.data(), bytes.size());
  MemberDocumentRef made(document);
  std::uint64_t at = 0;
  for (const MemberDocument::Span& span : made->spans()) {
    if (span.begin < at || std::uint64_t{span.begin} + span.size > document->json_size_ ||
        span.style > MaskStyle::kName) {
      return {};
    }
    at = std::uint64_t{span.begin} + span.size;
  }
  return made;
}

std::size_t MemberDocument::AllocatedBytes() const { return ::malloc_usable_size(const_cast<MemberDocument*>(this)); }

void MemberDocument::AppendMasked(std::string& out) const {
  const std::string_view text = json();
  std::size_t at = 0;
  for (const Span& span : spans()) {
    out.append(text, at, span.begin - at);
    AppendMask(out, text.substr(span.begin, span.size), span.style);
    at = span.begin + span.size;
  }
  out.append(text, at);
}

}  // namespace muster
