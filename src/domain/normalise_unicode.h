#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace muster {

// What ICU makes of text beyond ASCII. All take valid UTF-8, are pure, idempotent and thread-safe, and answer the same
// for all canonically equivalent texts.

// Unicode's NFC: one spelling of what looks the same, compatibility characters and case kept.
std::string Compose(std::string_view text);

// Unicode's NFKC_Casefold: full-width letters become plain ones, capitals small. It drops characters that cannot be
// seen: refuse them before.
std::string FoldCase(std::string_view text);

// A domain in the form in which the DNS knows it (UTS #46, non-transitional): "例子.中国" and "XN--fsqu00a.xn--fiqs8s"
// are "xn--fsqu00a.xn--fiqs8s". Empty when it can be none.
std::optional<std::string> DomainToAscii(std::string_view domain);

}  // namespace muster
