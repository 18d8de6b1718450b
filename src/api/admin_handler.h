#pragma once

#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "api/admin_api.h"
#include "api/calls.h"
#include "api/import_batch.h"
#include "api/json_reader.h"
#include "api/member_json.h"
#include "api/probes.h"
#include "api/query.h"

namespace muster {

inline constexpr std::int64_t kExportLinesMax = 1000;
inline constexpr std::int64_t kExportLinesDefault = 500;
// An answer is ended early when it has become as large.
inline constexpr std::size_t kExportBytes = std::size_t{4} << 20;

// The HttpHandler of admin_api.h; built as MemberHandler is. Callers are in admin_callers.cc, import and export in
// admin_members.cc, centers in admin_topology.cc, moves of shards in admin_shards.cc.
class AdminHandler final : public HttpHandler {
 public:
  AdminHandler(EventLoop& loop, const ApiDependencies& dependencies, const AdminApiDependencies& admin);

  void Handle(const HttpRequest& request, HttpExchange exchange) override;
  void Reject(const HttpRejection& rejection, const HttpRequest& known, HttpExchange exchange) override;

 private:
  struct Input {
    const HttpRequest& request;
    const RequestHeaders& headers;
    std::string_view caller;  // that the path names
  };

  Result<void> Dispatch(Call& call, const Input& input);
  // Scope, parameters and the body's type.
  Result<void> Admit(Call& call, const Input& input, Scope scope, std::span<const std::string_view> known = {},
                     std::initializer_list<std::string_view> content_types = {"application/json"});

  Result<void> CreateCaller(Call& call, const Input& input);
  Result<void> ListCallers(Call& call, const Input& input);
  Result<void> UpdateCaller(Call& call, const Input& input);
  Result<void> RotateCaller(Call& call, const Input& input);
  Result<void> SetDisabled(Call& call, const Input& input, bool disabled);
  void AnswerKey(Call& call, const NewKey& key, int status);

  Result<void> GetRoutes(Call& call, const Input& input);

  Result<failover::FailoverOperator*> RequireCenters() const;
  Result<void> GetTopology(Call& call, const Input& input);
  Result<void> GetFreshness(Call& call, const Input& input);
  Result<void> MoveWriter(Call& call, const Input& input, FailoverKind kind);
  Result<void> RebuildDatabase(Call& call, const Input& input);
  Result<void> MoveShards(Call& call, const Input& input);

  Result<void> ReserveImport(Call& call, const Input& input);
  Result<void> ImportMembers(Call& call, const Input& input);
  Result<void> ExportMembers(Call& call, const Input& input);
  void FinishReservation(Call& call, const Result<std::int64_t>& first);
  void FinishImport(Call& call, const ImportBatch::Outcome& outcome);

  CallerDirectory& callers_;
  MemberWriter& writer_;
  MemberArchive& archive_;
  const Clock& clock_;
  const AdminApiDependencies admin_;
  Probes probes_;
  MemberJson json_;
  QueryParameters query_;
  std::string path_;  // of a request whose path had escapes
  std::vector<std::unique_ptr<ImportBatch>> imports_;
  Calls calls_;  // goes before the imports: it waits for their lines
};

}  // namespace muster
