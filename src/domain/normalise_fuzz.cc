#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "base/encoding.h"
#include "domain/member_document.h"
#include "domain/normalise.h"

// The first byte chooses the normaliser, the rest is the value. Whatever it is: no crash, and what comes out is valid
// UTF-8 in its bounds that comes out again unchanged.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using muster::Normalised;
  using muster::Normaliser;
  constexpr Normaliser kAll[] = {Normaliser::kPhone, Normaliser::kEmail,   Normaliser::kOpaque,
                                 Normaliser::kCard,  Normaliser::kAccount, Normaliser::kDocument};
  if (size == 0) return 0;
  const Normaliser normaliser = kAll[data[0] % std::size(kAll)];
  const std::string_view value(reinterpret_cast<const char*>(data) + 1, size - 1);

  const Normalised once = muster::NormaliseValue(normaliser, value, "CN");
  if (!once) return 0;
  MUSTER_CHECK(!once->empty() && once->size() <= 254);
  MUSTER_CHECK(muster::IsValidUtf8(*once));
  MUSTER_CHECK(!muster::HasControlCharacter(*once));
  MUSTER_CHECK(!muster::IsMasked(*once));
  MUSTER_CHECK(muster::NormaliseValue(normaliser, *once, "CN") == once);
  if (normaliser == Normaliser::kPhone) MUSTER_CHECK(muster::NormalisePhoneByLibrary(value, "CN") == once);
  return 0;
}
