#include "domain/member_protobuf.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <optional>

#include "base/check.h"
#include "domain/json_text.h"
#include "domain/member_rules.h"
#include "domain/proto_writer.h"

namespace muster {

namespace {

using proto_wire::WriteTag;
using proto_wire::WriteVarint;

// What a masked value may be longer than the one it hides.
constexpr std::size_t kMaskBytesMore = 16;

// Walks the JSON of a document, which MemberDocumentBuilder wrote: known fields, in the order of their numbers, without
// white space. Anything else is a broken invariant.
class Transcoder {
 public:
  Transcoder(const MemberDocument& document, bool is_masked, char* out)
      : json_(document.json()), at_(json_.data()), out_(out) {
    if (is_masked) spans_ = document.spans();
  }

  char* Run() {
    Expect(R"({"id":")");
    Number(1);
    Expect(R"(,"state":")");
    Enumeration(2, ParseState);
    if (Take(R"(,"displayName":")")) Text(3);
    if (Take(R"(,"realName":")")) Text(4);
    if (Take(R"(,"gender":")")) Enumeration(5, ParseGender);
    if (Take(R"(,"birthDate":")")) Text(6);
    if (Take(R"(,"city":")")) Text(7);
    if (Take(R"(,"tier":")")) Text(8);
    if (Take(R"(,"tags":[")")) Tags();
    if (Take(R"(,"attributes":{")")) Attributes();
    if (Take(R"(,"identities":[{)")) Identities();
    if (Take(R"(,"version":")")) Number(12);
    if (Take(R"(,"createTime":")")) Time(13);
    if (Take(R"(,"updateTime":")")) Time(14);
    if (Take(R"(,"mergedInto":")")) Number(15);
    Expect("}");
    MUSTER_CHECK(rest().empty());
    return out_;
  }

 private:
  std::string_view rest() const { return {at_, static_cast<std::size_t>(json_.data() + json_.size() - at_)}; }

  bool Take(std::string_view literal) {
    if (!rest().starts_with(literal)) return false;
    at_ += literal.size();
    return true;
  }
  void Expect(std::string_view literal) { MUSTER_CHECK(Take(literal)); }

  // The text up to the closing quote, which has no escape; behind it afterwards.
  std::string_view Plain() {
    const char* const begin = at_;
    at_ = static_cast<const char*>(std::memchr(at_, '"', rest().size()));
    MUSTER_CHECK(at_ != nullptr);
    return {begin, at_++};
  }

  void Number(unsigned field) {
    std::uint64_t number = 0;
    for (const char digit : Plain()) number = number * 10 + static_cast<std::uint64_t>(digit - '0');
    out_ = WriteVarint(WriteTag(out_, field, WireType::kVarint), number);
  }

  template <typename T>
  void Enumeration(unsigned field, std::optional<T> (*parse)(std::string_view)) {
    const std::optional<T> value = parse(Plain());
    MUSTER_CHECK(value.has_value());
    out_ = WriteVarint(WriteTag(out_, field, WireType::kVarint), static_cast<std::uint64_t>(*value));
  }

  void Put(unsigned field, std::string_view text) {
    out_ = WriteVarint(WriteTag(out_, field, WireType::kBytes), text.size());
    std::memcpy(out_, text.data(), text.size());
    out_ += text.size();
  }

  void Text(unsigned field) {
    if (!spans_.empty() && spans_.front().begin == static_cast<std::size_t>(at_ - json_.data())) return Masked(field);
    const std::size_t plain = json_text::PlainPrefix(rest());
    if (at_[plain] != '"') return Escaped(field);
    Put(field, {at_, plain});
    at_ += plain + 1;
  }

  // The text between the quotes is masked as it is: with an escape in it, it is hidden whole.
  void Masked(unsigned field) {
    static thread_local std::string mask;
    mask.clear();
    AppendMask(mask, {at_, spans_.front().size}, spans_.front().style);
    at_ += spans_.front().size;
    Expect("\"");
    spans_ = spans_.subspan(1);
    Put(field, mask);
  }

  void Escaped(unsigned field) {
    out_ = WriteTag(out_, field, WireType::kBytes);
    char* const begin = ++out_;
    while (true) {
      const std::size_t plain = json_text::PlainPrefix(rest());
      std::memcpy(out_, at_, plain);
      out_ += plain;
      at_ += plain;
      if (*at_++ == '"') break;
      *out_++ = Unescape();
    }
    out_ = proto_wire::EndMessage(begin, out_);
  }

  // Behind a backslash. Only characters below U+0020 are written by number.
  char Unescape() {
    switch (const char letter = *at_++) {
      case 'b':
        return '\b';
      case 'f':
        return '\f';
      case 'n':
        return '\n';
      case 'r':
        return '\r';
      case 't':
        return '\t';
      case 'u': {
        const auto digit = [](char hex) { return hex <= '9' ? hex - '0' : (hex | 0x20) - 'a' + 10; };
        const int code = digit(at_[2]) * 16 + digit(at_[3]);
        at_ += 4;
        return static_cast<char>(code);
      }
      default:
        return letter;
    }
  }

  std::int64_t Digits(std::string_view text, std::size_t from, std::size_t count) {
    std::int64_t number = 0;
    for (const char digit : text.substr(from, count)) number = number * 10 + (digit - '0');
    return number;
  }

  // As json_text::WriteTime writes it.
  void Time(unsigned field) {
    using std::chrono::day;
    using std::chrono::month;
    using std::chrono::year;
    const std::string_view text = Plain();
    MUSTER_CHECK(text.size() >= 20);
    const std::chrono::sys_days date = year(static_cast<int>(Digits(text, 0, 4))) /
                                       month(static_cast<unsigned>(Digits(text, 5, 2))) /
                                       day(static_cast<unsigned>(Digits(text, 8, 2)));
    Timestamp time = date + std::chrono::hours(Digits(text, 11, 2)) + std::chrono::minutes(Digits(text, 14, 2)) +
                     std::chrono::seconds(Digits(text, 17, 2));
    if (text.size() == 24) time += std::chrono::milliseconds(Digits(text, 20, 3));
    if (text.size() == 27) time += std::chrono::microseconds(Digits(text, 20, 6));
    out_ = proto_wire::WriteTime(WriteTag(out_, field, WireType::kBytes), time);
  }

  void Tags() {
    do Text(9);
    while (Take(",\""));
    Expect("]");
  }

  void Attributes() {
    do {
      out_ = WriteTag(out_, 10, WireType::kBytes);
      char* const begin = ++out_;
      Text(1);
      Expect(":\"");
      Text(2);
      out_ = proto_wire::EndMessage(begin, out_);
    } while (Take(",\""));
    Expect("}");
  }

  void Identities() {
    do {
      out_ = WriteTag(out_, 11, WireType::kBytes);
      char* const begin = ++out_;
      Expect(R"("kind":")");
      Text(1);
      if (Take(R"(,"platform":")")) Text(2);
      if (Take(R"(,"value":")")) Text(3);
      if (Take(R"(,"verified":true)")) out_ = WriteVarint(WriteTag(out_, 4, WireType::kVarint), 1);
      Expect(R"(,"state":")");
      Enumeration(5, ParseIdentityState);
      if (Take(R"(,"bindTime":")")) Time(6);
      if (Take(R"(,"source":")")) Text(7);
      Expect("}");
      out_ = proto_wire::EndMessage(begin, out_);
    } while (Take(",{"));
    Expect("]");
  }

  const std::string_view json_;
  const char* at_;
  char* out_;
  std::span<const MemberDocument::Span> spans_;  // those ahead
};

}  // namespace

void AppendMemberProtobuf(std::string& out, const MemberDocument& document, bool is_masked) {
  // A text of n bytes takes at most n + 6, and its name, quotes and comma in JSON are never less than half of that.
  const std::size_t bytes_max = 2 * document.json().size() + kMaskBytesMore * (document.spans().size() + 1);
  const std::size_t before = out.size();
  out.resize_and_overwrite(before + bytes_max, [&](char* begin, std::size_t) {
    const char* const end = Transcoder(document, is_masked, begin + before).Run();
    const auto size = static_cast<std::size_t>(end - begin);
    MUSTER_CHECK(size <= before + bytes_max);
    return size;
  });
}

}  // namespace muster
