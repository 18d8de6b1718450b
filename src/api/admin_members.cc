#include <algorithm>
#include <array>
#include <utility>

#include "api/admin_handler.h"
#include "api/admin_json.h"
#include "domain/json_writer.h"
#include "domain/member_document.h"

namespace muster {

namespace {

constexpr std::array<std::string_view, 2> kImportParameters = {"rangeStart", "firstLine"};
constexpr std::array<std::string_view, 2> kExportParameters = {"after", "limit"};
constexpr std::string_view kJsonLines = "application/x-ndjson";

// How many members are taken from the store at a time.
constexpr std::size_t kScanStep = 100;

std::uint64_t CountLines(std::string_view text) {
  const auto feeds = static_cast<std::uint64_t>(std::ranges::count(text, '\n'));
  return text.empty() || text.back() == '\n' ? feeds : feeds + 1;
}

Task<Result<std::int64_t>> Reserve(ImportRanges& ranges, std::uint64_t lines) {
  auto begin = [&ranges, lines](ImportRanges::Given given) { ranges.Reserve(lines, std::move(given)); };
  co_return co_await Callback<Result<std::int64_t>>(std::move(begin));
}

}  // namespace

Result<void> AdminHandler::ReserveImport(Call& call, const Input& input) {
  MUSTER_TRY(Admit(call, input, Scope::kMembersImport));
  MUSTER_ASSIGN(const std::uint64_t lines, ReadReservationBody(json_.reader(), input.request.body));
  calls_.Run(call, Reserve(*admin_.ranges, lines),
             [this](Call& done, const Result<std::int64_t>& first) { FinishReservation(done, first); });
  return {};
}

void AdminHandler::FinishReservation(Call& call, const Result<std::int64_t>& first) {
  if (!first) return calls_.Fail(call, first.error());
  std::string& body = calls_.StartBody();
  JsonWriter json(body);
  json.BeginObject();
  json.Key("rangeStart").Number64(*first);
  json.EndObject();
  calls_.StartHead(call);
  calls_.Answer(call, 200, "application/json", body);
}

Result<void> AdminHandler::ImportMembers(Call& call, const Input& input) {
  MUSTER_TRY(Admit(call, input, Scope::kMembersImport, kImportParameters, {kJsonLines, "application/json"}));
  MUSTER_ASSIGN(const std::int64_t start, query_.Integer("rangeStart", 0, 1, INT64_MAX));
  MUSTER_ASSIGN(const std::int64_t line, query_.Integer("firstLine", 1, 1, kImportFileLinesMax));
  if (start == 0) return FailField("rangeStart", "is required: what /admin/v1/imports:reserve answered for the file");
  MUSTER_ASSIGN(const std::uint64_t given, admin_.ranges->CountLines(start));
  if (given == 0) {
    return FailField(
        "rangeStart",
        "was not given by /admin/v1/imports:reserve, or the data was restored from a backup from before it "
        "was: reserve numbers anew");
  }
  const std::string_view lines = input.request.body;
  const std::uint64_t count = CountLines(lines);
  if (count > ImportBatch::kLinesMax) {
    return FailField("", "a batch has at most 10,000 lines; send the file in smaller ones");
  }
  if (static_cast<std::uint64_t>(line) - 1 + count > given) {
    return FailField("firstLine", "the lines go beyond the " + std::to_string(given) + " that numbers were given for");
  }
  MUSTER_TRY(calls_.Hold(call, lines.size()));
  imports_.push_back(std::make_unique<ImportBatch>(
      call, lines, ImportBatch::Position{start, static_cast<std::uint64_t>(line)},
      ImportBatch::Parts{json_, writer_, calls_, admin_.import_window}, clock_.Now(),
      [this](Call& done, const ImportBatch::Outcome& outcome) { FinishImport(done, outcome); }));
  imports_.back()->Start();
  return {};
}

void AdminHandler::FinishImport(Call& call, const ImportBatch::Outcome& outcome) {
  std::erase_if(imports_, [&](const auto& batch) { return &batch->call() == &call; });
  if (outcome.interruption) {
    Error error = *outcome.interruption;
    error.message += "; some lines may not have been written, send the same batch again";
    error.violations.clear();
    return calls_.Fail(call, error);
  }
  std::string& body = calls_.StartBody();
  JsonWriter json(body);
  json.BeginObject();
  json.Key("imported").Number(static_cast<std::int64_t>(outcome.imported));
  json.Key("alreadyIn").Number(static_cast<std::int64_t>(outcome.was_in));
  json.Key("rejected").Number(static_cast<std::int64_t>(outcome.rejects.size()));
  json.Key("results").BeginArray();
  for (const ImportBatch::Reject& reject : outcome.rejects) {
    json.BeginObject();
    json.Key("line").Number(static_cast<std::int64_t>(reject.line));
    json.Key("code").String(reject.error.code());
    json.Key("detail").String(reject.error.message);
    json.EndObject();
  }
  json.EndArray();
  json.EndObject();
  calls_.StartHead(call);
  calls_.Answer(call, 200, "application/json", body);
}

Result<void> AdminHandler::ExportMembers(Call& call, const Input& input) {
  MUSTER_TRY(Admit(call, input, Scope::kMembersImport, kExportParameters));
  MUSTER_TRY(Calls::RequireScope(call, Scope::kPersonalRead));
  MUSTER_ASSIGN(std::int64_t after, query_.Integer("after", 0, 0, INT64_MAX));
  MUSTER_ASSIGN(const std::int64_t limit, query_.Integer("limit", kExportLinesDefault, 1, kExportLinesMax));
  // Without room for any large answer there is nothing to collect.
  MUSTER_TRY(call.exchange->Hold(kLargeAnswerBytes));
  std::string& body = calls_.StartBody();
  auto left = static_cast<std::size_t>(limit);
  while (left > 0 && body.size() < kExportBytes) {
    const std::size_t step = std::min(left, kScanStep);
    MUSTER_ASSIGN(const std::vector<Member> members, archive_.ScanMembers(MemberId(after), step));
    for (const Member& member : members) body.append(MakeMemberDocument(member)->json()).push_back('\n');
    if (members.size() < step) break;
    after = members.back().id.value();
    left -= step;
  }
  calls_.StartHead(call);
  calls_.Answer(call, 200, kJsonLines, body);
  return {};
}

}  // namespace muster
