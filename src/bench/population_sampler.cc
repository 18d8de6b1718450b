#include "bench/population_sampler.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace muster {
namespace {

constexpr std::size_t kLinesMax = 1000;  // of an export's page
constexpr std::size_t kPagesWanted = 64;

// How far `pages` pages reach in ids when members lie as densely as in the denser half of this one: a gap within the
// page then does not count.
std::int64_t Reach(const std::vector<std::int64_t>& ids, std::uint64_t pages) {
  if (ids.size() < 4) return 0;
  const std::int64_t middle = ids[ids.size() / 2];
  const std::int64_t half = std::min(middle - ids.front(), ids.back() - middle);
  const std::int64_t page = half > INT64_MAX / 2 ? INT64_MAX : half * 2;
  return pages > 0 && page > INT64_MAX / static_cast<std::int64_t>(pages) ? INT64_MAX
                                                                          : page * static_cast<std::int64_t>(pages);
}

}  // namespace

PopulationSampler::PopulationSampler(const Options& options)
    : options_(options),
      limit_(static_cast<int>(std::clamp<std::size_t>(options.wanted / kPagesWanted, 1, kLinesMax))) {
  MUSTER_CHECK(options.wanted > 0 && options.wanted <= kWantedMax);
}

std::optional<PopulationSampler::Page> PopulationSampler::Next() const {
  if (is_done_) return std::nullopt;
  return Page{.after = after_, .limit = limit_};
}

Result<void> PopulationSampler::Take(std::string_view lines) {
  Population page;
  MUSTER_ASSIGN(const std::vector<std::int64_t> ids, AddMembers(page, lines, options_.with_identities));
  // A server that repeats itself must not keep us for ever.
  if (ids.empty() || ids.back() <= after_) {
    is_done_ = true;
    return {};
  }
  held_ += page.members.size();
  pages_.push_back(std::move(page));
  if (held_ >= 2 * options_.wanted) DropEverySecondPage();
  const std::int64_t reach = Reach(ids, stride_ - 1);
  is_done_ = ids.back() > INT64_MAX - reach - 1;
  after_ = is_done_ ? INT64_MAX : ids.back() + reach;
  return {};
}

void PopulationSampler::DropEverySecondPage() {
  std::size_t kept = 0;
  held_ = 0;
  for (std::size_t i = 0; i < pages_.size(); i += 2) {
    held_ += pages_[i].members.size();
    std::swap(pages_[kept++], pages_[i]);
  }
  pages_.resize(kept);
  stride_ *= 2;
}

Population PopulationSampler::Finish() {
  Population all;
  for (Population& page : pages_) {
    all.members.insert(all.members.end(), page.members.begin(), page.members.end());
    all.identities.Append(page.identities);
    for (const std::string& city : page.cities) all.AddCity(city);
    page = Population();
  }
  all.is_sample = stride_ > 1 || all.members.size() > options_.wanted;
  SeededRandom random(1);
  all.Shuffle(random);
  if (all.members.size() > options_.wanted) all.members.resize(options_.wanted);
  return all;
}

}  // namespace muster
