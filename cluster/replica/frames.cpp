#include "cluster/replica/frames.hpp"

#include "cluster/replica/octets.hpp"
#include "cluster/replica/wire.hpp"

namespace custos::cluster::replica {

namespace {

constexpr std::size_t part_header_bytes = 9;
constexpr std::size_t parcel_bytes_max = message_bytes_max + 64;
constexpr std::size_t error_text_bytes_max = 4096;
constexpr std::size_t body_bytes_max = 256U << 10U;
constexpr std::size_t version_text_bytes_max = 64;

enum class frame_kind : std::uint8_t { whole = 1, part };
/// Numbers travel: never renumbered.
enum class parcel_kind : std::uint8_t { raft = 1, proposal, question, answer, pulse, members };

void put(octet_writer& out, const raft_parcel& p) {
  out.u8(static_cast<std::uint8_t>(parcel_kind::raft));
  out.u64(p.from);
  out.u64(p.to);
  out.raw(p.message);
}

void put(octet_writer& out, const proposal_parcel& p) {
  out.u8(static_cast<std::uint8_t>(parcel_kind::proposal));
  out.raw(p.command);
}

void put(octet_writer& out, const question_parcel& p) {
  out.u8(static_cast<std::uint8_t>(parcel_kind::question));
  out.u64(p.id);
  out.u8(static_cast<std::uint8_t>(p.kind));
  out.u32(p.patience_ms);
  out.octets(p.body);
}

void put(octet_writer& out, const answer_parcel& p) {
  out.u8(static_cast<std::uint8_t>(parcel_kind::answer));
  out.u64(p.id);
  out.u8(p.failure ? static_cast<std::uint8_t>(p.failure->code) : 0);
  if (!p.failure)
    return out.octets(p.body);
  out.text(p.failure->field.substr(0, error_text_bytes_max));
  out.text(p.failure->message.substr(0, error_text_bytes_max));
}

void put(octet_writer& out, const pulse_parcel& p) {
  out.u8(static_cast<std::uint8_t>(parcel_kind::pulse));
  out.u64(p.from);
  out.u64(p.applied);
  out.raw(p.state_hash);
  out.u64(p.revision);
  out.u64(p.members_index);
  out.text(p.program_version);
}

void put(octet_writer& out, const members_parcel& p) {
  out.u8(static_cast<std::uint8_t>(parcel_kind::members));
  out.u64(p.index);
  out.raw(p.members);
}

answer_parcel get_answer(octet_reader& in) {
  answer_parcel out;
  out.id = in.u64();
  const auto code = in.u8();
  if (code == 0) {
    out.body = to_bytes(in.octets(body_bytes_max));
    return out;
  }
  // A code of a later version is told as a failure all the same.
  const auto known = code <= static_cast<std::uint8_t>(errc::internal);
  auto field = in.text(error_text_bytes_max);
  auto message = in.text(error_text_bytes_max);
  out.failure = field_error(known ? static_cast<errc>(code) : errc::internal, std::move(field),
                            std::move(message));
  return out;
}

result<parcel> get(parcel_kind kind, octet_reader& in) {
  switch (kind) {
  case parcel_kind::raft: {
    raft_parcel p;
    p.from = in.u64();
    p.to = in.u64();
    p.message = to_bytes(in.rest());
    return parcel(std::move(p));
  }
  case parcel_kind::proposal:
    return parcel(proposal_parcel{to_bytes(in.rest())});
  case parcel_kind::question: {
    question_parcel p;
    p.id = in.u64();
    p.kind = static_cast<question_kind>(in.u8());
    p.patience_ms = in.u32();
    p.body = to_bytes(in.octets(body_bytes_max));
    return parcel(std::move(p));
  }
  case parcel_kind::answer:
    return parcel(get_answer(in));
  case parcel_kind::pulse: {
    pulse_parcel p;
    p.from = in.u64();
    p.applied = in.u64();
    const auto hash = in.raw(p.state_hash.size());
    std::copy(hash.begin(), hash.end(), p.state_hash.begin());
    p.revision = in.u64();
    p.members_index = in.u64();
    p.program_version = in.text(version_text_bytes_max);
    return parcel(std::move(p));
  }
  case parcel_kind::members: {
    members_parcel p;
    p.index = in.u64();
    p.members = to_bytes(in.rest());
    return parcel(std::move(p));
  }
  }
  return make_error(errc::unsupported, "a peer sent something of a kind not known here");
}

result<std::optional<parcel>> read_parcel(byte_view octets) {
  octet_reader in(octets);
  const auto kind = static_cast<parcel_kind>(in.u8());
  CUSTOS_TRY(auto out, get(kind, in));
  if (!in.complete())
    return make_error(errc::malformed, "what a peer sent does not have its form");
  return std::optional(std::move(out));
}

} // namespace

std::vector<bytes> to_frames(const parcel& p, std::size_t frame_bytes_max) {
  octet_writer whole;
  whole.u8(static_cast<std::uint8_t>(frame_kind::whole));
  std::visit([&](const auto& one) { put(whole, one); }, p);
  auto octets = whole.take();
  std::vector<bytes> out;
  if (octets.size() <= frame_bytes_max) {
    out.push_back(std::move(octets));
    return out;
  }
  const auto rest = byte_view(octets).subspan(1);
  const auto size = frame_bytes_max - part_header_bytes;
  const auto parts = static_cast<std::uint32_t>((rest.size() + size - 1) / size);
  for (std::uint32_t i = 0; i < parts; ++i) {
    octet_writer part;
    part.u8(static_cast<std::uint8_t>(frame_kind::part));
    part.u32(i);
    part.u32(parts);
    part.raw(rest.subspan(i * size, std::min(size, rest.size() - i * size)));
    out.push_back(part.take());
  }
  return out;
}

bytes encode_index(raft::log_index index) {
  octet_writer out;
  out.u64(index);
  return out.take();
}

result<raft::log_index> decode_index(byte_view octets) {
  octet_reader in(octets);
  const auto index = in.u64();
  if (!in.complete())
    return make_error(errc::malformed, "expected an index of the log");
  return index;
}

result<std::optional<parcel>> assembler::take(byte_view frame) {
  octet_reader in(frame);
  const auto kind = static_cast<frame_kind>(in.u8());
  if (kind == frame_kind::whole) {
    waiting_ = {};
    parts_ = 0;
    return read_parcel(in.rest());
  }
  if (kind != frame_kind::part)
    return make_error(errc::unsupported, "a peer sent a frame of a kind not known here");
  const auto part = in.u32();
  const auto parts = in.u32();
  const auto octets = in.rest();
  if (in.failed() || part >= parts)
    return make_error(errc::malformed, "a part of a parcel does not have its form");
  if (part == 0) {
    waiting_ = {};
    next_part_ = 0;
    parts_ = parts;
  }
  // The parts before it may have been lost with their connection: then it is no use.
  if (parts != parts_ || part != next_part_)
    return std::optional<parcel>{};
  if (octets.size() > parcel_bytes_max - waiting_.size()) {
    parts_ = 0;
    return make_error(errc::too_large, "a parcel of a peer is too long");
  }
  waiting_.insert(waiting_.end(), octets.begin(), octets.end());
  if (++next_part_ < parts_)
    return std::optional<parcel>{};
  parts_ = 0;
  return read_parcel(std::exchange(waiting_, {}));
}

} // namespace custos::cluster::replica
