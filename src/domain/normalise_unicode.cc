#include "domain/normalise_unicode.h"

#include <unicode/bytestream.h>
#include <unicode/idna.h>
#include <unicode/normalizer2.h>

#include "base/check.h"

namespace muster {

namespace {

std::string NormaliseBy(const icu::Normalizer2* normalizer, std::string_view text, UErrorCode status) {
  MUSTER_CHECK(U_SUCCESS(status));  // ICU's data are part of its library
  std::string out;
  icu::StringByteSink<std::string> sink(&out, static_cast<std::int32_t>(text.size()));
  normalizer->normalizeUTF8(0, icu::StringPiece(text.data(), static_cast<std::int32_t>(text.size())), sink, nullptr,
                            status);
  MUSTER_CHECK(U_SUCCESS(status));  // it takes any UTF-8
  return out;
}

// As browsers do it: ß and ς stay what they are, for the domains with them are others than those with ss and σ.
const icu::IDNA& DomainRules() {
  static const icu::IDNA* const rules = [] {
    UErrorCode status = U_ZERO_ERROR;
    const icu::IDNA* made =
        icu::IDNA::createUTS46Instance(UIDNA_NONTRANSITIONAL_TO_ASCII | UIDNA_NONTRANSITIONAL_TO_UNICODE |
                                           UIDNA_USE_STD3_RULES | UIDNA_CHECK_BIDI | UIDNA_CHECK_CONTEXTJ,
                                       status);
    MUSTER_CHECK(U_SUCCESS(status) && made != nullptr);
    return made;
  }();
  return *rules;
}

}  // namespace

std::string Compose(std::string_view text) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* const normalizer = icu::Normalizer2::getNFCInstance(status);
  return NormaliseBy(normalizer, text, status);
}

// Both this and UTS #46 map one character after the other, and U+0345, a mark, becomes a letter: the order of marks has
// to be the canonical one before (The Unicode Standard, 3.13, D145).
std::string FoldCase(std::string_view text) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* const normalizer = icu::Normalizer2::getNFKCCasefoldInstance(status);
  return NormaliseBy(normalizer, Compose(text), status);
}

std::optional<std::string> DomainToAscii(std::string_view domain) {
  std::string ascii;
  icu::StringByteSink<std::string> sink(&ascii);
  icu::IDNAInfo info;
  UErrorCode status = U_ZERO_ERROR;
  DomainRules().nameToASCII_UTF8(Compose(domain), sink, info, status);
  // Two hyphens in the third and fourth place are no mistake: there are such domains.
  if (U_FAILURE(status) || (info.getErrors() & ~static_cast<std::uint32_t>(UIDNA_ERROR_HYPHEN_3_4)) != 0) {
    return std::nullopt;
  }
  return ascii;
}

}  // namespace muster
