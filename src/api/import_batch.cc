#include "api/import_batch.h"

#include <algorithm>
#include <utility>

#include "api/json_reader.h"
#include "domain/id_allocator.h"

namespace muster {

ImportBatch::ImportBatch(Call& call, std::string_view body, Position position, const Parts& parts, Timestamp now,
                         Finished finished)
    : call_(call),
      position_(position),
      next_line_(position.first_line),
      json_(parts.json),
      writer_(parts.writer),
      calls_(parts.calls),
      window_(parts.window),
      refill_every_(std::max(window_ / 2, 1U)),
      now_(now),
      finished_(std::move(finished)) {
  body_.reserve(body.size() + JsonReader::kPaddingBytes);
  body_.assign(body);
  body_.append(JsonReader::kPaddingBytes, '\0');
  rest_ = std::string_view(body_).substr(0, body.size());
}

void ImportBatch::Fill() {
  while (!rest_.empty() && holds_.load(std::memory_order_relaxed) <= window_ &&
         !interrupted_.load(std::memory_order_relaxed)) {
    const std::size_t end = std::min(rest_.find('\n'), rest_.size());
    std::string_view text = rest_.substr(0, end);
    rest_.remove_prefix(std::min(end + 1, rest_.size()));
    const std::uint64_t line = next_line_++;
    if (text.ends_with('\r')) text.remove_suffix(1);
    if (!text.empty()) Begin(text, line);
  }
  Release();
}

void ImportBatch::Begin(std::string_view text, std::uint64_t line) {
  Result<MemberBody> body = json_.ReadMemberInPlace(text);
  if (!body) return NoteFailure(line, std::move(body).error());
  const std::int64_t number = IdAllocator::IdOfRange(position_.range_start, line - 1);
  if (!body->has_id) body->member.id = MemberId(number);
  CompleteTimes(body->member, now_);
  WriteContext context{.caller = call_.caller->name,
                       .request_id = call_.request_id,
                       .deadline = call_.deadline,
                       .operation_id = OperationId(number)};
  holds_.fetch_add(1, std::memory_order_relaxed);
  calls_.Leave();
  Spawn(writer_.Import(std::move(body->member), std::move(context)),
        [this, line](Result<ImportedMember> result) { NoteResult(line, std::move(result)); });
}

void ImportBatch::NoteResult(std::uint64_t line, Result<ImportedMember> result) {
  Calls& calls = calls_;  // the batch may be gone when its last hold is
  if (result) {
    imported_.fetch_add(1, std::memory_order_relaxed);
    if (result->was_in) was_in_.fetch_add(1, std::memory_order_relaxed);
  } else {
    NoteFailure(line, std::move(result).error());
  }
  if ((returned_.fetch_add(1, std::memory_order_relaxed) + 1) % refill_every_ == 0) {
    calls_.loop().Post([this] { Fill(); });
  } else {
    Release();
  }
  calls.Return();
}

void ImportBatch::NoteFailure(std::uint64_t line, Error error) {
  std::lock_guard lock(mutex_);
  if (!DescribeReason(error.reason).retryable) {
    rejects_.push_back({line, std::move(error)});
    return;
  }
  if (!interruption_) interruption_ = std::move(error);
  interrupted_.store(true, std::memory_order_relaxed);
}

void ImportBatch::Release() {
  if (holds_.fetch_sub(1, std::memory_order_acq_rel) == 1) calls_.loop().Post([this] { Finish(); });
}

void ImportBatch::Finish() {
  Outcome outcome{.imported = imported_.load(), .was_in = was_in_.load(), .rejects = {}, .interruption = {}};
  {
    std::lock_guard lock(mutex_);
    outcome.rejects = std::move(rejects_);
    outcome.interruption = std::move(interruption_);
  }
  std::ranges::sort(outcome.rejects, {}, &Reject::line);
  // It may destroy this object.
  auto finished = std::move(finished_);
  finished(call_, std::move(outcome));
}

}  // namespace muster
