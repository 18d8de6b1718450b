#include "app/output/topology_tables.h"

#include <simdjson.h>

#include <algorithm>
#include <charconv>
#include <cstdio>

#include "app/output/table.h"

namespace muster {
namespace {

using simdjson::dom::element;

std::string FieldOf(const element& parent, const char* key) {
  std::string_view text;
  return parent[key].get(text) == simdjson::SUCCESS ? std::string(text) : "";
}

bool Flag(const element& parent, const char* key) {
  bool flag = false;
  return parent[key].get(flag) == simdjson::SUCCESS && flag;
}

std::vector<element> Elements(const element& parent, const char* key) {
  simdjson::dom::array array;
  if (parent[key].get(array) != simdjson::SUCCESS) return {};
  return {array.begin(), array.end()};
}

std::vector<std::string> Texts(const element& parent, const char* key) {
  std::vector<std::string> texts;
  for (const element& each : Elements(parent, key)) {
    if (std::string_view text; each.get(text) == simdjson::SUCCESS) texts.emplace_back(text);
  }
  return texts;
}

std::string Joined(const std::vector<std::string>& texts, const char* between) {
  std::string joined;
  for (const std::string& text : texts) joined += (joined.empty() ? "" : between) + text;
  return joined;
}

std::string Lines(const std::vector<std::string>& texts) { return Joined(texts, "\n"); }

Outcome<element> ParseTopologyAnswer(simdjson::dom::parser& parser, std::string_view json) {
  element root;
  if (parser.parse(simdjson::padded_string(json)).get(root) == simdjson::SUCCESS && root.is_object()) return root;
  return Fails(ExitCode::kFailure, "the server's answer is not a JSON object; is it a muster server?");
}

std::string DescribeMove(const element& move) {
  std::string text = FieldOf(move, "kind") + " from " + FieldOf(move, "from") + " to " + FieldOf(move, "to") +
                     ", begun " + FieldOf(move, "beginTime");
  if (const std::string end = FieldOf(move, "endTime"); !end.empty()) text += ", ended " + end;
  if (Flag(move, "undone")) text += ", undone";
  if (Flag(move, "byOperator")) text += ", asked for";
  if (const std::string cause = FieldOf(move, "cause"); !cause.empty()) text += ": " + cause;
  for (const std::string& step : Texts(move, "steps")) text += "\n" + step;
  return text;
}

std::string DescribeShardMove(const element& move) {
  std::string text = FieldOf(move, "shards") + " from " + FieldOf(move, "from") + " to " + FieldOf(move, "to") +
                     ", begun " + FieldOf(move, "beginTime");
  if (Flag(move, "stops")) text += ", to be stopped";
  if (const std::string moved = FieldOf(move, "moved"); !moved.empty()) text += "\nhave moved: " + moved;
  if (const std::string batch = FieldOf(move, "batch"); !batch.empty()) {
    text += "\n" + FieldOf(move, "step") + ": " + batch;
  }
  if (const std::string mover = FieldOf(move, "mover"); !mover.empty()) text += ", by " + mover;
  return text;
}

// A group that loses nothing with a center, whose databases are all what they are to be.
void AddMissingOfGroup(const element& group, std::vector<std::string>& missing) {
  const std::string durability = FieldOf(group, "durability");
  if (durability != "both-centers") missing.push_back("group " + FieldOf(group, "name") + " is " + durability);
  for (const element& database : Elements(group, "databases")) {
    const bool is_primary = FieldOf(database, "role") == "primary";
    const std::string state = Flag(database, "isUp") ? FieldOf(database, "state") : "down";
    if (state != (is_primary ? "writing" : "following")) {
      missing.push_back(FieldOf(database, "name") + (is_primary ? ", the primary, is " : " is ") + state);
    }
    // A failover just then would wait for it.
    const std::string acker = FieldOf(database, "acker");
    if (!acker.empty() && acker != "in") missing.push_back(FieldOf(database, "name") + " is an acker that is " + acker);
  }
}

std::vector<std::string> MissingForWhole(const element& root) {
  std::vector<std::string> missing;
  if (FieldOf(root, "writer").empty()) missing.emplace_back("a failover is under way");
  if (const std::string health = FieldOf(root, "health"); health != "well") {
    missing.push_back("the writing center is " + health + ": " + FieldOf(root, "cause"));
  }
  for (const element& group : Elements(root, "groups")) AddMissingOfGroup(group, missing);
  for (const element& cache : Elements(root, "caches")) {
    const std::string mode = FieldOf(cache, "mode");
    if (mode != "on") missing.push_back("the cache of center " + FieldOf(cache, "center") + " is " + mode);
  }
  for (const std::string& text : Texts(root, "attention")) missing.push_back(text);
  return missing;
}

}  // namespace

Outcome<TopologyGoal> ParseTopologyGoal(std::string_view text) {
  constexpr std::string_view kWrites = "writes:";
  if (text == "whole") return TopologyGoal{.kind = TopologyGoal::Kind::kWhole};
  if (text == "attention") return TopologyGoal{.kind = TopologyGoal::Kind::kAttention};
  if (text.starts_with(kWrites) && text.size() > kWrites.size()) {
    return TopologyGoal{.kind = TopologyGoal::Kind::kWriter, .center = std::string(text.substr(kWrites.size()))};
  }
  return Fails(ExitCode::kUsage, "--until is whole, attention, or a center that is to write, as in writes:B");
}

Outcome<std::string> MissingForGoal(const TopologyGoal& goal, std::string_view json) {
  simdjson::dom::parser parser;
  MUSTER_ASSIGN(const element root, ParseTopologyAnswer(parser, json));
  const std::string writer = FieldOf(root, "writer");
  switch (goal.kind) {
    case TopologyGoal::Kind::kWhole:
      return Joined(MissingForWhole(root), "; ");
    case TopologyGoal::Kind::kAttention:
      return std::string(Texts(root, "attention").empty() ? "nothing needs somebody" : "");
    case TopologyGoal::Kind::kWriter:
      if (const auto centers = Texts(root, "centers"); std::ranges::count(centers, goal.center) == 0) {
        return Fails(ExitCode::kUsage, "the topology has no center " + goal.center);
      }
      if (writer == goal.center) return std::string();
      return writer.empty() ? "a failover is under way" : "center " + writer + " writes";
  }
  return std::string();
}

Outcome<std::string> RenderTopologyStatus(const Terminal& terminal, std::string_view json) {
  simdjson::dom::parser parser;
  MUSTER_ASSIGN(const element root, ParseTopologyAnswer(parser, json));
  std::string caches;
  for (const element& cache : Elements(root, "caches")) {
    caches += (caches.empty() ? "" : "\n") + FieldOf(cache, "center") + ": " + FieldOf(cache, "mode") + ", epoch " +
              FieldOf(cache, "epoch");
  }
  std::string failover;
  if (element move; root["failover"].get(move) == simdjson::SUCCESS) failover = DescribeMove(move);
  std::string shard_move;
  if (element move; root["shardMove"].get(move) == simdjson::SUCCESS) shard_move = DescribeShardMove(move);
  std::string last;
  if (const auto ended = Elements(root, "failovers"); !ended.empty()) last = DescribeMove(ended.back());
  const std::string writer = FieldOf(root, "writer");
  const std::string cause = FieldOf(root, "cause");
  std::string out = RenderFields(terminal, {{"writes", writer.empty() ? "nobody: a failover is under way" : writer},
                                            {"health", FieldOf(root, "health") + (cause.empty() ? "" : ": " + cause)},
                                            {"epoch", FieldOf(root, "epoch")},
                                            {"revision", FieldOf(root, "revision")},
                                            {"controller", FieldOf(root, "controller")},
                                            {"caches", caches},
                                            {"under way", failover},
                                            {"shards move", shard_move},
                                            {"last", last},
                                            {"attention", Lines(Texts(root, "attention"))}});
  Table shards({{"GROUP"}, {"SHARDS"}});
  for (const element& group : Elements(root, "groups")) {
    shards.AddRow({FieldOf(group, "name"), FieldOf(group, "shards")});
  }
  Table table(
      {{"GROUP"}, {"DURABILITY"}, {"DATABASE"}, {"CENTER"}, {"ROLE"}, {"ACKER"}, {"UP"}, {"STATE"}, {"ADDRESS"}});
  for (const element& group : Elements(root, "groups")) {
    for (const element& database : Elements(group, "databases")) {
      table.AddRow({FieldOf(group, "name"), FieldOf(group, "durability"), FieldOf(database, "name"),
                    FieldOf(database, "center"), FieldOf(database, "role"), FieldOf(database, "acker"),
                    Flag(database, "isUp") ? "yes" : "no", FieldOf(database, "state"), FieldOf(database, "address")});
    }
  }
  return out + "\n" + table.Render(terminal) + "\n" + shards.Render(terminal);
}

Outcome<std::string> RenderFreshness(const Terminal& terminal, std::string_view json) {
  simdjson::dom::parser parser;
  MUSTER_ASSIGN(const element root, ParseTopologyAnswer(parser, json));
  std::string out =
      RenderFields(terminal, {{"since", FieldOf(root, "sinceTime")},
                              {"samples", FieldOf(root, "samples")},
                              {"skipped", FieldOf(root, "skipped") == "0" ? "" : FieldOf(root, "skipped")}});
  Table tiers({{"TIER"},
               {"CENTER"},
               {"BOUND MS"},
               {"SAMPLES"},
               {"LATE"},
               {"BEYOND"},
               {"UNANSWERED"},
               {"LATEST MS"},
               {"NINES"}});
  for (const element& tier : Elements(root, "tiers")) {
    double nines = 0;
    static_cast<void>(tier["nines"].get(nines));
    char text[16];
    std::snprintf(text, sizeof text, "%.1f", nines);
    tiers.AddRow({FieldOf(tier, "name"), FieldOf(tier, "center"), FieldOf(tier, "boundMs"), FieldOf(tier, "samples"),
                  FieldOf(tier, "late"), FieldOf(tier, "beyond"), FieldOf(tier, "unanswered"),
                  FieldOf(tier, "latestMs"), text});
  }
  out += "\n" + tiers.Render(terminal);
  const std::vector<element> late = Elements(root, "late");
  if (late.empty()) return out;
  Table samples({{"LATE AT"}, {"MEMBER"}, {"VERSION"}, {"HELD"}, {"ACKNOWLEDGED"}, {"AFTER MS"}});
  for (const element& one : late) {
    const std::string after = FieldOf(one, "lateMs");
    samples.AddRow({FieldOf(one, "tier"), FieldOf(one, "memberId"), FieldOf(one, "version"), FieldOf(one, "held"),
                    FieldOf(one, "acknowledgeTime"), after.empty() ? "not yet" : after});
  }
  return out + "\n" + samples.Render(terminal);
}

Outcome<std::string> RenderFailoverPlan(const Terminal& terminal, std::string_view json) {
  simdjson::dom::parser parser;
  MUSTER_ASSIGN(const element root, ParseTopologyAnswer(parser, json));
  std::string refusals;
  for (const element& refusal : Elements(root, "refusals")) {
    refusals += (refusals.empty() ? "" : "\n") + FieldOf(refusal, "code") + ": " + FieldOf(refusal, "detail");
  }
  return RenderFields(terminal,
                      {{FieldOf(root, "kind"), "from " + FieldOf(root, "from") + " to " + FieldOf(root, "to")},
                       {"steps", Lines(Texts(root, "steps"))},
                       {"in its way", refusals},
                       {"would lose", Lines(Texts(root, "losses"))}});
}

Outcome<std::string> RenderShardMovePlan(const Terminal& terminal, std::string_view json) {
  simdjson::dom::parser parser;
  MUSTER_ASSIGN(const element root, ParseTopologyAnswer(parser, json));
  return RenderFields(terminal, {{"shards", FieldOf(root, "shards")},
                                 {"from", FieldOf(root, "from")},
                                 {"to", FieldOf(root, "to")},
                                 {"steps", Lines(Texts(root, "steps"))}});
}

Outcome<TopologyFacts> ReadTopologyFacts(std::string_view json) {
  simdjson::dom::parser parser;
  MUSTER_ASSIGN(const element root, ParseTopologyAnswer(parser, json));
  TopologyFacts facts{.writer = FieldOf(root, "writer"), .centers = Texts(root, "centers"), .last_from = ""};
  const std::string revision = FieldOf(root, "revision");
  std::from_chars(revision.data(), revision.data() + revision.size(), facts.revision);
  facts.shards_move = root["shardMove"].error() == simdjson::SUCCESS;
  for (const element& group : Elements(root, "groups")) facts.shards[FieldOf(group, "name")] = FieldOf(group, "shards");
  // Of those to the center that writes the last one counts.
  for (const element& ended : Elements(root, "failovers")) {
    facts.last_was_undone = Flag(ended, "undone");
    if (facts.last_was_undone || FieldOf(ended, "to") != facts.writer) continue;
    facts.last_from = FieldOf(ended, "cause").starts_with(kFailbackCause) ? "" : FieldOf(ended, "from");
  }
  return facts;
}

Outcome<RebuildFacts> ReadRebuildFacts(std::string_view json, std::string_view database) {
  simdjson::dom::parser parser;
  MUSTER_ASSIGN(const element root, ParseTopologyAnswer(parser, json));
  for (const element& group : Elements(root, "groups")) {
    for (const element& each : Elements(group, "databases")) {
      if (FieldOf(each, "name") != database) continue;
      return RebuildFacts{.is_under_way = FieldOf(each, "state") == "rebuilding",
                          .failure = FieldOf(each, "rebuildFailure")};
    }
  }
  return Fails(ExitCode::kFailure, "the topology has no database \"" + std::string(database) + "\" any more");
}

}  // namespace muster
