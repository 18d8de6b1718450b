#include "api/grpc_gzip.h"

#include <zlib.h>

#include <algorithm>
#include <optional>

#include "api/buffer_pool.h"
#include "base/check.h"

namespace muster {

namespace {

constexpr int kGzipWindowBits = 15 + 16;  // zlib's way to say gzip
constexpr int kLevel = 1;                 // members are short: more effort gains little
constexpr int kMemoryLevel = 8;

// How much the output of Unpack grows at a time.
constexpr std::size_t kStepBytes = std::size_t{16} << 10;

Bytef* Input(std::string_view text) { return reinterpret_cast<Bytef*>(const_cast<char*>(text.data())); }

}  // namespace

struct GrpcGzip::State {
  ~State() {
    if (unpacks) inflateEnd(&in);
    if (packs) deflateEnd(&out);
  }
  z_stream in{};
  z_stream out{};
  bool unpacks = false;
  bool packs = false;
  std::string plain;
};

GrpcGzip::GrpcGzip() : state_(std::make_unique<State>()) {}
GrpcGzip::~GrpcGzip() = default;

Result<std::string_view> GrpcGzip::Unpack(std::string_view packed, std::size_t bytes_max) {
  z_stream& stream = state_->in;
  if (state_->unpacks) {
    MUSTER_CHECK(inflateReset(&stream) == Z_OK);
  } else {
    MUSTER_CHECK(inflateInit2(&stream, kGzipWindowBits) == Z_OK);
    state_->unpacks = true;
  }
  std::string& plain = state_->plain;
  if (plain.capacity() > kScratchBytesMax) std::string().swap(plain);
  plain.clear();
  stream.next_in = Input(packed);
  stream.avail_in = static_cast<uInt>(packed.size());
  int code = Z_OK;
  while (code == Z_OK && plain.size() <= bytes_max) {
    const std::size_t before = plain.size();
    plain.resize(std::min(before + kStepBytes, bytes_max + 1));
    stream.next_out = reinterpret_cast<Bytef*>(plain.data() + before);
    stream.avail_out = static_cast<uInt>(plain.size() - before);
    code = inflate(&stream, Z_NO_FLUSH);
    plain.resize(plain.size() - stream.avail_out);
  }
  if (plain.size() > bytes_max) {
    return Fail(Reason::kBodyTooLarge,
                "the message is larger than " + std::to_string(bytes_max) + " bytes when it is unpacked; send less");
  }
  if (code != Z_STREAM_END || stream.avail_in != 0) {
    return Fail(Reason::kInvalidArgument, "the message is said to be gzip and is not");
  }
  return std::string_view(plain);
}

void GrpcGzip::Pack(std::string_view plain, std::string& out) {
  z_stream& stream = state_->out;
  if (state_->packs) {
    MUSTER_CHECK(deflateReset(&stream) == Z_OK);
  } else {
    MUSTER_CHECK(deflateInit2(&stream, kLevel, Z_DEFLATED, kGzipWindowBits, kMemoryLevel, Z_DEFAULT_STRATEGY) == Z_OK);
    state_->packs = true;
  }
  const std::size_t before = out.size();
  out.resize(before + deflateBound(&stream, plain.size()));
  stream.next_in = Input(plain);
  stream.avail_in = static_cast<uInt>(plain.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data() + before);
  stream.avail_out = static_cast<uInt>(out.size() - before);
  MUSTER_CHECK(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(out.size() - stream.avail_out);
}

}  // namespace muster
