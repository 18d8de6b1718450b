#include "api/http_parser.h"

#include <algorithm>
#include <string_view>

#include "api/http_text.h"

namespace muster {
namespace {

HttpMethod MethodOf(std::string_view name) {
  if (name == "GET") return HttpMethod::kGet;
  if (name == "POST") return HttpMethod::kPost;
  if (name == "HEAD") return HttpMethod::kHead;
  if (name == "PATCH") return HttpMethod::kPatch;
  if (name == "PUT") return HttpMethod::kPut;
  if (name == "DELETE") return HttpMethod::kDelete;
  if (name == "OPTIONS") return HttpMethod::kOptions;
  return HttpMethod::kOther;
}

// The path of an absolute-form target (RFC 9112 section 3.2.2), or null when it is not one of ours.
std::string_view PathOfAbsoluteForm(std::string_view target) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (target.size() <= scheme.size() || !EqualsIgnoringCase(target.substr(0, scheme.size()), scheme)) continue;
    const std::string_view rest = target.substr(scheme.size());
    const std::size_t end = std::min(rest.find_first_of("/?"), rest.size());
    const std::string_view authority = rest.substr(0, end);
    if (authority.empty() || !std::ranges::all_of(authority, [](char c) { return Is(kHostCharacters, c); })) return {};
    return end < rest.size() && rest[end] == '/' ? rest.substr(end) : std::string_view("/");
  }
  return {};
}

class HeadParser {
 public:
  HeadParser(std::string_view input, const HttpLimits& limits, HttpHead& head, HttpRejection& rejection)
      : begin_(input.data()),
        at_(begin_),
        end_(begin_ + input.size()),
        limits_(limits),
        head_(head),
        rejection_(rejection) {}

  HttpParse Run() {
    if (const HttpParse line = RequestLine(); line != HttpParse::kComplete) return line;
    if (const HttpParse fields = Fields(); fields != HttpParse::kComplete) return fields;
    return Framing();
  }

 private:
  HttpParse Reject(int status, std::string_view detail) {
    rejection_ = {.status = status, .detail = detail};
    HttpRequest known;
    if (has_method_) known.method = head_.request.method;
    if (has_fields_) known.headers = head_.request.headers;
    head_.request = known;
    return HttpParse::kRejected;
  }

  // The input ends here, before what was looked for: either more will come, or more than the bound allows is there.
  HttpParse OutOfInput() {
    return end_is_bound_ ? Reject(431, "the header lines are larger than this server takes; send fewer or shorter ones")
                         : HttpParse::kIncomplete;
  }

  HttpParse LineEnd(std::string_view otherwise) {
    if (at_ == end_) return OutOfInput();
    if (*at_ != '\r') return Reject(400, otherwise);
    if (at_ + 1 == end_) return OutOfInput();
    if (at_[1] != '\n') return Reject(400, "a carriage return without a line feed");
    at_ += 2;
    return HttpParse::kComplete;
  }

  HttpParse RequestLine() {
    for (int empty_lines = 0; at_ != end_ && *at_ == '\r'; ++empty_lines) {
      if (empty_lines == kHttpEmptyLinesMax) return Reject(400, "empty lines instead of a request");
      if (const HttpParse line = LineEnd(""); line != HttpParse::kComplete) return line;
    }
    const char* const method = at_;
    while (at_ != end_ && Is(kTokenCharacters, *at_)) {
      if (static_cast<std::size_t>(++at_ - method) > kHttpMethodBytesMax) return Reject(400, "no such method");
    }
    if (at_ == end_) return HttpParse::kIncomplete;
    if (at_ == method || *at_ != ' ') return Reject(400, "the request line has to begin with a method and one space");
    head_.request.method_name = {method, at_};
    head_.request.method = MethodOf(head_.request.method_name);
    has_method_ = true;
    ++at_;
    if (const HttpParse target = Target(); target != HttpParse::kComplete) return target;
    return Version();
  }

  HttpParse Target() {
    const char* const target = at_;
    const char* const bound =
        static_cast<std::size_t>(end_ - at_) > limits_.target_bytes_max ? at_ + limits_.target_bytes_max : end_;
    while (at_ != bound && Is(kTargetCharacters, *at_)) ++at_;
    if (at_ == end_) return HttpParse::kIncomplete;
    if (at_ == bound && *at_ != ' ') return Reject(414, "the request target is longer than this server takes");
    if (*at_ != ' ') {
      return Reject(400, "the request target has a character that must be percent-encoded, or the version is missing");
    }
    head_.request.target = {target, at_};
    ++at_;
    std::string_view path = head_.request.target;
    if (path == "*" && head_.request.method == HttpMethod::kOptions) {
      // asterisk-form: the server as a whole
    } else if (!path.starts_with('/')) {
      const std::string_view rest = PathOfAbsoluteForm(path);
      if (rest.data() == nullptr) return Reject(400, "the request target has to be a path or an http URL");
      // A URL without a path may still have a query.
      const std::size_t question = path.find('?');
      head_.request.query = question == std::string_view::npos ? std::string_view() : path.substr(question + 1);
      head_.request.path = rest.substr(0, rest.find('?'));
      return HttpParse::kComplete;
    }
    const std::size_t question = path.find('?');
    head_.request.path = path.substr(0, question);
    head_.request.query = question == std::string_view::npos ? std::string_view() : path.substr(question + 1);
    return HttpParse::kComplete;
  }

  HttpParse Version() {
    constexpr std::string_view kName = "HTTP/";
    for (const char c : kName) {
      if (at_ == end_) return HttpParse::kIncomplete;
      if (*at_ != c) return Reject(400, "the request line has to end with a space and HTTP/1.1 or HTTP/1.0");
      ++at_;
    }
    const auto digit = [](char c) { return c >= '0' && c <= '9'; };
    if (at_ == end_) return HttpParse::kIncomplete;
    if (!digit(*at_)) return Reject(400, "the version has to be HTTP/1.1 or HTTP/1.0");
    if (*at_ != '1') return Reject(505, "this port speaks HTTP/1.1 and HTTP/1.0 only");
    ++at_;
    if (at_ == end_) return HttpParse::kIncomplete;
    if (*at_ != '.') return Reject(400, "the version has to be HTTP/1.1 or HTTP/1.0");
    ++at_;
    if (at_ == end_) return HttpParse::kIncomplete;
    if (!digit(*at_)) return Reject(400, "the version has to be HTTP/1.1 or HTTP/1.0");
    head_.request.version_minor = *at_ == '0' ? 0 : 1;  // a later 1.x is answered as the latest that is known
    ++at_;
    return LineEnd("the request line has to end after the version, with a carriage return and a line feed");
  }

  HttpParse Fields() {
    if (static_cast<std::size_t>(end_ - at_) >= limits_.header_bytes_max) {
      end_ = at_ + limits_.header_bytes_max;
      end_is_bound_ = true;
    }
    std::size_t count = 0;
    while (true) {
      if (at_ == end_) return OutOfInput();
      if (*at_ == '\r') {
        if (const HttpParse line = LineEnd(""); line != HttpParse::kComplete) return line;
        head_.request.headers = {head_.fields.data(), count};
        has_fields_ = true;
        head_.size = static_cast<std::size_t>(at_ - begin_);
        return HttpParse::kComplete;
      }
      if (count == kHttpHeadersMax) return Reject(431, "more than 100 header lines");
      if (const HttpParse field = Field(head_.fields[count]); field != HttpParse::kComplete) return field;
      ++count;
    }
  }

  HttpParse Field(HttpHeader& field) {
    const char* const name = at_;
    while (at_ != end_ && Is(kTokenCharacters, *at_)) ++at_;
    if (at_ == end_) return OutOfInput();
    if (at_ == name && (*at_ == ' ' || *at_ == '\t'))
      return Reject(400, "a header line begins with white space (obsolete folding)");
    if (at_ == name || *at_ != ':') return Reject(400, "a header line has to begin with a name and a colon");
    field.name = {name, at_};
    ++at_;
    const char* const value = at_;
    while (at_ != end_ && Is(kValueCharacters, *at_)) ++at_;
    field.value = TrimWhiteSpace({value, at_});
    return LineEnd("a header value has a control character, or a line feed without a carriage return");
  }

  // What the headers say about this connection and about where the body ends (RFC 9112 sections 3.2, 6, 9.3).
  HttpParse Framing() {
    head_.chunked = false;
    head_.content_length = 0;
    head_.expects_continue = false;
    for (const HttpHeader& field : head_.request.headers) {
      if (const HttpParse seen = Meaning(field); seen != HttpParse::kComplete) return seen;
    }
    const bool is_1_1 = head_.request.version_minor >= 1;
    if (is_1_1 && hosts_ == 0) return Reject(400, "an HTTP/1.1 request needs a Host header");
    if (transfer_encodings_ > 0) {
      if (!is_1_1) return Reject(400, "Transfer-Encoding in an HTTP/1.0 request");
      if (content_lengths_ > 0) return Reject(400, "both Content-Length and Transfer-Encoding");
      if (transfer_encodings_ > 1 || !EqualsIgnoringCase(transfer_encoding_, "chunked")) {
        return Reject(501, "the only transfer coding that this server knows is chunked");
      }
      head_.chunked = true;
    }
    if (head_.content_length > limits_.body_bytes_max) {
      return Reject(413, "the body is larger than this server takes");
    }
    if (encoded_) return Reject(415, "send the body as it is, without a Content-Encoding");
    if (unknown_expectation_) return Reject(417, "the only expectation that this server meets is 100-continue");
    head_.expects_continue = head_.expects_continue && is_1_1;  // ignored in HTTP/1.0 (RFC 9110 section 10.1.1)
    head_.keep_alive = !says_close_ && (is_1_1 || says_keep_alive_);
    return HttpParse::kComplete;
  }

  HttpParse Meaning(const HttpHeader& field) {
    switch (field.name.size()) {
      case 4:
        if (EqualsIgnoringCase(field.name, "host")) return Host(field.value);
        break;
      case 6:
        if (EqualsIgnoringCase(field.name, "expect")) {
          (EqualsIgnoringCase(field.value, "100-continue") ? head_.expects_continue : unknown_expectation_) = true;
        }
        break;
      case 10:
        if (EqualsIgnoringCase(field.name, "connection")) Connection(field.value);
        break;
      case 13:
        // Somebody in front may have looked at the other one.
        if (EqualsIgnoringCase(field.name, "authorization") && ++authorizations_ > 1) {
          return Reject(400, "more than one Authorization header");
        }
        break;
      case 14:
        if (EqualsIgnoringCase(field.name, "content-length")) return ContentLength(field.value);
        break;
      case 16:
        if (EqualsIgnoringCase(field.name, "content-encoding") && !EqualsIgnoringCase(field.value, "identity")) {
          encoded_ = true;
        }
        break;
      case 17:
        if (EqualsIgnoringCase(field.name, "transfer-encoding")) {
          ++transfer_encodings_;
          transfer_encoding_ = field.value;
        }
        break;
      default:
        break;
    }
    return HttpParse::kComplete;
  }

  HttpParse Host(std::string_view value) {
    if (++hosts_ > 1) return Reject(400, "more than one Host header");
    if (!std::ranges::all_of(value, [](char c) { return Is(kHostCharacters, c); })) {
      return Reject(400, "the Host header is not a host name or address with an optional port");
    }
    return HttpParse::kComplete;
  }

  HttpParse ContentLength(std::string_view value) {
    if (++content_lengths_ > 1) return Reject(400, "more than one Content-Length header");
    if (value.empty()) return Reject(400, "the Content-Length is not a number");
    std::size_t length = 0;
    for (const char c : value) {
      if (c < '0' || c > '9') return Reject(400, "the Content-Length is not a number");
      // Saturates: what is above any bound is refused as too large, not as malformed.
      length = length > SIZE_MAX / 16 ? length : length * 10 + static_cast<std::size_t>(c - '0');
    }
    head_.content_length = length;
    return HttpParse::kComplete;
  }

  void Connection(std::string_view value) {
    while (!value.empty()) {
      const std::size_t comma = std::min(value.find(','), value.size());
      const std::string_view option = TrimWhiteSpace(value.substr(0, comma));
      if (EqualsIgnoringCase(option, "close")) says_close_ = true;
      if (EqualsIgnoringCase(option, "keep-alive")) says_keep_alive_ = true;
      value.remove_prefix(std::min(comma + 1, value.size()));
    }
  }

  const char* const begin_;
  const char* at_;
  const char* end_;
  bool end_is_bound_ = false;  // end_ is where the header lines have to end, rather than what has come so far
  const HttpLimits& limits_;
  HttpHead& head_;
  HttpRejection& rejection_;
  bool has_method_ = false;
  bool has_fields_ = false;
  int hosts_ = 0;
  int authorizations_ = 0;
  bool encoded_ = false;
  int content_lengths_ = 0;
  int transfer_encodings_ = 0;
  std::string_view transfer_encoding_;
  bool unknown_expectation_ = false;
  bool says_close_ = false;
  bool says_keep_alive_ = false;
};

}  // namespace

HttpParse ParseHttpHead(std::string_view input, const HttpLimits& limits, HttpHead& head, HttpRejection& rejection) {
  return HeadParser(input, limits, head, rejection).Run();
}

}  // namespace muster
