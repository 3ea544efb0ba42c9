#include "cluster/replica/member_change.hpp"

#include "cluster/replica/octets.hpp"
#include "cluster/replica/wire.hpp"

namespace custos::cluster::replica {

bytes encode(const member_change& change) {
  octet_writer out;
  out.u8(static_cast<std::uint8_t>(change.action));
  out.text(write_member_info(change.info));
  return out.take();
}

result<member_change> decode_member_change(byte_view octets) {
  octet_reader in(octets);
  const auto action = in.u8();
  const auto info = in.text(raft::member_info_bytes_max);
  if (!in.complete() || action < static_cast<std::uint8_t>(member_action::add) ||
      action > static_cast<std::uint8_t>(member_action::update))
    return make_error(errc::malformed, "expected a change of the membership");
  member_change out;
  out.action = static_cast<member_action>(action);
  CUSTOS_TRY(out.info, read_member_info(info));
  return out;
}

bytes encode(const membership_answer& answer) {
  octet_writer out;
  out.u64(answer.id);
  out.octets(encode(answer.members));
  return out.take();
}

result<membership_answer> decode_membership_answer(byte_view octets) {
  octet_reader in(octets);
  membership_answer out;
  out.id = in.u64();
  const auto members = in.octets();
  if (!in.complete())
    return make_error(errc::malformed, "expected a membership");
  CUSTOS_TRY(out.members, decode_members(members));
  return out;
}

} // namespace custos::cluster::replica
