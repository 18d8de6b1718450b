#pragma once

#include <functional>
#include <memory>

#include "api/api_dependencies.h"
#include "api/http.h"
#include "api/import_batch.h"
#include "base/event_loop.h"
#include "domain/freshness_report.h"
#include "domain/ports/import_ranges.h"
#include "domain/ports/member_reader.h"
#include "topology/failover/failover_operator.h"

namespace muster {

struct AdminApiDependencies {
  ImportRanges* ranges = nullptr;
  // Lines of an import that are written at a time. What they wait in has to have room for others, too.
  std::uint32_t import_window = ImportBatch::kWindowMax;
  // The live route trees of all loops as one (MergeDescriptions). Called on the admin loop: thread-safe.
  std::function<Result<RouteDescription>()> routes;
  failover::FailoverOperator* failover = nullptr;   // null: this server has no centers
  TopologyStore* topology = nullptr;                // of the centers
  std::function<FreshnessReport()> freshness = {};  // thread-safe; none: nothing is sampled
};

// The operators' HTTP interface, on a port of its own. Scope `admin`, except import and export: `members.import`.
//
//   POST /admin/v1/callers             {"name":"orders","purpose":"…","scopes":["members.read"],"keyLifetime":"86400s"}
//                                      → 201 {"key":"mk_…","keyId":"…"}; the key is never shown again. keyLifetime may
//                                      be left out: the key does not expire
//   GET  /admin/v1/callers             → {"callers":[{"name","purpose","scopes","disabled","createTime",
//                                         "keys":[{"id","createTime","expireTime"}]}]}
//   POST /admin/v1/callers/{name}:rotate   {"overlap":"3600s","keyLifetime":"…"} → as create; overlap: 1 day if absent
//   POST /admin/v1/callers/{name}:disable, :enable   {} → {}
//   GET  /admin/v1/routes              → {"name":"cache(near)","policy":"…","counters":{"hits":"7"},"children":[…]}
//   POST /admin/v1/imports:reserve     {"lines":1000000} → {"rangeStart":"…"}: a number for each line of a file; the
//                                      data remembers the range
//   POST /admin/v1/members:import?rangeStart=R&firstLine=L
//        The body is JSON Lines, the first of which is line L (from 1) of the file. Line n is written as operation
//        number n of the range, and becomes member number n of it unless it has an "id". So sending a batch again, with
//        the same R and L, finds what the first attempt did. Empty lines are skipped, but counted. INVALID_ARGUMENT of
//        rangeStart: this data gave no such range (it may be a backup from before it was given).
//        → {"imported":998,"alreadyIn":0,"rejected":2,"results":[{"line":17,"code":"IDENTITY_TAKEN","detail":"…"}]}:
//        the rejected lines, in order; of the imported ones `alreadyIn` were in before this request, by an earlier one
//        of the same lines. A failure that may pass (OVERLOADED, WRITES_UNAVAILABLE, OUTCOME_UNKNOWN,
//        DEADLINE_EXCEEDED) of any line is the answer to the whole: send the same batch again.
//   GET  /admin/v1/members:export?after=ID&limit=N   → application/x-ndjson: members with an id above `after`, in the
//        order of ids, values in clear; needs personal.read as well. `limit` is 1 to 1000 (500). Fewer lines than that,
//        or none: go on after the last id until an answer is empty
//   GET  /admin/v1/topology            → the centers, their databases and caches, a failover under way, and what this
//                                      server sees of them; STATE_CONFLICT: there is one place only
//   GET  /admin/v1/topology:freshness  → how soon writes that this server acknowledged were seen by every cache and
//                                      database; STATE_CONFLICT: no caches of centers
//   POST /admin/v1/topology:failover   {"to":"B","acceptLoss":false,"dryRun":true,"cause":"…"}
//   POST /admin/v1/topology:switchover {"to":"B","dryRun":true,"cause":"…"}
//                                      → what is done, and what is in its way
//   POST /admin/v1/topology:rebuild    {"database":"a2","dryRun":true}: one that has diverged becomes a copy of its
//                                      primary. → {}: it is asked for; GET topology says how it ends
//   POST /admin/v1/topology:moveShards {"shards":"0-127","from":"g1","to":"g2","dryRun":true}, or {"undo":true} of the
//                                      move under way → what is done
//   GET  /livez, /readyz?verbose, /metrics, /openapi.json   without a key
//
// One for each loop of the admin server; calls of the archive, of the caller directory and of the
// topology block that loop alone.
// Destroying it waits for the writes that it has begun.
std::unique_ptr<HttpHandler> MakeAdminApi(EventLoop& loop, const ApiDependencies& dependencies,
                                          const AdminApiDependencies& admin);

}  // namespace muster
