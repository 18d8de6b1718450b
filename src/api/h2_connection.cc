#include "api/h2_connection.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "api/connection_bounds.h"
#include "api/h2_loop.h"
#include "base/check.h"

namespace muster {
namespace {

// How much is gathered for one send.
constexpr std::size_t kGatherBytes = 64 << 10;
// Streams that were ended before their clients had, and are remembered.
constexpr std::size_t kForgivenMax = 64;
// A header block this many times as large as it may be is no mistake.
constexpr std::size_t kBlockFactor = 8;

}  // namespace

H2Connection::H2Connection(H2Loop& loop, int socket)
    : loop_(loop),
      socket_(socket),
      stretch_began_(loop.now()),
      moved_at_(loop.now()),
      gate_(loop.now()),
      session_(*this, static_cast<std::uint32_t>(loop.options().streams_max),
               static_cast<std::uint32_t>(loop.options().header_bytes_max)) {}

H2Connection::~H2Connection() { MUSTER_CHECK(!is_open()); }

void H2Connection::Start() {
  interest_ = {.read = true};
  if (!loop_.events().Watch(socket_, *this, interest_)) return Close();
  Settle();
}

void H2Connection::OnReady(Ready ready) {
  if (!is_open()) return;
  if (ready.broken) return Close();
  if (ready.writable) {
    blocked_ = false;
    stretch_began_ = loop_.ReadClock();
    Settle();
  }
  if (ready.readable && is_open()) Read();
}

void H2Connection::Read() {
  if (lingering_) return Discard();
  const std::span<char> buffer = loop_.input_buffer();
  const ssize_t count = recv(socket_, buffer.data(), buffer.size(), 0);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count <= 0) return Close();  // a client that sends no more takes no more
  stretch_began_ = loop_.ReadClock();
  if (!blocked_) moved_at_ = loop_.now();  // else taking its answers is what counts
  loop_.metrics().received_bytes.Add(static_cast<std::size_t>(count));
  busy_ = true;
  const bool sound = session_.Receive({buffer.data(), static_cast<std::size_t>(count)});
  CheckUnfinished();
  busy_ = false;
  if (!sound) {
    session_.Terminate(is_greeted_ ? H2Session::ErrorCode::kCalm : H2Session::ErrorCode::kProtocol);
    if (!Flush()) return;
    return End();
  }
  // Answers that the turn may still bring are sent together with those that are there.
  if (under_way_ > 0) return OnOutput();
  Settle();
}

// Only calls that have not come in one piece: who makes those is asked once, when they are handled.
void H2Connection::CheckUnfinished() {
  if (session_.in_block() && streams_ != nullptr) streams_->Recount();  // a head counts while it comes, too
  const std::int32_t from = std::exchange(unfinished_from_, kNoStream);
  H2Stream* stream = streams_;
  if (stream == nullptr || stream->id() < from) return;
  while (stream->next_ != nullptr && stream->next_->id() >= from) stream = stream->next_;
  for (; stream != nullptr; stream = stream->previous_) stream->CheckWaiting();
}

void H2Connection::OnBlockBegin() { block_bytes_ = 0; }

void H2Connection::OnField(H2Stream* stream, bool is_request, std::string_view name, std::string_view value) {
  block_bytes_ += name.size() + value.size();
  if (block_bytes_ > kBlockFactor * static_cast<std::size_t>(loop_.options().header_bytes_max)) return Misbehaves();
  if (stream != nullptr && is_request) stream->TakeField(name, value);
}

H2Stream& H2Connection::OnStreamBegin(std::int32_t id) {
  H2Stream& stream = loop_.TakeStream();
  stream.Attach(*this, id);
  stream.AddReference();
  last_stream_ = std::max(last_stream_, id);
  stream.previous_ = nullptr;
  stream.next_ = streams_;
  if (streams_ != nullptr) streams_->previous_ = &stream;
  streams_ = &stream;
  wait_ = Wait::kNothing;
  return stream;
}

void H2Connection::OnStreamEnd(H2Stream& stream, bool is_well) {
  if (is_well) gate_.Earn();
  if (!stream.client_ended()) Forgive(stream.id());
  if (!waiting_.empty()) std::erase(waiting_, &stream);
  (stream.previous_ != nullptr ? stream.previous_->next_ : streams_) = stream.next_;
  if (stream.next_ != nullptr) stream.next_->previous_ = stream.previous_;
  if (stream.is_streaming()) --streaming_;
  if (stream.is_keyless()) --keyless_streams_;
  stream.Close();
  stream.RemoveReference();
}

bool H2Connection::AddKeylessStream() {
  if (keyless_streams_ == kKeylessStreamsMax) return false;
  ++keyless_streams_;
  return true;
}

void H2Connection::OnIdleFrame() {
  if (!gate_.Pass(loop_.now())) Misbehaves();
}

void H2Connection::Misbehaves(H2Session::ErrorCode code) {
  if (is_leaving_) return;
  is_leaving_ = true;
  loop_.metrics().shed.Add();
  session_.Terminate(code);
}

void H2Connection::OnStreamless(std::int32_t id) {
  if (id <= 0 || id > last_stream_ || has_forgotten_ || std::ranges::find(forgiven_, id) != forgiven_.end()) return;
  Misbehaves(H2Session::ErrorCode::kStreamClosed);
}

void H2Connection::Forgive(std::int32_t id) {
  if (has_forgotten_) return;
  forgiven_.push_back(id);
  if (forgiven_.size() <= kForgivenMax) return;
  has_forgotten_ = true;
  std::vector<std::int32_t>().swap(forgiven_);
}

bool H2Connection::has_room() const {
  return unsent_bytes_ < loop_.options().output_bytes_max && loop_.now() - stretch_began_ <= kStretchTimeMax;
}

bool H2Connection::HasTime() {
  if (loop_.ReadClock() - stretch_began_ <= kStretchTimeMax) return true;
  is_cut_short_ = true;
  return false;
}

void H2Connection::OnWhole(H2Stream& stream) {
  // Not before those that wait.
  if (waiting_.empty() && has_room()) return stream.Handle();
  waiting_.push_back(&stream);
}

void H2Connection::OnOutput() {
  if (!busy_ && !std::exchange(marked_, true)) loop_.Mark(*this);
}

void H2Connection::EndTurn() {
  marked_ = false;
  if (!is_open()) return;
  stretch_began_ = loop_.ReadClock();
  Settle();
}

// After anything has happened: sends, goes on with calls that had to wait, ends, waits for what comes next.
void H2Connection::Settle() {
  if (lingering_) return;
  busy_ = true;
  ScanStreams();
  bool is_cut_short = false;
  while (true) {
    if (!Flush()) return;
    FeedStreams();
    HandleWaiting();
    if (blocked_ || !GatherOutput()) break;
    is_cut_short = loop_.ReadClock() - stretch_began_ > kStretchTimeMax;
    if (is_cut_short) break;
  }
  busy_ = false;
  is_cut_short = std::exchange(is_cut_short_, false) || is_cut_short ||
                 (!waiting_.empty() && unsent_bytes_ < loop_.options().output_bytes_max);
  if (is_cut_short && !blocked_ && !std::exchange(marked_, true)) loop_.Yield(*this);
  if (is_end_heard_ && !is_leaving_) return ConfirmEnd();
  if (session_.is_over() && sent_ == output_.size()) return End();
  UpdateInterest();
  UpdateDeadline();
}

void H2Connection::HandleWaiting() {
  std::size_t count = 0;
  // What these end is closed when it is sent, not before: the list stays as it is.
  for (; count < waiting_.size() && has_room(); ++count) waiting_[count]->Handle();
  waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(count));
  if (waiting_.empty()) std::vector<H2Stream*>().swap(waiting_);
}

void H2Connection::FeedStreams() {
  if (streaming_ == 0) return;
  for (H2Stream* stream = streams_; stream != nullptr; stream = stream->next_) stream->Feed();
}

void H2Connection::Account(std::int64_t change) {
  accounted_bytes_ += change;
  loop_.Account(change);
}

// Moves frames from the session to the output; false when there are none.
bool H2Connection::GatherOutput() {
  const std::size_t before = output_.size();
  while (output_.size() - sent_ < kGatherBytes) {
    const std::string_view frames = session_.Gather(failed_);
    if (frames.empty()) break;
    if (output_.capacity() == 0) output_ = loop_.buffers().Take();
    output_.append(frames);
  }
  Account(static_cast<std::int64_t>(output_.size() - before));
  return output_.size() > sent_;
}

bool H2Connection::Flush() {
  while (!blocked_ && GatherOutput()) {
    const ssize_t count = send(socket_, output_.data() + sent_, output_.size() - sent_, MSG_NOSIGNAL);
    moved_at_ = loop_.now();  // also if the socket took nothing: it is asked when it has room, or for the first time
    if (count < 0 && errno != EAGAIN && errno != EINTR) {
      Close();
      return false;
    }
    if (count > 0) {
      loop_.metrics().sent_bytes.Add(static_cast<std::size_t>(count));
      sent_ += static_cast<std::size_t>(count);
      if (wait_ == Wait::kWrite) wait_ = Wait::kNothing;
    }
    blocked_ = sent_ < output_.size();
    if (blocked_) break;
    Account(-static_cast<std::int64_t>(output_.size()));
    loop_.buffers().Give(std::exchange(output_, {}));
    sent_ = 0;
  }
  if (!failed_) return true;
  Close();
  return false;
}

void H2Connection::UpdateInterest() {
  // While the socket takes nothing, what flow control would have to say is of no use.
  const AsioEventLoop::Interest wanted{.read = lingering_ || !blocked_, .write = blocked_};
  if (wanted == interest_) return;
  interest_ = wanted;
  loop_.events().ChangeInterest(socket_, *this, interest_);
}

}  // namespace muster
