#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <fstream>
#include <iostream>
#include <memory>
#include <thread>

#include "app/cli/messages.h"
#include "app/client/client_flags.h"
#include "app/client/http_client.h"
#include "app/client/problem.h"
#include "app/commands/commands.h"
#include "app/commands/server_flags.h"
#include "app/files.h"
#include "app/output/topology_tables.h"
#include "app/server/member_data.h"
#include "base/clock.h"
#include "base/option_text.h"
#include "base/random.h"
#include "domain/json_writer.h"
#include "domain/shard_set.h"
#include "topology/added_groups.h"
#include "topology/restored_topology.h"
#include "topology/topology_codec.h"

namespace muster {
namespace {

constexpr const char* kPath = "/admin/v1/topology";
constexpr std::size_t kLayoutBytesMax = std::size_t{1} << 20;
// How often whoever waits looks.
constexpr std::chrono::milliseconds kLookPeriod(100);
constexpr std::int64_t kWithinMsMax = 24LL * 3600 * 1000;

struct MoveFlags {
  std::shared_ptr<ClientFlags> client;
  std::string to;
  std::string center;
  std::string cause;
  bool accept_loss = false;
  bool dry_run = false;
  bool yes = false;
  bool no_wait = false;
};

Outcome<TopologyFacts> ReadFacts(HttpClient& client) {
  MUSTER_ASSIGN(const HttpReply reply, client.Send({.path = kPath}));
  if (!reply.ok()) return std::unexpected(DescribeRefusal(reply));
  return ReadTopologyFacts(reply.body);
}

// Only where somebody can answer.
bool IsWanted(bool is_certain, const std::string& question) {
  if (is_certain || isatty(STDIN_FILENO) != 1 || isatty(STDERR_FILENO) != 1) return true;
  std::cerr << question << " [y/N] " << std::flush;
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "yes";
}

// Until the right to write is with somebody again, or the time is over.
Outcome<ExitCode> AwaitEnd(HttpClient& client, const MoveFlags& flags, const HttpClientOptions& target) {
  const auto until = std::chrono::steady_clock::now() + target.timeout;
  TopologyFacts facts;
  while (true) {
    MUSTER_ASSIGN(facts, ReadFacts(client));
    if (!facts.writer.empty()) break;
    if (std::chrono::steady_clock::now() >= until) {
      return Fails(ExitCode::kUnavailable,
                   "it has begun and not ended yet; `muster topology show` tells what it waits for");
    }
    std::this_thread::sleep_for(kLookPeriod);
  }
  if (facts.last_was_undone) {
    return Fails(ExitCode::kRefused,
                 "it was undone, and " + facts.writer + " writes; `muster topology show` tells why");
  }
  PrintNote("center " + facts.writer + " writes");
  return flags.to.empty() || flags.to == facts.writer ? ExitCode::kOk : ExitCode::kRefused;
}

Outcome<ExitCode> Move(const MoveFlags& flags, const std::string& verb, const std::string& to) {
  std::string body;
  JsonWriter json(body);
  json.BeginObject();
  if (!to.empty()) json.Key("to").String(to);
  if (flags.dry_run) json.Key("dryRun").Bool(true);
  if (flags.accept_loss) json.Key("acceptLoss").Bool(true);
  if (!flags.cause.empty()) json.Key("cause").String(flags.cause);
  json.EndObject();
  MUSTER_ASSIGN(const HttpClientOptions target, flags.client->ResolveAdmin());
  HttpClient client(target);
  MUSTER_ASSIGN(const ExitCode sent,
                SendAndPrint(client, {.method = "POST", .path = kPath + (":" + verb), .body = body},
                             flags.client->format(), [](std::string_view answer) {
                               return RenderFailoverPlan(DescribeTerminal(STDOUT_FILENO), answer);
                             }));
  if (sent != ExitCode::kOk || flags.dry_run || flags.no_wait) return sent;
  return AwaitEnd(client, flags, target);
}

Outcome<ExitCode> FailOver(const MoveFlags& flags) {
  if (!IsWanted(flags.yes || flags.dry_run, "Move the right to write because its center is lost?"))
    return ExitCode::kRefused;
  return Move(flags, "failover", flags.to);
}

Outcome<ExitCode> FailBack(const MoveFlags& flags) {
  MUSTER_ASSIGN(const HttpClientOptions target, flags.client->ResolveAdmin());
  HttpClient client(target);
  MUSTER_ASSIGN(const TopologyFacts facts, ReadFacts(client));
  if (facts.writer.empty()) return Fails(ExitCode::kRefused, "a failover is under way: wait for its end");
  const std::string& to = facts.last_from;
  if (to.empty()) {
    PrintNote("center " + facts.writer + " writes, and there is no failover to take back");
    return ExitCode::kOk;
  }
  if (!IsWanted(flags.yes || flags.dry_run, "Let center " + to + " write again?")) return ExitCode::kRefused;
  MoveFlags move = flags;
  move.to = to;
  move.cause = std::string(kFailbackCause) + (flags.cause.empty() ? "" : ": " + flags.cause);
  return Move(move, "switchover", to);
}

Outcome<ExitCode> Drain(const MoveFlags& flags) {
  MUSTER_ASSIGN(const HttpClientOptions target, flags.client->ResolveAdmin());
  HttpClient client(target);
  MUSTER_ASSIGN(const TopologyFacts facts, ReadFacts(client));
  if (std::ranges::count(facts.centers, flags.center) == 0) {
    return Fails(ExitCode::kUsage, "the topology has no center " + flags.center);
  }
  if (!facts.writer.empty() && facts.writer != flags.center) {
    PrintNote("center " + flags.center + " does not write; take its servers out of your load balancer, and stop them");
    return ExitCode::kOk;
  }
  if (!IsWanted(flags.yes || flags.dry_run, "Take the right to write from center " + flags.center + "?"))
    return ExitCode::kRefused;
  return Move(flags, "switchover", flags.to);
}

struct ShowFlags {
  std::shared_ptr<ClientFlags> client;
  std::string until;
  std::string within = "1m";
};

Outcome<std::string> AskForTopology(const ClientFlags& flags) {
  MUSTER_ASSIGN(HttpClientOptions target, flags.ResolveAdmin());
  HttpClient client(std::move(target));
  MUSTER_ASSIGN(HttpReply reply, client.Send({.path = kPath}));
  if (!reply.ok()) return std::unexpected(DescribeRefusal(reply));
  return std::move(reply.body);
}

Outcome<void> PrintTopology(const ShowFlags& flags, const std::string& answer) {
  return PrintAs(flags.client->format(), answer,
                 [](std::string_view json) { return RenderTopologyStatus(DescribeTerminal(STDOUT_FILENO), json); });
}

// The first answer that has reached the goal; when the time is over the last one, and what it lacks. A server that does
// not answer is asked again: it may be one that is being started.
Outcome<ExitCode> ShowWhenReached(const ShowFlags& flags) {
  MUSTER_ASSIGN(const TopologyGoal goal, ParseTopologyGoal(flags.until));
  const auto within = ParseMilliseconds(flags.within);
  if (!within || *within < 1 || *within > kWithinMsMax) {
    return Fails(ExitCode::kUsage, "--within is a time between 1ms and 24h, as in 30s or 2m");
  }
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(*within);
  while (true) {
    const Outcome<std::string> answer = AskForTopology(*flags.client);
    if (!answer && answer.error().code != ExitCode::kUnavailable) return std::unexpected(answer.error());
    const bool is_over = std::chrono::steady_clock::now() >= until;
    if (answer) {
      MUSTER_ASSIGN(const std::string missing, MissingForGoal(goal, *answer));
      if (missing.empty() || is_over) MUSTER_TRY(PrintTopology(flags, *answer));
      if (missing.empty()) return ExitCode::kOk;
      if (is_over)
        return Fails(ExitCode::kUnavailable, "not " + flags.until + " within " + flags.within + ": " + missing);
    } else if (is_over) {
      return std::unexpected(answer.error());
    }
    std::this_thread::sleep_for(kLookPeriod);
  }
}

Outcome<ExitCode> Show(const ShowFlags& flags) {
  if (!flags.until.empty()) return ShowWhenReached(flags);
  MUSTER_ASSIGN(const std::string answer, AskForTopology(*flags.client));
  MUSTER_TRY(PrintTopology(flags, answer));
  return ExitCode::kOk;
}

struct RebuildFlags {
  std::shared_ptr<ClientFlags> client;
  std::string database;
  bool dry_run = false;
  bool yes = false;
  bool no_wait = false;
};

Outcome<ExitCode> AwaitRebuild(HttpClient& client, const RebuildFlags& flags, const HttpClientOptions& target) {
  const auto until = std::chrono::steady_clock::now() + target.timeout;
  while (true) {
    MUSTER_ASSIGN(const HttpReply reply, client.Send({.path = kPath}));
    if (!reply.ok()) return std::unexpected(DescribeRefusal(reply));
    MUSTER_ASSIGN(const RebuildFacts facts, ReadRebuildFacts(reply.body, flags.database));
    if (!facts.failure.empty()) return Fails(ExitCode::kFailure, flags.database + " was not rebuilt: " + facts.failure);
    if (!facts.is_under_way) break;
    if (std::chrono::steady_clock::now() >= until) {
      return Fails(ExitCode::kUnavailable, "it is still under way; `muster topology show` tells when it has ended");
    }
    std::this_thread::sleep_for(kLookPeriod);
  }
  PrintNote(flags.database + " is a copy of its primary and follows it; what it had more, if anything, is in the " +
            "directory saved/ of the data of the server that controls, whose log names the file");
  return ExitCode::kOk;
}

Outcome<ExitCode> Rebuild(const RebuildFlags& flags) {
  MUSTER_ASSIGN(const HttpClientOptions target, flags.client->ResolveAdmin());
  HttpClient client(target);
  if (!flags.dry_run && !IsWanted(flags.yes, "Make " + flags.database + " a copy of its primary?")) {
    return ExitCode::kRefused;
  }
  std::string body;
  JsonWriter json(body);
  json.BeginObject();
  json.Key("database").String(flags.database);
  if (flags.dry_run) json.Key("dryRun").Bool(true);
  json.EndObject();
  MUSTER_ASSIGN(const HttpReply reply,
                client.Send({.method = "POST", .path = std::string(kPath) + ":rebuild", .body = body}));
  if (!reply.ok()) return std::unexpected(DescribeRefusal(reply));
  if (flags.dry_run) PrintNote(flags.database + " would be rebuilt; nothing is in the way");
  if (flags.dry_run || flags.no_wait) return ExitCode::kOk;
  return AwaitRebuild(client, flags, target);
}

struct ShardFlags {
  std::shared_ptr<ClientFlags> client;
  std::string shards;
  std::string from;
  std::string to;
  bool undo = false;
  bool dry_run = false;
  bool no_wait = false;
};

// Of those that were to move: what does not live there.
ShardSet ShardsElsewhere(const TopologyFacts& facts, const ShardFlags& flags) {
  const auto there = facts.shards.find(flags.to);
  if (flags.undo || there == facts.shards.end()) return {};
  return ParseShards(flags.shards).value_or(ShardSet()) & ~ParseShards(there->second).value_or(ShardSet());
}

Outcome<ExitCode> MoveShards(const ShardFlags& flags) {
  if (flags.undo != flags.shards.empty() || flags.from.empty() != flags.undo || flags.to.empty() != flags.undo) {
    return Fails(ExitCode::kUsage, "give --shards, --from and --to, or --undo alone");
  }
  std::string body;
  JsonWriter json(body);
  json.BeginObject();
  if (flags.undo) {
    json.Key("undo").Bool(true);
  } else {
    json.Key("shards").String(flags.shards);
    json.Key("from").String(flags.from);
    json.Key("to").String(flags.to);
  }
  if (flags.dry_run) json.Key("dryRun").Bool(true);
  json.EndObject();
  MUSTER_ASSIGN(const HttpClientOptions target, flags.client->ResolveAdmin());
  HttpClient client(target);
  MUSTER_ASSIGN(const HttpReply reply,
                client.Send({.method = "POST", .path = std::string(kPath) + ":moveShards", .body = body}));
  if (!reply.ok()) return std::unexpected(DescribeRefusal(reply));
  MUSTER_ASSIGN(const TopologyFacts done, ReadTopologyFacts(reply.body));
  MUSTER_TRY(PrintAs(flags.client->format(), reply.body, [](std::string_view answer) {
    return RenderShardMovePlan(DescribeTerminal(STDOUT_FILENO), answer);
  }));
  if (flags.dry_run || flags.no_wait) return ExitCode::kOk;
  const auto until = std::chrono::steady_clock::now() + target.timeout;
  TopologyFacts facts;
  while (true) {
    MUSTER_ASSIGN(facts, ReadFacts(client));
    // This server may hear of its own change a moment later.
    if (!facts.shards_move && facts.revision >= done.revision) break;
    if (std::chrono::steady_clock::now() >= until) {
      return Fails(ExitCode::kUnavailable, "it goes on by itself; `muster topology show` tells how far it is");
    }
    std::this_thread::sleep_for(kLookPeriod);
  }
  if (const ShardSet left = ShardsElsewhere(facts, flags); left.any()) {
    return Fails(ExitCode::kRefused, "the move was stopped; shards " + ShardsText(left) + " do not live in " +
                                         flags.to + ". The log of the server that carried it out says why");
  }
  PrintNote("no shards move any more; `muster topology show` says where they live");
  return ExitCode::kOk;
}

struct InitFlags {
  ServerFlags server;
  std::string file;
};

Outcome<ExitCode> Init(const InitFlags& flags) {
  MUSTER_ASSIGN(const ServerOptions options, LoadServerOptions(flags.server));
  if (!options.center.is_etcd()) {
    return Fails(ExitCode::kUsage, "topology.kind is file: a server that is alone makes its own topology.json");
  }
  MUSTER_ASSIGN(const std::string text, ReadSmallFile(flags.file, kLayoutBytesMax));
  const auto layout = ParseTopology(flags.file, text);
  if (!layout) return Fails(layout.error());
  if (layout->centers.empty() || layout->writer.empty() || layout->groups.empty()) {
    return Fails(ExitCode::kUsage, flags.file + " has to name centers, the writer among them, and groups of databases");
  }
  if (layout->failover || !layout->failovers.empty() || !layout->callers.empty() || !layout->caches.empty()) {
    return Fails(ExitCode::kUsage, flags.file + " is the beginning: leave out callers, caches and failovers");
  }
  const SystemClock clock;
  SystemRandom random;
  MUSTER_ASSIGN(const auto store, OpenTopologyStore(options, clock, random));
  const auto stored = store->Update([&](TopologyDocument& document) -> Result<void> {
    if (!document.centers.empty()) {
      return Fail(Reason::kStateConflict, "the topology in etcd names centers already (revision " +
                                              std::to_string(document.revision) + "): nothing was changed");
    }
    document.centers = layout->centers;
    document.writer = layout->writer;
    document.groups = layout->groups;
    document.lease_ms = layout->lease_ms;
    document.epoch = Epoch(document.epoch.value() + 1);
    return {};
  });
  if (!stored) return Fails(stored.error());
  PrintNote("the topology has " + std::to_string(layout->centers.size()) + " centers and " +
            std::to_string(layout->groups.size()) + " groups; center " + layout->writer + " writes");
  return ExitCode::kOk;
}

Outcome<ExitCode> AddGroup(const InitFlags& flags) {
  MUSTER_ASSIGN(const ServerOptions options, LoadServerOptions(flags.server));
  if (!options.center.is_etcd()) {
    return Fails(ExitCode::kUsage, "topology.kind is file: such a server has no groups in its topology");
  }
  MUSTER_ASSIGN(const std::string text, ReadSmallFile(flags.file, kLayoutBytesMax));
  const auto layout = ParseTopology(flags.file, text);
  if (!layout) return Fails(layout.error());
  if (layout->groups.empty()) return Fails(ExitCode::kUsage, flags.file + " names no groups to add");
  const SystemClock clock;
  SystemRandom random;
  MUSTER_ASSIGN(const auto store, OpenTopologyStore(options, clock, random));
  const auto stored = store->Update([&](TopologyDocument& document) { return AddGroups(layout->groups, document); });
  if (!stored) return Fails(stored.error());
  PrintNote("the topology has " + std::to_string((*stored)->groups.size()) +
            " groups; start the servers again, one after another: each makes ready what it finds there");
  return ExitCode::kOk;
}

Outcome<ExitCode> Restored(const ServerFlags& flags) {
  MUSTER_ASSIGN(const ServerOptions options, LoadServerOptions(flags));
  if (!options.center.is_etcd()) {
    return Fails(ExitCode::kUsage, "topology.kind is file: no database obeys such a topology");
  }
  const SystemClock clock;
  SystemRandom random;
  MUSTER_ASSIGN(const auto store, OpenTopologyStore(options, clock, random));
  const auto stored = store->Update(RaiseRestored);
  if (!stored) return Fails(stored.error());
  std::string primaries;
  for (const GroupRecord& group : (*stored)->groups) primaries += " " + group.primary;
  PrintNote("the topology goes on with revision " + std::to_string((*stored)->revision) + "; center " +
            (*stored)->writer + " writes, with the primaries" + primaries);
  return ExitCode::kOk;
}

CLI::App* AddMove(CLI::App& topology, MoveFlags& flags, const std::string& name, const char* description) {
  CLI::App* command = topology.add_subcommand(name, description);
  command->add_option("--cause", flags.cause, "Why, for whoever reads it later")->type_name("TEXT");
  command->add_flag("--dry-run", flags.dry_run, "Only print what would be done, and what is in its way");
  command->add_flag("-y,--yes", flags.yes, "Do not ask, on a terminal either");
  command->add_flag("--no-wait", flags.no_wait, "Return once it has begun");
  flags.client = AddClientFlags(*command, "30s");
  AddFormatFlag(*command, flags.client->format_text);
  return command;
}

CLI::Option* AddTarget(CLI::App& command, MoveFlags& flags) {
  return command.add_option("--to", flags.to, "The center that is to write [the other one]")->type_name("CENTER");
}

void AddMoveShards(CLI::App& topology, CommandContext& context) {
  auto flags = std::make_shared<ShardFlags>();
  CLI::App* command =
      topology.add_subcommand("move-shards", "Move shards from one group of databases to another, while all goes on");
  command->add_option("--shards", flags->shards, "Which, as in 0-127,200,512-1022/2")->type_name("SHARDS");
  command->add_option("--from", flags->from, "The group they live in")->type_name("GROUP");
  command->add_option("--to", flags->to, "The group they are to live in")->type_name("GROUP");
  command->add_flag("--undo", flags->undo, "Stop the move under way, and take back what is not switched");
  command->add_flag("--dry-run", flags->dry_run, "Only print what would be done, or why it cannot be");
  command->add_flag("--no-wait", flags->no_wait, "Return once it has begun");
  flags->client = AddClientFlags(*command, "10m");
  AddFormatFlag(*command, flags->client->format_text);
  command->callback([&context, flags] { context.action = [flags] { return MoveShards(*flags); }; });
}

}  // namespace

void AddTopologyCommands(CLI::App& root, CommandContext& context) {
  CLI::App* topology = AddCommandGroup(root, "topology", "Centers, their databases, and which of them writes");
  auto show = std::make_shared<ShowFlags>();
  CLI::App* command =
      topology->add_subcommand("show", "Print the centers, databases and caches, and what is under way");
  command
      ->add_option("--until", show->until,
                   "Look again until it is so: whole (nothing is missing), attention (somebody is needed), or a center "
                   "writes, as in writes:B")
      ->type_name("STATE");
  command->add_option("--within", show->within, "For how long; after it exit 4 [1m]")->type_name("TIME");
  show->client = AddClientFlags(*command);
  AddFormatFlag(*command, show->client->format_text);
  command->callback([&context, show] { context.action = [show] { return Show(*show); }; });

  PrintsAdminAnswer(
      *topology->add_subcommand("freshness", "Print how soon writes were seen by every cache and database, in nines"),
      context, "/admin/v1/topology:freshness", &RenderFreshness);

  auto failover = std::make_shared<MoveFlags>();
  command = AddMove(*topology, *failover, "failover", "Let another center write: the one that does is lost");
  AddTarget(*command, *failover);
  command->add_flag("--accept-loss", failover->accept_loss,
                    "Do not wait for databases that do not answer; what they alone hold is lost");
  command->callback([&context, failover] { context.action = [failover] { return FailOver(*failover); }; });

  auto failback = std::make_shared<MoveFlags>();
  command = AddMove(*topology, *failback, "failback", "Let the center write again that did before the last failover");
  command->callback([&context, failback] { context.action = [failback] { return FailBack(*failback); }; });

  auto drain = std::make_shared<MoveFlags>();
  command = AddMove(*topology, *drain, "drain", "Take the right to write from a center, as planned");
  command->add_option("CENTER", drain->center, "The center")->required();
  AddTarget(*command, *drain);
  command->callback([&context, drain] { context.action = [drain] { return Drain(*drain); }; });

  AddMoveShards(*topology, context);

  auto rebuild = std::make_shared<RebuildFlags>();
  command = topology->add_subcommand("rebuild", "Make a database that has diverged a copy of its primary");
  command->add_option("DATABASE", rebuild->database, "The database, as the topology names it")->required();
  command->add_flag("--dry-run", rebuild->dry_run, "Only look whether anything is in the way");
  command->add_flag("-y,--yes", rebuild->yes, "Do not ask, on a terminal either");
  command->add_flag("--no-wait", rebuild->no_wait, "Return once it has been asked for");
  rebuild->client = AddClientFlags(*command, "10m");
  command->callback([&context, rebuild] { context.action = [rebuild] { return Rebuild(*rebuild); }; });

  auto init = std::make_shared<InitFlags>();
  command = topology->add_subcommand("init", "Write the first topology of several centers into etcd");
  AddServerFlags(*command, init->server);
  command->add_option("FILE", init->file, "Centers, the writer and groups, as topology.json has them")->required();
  command->callback([&context, init] { context.action = [init] { return Init(*init); }; });

  auto added = std::make_shared<InitFlags>();
  command = topology->add_subcommand("add-group", "Name more groups of databases, without shards, in the topology");
  AddServerFlags(*command, added->server);
  command->add_option("FILE", added->file, "The groups, and the centers, as for init")->required();
  command->callback([&context, added] { context.action = [added] { return AddGroup(*added); }; });

  auto restored = std::make_shared<ServerFlags>();
  command = topology->add_subcommand(
      "restored", "Let the topology go on after a backup of etcd was restored, which databases have since left behind");
  AddServerFlags(*command, *restored);
  command->callback([&context, restored] { context.action = [restored] { return Restored(*restored); }; });
  topology->group(kOperateGroup);
}

}  // namespace muster
