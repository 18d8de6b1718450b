#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "domain/ports/member_search.h"

namespace muster::testing {

// Answers what it was given, at once, and remembers what it was asked.
class StubSearch final : public MemberSearch {
 public:
  void Search(Query query, Reply reply) override {
    asked.push_back(std::move(query));
    if (failure) return reply(std::unexpected(*failure));
    reply(page);
  }

  Page page;
  std::optional<Error> failure;
  std::vector<Query> asked;
};

}  // namespace muster::testing
