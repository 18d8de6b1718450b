#include "search/index_plan.h"

#include <algorithm>
#include <span>
#include <utility>

#include "search/index_terms.h"

namespace muster {
namespace {

struct Found {
  TermSource source;
  bool decides = false;
};

bool IsEqual(const Filter& filter, SearchField field) {
  return filter.kind == Filter::Kind::kTest && filter.test.field == field && filter.test.op == SearchOperator::kEqual &&
         !filter.test.text.empty();
}

std::optional<Found> SourceOf(const Filter& filter);

// Of conjuncts, those that have a source. A city and a tier have one together.
std::optional<Found> SourceOfAll(std::span<const Filter> children) {
  Found found{.source = {.kind = TermSource::Kind::kAll}, .decides = true};
  const auto city = std::ranges::find_if(children, [](const Filter& f) { return IsEqual(f, SearchField::kCity); });
  const auto tier = std::ranges::find_if(children, [](const Filter& f) { return IsEqual(f, SearchField::kTier); });
  const bool together = city != children.end() && tier != children.end();
  if (together) found.source.children.push_back({.term = TermOfCityAndTier(city->test.text, tier->test.text)});
  for (auto child = children.begin(); child != children.end(); ++child) {
    if (together && (child == city || child == tier)) continue;
    std::optional<Found> one = SourceOf(*child);
    found.decides = found.decides && one && one->decides;
    if (one) found.source.children.push_back(std::move(one->source));
  }
  if (found.source.children.empty()) return std::nullopt;
  if (found.source.children.size() == 1) found.source = TermSource(std::move(found.source.children[0]));
  return found;
}

std::optional<Found> SourceOf(const Filter& filter) {
  switch (filter.kind) {
    case Filter::Kind::kTest: {
      const auto term = TermOf(filter.test);
      if (!term) return std::nullopt;
      return Found{.source = {.term = *term}, .decides = true};
    }
    case Filter::Kind::kAnd:
      return SourceOfAll(filter.children);
    case Filter::Kind::kOr: {
      Found found{.source = {.kind = TermSource::Kind::kAny}, .decides = true};
      for (const Filter& child : filter.children) {
        std::optional<Found> one = SourceOf(child);
        if (!one) return std::nullopt;
        found.decides = found.decides && one->decides;
        found.source.children.push_back(std::move(one->source));
      }
      return found;
    }
    case Filter::Kind::kAll:
    case Filter::Kind::kNot:
      return std::nullopt;
  }
  return std::nullopt;
}

std::span<const Filter> ConjunctsOf(const Filter& filter) {
  if (filter.kind == Filter::Kind::kAnd) return filter.children;
  return {&filter, 1};
}

// Narrows the plan's range by a conjunct; false when the conjunct is no range of `field`.
bool Narrow(const Filter& conjunct, SearchField field, IndexPlan& plan) {
  if (conjunct.kind != Filter::Kind::kTest || conjunct.test.field != field) return false;
  const std::int64_t number = conjunct.test.number;
  switch (conjunct.test.op) {
    case SearchOperator::kEqual:
      plan.min = std::max(plan.min, number);
      plan.max = std::min(plan.max, number);
      return true;
    case SearchOperator::kLess:
      plan.max = std::min(plan.max, number - 1);
      break;
    case SearchOperator::kLessOrEqual:
      plan.max = std::min(plan.max, number);
      break;
    case SearchOperator::kGreater:
      plan.min = std::max(plan.min, number == INT64_MAX ? number : number + 1);
      return true;
    case SearchOperator::kGreaterOrEqual:
      plan.min = std::max(plan.min, number);
      return true;
    case SearchOperator::kPresent:
      break;
    case SearchOperator::kNotEqual:
      return false;
  }
  // No order holds where there is no day.
  if (field == SearchField::kBirthDate) plan.min = std::max<std::int64_t>(plan.min, 1);
  return true;
}

std::unexpected<Error> Refuse(const Filter& filter) {
  std::string text =
      "no index finds these members without looking at all of them: add a comparison that every one of them passes, as "
      "city = \"…\", tier = \"…\", tags:\"…\" or attributes.name = \"…\"";
  for (const SearchField field :
       {SearchField::kUpdateTime, SearchField::kCreateTime, SearchField::kBirthDate, SearchField::kId}) {
    IndexPlan plan;
    for (const Filter& conjunct : ConjunctsOf(filter)) {
      if (!Narrow(conjunct, field, plan)) continue;
      const std::string name(Describe(field).name);
      text.append("; or order by ").append(name).append(", of which it has a range");
      return FailField("filter", text);
    }
  }
  text.append("; or a range of what the answer is ordered by, as updateTime > \"…\" with orderBy \"updateTime desc\"");
  return FailField("filter", text);
}

}  // namespace

Result<IndexPlan> MakeIndexPlan(const Filter& filter, const SearchOrder& order) {
  IndexPlan plan;
  if (filter.kind == Filter::Kind::kAll) return plan;
  bool has_range = false;
  std::vector<Filter> rest;  // what the range does not say
  for (const Filter& conjunct : ConjunctsOf(filter)) {
    if (Narrow(conjunct, order.field, plan)) {
      has_range = true;
    } else {
      rest.push_back(conjunct);
    }
  }
  if (std::optional<Found> found = rest.empty() ? std::nullopt : SourceOf(Filter::And(std::move(rest)))) {
    plan.source = std::move(found->source);
    plan.source_decides = found->decides;
  }
  if (!plan.source && !has_range) return Refuse(filter);
  return plan;
}

}  // namespace muster
