#include "cluster/replica/wire.hpp"

#include "cluster/replica/octets.hpp"

namespace custos::cluster::replica {

namespace {

using namespace raft;

constexpr std::uint8_t version = 1;

/// Numbers travel and are stored: never renumbered.
enum class kind : std::uint8_t {
  vote_request = 1,
  vote_response,
  append_request,
  append_response,
  snapshot_chunk,
  snapshot_response,
  timeout_now,
};

// ---- parts --------------------------------------------------------------------------------------

void put(octet_writer& out, const membership& members) {
  out.u8(static_cast<std::uint8_t>(members.size()));
  for (const auto& m : members) {
    out.u64(m.id);
    out.u8(static_cast<std::uint8_t>(m.role));
    out.text(m.info);
  }
}

membership get_members(octet_reader& in) {
  const auto count = in.u8();
  if (count > members_max)
    in.fail();
  membership out;
  for (unsigned i = 0; i < count && !in.failed(); ++i) {
    member m;
    m.id = in.u64();
    const auto role = in.u8();
    if (role != static_cast<std::uint8_t>(member_role::standby) &&
        role != static_cast<std::uint8_t>(member_role::voter))
      in.fail();
    m.role = static_cast<member_role>(role);
    m.info = in.text(member_info_bytes_max);
    if (m.id == 0 || (!out.empty() && out.back().id >= m.id))
      in.fail();
    out.push_back(std::move(m));
  }
  return out;
}

void put(octet_writer& out, const log_base& base) {
  out.u64(base.index);
  out.u64(base.term);
  out.u64(base.members_index);
  put(out, *base.members);
}

log_base get_base(octet_reader& in) {
  log_base out;
  out.index = in.u64();
  out.term = in.u64();
  out.members_index = in.u64();
  out.members = std::make_shared<const membership>(get_members(in));
  if (out.members_index > out.index)
    in.fail();
  return out;
}

void put(octet_writer& out, const entry& e) {
  out.u64(e.term);
  out.u8(static_cast<std::uint8_t>(e.kind));
  if (e.kind == entry_kind::command)
    out.octets(*e.command);
  else if (e.kind == entry_kind::members)
    put(out, *e.members);
}

entry get_entry(octet_reader& in) {
  entry out;
  out.term = in.u64();
  out.kind = static_cast<entry_kind>(in.u8());
  switch (out.kind) {
  case entry_kind::nothing:
    break;
  case entry_kind::command:
    out.command = std::make_shared<const bytes>(to_bytes(in.octets(entry_bytes_max)));
    break;
  case entry_kind::members:
    out.members = std::make_shared<const membership>(get_members(in));
    break;
  default:
    in.fail();
  }
  return out;
}

// ---- messages -----------------------------------------------------------------------------------

void begin(octet_writer& out, kind what, term_number term) {
  out.u8(version);
  out.u8(static_cast<std::uint8_t>(what));
  out.u64(term);
}

void put(octet_writer& out, const vote_request& m) {
  begin(out, kind::vote_request, m.term);
  out.u64(m.last_index);
  out.u64(m.last_term);
  out.u8(m.transfer ? 1 : 0);
}

void put(octet_writer& out, const vote_response& m) {
  begin(out, kind::vote_response, m.term);
  out.u8(m.granted ? 1 : 0);
}

void put(octet_writer& out, const append_request& m) {
  begin(out, kind::append_request, m.term);
  out.u64(m.prev_index);
  out.u64(m.prev_term);
  out.u64(m.commit);
  out.u64(m.round);
  out.u32(static_cast<std::uint32_t>(m.entries.size()));
  for (const auto& e : m.entries)
    put(out, e);
}

void put(octet_writer& out, const append_response& m) {
  begin(out, kind::append_response, m.term);
  out.u8(m.success ? 1 : 0);
  out.u64(m.prev_index);
  out.u64(m.match);
  out.u64(m.hint);
  out.u64(m.hint_term);
  out.u64(m.round);
}

void put(octet_writer& out, const snapshot_chunk& m) {
  begin(out, kind::snapshot_chunk, m.term);
  put(out, m.at);
  out.u64(m.total);
  out.u64(m.offset);
  out.octets(m.data);
}

void put(octet_writer& out, const snapshot_response& m) {
  begin(out, kind::snapshot_response, m.term);
  out.u64(m.index);
  out.u64(m.offset);
  out.u8(m.done ? 1 : 0);
}

void put(octet_writer& out, const timeout_now& m) {
  begin(out, kind::timeout_now, m.term);
}

bool get_flag(octet_reader& in) {
  const auto v = in.u8();
  if (v > 1)
    in.fail();
  return v == 1;
}

append_request get_append(octet_reader& in) {
  append_request m;
  m.prev_index = in.u64();
  m.prev_term = in.u64();
  m.commit = in.u64();
  m.round = in.u64();
  const auto count = in.u32();
  if (count > entries_max)
    in.fail();
  for (std::uint32_t i = 0; i < count && !in.failed(); ++i)
    m.entries.push_back(get_entry(in));
  return m;
}

append_response get_append_response(octet_reader& in) {
  append_response m;
  m.success = get_flag(in);
  m.prev_index = in.u64();
  m.match = in.u64();
  m.hint = in.u64();
  m.hint_term = in.u64();
  m.round = in.u64();
  return m;
}

result<message> get_message(kind what, octet_reader& in) {
  switch (what) {
  case kind::vote_request: {
    vote_request m;
    m.last_index = in.u64();
    m.last_term = in.u64();
    m.transfer = get_flag(in);
    return message(m);
  }
  case kind::vote_response: {
    vote_response m;
    m.granted = get_flag(in);
    return message(m);
  }
  case kind::append_request:
    return message(get_append(in));
  case kind::append_response:
    return message(get_append_response(in));
  case kind::snapshot_chunk: {
    snapshot_chunk m;
    m.at = get_base(in);
    m.total = in.u64();
    m.offset = in.u64();
    m.data = to_bytes(in.octets());
    return message(std::move(m));
  }
  case kind::snapshot_response: {
    snapshot_response m;
    m.index = in.u64();
    m.offset = in.u64();
    m.done = get_flag(in);
    return message(m);
  }
  case kind::timeout_now:
    return message(timeout_now{});
  }
  return make_error(errc::unsupported, "a replica's message is of a kind not known here");
}

error bad(std::string_view what) {
  return make_error(errc::malformed, std::string(what) + " does not have its form");
}

/// version(1) || value
template <class Value>
bytes stored(const Value& value) {
  octet_writer out;
  out.u8(version);
  put(out, value);
  return out.take();
}

template <class Read>
auto unstored(byte_view octets, std::string_view what, Read read)
    -> result<decltype(read(std::declval<octet_reader&>()))> {
  octet_reader in(octets);
  if (in.u8() != version)
    return make_error(errc::unsupported, std::string(what) + " is of another version");
  auto out = read(in);
  if (!in.complete())
    return bad(what);
  return out;
}

} // namespace

bytes encode(const message& m) {
  octet_writer out;
  std::visit([&](const auto& one) { put(out, one); }, m);
  return out.take();
}

result<message> decode_message(byte_view octets) {
  octet_reader in(octets);
  if (in.u8() != version)
    return make_error(errc::unsupported, "a replica's message is of another version");
  const auto what = static_cast<kind>(in.u8());
  const auto term = in.u64();
  CUSTOS_TRY(auto out, get_message(what, in));
  if (!in.complete())
    return bad("a replica's message");
  std::visit([term](auto& m) { m.term = term; }, out);
  return out;
}

bytes encode(const entry& e) {
  return stored(e);
}

result<entry> decode_entry(byte_view octets) {
  return unstored(octets, "an entry of the log", get_entry);
}

bytes encode(const log_base& base) {
  return stored(base);
}

result<log_base> decode_base(byte_view octets) {
  return unstored(octets, "the base of the log", get_base);
}

bytes encode(const membership& members) {
  return stored(members);
}

result<membership> decode_members(byte_view octets) {
  return unstored(octets, "a membership", get_members);
}

} // namespace custos::cluster::replica
