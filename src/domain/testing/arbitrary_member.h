#pragma once

#include <rapidcheck/Gen.h>

#include <cstddef>
#include <string>

#include "base/clock.h"
#include "domain/member.h"

// Generators for property tests. What they give is legal (CheckFields passes) and otherwise as odd as it may be:
// quotes, backslashes, emoji, right-to-left text, empty fields, times before 1970. A library of its own, because
// RapidCheck's templates take seconds to compile.
namespace muster::testing {

// At most `bytes_max` bytes of UTF-8, without control characters.
rc::Gen<std::string> ArbitraryText(std::size_t bytes_max);
// Any valid time, to the second, the millisecond or the microsecond.
rc::Gen<Timestamp> ArbitraryTime();
// Of a default kind.
rc::Gen<Identity> ArbitraryIdentity();
// Limits by kind are not kept (CheckIdentities may refuse); keys differ.
rc::Gen<Member> ArbitraryMember();

}  // namespace muster::testing
