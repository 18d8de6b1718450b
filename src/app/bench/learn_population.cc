#include "app/bench/learn_population.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <utility>

#include "app/client/problem.h"
#include "app/client/target.h"
#include "app/files.h"
#include "bench/population_sampler.h"

namespace muster {
namespace {

constexpr std::size_t kPieceBytes = std::size_t{1} << 20;
constexpr std::size_t kLineBytesMax = std::size_t{32} << 20;

constexpr const char* kOtherWay =
    "\n`muster bench` learns from the admin API whom to ask for. Run it where that is open, with a key that has the "
    "scopes members.import and personal.read (admin.key has), or give it a file that `muster export` wrote: "
    "--population FILE";

Outcome<Population> Usable(Population population, const PopulationWish& wish, const std::string& where) {
  if (population.members.empty()) {
    return Fails(ExitCode::kNotFound, where + " has no active members to ask for; register or import some first");
  }
  if (wish.with_identities && population.identities.size() == 0) {
    return Fails(ExitCode::kNotFound,
                 where +
                     " has no identities in clear, which resolve and batchResolve need; leave them "
                     "out of --mix, or bind some");
  }
  return population;
}

}  // namespace

Outcome<Population> LearnPopulation(const HttpClientOptions& server, const PopulationWish& wish) {
  auto target = ResolveAdminTarget(server);
  if (!target) {
    target.error().message += kOtherWay;
    return std::unexpected(std::move(target).error());
  }
  HttpClient admin(std::move(*target));
  PopulationSampler sampler({.wanted = wish.members, .with_identities = wish.with_identities});
  while (const auto page = sampler.Next()) {
    auto reply = admin.Send({.path = "/admin/v1/members:export?after=" + std::to_string(page->after) +
                                     "&limit=" + std::to_string(page->limit)});
    Failure failure;
    if (!reply) {
      failure = std::move(reply).error();
    } else if (!reply->ok()) {
      failure = DescribeRefusal(*reply);
    } else {
      if (const auto taken = sampler.Take(reply->body); !taken) return Fails(taken.error());
      wish.progressed(sampler.held());
      continue;
    }
    failure.message += kOtherWay;
    return std::unexpected(std::move(failure));
  }
  return Usable(sampler.Finish(), wish, server.base_url);
}

Outcome<Population> ReadPopulation(const std::string& path, const PopulationWish& wish) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "re"), std::fclose);
  if (!file) return Fails(ExitCode::kFailure, path + " cannot be read: " + SystemMessage(errno));
  Population population;
  std::string text;
  std::uint64_t line = 1;
  for (bool is_more = true; is_more && population.members.size() < wish.members;) {
    const std::size_t kept = text.size();
    text.resize(kept + kPieceBytes);
    text.resize(kept + std::fread(text.data() + kept, 1, kPieceBytes, file.get()));
    if (std::ferror(file.get()) != 0)
      return Fails(ExitCode::kFailure, path + " cannot be read: " + SystemMessage(errno));
    is_more = std::feof(file.get()) == 0;
    const std::size_t end = is_more ? text.rfind('\n') + 1 : text.size();  // 0: no whole line
    const std::string_view lines = std::string_view(text).substr(0, end);
    const auto ids = AddMembers(population, lines, wish.with_identities, wish.members, line);
    if (!ids) return Fails(ExitCode::kFailure, path + ": " + ids.error().message);
    line += static_cast<std::uint64_t>(std::count(lines.begin(), lines.end(), '\n'));
    text.erase(0, end);
    if (text.size() > kLineBytesMax) {
      return Fails(ExitCode::kFailure, path + ": line " + std::to_string(line) + " is too long for a member");
    }
    wish.progressed(population.members.size());
  }
  population.is_sample = std::feof(file.get()) == 0;
  SeededRandom random(1);
  population.Shuffle(random);
  return Usable(std::move(population), wish, path);
}

}  // namespace muster
